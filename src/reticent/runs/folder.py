"""The run folder: the plan, the log, checkpoints and everything else that a run leaves behind.

study.toml  plan.json  run.json  roster.json  log.jsonl  model.safetensors
checkpoints/round-00007.safetensors
heads/NAME.json                                                     (anchors of the sites' ledgers)
coordinator/  identity.key  state  attempts
sites/NAME/   identity.key  journal/  exact.jsonl  refusals.jsonl        (private to the site)
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from reticent import kernels
from reticent.errors import EnvironmentFault
from reticent.identity import Roster, SigningKey
from reticent.randomness import secret
from reticent.runs import durable
from reticent.runs.events import Event
from reticent.runs.site import COORDINATOR
from reticent.study import Plan

__all__ = ["RunFolder"]

_REPORTED = ("reticent", "torch", "numpy", "scipy", "cryptography", "pandas", "SQLAlchemy")


class RunFolder:
    """One run on disk. `create` makes it before anything is asked of a site; `open` finds it again."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(
        cls, directory: Path, plan: Plan, study_text: str, *, base: Path, settings: Mapping[str, Any]
    ) -> RunFolder:
        """Make the folder of a new run under `directory`, with fresh identities for all parties.

        Args:
          base: Folder that relative paths of the study start from.
          settings: What a resumed run must know and the plan does not say, as JSON.
        """
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", plan.study).strip("-.") or "study"
        identifier = secret(8).hex()
        folder = cls(directory / f"{name}-{stamp}-{identifier[:4]}")
        durable.write(folder.path / "study.toml", study_text.encode())
        durable.write(folder.path / "plan.json", plan.canonical().encode())
        folder._make_identities(plan)
        record = {
            "run": identifier,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": _versions(),
            "engine": "local",
            "public_data": plan.public_data,
            "base": str(base.resolve()),
            "settings": dict(settings),
        }
        durable.write(folder.path / "run.json", json.dumps(record, indent=1, sort_keys=True).encode())
        return folder

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Return the run in `path`.

        Raises:
          EnvironmentFault: If it holds no run, or one whose making was interrupted.
        """
        for needed in ("plan.json", "run.json", "roster.json"):
            if not (path / needed).is_file():
                raise EnvironmentFault(
                    "no-run-here",
                    f"{path} holds no complete run: {needed} is missing",
                    hint="give the folder that `reticent run` named; if its making was interrupted, run again",
                )
        return cls(path)

    def _make_identities(self, plan: Plan) -> None:
        public = {}
        for party in (COORDINATOR, *(site.name for site in plan.sites)):
            key = SigningKey.generate()
            self._home(party).mkdir(parents=True, exist_ok=True)
            self._home(party).chmod(0o700)  # exact figures and replies lie here, too
            key.save(self._home(party) / "identity.key")
            public[party] = key.public.hex()
        durable.write(self.path / "roster.json", json.dumps(public, indent=1, sort_keys=True).encode())

    def _home(self, party: str) -> Path:
        return self.path / COORDINATOR if party == COORDINATOR else self.site(party)

    def site(self, name: str) -> Path:
        """Return the folder that belongs to one site."""
        return self.path / "sites" / name

    def head_file(self, name: str) -> Path:
        """Return where the head of a site's ledger is kept: an anchor, which holds nothing private."""
        return self.path / "heads" / f"{name}.json"

    def key(self, party: str) -> SigningKey:
        """Return the signing key of a party."""
        return SigningKey.load(self._home(party) / "identity.key")

    @cached_property
    def roster(self) -> Roster:
        """The pinned public keys of all parties."""
        public = json.loads((self.path / "roster.json").read_text())
        return Roster({party: bytes.fromhex(key) for party, key in public.items()})

    @cached_property
    def plan(self) -> Plan:
        """The plan of this run."""
        return Plan.model_validate_json((self.path / "plan.json").read_bytes())

    @cached_property
    def record(self) -> dict[str, Any]:
        """The facts in run.json."""
        return dict(json.loads((self.path / "run.json").read_text()))

    @property
    def run(self) -> str:
        """The run's identifier, which enters every message and every ledger key."""
        return str(self.record["run"])

    @property
    def base(self) -> Path:
        """The folder that relative paths of the study start from."""
        return Path(self.record["base"])

    def lock(self) -> AbstractContextManager[None]:
        """Hold the study's lock: one run of a study at a time, resumed or new."""
        return durable.exclusive(
            self.path.parent / f".{self.plan.study}.lock".replace("/", "-"), what=f"study {self.plan.study!r}"
        )

    def log(self, event: Event) -> None:
        """Append an event to the log, durably."""
        shared = {"event": event.name, "when": event.when or None, "site": event.site or None}
        place = {"round": event.round, "attempt": event.attempt, "phase": event.phase or None}
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        durable.append_line(self.path / "log.jsonl", {"time": now, **shared, **place, **event.detail})

    def events(self) -> list[dict[str, Any]]:
        """Return the log."""
        return durable.read_lines(self.path / "log.jsonl")

    @property
    def is_finished(self) -> bool:
        """Whether the run came to its planned end."""
        ends = [line for line in self.events() if line.get("event") == "finished"]
        return bool(ends) and ends[-1].get("status") == "finished"

    @property
    def never_began(self) -> bool:
        """Whether the sites have never all been ready, so that nothing was asked of them."""
        return not any(line.get("event") == "ready" for line in self.events())

    @property
    def holds_nothing(self) -> bool:
        """Whether the run was refused before it began, and every site has given its reservation back."""
        return self.never_began and any(line.get("event") == "withdrawn" for line in self.events())

    def next_attempt(self) -> int:
        """Return a number that no earlier attempt of this run has used, durably taken."""
        path = self.path / COORDINATOR / "attempts"
        number = int(path.read_text()) + 1 if path.exists() else 1
        durable.write(path, str(number).encode())
        return number

    def save_state(self, state: bytes) -> None:
        """Remember the server's state: what `resume` continues from."""
        durable.write(self.path / COORDINATOR / "state", state)

    def state(self) -> bytes | None:
        """Return the server's last state, or None before the first task is done."""
        path = self.path / COORDINATOR / "state"
        return path.read_bytes() if path.exists() else None


def _versions() -> dict[str, str]:
    found = {}
    for name in _REPORTED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed as a package"
    return {**found, "kernels": kernels.describe()}
