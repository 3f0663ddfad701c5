"""predict --encrypted from the command line: planned, done in two processes, reported; and on wrong input."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

Cli = Callable[..., Any]
PLAIN = {
    'guarantee = "differential-privacy"\nunit = "person"\nrelation = "add_or_remove_one"\n'
    "target = { epsilon = 3.0, delta = 1e-4 }\nmax_grad_norm = 1.0\nsampling_probability = 0.25\nspare_executions = 1": (
        'guarantee = "none"\nreason = "made up"'
    ),
    "local_steps = 2": "local_steps = 2\nbatch_size = 8",
    "metrics = { every = 0, epsilon = 0.5 }": "metrics = { every = 0 }",
}


@pytest.fixture
def finished(small_study: Callable[..., Path], cli: Cli) -> Path:
    """A finished run of a linear model; new rows lie beside its folder."""
    study = small_study(PLAIN)
    assert cli("run", study).status == 0
    rows = pd.read_csv(study.parent / "east.csv").drop(columns="outcome").head(6)
    rows.to_csv(study.parent / "new.csv", index=False)
    (run,) = [path for path in (study.parent / "runs").iterdir() if path.is_dir()]
    return run


def test_it_is_planned_done_and_reported(finished: Path, cli: Cli, tmp_path: Path) -> None:
    rows = finished.parent.parent / "new.csv"
    planned = cli("predict", finished, rows, "--encrypted", "--plan")
    assert planned.status == 0, planned.err
    for words in ("Who sees what", "never has the secret key", "Not promised", "bits of", "Exact to"):
        assert words in planned.out
    clear = cli("predict", finished, rows, "-o", tmp_path / "clear.csv")
    page = tmp_path / "page.html"
    hidden = cli("predict", finished, rows, "--encrypted", "-o", tmp_path / "hidden.csv", "--report", page)
    assert (clear.status, hidden.status) == (0, 0), hidden.err
    one, other = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("clear", "hidden"))
    assert list(one["prediction"]) == list(other["prediction"])
    assert (one["probability yes"] - other["probability yes"]).abs().max() < 1e-3
    facts = json.loads(page.with_suffix(".json").read_text())
    assert facts["rows"] == 6
    assert facts["bytes_up"] > facts["key_bytes"] > 0
    assert facts["modulus_bits"] <= facts["allowed_bits"]
    text = page.read_text()
    assert "What is not promised" in text
    assert not re.search(r"<script|src=|href=.http", text)


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("column-missing", lambda rows: rows.drop(columns="age")),
        ("nothing-to-predict", lambda rows: rows.head(0)),
    ],
)
def test_wrong_rows_are_refused_before_anything_is_sent(
    code: str, change: Callable[[pd.DataFrame], pd.DataFrame], finished: Path, cli: Cli, tmp_path: Path
) -> None:
    change(pd.read_csv(finished.parent.parent / "new.csv")).to_csv(tmp_path / "wrong.csv", index=False)
    refused = cli("predict", finished, tmp_path / "wrong.csv", "--encrypted")
    assert refused.status in (2, 6)
    assert f"[{code}]" in refused.err
    assert not refused.out


def test_a_row_with_a_gap_gets_no_prediction(finished: Path, cli: Cli, tmp_path: Path) -> None:
    rows = pd.read_csv(finished.parent.parent / "new.csv")
    rows.loc[2, "age"] = None
    rows.to_csv(tmp_path / "gap.csv", index=False)
    done = cli("predict", finished, tmp_path / "gap.csv", "--encrypted", "-o", tmp_path / "out.csv")
    assert done.status == 0, done.err
    found = pd.read_csv(tmp_path / "out.csv")
    assert found["prediction"].isna().tolist() == [False, False, True, False, False, False]


def test_plan_and_report_belong_to_encrypted(finished: Path, cli: Cli) -> None:
    refused = cli("predict", finished, finished.parent.parent / "new.csv", "--plan")
    assert refused.status == 2
    assert "[only-encrypted]" in refused.err
