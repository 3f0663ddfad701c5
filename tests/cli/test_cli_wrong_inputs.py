"""Thirty-odd wrong inputs: each gives one message that names value and fix, its own code, and the right exit status.

A refusal before the run changes nothing: the ledger is the same afterwards, and no site has answered anything.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reticent.ledger import Ledger
from reticent.runs import durable

Change = Callable[[Path], None]


def study(old: str, new: str) -> Change:
    """Change the study file."""

    def change(folder: Path) -> None:
        path = folder / "study.toml"
        text = path.read_text()
        assert old in text, old
        path.write_text(text.replace(old, new))

    return change


def frame(edit: Callable[[pd.DataFrame], pd.DataFrame]) -> Change:
    """Change the table of site north."""

    def change(folder: Path) -> None:
        edit(pd.read_csv(folder / "north.csv")).to_csv(folder / "north.csv", index=False)

    return change


def model(source: str) -> Change:
    """Give the study a model of its own."""

    def change(folder: Path) -> None:
        name = f"model_{abs(hash(source))}"
        (folder / f"{name}.py").write_text(f"import torch\nfrom torch import nn\n\n{source}\n")
        study("reticent.training.models:logistic", f"{name}:make")(folder)

    return change


def written(name: str, content: bytes) -> Change:
    """Replace a file."""
    return lambda folder: (folder / name).write_bytes(content) and None  # type: ignore[return-value]


def _spoil(column: str, value: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def edit(table: pd.DataFrame) -> pd.DataFrame:
        table[column] = table[column].astype(object)
        table.loc[3, column] = value
        return table

    return edit


BATCH_NORM = "def make(inputs, outputs): return nn.Sequential(nn.BatchNorm1d(inputs), nn.Linear(inputs, outputs))"
NAN = """
class Nan(nn.Linear):
    def forward(self, x): return super().forward(x) * float("nan")
