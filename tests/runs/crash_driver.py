"""Runs a study in forked children that kill themselves at a named point, then resumes it. Prints outcomes as JSON.

Run as a script: `crash_driver.py STUDY MODE [POINT ...]`, MODE is `right` or `commits-after-sending` (the broken copy),
a point is for example `after-send`; all 14 if none is given.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import reticent.api
import reticent.runs.hosting
from reticent.dp import Grant
from reticent.errors import ReticentError
from reticent.identity import unseal
from reticent.ledger import Ledger
from reticent.roles import Request
from reticent.runs import MILESTONES, Event, SiteHost
from reticent.runs.site import MESSAGE_LIMIT

CRASH_ROUND = 2


class CommitsAfterSending(SiteHost):
    """The broken copy: draws first, and pays when the answer is out of the door."""

    def _pay(self, request: Request, release: Any) -> Grant:
        self._owed = (f"{self._run}/{self.name}/{request.phase}/{request.round}/{request.attempt}", release.events)
        return Grant.without_ledger(release.events)

    def answer(self, envelope: bytes) -> bytes:
        reply = super().answer(envelope)
        address, _ = unseal(envelope, self._roster, recipient=self.name, limit=MESSAGE_LIMIT)
        if address.phase.endswith("/update") and hasattr(self, "_owed"):
            key, events = self._owed
            del self._owed
            self._charge.commit(key=key, events=events)  # type: ignore[union-attr]
        return reply


def in_child(act: Callable[[], int]) -> int:
    """Run `act` in a forked child; returns its exit status, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        status = 70
        try:
            status = act()
        except ReticentError as error:
            status = error.exit_status
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killer(name: str, when: str, released: Path) -> Callable[[Event], None]:
    """Return an observer that notes what is sent, and kills this process at the named point."""

    def observe(event: Event) -> None:
        if (event.name, event.when, event.phase) == ("send", "before", "train/update"):
            with released.open("a") as file:
                file.write(f"{event.site}\n")
        at_reserve = event.name == "reserve" and event.site == "north"
        if (event.name, event.when) == (name, when) and (at_reserve or event.round == CRASH_ROUND):
            os.kill(os.getpid(), signal.SIGKILL)

    return observe


def committed(study: Path) -> dict[str, int]:
    """Return how many training executions the ledger shows for each site."""
    book = Ledger(f"sqlite:///{study.parent / 'budget.db'}")
    return {
        name: sum(entry.kind == "commit" and "train" in entry.commit_key for entry in book.entries(name))
        for name in book.populations()
    }


def main(study: Path, mode: str, points: list[str]) -> None:
    """Crash at every point, look at the ledger, resume, look again."""
    if mode == "commits-after-sending":
        reticent.runs.hosting.SiteHost = CommitsAfterSending  # type: ignore[misc]
    bound = reticent.api.plan(study)
    reticent.api.run(bound, directory=study.parent / "runs-warm")  # so that no child pays for the first use of torch
    outcomes = []
    for name in MILESTONES:
        for when in ("before", "after"):
            if points and f"{when}-{name}" not in points:
                continue
            before = committed(study)
            released = study.parent / f"released-{name}-{when}"
            directory = study.parent / f"runs-{name}-{when}"

            def first(name: str = name, when: str = when, released: Path = released, to: Path = directory) -> int:
                reticent.api.run(bound, directory=to, observer=killer(name, when, released))
                return 0

            crashed = in_child(first)
            sent = released.read_text().split() if released.exists() else []
            shown = {site: count - before.get(site, 0) for site, count in committed(study).items()}
            (folder,) = [path for path in directory.iterdir() if path.is_dir()]

            def again(folder: Path = folder, released: Path = released) -> int:
                reticent.api.resume(folder, observer=killer("", "", released))
                return 0

            resumed = in_child(again)
            all_sent = released.read_text().split() if released.exists() else []
            finally_shown = {site: count - before.get(site, 0) for site, count in committed(study).items()}
            outcomes.append(
                {
                    "point": f"{when} {name}",
                    "crashed": crashed,
                    "resumed": resumed,
                    "under_counted": [s for s in shown if shown[s] < sent.count(s)],
                    "finally_under_counted": [s for s in finally_shown if finally_shown[s] < all_sent.count(s)],
                    "executions": finally_shown,
                }
            )
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
