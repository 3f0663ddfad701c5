"""A small study on made-up tables: three sites, person-level privacy, masks, three rounds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reticent.ledger import Ledger

STUDY = """
schema = 1

[study]
name = "small"
purpose = "test"
contact = "dpo@example.org"

[data]
kind = "table"
label = "outcome"
person = "row"
test_fraction = 0.25
split_key = "small-1"
columns = [
  { name = "age", kind = "number", range = [0, 100] },
  { name = "smoker", kind = "category", values = ["no", "yes"], other = true },
  { name = "outcome", kind = "label", values = ["no", "yes"] },
]

[model]
factory = "reticent.training.models:logistic"
loss = "cross_entropy"

[learning]
method = "fedavg"
rounds = 3
local_steps = 2
learning_rate = 0.5
seed = 1

[privacy]
guarantee = "differential-privacy"
unit = "person"
relation = "add_or_remove_one"
target = { epsilon = 3.0, delta = 1e-4 }
max_grad_norm = 1.0
sampling_probability = 0.25
spare_executions = 1

[secure_aggregation]
protocol = "secagg"
dropouts = 1

[release]
metrics = { every = 0, epsilon = 0.5 }

[sites.east]
rows = 30
file = "east.csv"

[sites.north]
rows = 45
file = "north.csv"

[sites.south]
rows = 22
file = "south.csv"
"""

SITES = {"east": 40, "north": 60, "south": 30}


def table(rows: int, seed: int) -> pd.DataFrame:
    """Return a table in which age tells the outcome."""
    generator = np.random.default_rng(seed)
    age = generator.uniform(20, 90, size=rows).round(1)
    smoker = generator.choice(["no", "yes", "sometimes"], size=rows)
    outcome = np.where(age + generator.normal(0, 10, size=rows) > 55, "yes", "no")
    return pd.DataFrame({"age": age, "smoker": smoker, "outcome": outcome})


def grant(folder: Path, epsilon: float = 3.0, delta: float = 1e-2) -> Ledger:
    """Grant every site's population the same budget."""
    book = Ledger(f"sqlite:///{folder / 'budget.db'}")
    for site in SITES:
        book.grant(
            site, epsilon=epsilon, delta=delta, unit="person", relation="add_or_remove_one", reason="test", signer="t"
        )
    return book


@pytest.fixture
def small_study(tmp_path: Path) -> Callable[..., Path]:
    """Write the study and its tables; replacements change the text of the study file."""

    def make(replace: dict[str, str] | None = None, *, granted: float | None = 3.0) -> Path:
        text = STUDY
        for old, new in (replace or {}).items():
            assert old in text, old
            text = text.replace(old, new)
        path = tmp_path / "study.toml"
        path.write_text(text)
        for index, (site, rows) in enumerate(SITES.items()):
            table(rows, index).to_csv(tmp_path / f"{site}.csv", index=False)
        if granted is not None:
            grant(tmp_path, granted)
        return path

    return make


@dataclass
class Outcome:
    """What a command left behind."""

    status: int
    out: str
    err: str


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run one command as the shell would, and return its status and what it printed."""

    def call(*arguments: object) -> Outcome:
        from reticent.cli.app import run_app

        monkeypatch.setattr(sys, "argv", ["reticent", *map(str, arguments)])
        capsys.readouterr()
        status = run_app()
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return call