def make(inputs, outputs): return Nan(inputs, outputs)
"""
WIDE = "def make(inputs, outputs): return nn.Linear(inputs, outputs + 1)"
NARROW_INPUT = "def make(inputs, outputs): return nn.Linear(inputs + 1, outputs)"
NO_MODEL = "def make(inputs, outputs): return [inputs, outputs]"

WRONG: dict[str, tuple[Change, str, int, str]] = {
    # name: (what is done wrong, code, exit status, what the message must name)
    "missing column": (frame(lambda t: t.drop(columns="age")), "column-missing", 6, "age"),
    "text in a number": (frame(_spoil("age", "sixty")), "not-a-number", 6, "age"),
    "other unit": (frame(lambda t: t.assign(age=t.age * 365)), "values-outside-range", 6, "age"),
    "unknown category": (frame(_spoil("outcome", "perhaps")), "unknown-category", 6, "outcome"),
    "person column absent": (study('person = "row"', 'person = "patient"'), "person-column-missing", 6, "patient"),
    "one site empty": (frame(lambda t: t.iloc[:0]), "site-empty", 6, "north"),
    "one label in the schema": (
        study('values = ["no", "yes"] },\n]', 'values = ["no"] },\n]'),
        "contract-one-class",
        2,
        "outcome",
    ),
    "misspelt key": (study("rounds = 3", "ronds = 3"), "unknown-key", 2, "rounds"),
    "misspelt section": (study("[learning]", "[learnign]"), "unknown-key", 2, "learnign"),
    "not TOML": (study("rounds = 3", "rounds = = 3"), "study-syntax", 2, "line"),
    "epsilon 0": (study("epsilon = 3.0", "epsilon = 0.0"), "target-epsilon-invalid", 2, "epsilon"),
    "epsilon NaN": (study("epsilon = 3.0", "epsilon = nan"), "target-epsilon-invalid", 2, "epsilon"),
    "epsilon negative": (study("epsilon = 3.0", "epsilon = -1.0"), "target-epsilon-invalid", 2, "-1"),
    "delta over 1/n": (study("delta = 1e-4", "delta = 0.1"), "target-delta-too-large", 3, "0.1"),
    "threshold over sites": (study("dropouts = 1", "threshold = 4"), "threshold-over-sites", 2, "4"),
    "too many dropouts": (study("dropouts = 1", "dropouts = 2"), "threshold-under-half", 3, "1 of 3"),
    "unit site": (study('unit = "person"', 'unit = "site"'), "unit-site", 3, "site"),
    "per-site scaling with an epsilon": (
        study('kind = "table"', 'kind = "table"\nstandardise = "per-site"'),
        "scaling-from-data",
        3,
        "per-site",
    ),
    "BatchNorm": (model(BATCH_NORM), "layers-mix-examples", 3, "BatchNorm"),
    "model that returns NaN": (model(NAN), "model-returns-nan", 2, "NaN"),
    "wrong model width": (model(WIDE), "model-output-shape", 2, "3"),
    "wrong model input": (model(NARROW_INPUT), "model-rejects-input", 2, "input"),
    "factory without a model": (model(NO_MODEL), "not-a-model", 2, "list"),
    "unknown loss": (study('loss = "cross_entropy"', 'loss = "cross_entropi"'), "invalid-value", 2, "cross_entropi"),
    "wrong loss shape": (
        study('loss = "cross_entropy"', 'loss = "reticent.training:predict_classes"'),
        "loss-shape",
        2,
        "loss",
    ),
    "factory not found": (study("models:logistic", "models:logistics"), "model-not-found", 2, "logistics"),
    "unknown optimiser": (
        study("learning_rate = 0.5", 'learning_rate = 0.5\noptimizer = "sdg"'),
        "invalid-value",
        2,
        "sdg",
    ),
    "unreadable table": (written("north.csv", b"\x00\xff\xfe\x00age"), "data-unreadable", 6, "north.csv"),
    "no table": (lambda folder: (folder / "north.csv").unlink(), "file-unreadable", 6, "north.csv"),
    "more clients than sites": (study("rounds = 3", "rounds = 3\nclients_per_round = 9"), "clients-over-sites", 2, "9"),
    "both steps and epochs": (
        study("local_steps = 2", "local_steps = 2\nlocal_epochs = 1"),
        "choose-one-key",
        2,
        "local_epochs",
    ),
    "no budget": (study('file = "north.csv"', 'file = "north.csv"\npopulation = "ward-7"'), "no-grant", 3, "ward-7"),
    "budget of another unit": (study('unit = "person"', 'unit = "record"'), "unit-mismatch", 3, "person"),
    "no claim and no reason": (
        study('guarantee = "differential-privacy"', 'guarantee = "none"'),
        "reason-missing",
        2,
        "reason",
    ),
    "two sites under masks": (
        study('[sites.south]\nrows = 22\nfile = "south.csv"\n', ""),
        "too-few-sites-to-hide",
        3,
        "2",
    ),
    "site without data": (study('file = "north.csv"\n', ""), "site-without-data", 2, "north"),
}


def _state(folder: Path) -> list[Any]:
    return Ledger(f"sqlite:///{folder / 'budget.db'}").entries()


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_input(wrong: str, small_study: Callable[..., Path], cli: Callable[..., Any]) -> None:
    path = small_study()
    change, code, status, named = WRONG[wrong]
    change(path.parent)
    before = [entry for entry in _state(path.parent) if entry.kind == "commit"]
    outcome = cli("run", path)
    assert outcome.status == status, outcome.err
    assert f"[{code}]" in outcome.err, outcome.err
    assert named in outcome.err
    assert "fix: " in outcome.err
    assert "Traceback" not in outcome.err
    assert [entry for entry in _state(path.parent) if entry.kind == "commit"] == before
    for run in (path.parent / "runs").glob("*/sites/*/journal/*"):
        pytest.fail(f"a site answered before the run was refused: {run}")
    assert cli("help", code).status == 0


def test_refusals_print_no_value_of_the_data(small_study: Callable[..., Path], cli: Callable[..., Any]) -> None:
    path = small_study()
    frame(_spoil("age", "MARKER-77123"))(path.parent)
    outcome = cli("run", path)
    assert outcome.status == 6
    assert "MARKER-77123" not in outcome.err + outcome.out
    for file in path.parent.glob("runs/**/*"):
        if file.is_file():
            assert b"MARKER-77123" not in file.read_bytes(), file


def test_rows_with_nan_warn_locally_and_the_run_goes_on(
    small_study: Callable[..., Path], cli: Callable[..., Any]
) -> None:
    path = small_study()
    frame(_spoil("age", None))(path.parent)
    outcome = cli("run", path)
    assert outcome.status == 0, outcome.err
    assert "1 of 60 rows lack a value" in outcome.err
    for file in (path.parent / "runs").glob("*/report.*"):
        assert "lack a value" not in file.read_text()


def test_a_site_with_one_class_runs(small_study: Callable[..., Path], cli: Callable[..., Any]) -> None:
    path = small_study()
    frame(lambda table: table.assign(outcome="yes"))(path.parent)
    assert cli("run", path).status == 0


def test_a_second_run_while_the_first_holds_the_lock(small_study: Callable[..., Path], cli: Callable[..., Any]) -> None:
    path = small_study()
    with durable.exclusive(path.parent / "runs" / ".small.lock", what="a test"):
        outcome = cli("run", path)
    assert outcome.status == 6
    assert "[run-locked]" in outcome.err
    assert cli("run", path).status == 0


def test_a_full_disk_leaves_a_true_ledger_and_a_resumable_run(
    small_study: Callable[..., Path], cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    path = small_study(granted=6.0)
    real, calls = durable.os.fsync, {"left": 60}

    def full(handle: int) -> None:
        calls["left"] -= 1
        if calls["left"] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(durable.os, "fsync", full)
    outcome = cli("run", path)
    monkeypatch.setattr(durable.os, "fsync", real)
    assert outcome.status in (5, 6), outcome.err
    (run,) = (folder for folder in (path.parent / "runs").iterdir() if folder.is_dir())
    assert cli("resume", run).status == 0
    assert cli("verify", run).status == 0


def test_exhausted_budget_stops_before_the_run(small_study: Callable[..., Path], cli: Callable[..., Any]) -> None:
    path = small_study()
    assert cli("run", path).status == 0
    before = _state(path.parent)
    outcome = cli("run", path)
    assert outcome.status == 3
    assert "[budget-exhausted]" in outcome.err
    assert "reticent ledger grant" in outcome.err
    assert _state(path.parent) == before


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["run", "no-such.toml"], "study-not-found"),
        (["resume", "nowhere"], "no-run-here"),
        (["report", "nowhere"], ""),
        (["predict", "nowhere", "x.csv"], "no-model-here"),
        (["help", "no-such-code"], "unknown-code"),
        (["ledger", "show", "nobody"], ""),
    ],
)
def test_wrong_arguments(
    arguments: list[str], code: str, cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = cli(*arguments)
    assert outcome.status in (2, 6)
    assert f"[{code}" in outcome.err
    assert "Traceback" not in outcome.err
    assert not list(tmp_path.iterdir()), "a refused command left something behind"


def test_unknown_options_and_bad_overrides(small_study: Callable[..., Path], cli: Callable[..., Any]) -> None:
    path = small_study()
    assert cli("run", path, "--fomat", "json").status == 2
    assert "[bad-override]" in cli("plan", path, "--set", "learning.rounds").err
    assert "[unknown-key]" in cli("plan", path, "--set", "learning.ronds=3").err
    assert sys.argv[0] == "reticent"
