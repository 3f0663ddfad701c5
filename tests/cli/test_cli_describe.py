"""reticent describe: one small table, paid for before anything is drawn; past the budget it refuses and draws nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

from reticent import dp
from reticent.cli.app import run_app
from reticent.ledger import Ledger

DECLARED = [
    *("--bounds", "mean radius=5:30", "--categories", "target=0,1", "--delta", "1e-6"),
    *("--unit", "record", "--relation", "add_or_remove_one", "--population", "ward-7"),
]


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """Breast Cancer Wisconsin as a CSV in an empty folder, with a ledger that allows epsilon 1."""
    monkeypatch.chdir(tmp_path)
    frame = load_breast_cancer(as_frame=True).frame
    frame["hospital number"] = [f"{number // 2:05d}" for number in range(len(frame))]
    frame.to_csv("table.csv", index=False)
    grant("ward-7", "record")
    return frame


def grant(population: str, unit: Any) -> None:
    Ledger("sqlite:///budget.db").grant(
        population, epsilon=1.0, delta=1e-5, unit=unit, relation="add_or_remove_one", reason="look", signer="dpo"
    )


def reticent(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["reticent", *words])
    status = run_app()
    said = capsys.readouterr()
    return status, said.out, said.err


def test_a_table_is_described_and_paid_for(
    table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = reticent(monkeypatch, capsys, "describe", "table.csv", *DECLARED, "--epsilon", "0.8")
    assert status == 0
    for word in ("rows", "mean radius", "mean", "sd", "25 %", "median", "75 %", "missing", "target", "other", "["):
        assert word in out
    assert "spent epsilon 0.8" in err
    assert "left 0.2" in err
    left = Ledger("sqlite:///budget.db").balance("ward-7")
    assert left.spent_epsilon == pytest.approx(0.8, abs=1e-3)
    assert left.reserved_epsilon == 0


def test_past_the_budget_nothing_is_drawn(
    table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 3, what is left and how to get more; the samplers were never called, the ledger did not change."""

    def drawn(*_: Any, **__: Any) -> None:
        raise AssertionError("noise was drawn for a release that nobody paid for")

    monkeypatch.setattr(dp, "add_gaussian", drawn)
    monkeypatch.setattr(dp, "add_laplace", drawn)
    status, out, err = reticent(monkeypatch, capsys, "describe", "table.csv", *DECLARED, "--epsilon", "1.5")
    assert status == 3
    assert out == ""
    assert "epsilon 1 " in err
    assert "reticent ledger grant ward-7" in err
    assert Ledger("sqlite:///budget.db").balance("ward-7").left_epsilon == 1.0
    elsewhere = [word if word != "ward-7" else "ward-8" for word in DECLARED]
    status, out, err = reticent(monkeypatch, capsys, "describe", "table.csv", *elsewhere, "--epsilon", "0.1")
    assert (status, out) == (3, "")
    assert "no-grant" in err


