"""One process for each site: the same result as in one process, and a site that is killed is only absent."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import reticent.api
from reticent.engines import Processes, laptop
from reticent.errors import PolicyRefused
from reticent.runs import Event

NO_PRIVACY = {
    'guarantee = "differential-privacy"': 'guarantee = "none"\nreason = "made-up records"',
    'unit = "person"\nrelation = "add_or_remove_one"\ntarget = { epsilon = 3.0, delta = 1e-4 }\nmax_grad_norm = 1.0\n'
    "sampling_probability = 0.25\nspare_executions = 1\n": "",
    "learning_rate = 0.5": "learning_rate = 0.5\nbatch_size = 8",
    "metrics = { every = 0, epsilon = 0.5 }": "metrics = { every = 1 }",
}


def test_processes_and_one_process_train_the_same_model(small_study: Callable[..., Path]) -> None:
    bound = reticent.api.plan(small_study(NO_PRIVACY, granted=None))
    here = reticent.api.run(bound, engine="local")
    apart = reticent.api.run(bound, engine="processes")
    first, second = (load_file(result.folder / "model.safetensors") for result in (here, apart))
    for name, value in first.items():
        assert np.array_equal(value, second[name]), name
    assert [m["confusion"] for m in here.metrics] == [m["confusion"] for m in apart.metrics]


class Assassin(Processes):
    """Kills one site's process at the given exchange, as the out-of-memory killer would."""

    victim, at, seen = "south", 6, 0

    def exchange(self, requests: Any, *, deadline: float) -> Any:
        type(self).seen += 1
        if type(self).seen == self.at:
            os.kill(self.pid(self.victim), signal.SIGKILL)
            os.waitpid(self.pid(self.victim), os.WNOHANG)
        return super().exchange(requests, deadline=deadline)


def test_a_killed_site_is_absent_from_its_round_and_back_in_the_next(
    small_study: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = reticent.api.plan(small_study())
    Assassin.seen = 0
    monkeypatch.setattr(laptop, "Processes", Assassin)
    events: list[Event] = []
    reticent.api.run(bound, engine="processes", observer=events.append)
    rounds = [event for event in events if event.name == "round" and event.detail["task"] == "train"]
    absent = [sorted(event.detail["absent"]) for event in rounds]
    assert absent.count(["south"]) == 1, absent
    assert absent.count([]) == 2, absent
    assert len(rounds) == 3


def test_a_refusal_in_a_sites_process_reaches_the_user_with_its_command(small_study: Callable[..., Path]) -> None:
    bound = reticent.api.plan(small_study(granted=None))
    with pytest.raises(PolicyRefused, match="no budget") as caught:
        reticent.api.run(bound, engine="processes")
    assert caught.value.code == "no-grant"
    assert "reticent ledger grant" in caught.value.hint


def test_no_process_is_left_behind(small_study: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    class Watched(Processes):
        def exchange(self, requests: Any, *, deadline: float) -> Any:
            replies = super().exchange(requests, deadline=deadline)
            started.extend(self.pid(site) for site in requests)
            return replies

    monkeypatch.setattr(laptop, "Processes", Watched)
    reticent.api.run(reticent.api.plan(small_study({"rounds = 3": "rounds = 1"})), engine="processes")
    for process in set(started):
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)
