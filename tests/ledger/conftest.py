"""A ledger in a temporary folder, and an accountant that costs nothing: 0.25 for each event, whatever it is."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from reticent import dp
from reticent.ledger import Charge, Ledger

STEP = dp.PoissonSampled(0.1, dp.Gaussian(2.0))


@pytest.fixture(autouse=True)
def flat_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dp, "epsilon", lambda events, *, delta, relation: dp.flatten(events).total() * 0.25)


@pytest.fixture
def book(tmp_path: pathlib.Path) -> Ledger:
    return Ledger(f"sqlite:///{tmp_path}/budget.db")


@pytest.fixture
def step() -> dp.PoissonSampled:
    return STEP


@pytest.fixture
def release() -> Callable[..., dp.Release]:
    def build(steps: int = 4, **changes: Any) -> dp.Release:
        fields = {"unit": "record", "relation": "add_or_remove_one", "population": "ward-7", "dataset": "2026-10"}
        return dp.Release(**{"events": (dp.Repeated(STEP, steps),), **fields, **changes})

    return build


@pytest.fixture
def grant(book: Ledger) -> Callable[..., None]:
    def add(population: str = "ward-7", **changes: Any) -> None:
        fields = {"epsilon": 2.0, "delta": 1e-4, "unit": "record", "relation": "add_or_remove_one", "reason": "test"}
        fields |= {"signer": "Dr. Ada"}
        book.grant(population, **{**fields, **changes})

    return add


@pytest.fixture
def reserve(book: Ledger, release: Callable[..., dp.Release]) -> Callable[..., Charge]:
    def hold(key: str = "run-1", steps: int = 4, *, delta: float = 1e-5, **changes: Any) -> Charge:
        fields = {name: changes.pop(name) for name in ("purpose", "plan_hash") if name in changes}
        return book.reserve(
            release(steps, **changes), delta=delta, key=key, **{"purpose": "sepsis@1", "plan_hash": "ab12", **fields}
        )

    return hold


@pytest.fixture
def child(tmp_path: pathlib.Path) -> Callable[..., Any]:
    """Run `ledger_child.py MODE DATABASE ARGUMENTS` in a process of its own and return what it printed, as JSON."""

    def run(mode: str, *arguments: object, timeout: float = 120.0) -> Any:
        here = pathlib.Path(__file__).parent
        command = [sys.executable, str(here / "ledger_child.py"), mode, str(tmp_path / f"{mode}.db")]
        environment = {**os.environ, "PYTHONPATH": str(here.parents[1] / "src"), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(  # noqa: PLW1510
            [*command, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, env=environment
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
