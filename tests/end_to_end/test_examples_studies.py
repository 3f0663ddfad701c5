"""The studies in examples/, as their readers type them, for one or two rounds: plan, run, report, verify, predict."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
Make = Callable[..., Path]
Cli = Callable[..., Any]


def maker(name: str) -> Any:
    """Import the example's `make_sites.py`."""
    spec = importlib.util.spec_from_file_location(f"{name}_sites", EXAMPLES / name / "make_sites.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Return a function that writes an example's tables and studies into a folder."""

    def make(name: str, *, data: Path | None = None) -> Path:
        (tmp_path / "no data").mkdir(exist_ok=True)
        monkeypatch.setenv("RETICENT_DATA", str(data or tmp_path / "no data"))
        folder = tmp_path / name
        maker(name).make_sites(folder)
        for study in (EXAMPLES / name).glob("*.toml"):
            shutil.copy(study, folder)
        monkeypatch.chdir(folder)
        return folder

    return make


def only_run(folder: Path) -> Path:
    (run,) = [path for path in (folder / "runs").iterdir() if path.is_dir()]
    return run


def walk(cli: Cli, folder: Path, *, study: str = "study.toml", rounds: int) -> dict[str, Any]:
    """Plan, run, report and verify as the README does; returns the facts that the page shows."""
    short = ("--set", f"learning.rounds={rounds}")
    planned = cli("plan", study, *short)
    assert planned.status == 0, planned.err
    assert "Who sees what" in planned.out
    assert "Not covered" in planned.out
    ran = cli("run", study, *short)
    assert ran.status == 0, ran.err
    run = only_run(folder)
    assert cli("report", run).status == 0
    assert cli("verify", run).status == 0
    facts: dict[str, Any] = json.loads((run / "report.json").read_text())
    return facts


def test_three_organisations_on_shares_and_an_encrypted_prediction(example: Make, cli: Cli) -> None:
    """The model is opened, so whoever got it may serve it; `--encrypted` answers as the same model in the clear."""
    folder = example("secure_computation")
    walk(cli, folder, rounds=1)
    run = only_run(folder)
    new = pd.read_csv(folder / "whole.csv").drop(columns=["patient", "diagnosis"]).head(6)
    new.to_csv(folder / "new.csv", index=False)
    assert cli("predict", run, "new.csv", "-o", "clear.csv").status == 0
    answered = cli("predict", run, "new.csv", "--encrypted", "-o", "encrypted.csv")
    assert answered.status == 0, answered.err
    assert "6 rows were predicted without being shown" in answered.err
    clear, encrypted = pd.read_csv("clear.csv"), pd.read_csv("encrypted.csv")
    assert list(clear["prediction"]) == list(encrypted["prediction"])
    # The error of a logit is at most .001 (the default), that of its probability at most a quarter of it.
    off = clear["probability benign"] - encrypted["probability benign"]
    assert off.abs().max() <= 0.001 / 4 + 1e-6


def test_a_clinic_and_a_laboratory(example: Make, cli: Cli) -> None:
    folder = example("vertical")
    walk(cli, folder, rounds=1)
    run = only_run(folder)
    assert "measured, no guarantee" in (run / "report.html").read_text()
    assert cli("predict", run, "whole.csv", "-o", "out.csv").status == 0
    truth = pd.read_csv("whole.csv")["diagnosis"]
    assert (pd.read_csv("out.csv")["prediction"] == truth).mean() > 0.8  # the larger class: .63
    refused = cli("export", run, folder / "bundle")
    assert refused.status == 3
    assert "parts-stay-apart" in refused.err


def test_the_table_made_here_is_that_of_fate(example: Make, tmp_path: Path) -> None:
    """Where the folder of data sets is: the same people, columns and values, give or take the sixth digit."""
    source = Path(__file__).resolve().parents[3] / "shared" / "data"
    if not (source / "breast_cancer_vertical").is_dir():
        pytest.skip("needs the folder of real data sets")
    made = pd.read_csv(example("vertical") / "whole.csv").sort_values("id", ignore_index=True)
    fate = pd.read_csv(example("vertical", data=source) / "whole.csv").sort_values("id", ignore_index=True)
    pd.testing.assert_frame_equal(made, fate, rtol=0, atol=1.1e-6)


def test_hospitals_share_a_network_and_diagnoses_stay(example: Make, cli: Cli) -> None:
    folder = example("split")
    walk(cli, folder, rounds=1)
    text = (only_run(folder) / "report.html").read_text()
    assert "measured, no guarantee" in text
    assert "labels inferred" in text


def test_with_noise_at_the_cut_an_epsilon_is_charged(example: Make, cli: Cli) -> None:
    folder = example("split")
    refused = cli("run", "noise_at_the_cut.toml")
    assert refused.status == 3
    budget = ("--epsilon", "8", "--delta", "1e-4", "--unit", "person", "--relation", "replace_one")
    granted = cli(
        "ledger", "grant", "north", "south", "east", *budget, "--reason", "published records", "--signer", "t"
    )
    assert granted.status == 0, granted.err
    facts = walk(cli, folder, study="noise_at_the_cut.toml", rounds=1)
    assert facts["promise"]["epsilon"] <= 8.0
    assert facts["promise"]["relation"] == "replace_one"


def test_four_heart_disease_hospitals_share_a_network(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Path(__file__).resolve().parents[3] / "shared" / "data" / "heart_disease"
    if not source.is_dir():
        pytest.skip("needs the folder of real data sets")
    maker("heart_disease").make_sites(source, tmp_path)
    for file in ("heart_disease.toml", "network.py"):
        shutil.copy(EXAMPLES / "split" / file, tmp_path)
    monkeypatch.chdir(tmp_path)
    facts = walk(cli, tmp_path, study="heart_disease.toml", rounds=1)
    assert facts["run"]["status"] == "finished"
