"""The process of one party of a secure computation: its own rows, a channel to the others, and what is opened."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from reticent.engines.parties import DEALT, OPENED, connected, write_opened
from reticent.errors import ReticentError
from reticent.roles import Request
from reticent.runs import Binding, Event, RunFolder, compute, durable, refusals, sources_of
from reticent.runs.site import COORDINATOR
from reticent.study import load_study


def main(path: str, name: str) -> int:
    """Be party `name` of the run in `path`; returns the exit status of the error, if there was one."""
    folder = RunFolder.open(Path(path))
    deadline = folder.plan.round_deadline
    try:
        if name == COORDINATOR:
            from reticent.mpc import run_dealer

            with connected(folder, name, deadline=deadline) as channel:
                run_dealer(channel)
            durable.write(folder.path / COORDINATOR / DEALT, str(channel.bytes_sent).encode())
            return 0
        source = sources_of(load_study(folder.path / "study.toml"), folder.base, {})[name]
        rows = Binding(folder.plan, folder.base).prepare(name, source, _tell_the_log)
        with connected(folder, name, deadline=deadline) as channel:
            opened, _ = compute(folder.plan, rows, channel)
        write_opened(folder.site(name) / OPENED, opened)
    except ReticentError as error:
        sys.stderr.write(f"{error}\n")
        if name != COORDINATOR:
            refusals.keep(folder.site(name), Request(folder.run, 0, 0, "compute", b""), error)
        return error.exit_status
    return 0


def _end_with_the_starter() -> None:
    """End this process when its input ends: an orphan would compute on, and open the model to nobody who asked."""

    def watch() -> None:
        while os.read(0, 1):  # past sys.stdin, whose lock would be held when the process ends in good order
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _tell_the_log(event: Event) -> None:
    """Write warnings about the site's own data to its own log; nobody else may know them."""
    if event.name == "warning":
        sys.stderr.write(f"warning: {event.detail['text']}\n")


if __name__ == "__main__":
    _end_with_the_starter()
    raise SystemExit(main(sys.argv[1], sys.argv[2]))
