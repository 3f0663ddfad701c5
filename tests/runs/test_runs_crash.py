"""`kill -9` at 14 named points, then `resume`: nothing under-counted, and finished wherever that is paid for."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SHORT = {"rounds = 3": "rounds = 2", "local_steps = 2": "local_steps = 1"}
FREE = {"before reserve", "after reserve", "before commit", "after checkpoint"}
"""Where nothing had been drawn in the interrupted round, or the round was already safe."""


def _drive(study: Path, mode: str, *points: str) -> list[dict[str, Any]]:
    driver = Path(__file__).with_name("crash_driver.py")
    done = subprocess.run(
        [sys.executable, str(driver), str(study), mode, *points],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_with_a_spare_execution_every_crash_is_survived(small_study: Callable[..., Path]) -> None:
    outcomes = _drive(small_study(SHORT, granted=100.0), "right")
    assert len(outcomes) == 14
    for outcome in outcomes:
        assert outcome["crashed"] == -9, outcome
        assert outcome["resumed"] == 0, outcome
        assert not outcome["under_counted"], outcome
        assert not outcome["finally_under_counted"], outcome
        assert set(outcome["executions"].values()) <= {2, 3}, outcome


def test_without_a_spare_execution_a_drawn_round_cannot_be_repeated(small_study: Callable[..., Path]) -> None:
    outcomes = _drive(small_study({**SHORT, "spare_executions = 1": "spare_executions = 0"}, granted=100.0), "right")
    for outcome in outcomes:
        assert outcome["crashed"] == -9, outcome
        assert outcome["resumed"] == (0 if outcome["point"] in FREE else 3), outcome
        assert not outcome["under_counted"], outcome
        assert max(outcome["executions"].values()) <= 2, outcome


def test_the_broken_copy_that_commits_after_sending_is_caught(small_study: Callable[..., Path]) -> None:
    outcomes = _drive(small_study(SHORT, granted=100.0), "commits-after-sending", "before-send", "after-send")
    caught = {outcome["point"] for outcome in outcomes if outcome["under_counted"]}
    assert "after send" in caught


def test_a_run_that_lost_its_sites_in_the_first_round_keeps_its_folder(small_study: Callable[..., Path]) -> None:
    """It holds budget, so it must be there to be resumed."""
    import reticent.api
    from reticent.engines import InProcess, laptop
    from reticent.errors import QuorumLost

    class Deaf(InProcess):
        def exchange(self, requests: Any, *, deadline: float) -> Any:
            replies = dict(super().exchange(requests, deadline=deadline))
            return replies if len(replies) == 3 and self.hears else {}

        hears = True

    study = small_study({**SHORT, "spare_executions = 1": "spare_executions = 0"}, granted=100.0)
    original, laptop.InProcess = laptop.InProcess, Deaf  # type: ignore[misc]
    try:
        with pytest.raises(QuorumLost):
            reticent.api.run(
                reticent.api.plan(study),
                observer=lambda event: setattr(Deaf, "hears", False) if event.name == "reserve" else None,
            )
    finally:
        laptop.InProcess = original  # type: ignore[misc]
        Deaf.hears = True
    (folder,) = [path for path in (study.parent / "runs").iterdir() if path.is_dir()]
    reticent.api.resume(folder)