def test_a_budget_of_another_unit_is_refused(
    table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    grant("patients", "person")
    words = [word if word != "ward-7" else "patients" for word in DECLARED]
    status, out, err = reticent(monkeypatch, capsys, "describe", "table.csv", *words, "--epsilon", "0.1")
    assert (status, out) == (3, "")
    assert "unit-mismatch" in err


def test_json_holds_the_same_and_nothing_exact(
    table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No figure is the exact one: all are 15 digits of a noised grid point (equal by chance: below 1e-6 each)."""
    status, out, _ = reticent(
        monkeypatch, capsys, "describe", "table.csv", *DECLARED, "--epsilon", "0.8", "--format", "json"
    )
    assert status == 0
    found = json.loads(out)
    assert found["paid"]["population"] == "ward-7"
    assert found["paid"]["epsilon_left"] == pytest.approx(0.2, abs=1e-3)
    exact = {569.0, float(table["mean radius"].mean()), float(table["mean radius"].std(ddof=0)), 212.0, 357.0}
    figures = {row[name] for row in found["statistics"] for name in ("value", "low", "high")}
    assert not figures & exact
    rows = next(row for row in found["statistics"] if row["statistic"] == "rows")
    assert abs(rows["value"] - 569) < 12 * rows["noise"]


def test_a_plan_needs_no_data_and_spends_nothing(
    table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("table.csv").unlink()
    status, out, _ = reticent(
        monkeypatch, capsys, "describe", "table.csv", *DECLARED, "--epsilon", "0.8", "--plan", "--format", "json"
    )
    assert status == 0
    assert json.loads(out)["epsilon"] == pytest.approx(0.8, abs=1e-3)
    assert Ledger("sqlite:///budget.db").balance("ward-7").left_epsilon == 1.0


def test_persons_are_bounded(
    table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    grant("patients", "person")
    words = [{"ward-7": "patients", "record": "person"}.get(word, word) for word in DECLARED]
    words += ["--person", "hospital number", "--rows-per-person", "2", "--epsilon", "0.5"]
    status, out, _ = reticent(monkeypatch, capsys, "describe", "table.csv", *words)
    assert status == 0
    assert "mean radius" in out


@pytest.mark.parametrize(
    "wrong",
    [
        (("table.csv",), "describe-undeclared", 2),
        (("table.csv", *DECLARED[4:], "--epsilon", "1"), "describe-option", 2),
        (("table.csv", *DECLARED, "--epsilon", "1", "--bounds", "age=old:young"), "describe-option", 2),
        (("table.csv", *DECLARED, "--epsilon", "-1"), "invalid-epsilon", 2),
        (("table.csv", *DECLARED, "--epsilon", "0.1", "--bounds", "height=0:3"), "statistics-column", 6),
        (("nowhere.csv", *DECLARED, "--epsilon", "0.1"), "file-unreadable", 6),
    ],
)
def test_what_is_wrong_is_said_and_costs_nothing(
    wrong: tuple[tuple[str, ...], str, int],
    table: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words, code, status = wrong
    found, out, err = reticent(monkeypatch, capsys, "describe", *words)
    assert (found, out) == (status, "")
    assert f"[{code}]" in err
    assert Ledger("sqlite:///budget.db").balance("ward-7").left_epsilon == 1.0


def test_a_study_declares_the_columns(
    table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bounds, categories, unit and relation come from the study; the site's own file says where its data are."""
    from reticent.study import new_study

    text = new_study("look", sites=("north", "south", "east"))
    start = text.index("columns = [")
    end = text.index("\n]", start) + 2
    columns = """columns = [
  { name = "mean radius", kind = "number", range = [5, 30] },
  { name = "target", kind = "label", values = ["0", "1"] },
]"""
    text = (text[:start] + columns + text[end:]).replace('file = "north.csv"', 'file = "table.csv"')
    text = text.replace('label = "outcome"', 'label = "target"')
    Path("study.toml").write_text(text)
    from reticent.study import load_study

    study = load_study(Path("study.toml"))
    grant("north", study.privacy.unit)
    status, out, err = reticent(
        monkeypatch,
        capsys,
        *("describe", "--study", "study.toml", "--site", "north", "--epsilon", "0.5"),
        "--delta",
        "1e-6",
    )
    assert status == 0, err
    assert "mean radius" in out
    assert "population 'north'" in err


@pytest.mark.parametrize("wrong", [("--confidence", "2"), ("--rows-per-person", "2")])
def test_what_makes_no_sense_is_refused_before_anything_is_paid(
    table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wrong: tuple[str, str]
) -> None:
    """A confidence of 2 was found out after the budget was spent; rows of a person were ignored under unit record."""
    status, _, _ = reticent(monkeypatch, capsys, "describe", "table.csv", *DECLARED, "--epsilon", "0.5", *wrong)
    assert status == 2
    assert Ledger("sqlite:///budget.db").balance("ward-7").left_epsilon == 1.0
