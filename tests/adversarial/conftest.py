"""An attacker who runs the coordinator: holds its key, knows the plan, and may send the sites anything at any time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reticent.api
from reticent.identity import Address, seal, unseal
from reticent.messages import decode, encode
from reticent.runs import RunFolder
from reticent.runs.binding import sources_of
from reticent.runs.hosting import make_host
from reticent.runs.site import COORDINATOR, MESSAGE_LIMIT, Answer
from reticent.study import dump_study

PLAIN = {'protocol = "secagg"\ndropouts = 1': 'protocol = "plain"\ndropouts = 1'}
NO_PRIVACY = {
    'guarantee = "differential-privacy"': 'guarantee = "none"\nreason = "made-up records"',
    'unit = "person"\nrelation = "add_or_remove_one"\ntarget = { epsilon = 3.0, delta = 1e-4 }\nmax_grad_norm = 1.0\n'
    "sampling_probability = 0.25\nspare_executions = 1\n": "",
    "learning_rate = 0.5": "learning_rate = 0.5\nbatch_size = 8",
    "metrics = { every = 0, epsilon = 0.5 }": 'metrics = "none"',
}


class Attacker:
    """A run whose sites are real hosts, and whose coordinator is the test."""

    def __init__(self, study: Path) -> None:
        bound = reticent.api.plan(study)
        self.binding = bound.binding
        self.folder = RunFolder.create(
            study.parent / "runs",
            bound.plan,
            dump_study(bound.study),
            base=bound.base,
            settings={"engine": "local", "baseline_seeds": 0, "objects": False},
        )
        self.plan = self.folder.plan
        self._sources = sources_of(bound.study, bound.base, {})
        self.events: list[Any] = []
        self.hosts = {site: self.host(site) for site in self._sources}
        self.start = np.zeros(self.plan.model.vector_length, dtype=np.float32)

    def host(self, site: str) -> Any:
        """Return a new host of `site`: what remains after a restart."""
        return make_host(self.folder, self.binding, site, self._sources[site], observer=self.events.append)

    def ask(self, site: str, phase: str, body: Any, *, round: int = 1, attempt: int = 1) -> Answer:  # noqa: A002
        """Send one request, signed with the coordinator's key, and open the answer."""
        data = body if isinstance(body, bytes) else encode(body)
        address = Address(self.folder.run, round, attempt, phase, COORDINATOR, site)
        sealed = self.hosts[site].answer(seal(data, address, self.folder.key(COORDINATOR)))
        return decode(
            unseal(sealed, self.folder.roster, recipient=COORDINATOR, limit=MESSAGE_LIMIT)[1],
            Answer,
            limit=MESSAGE_LIMIT,
        )


@pytest.fixture
def attack(small_study: Callable[..., Path]) -> Callable[..., Attacker]:
    """Begin a run of the small study, with replacements in its text."""

    def begin(replace: dict[str, str] | None = None, *, granted: float | None = 100.0) -> Attacker:
        return Attacker(small_study(replace, granted=granted))

    return begin
