"""Statistics of a study from file to report: what is summed, what is paid, what verify finds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import reticent
from reticent import dp
from reticent.errors import PolicyRefused
from reticent.ledger import Ledger
from reticent.report import gather, verify

STUDY = """
schema = 1
[study]
name = "counted"
purpose = "test"
contact = "dpo@example.org"
[data]
kind = "table"
person = "id"
test_fraction = 0.25
split_key = "k"
columns = [
  { name = "age", kind = "number", range = [0, 100] },
  { name = "smoker", kind = "category", values = ["no", "yes"] },
  { name = "outcome", kind = "label", values = ["no", "yes"] },
]
[model]
factory = "reticent.training.models:logistic"
loss = "cross_entropy"
[learning]
method = "fedavg"
rounds = 1
local_steps = 1
learning_rate = 0.1
BATCH
[secure_aggregation]
protocol = "secagg"
dropouts = 0
[run]
deadline = 60
[sites]
north = { rows = 200 }
south = { rows = 200 }
east = { rows = 200 }
[statistics]
EPSILON
ask = [
  { what = "count" },
  { what = "mean", column = "age" },
  { what = "histogram", column = "smoker" },
]
"""
PRIVATE = """
[privacy]
guarantee = "differential-privacy"
unit = "person"
relation = "add_or_remove_one"
target = { epsilon = 8.0, delta = 1e-4 }
max_grad_norm = 1.0
sampling_probability = 0.5
spare_executions = 1
"""
NONE = '[privacy]\nguarantee = "none"\nreason = "made up"\n'


@pytest.fixture
def study(tmp_path: Path) -> Callable[[bool], Path]:
    """Return a writer of the study; with a promise, its budgets are granted."""

    def write(private: bool) -> Path:
        text = STUDY.replace("BATCH", "" if private else "batch_size = 16")
        text = text.replace("EPSILON", "epsilon = 4.0\nrows_per_person = 1" if private else "")
        path = tmp_path / "study.toml"
        path.write_text(text + (PRIVATE if private else NONE))
        book = Ledger(f"sqlite:///{tmp_path / 'budget.db'}")
        for site in ("north", "south", "east"):
            book.grant(
                site,
                epsilon=8.0,
                delta=1e-4,
                unit="person",
                relation="add_or_remove_one",
                reason="test",
                signer="tests",
            )
        return path

    return write


def table(n: int, seed: int) -> pd.DataFrame:
    source = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": [f"{seed}-{row}" for row in range(n)],
            "age": source.integers(20, 90, n).astype(float),
            "smoker": source.choice(["no", "yes"], n),
            "outcome": source.choice(["no", "yes"], n),
        }
    )


DATA = {"north": table(300, 1), "south": table(240, 2), "east": table(180, 3)}
TOGETHER = pd.concat(DATA.values())


def answers(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    facts = gather(folder)
    assert facts.statistics is not None
    return {(row.statistic, row.label): row.model_dump() for row in facts.statistics.rows}


def test_exact_statistics_are_those_of_all_rows_together(study: Callable[[bool], Path]) -> None:
    result = reticent.run(reticent.plan(study(False)), data=DATA)
    found = answers(result.folder)
    assert found["rows", ""]["value"] == len(TOGETHER)
    assert found["mean of age", ""]["value"] == pytest.approx(TOGETHER["age"].mean(), abs=1e-3)
    smokers = [found["histogram of smoker", word]["value"] for word in ("no", "yes")]
    assert smokers == TOGETHER["smoker"].value_counts()[["no", "yes"]].tolist()
    assert not gather(result.folder).statistics.noised  # type: ignore[union-attr]


def test_noised_statistics_are_paid_for_once_and_verified(study: Callable[[bool], Path], tmp_path: Path) -> None:
    """The interval of the count misses with probability 1e-7 here; the deviation of the noise is 6 rows."""
    path = study(True)
    path.write_text(path.read_text().replace("ask = [", "confidence = 0.9999999\nask = ["))
    bound = reticent.plan(path)
    result = reticent.run(bound, data=DATA)
    found, book = answers(result.folder), Ledger(f"sqlite:///{tmp_path / 'budget.db'}")
    count = found["rows", ""]
    assert count["low"] < len(TOGETHER) < count["high"]
    assert 0 < count["noise"] < 20
    assert found["mean of age", ""]["low"] < TOGETHER["age"].mean() < found["mean of age", ""]["high"]
    event = dp.Gaussian(bound.plan.statistics.noise_multiplier)
    for site in DATA:
        commits = [entry for entry in book.entries(site) if entry.kind == "commit"]
        assert sum(dp.flatten(entry.events)[event] for entry in commits) == 1
        release = next(
            r for s in gather(result.folder, book).sites if s.name == site for r in s.releases if "statist" in r.what
        )
        assert (release.planned, release.made) == (2, 1)
    checks = verify(result.folder, book)
    assert all(check.result == "ok" for check in checks), [c for c in checks if c.result != "ok"]


def test_statistics_that_the_log_shows_and_the_ledger_does_not_are_found(
    study: Callable[[bool], Path], tmp_path: Path
) -> None:
    result = reticent.run(reticent.plan(study(True)), data=DATA)
    log = result.folder / "log.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    again = next(line for line in lines if line.get("task") == "statistics")
    log.write_text(log.read_text() + (json.dumps(again) + "\n") * 2)
    book = Ledger(f"sqlite:///{tmp_path / 'budget.db'}")
    failed = [check.name for check in verify(result.folder, book) if check.result == "failed"]
    assert any("paid for" in name for name in failed)


def test_a_site_without_budget_for_them_refuses_before_anything_is_drawn(
    study: Callable[[bool], Path], tmp_path: Path
) -> None:
    bound = reticent.plan(study(True), overrides={"privacy.target.epsilon": "8.5"})
    with pytest.raises(PolicyRefused) as caught:
        reticent.run(bound, data=DATA)
    assert caught.value.code == "budget-exhausted"
    book = Ledger(f"sqlite:///{tmp_path / 'budget.db'}")
    assert all(book.balance(site).spent_epsilon == 0 for site in DATA)


def test_a_person_with_many_rows_counts_as_declared(study: Callable[[bool], Path]) -> None:
    path = study(False)
    crowd = {**DATA, "east": DATA["east"].assign(id="one")}
    found = answers(reticent.run(reticent.plan(path), data=crowd).folder)
    assert found["rows", ""]["value"] == len(TOGETHER)  # no promise, no bound: every row counts
