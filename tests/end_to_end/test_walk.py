"""The whole walk, by the command line: new, plan, grant, run, report, verify, predict, export, and the numbers agree."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reticent import dp


def _only_run(folder: Path) -> Path:
    (run,) = [path for path in (folder / "runs").iterdir() if path.is_dir()]
    return run


def test_a_study_from_plan_to_bundle(small_study: Callable[..., Path], cli: Callable[..., Any], tmp_path: Path) -> None:
    path = small_study()
    planned = json.loads(cli("plan", path, "--format", "json").out)
    outcome = cli("run", path, "--format", "json")
    assert outcome.status == 0, outcome.err
    facts = json.loads(outcome.out)["facts"]
    assert facts["plan_hash"] == planned["hash"]
    assert facts["run"]["status"] == "finished"
    run = _only_run(path.parent)
    assert 0 < (run / "report.html").stat().st_size < 1_000_000
    assert cli("verify", run).status == 0
    for law in ("gdpr", "hipaa", "ccpa"):
        assert cli("report", run, "--for", law).status == 0
        assert (run / f"review-{law}.html").stat().st_size > 1000
    assert cli("report", run, "--for", "lgpd").status == 2

    new_rows = pd.DataFrame({"age": [25.0, 85.0, None], "smoker": ["no", "yes", "no"]})
    new_rows.to_csv(tmp_path / "new.csv", index=False)
    assert cli("predict", run, tmp_path / "new.csv", "-o", tmp_path / "out.csv").status == 0
    predicted = pd.read_csv(tmp_path / "out.csv")
    likelier = predicted[["probability no", "probability yes"]][:2].idxmax(axis=1)
    assert [f"probability {word}" for word in predicted["prediction"][:2]] == list(likelier)
    assert predicted["prediction"].isna()[2]
    assert predicted.filter(like="probability").iloc[0].sum() == pytest.approx(1.0)

    assert cli("export", run, tmp_path / "bundle").status == 0
    assert {file.name for file in (tmp_path / "bundle").iterdir()} == {
        "model.safetensors",
        "plan.json",
        "MODEL_CARD.md",
        "hashes.json",
    }
    assert cli("predict", tmp_path / "bundle", tmp_path / "new.csv").out.count("\n") == 4
    assert cli("export", run, tmp_path / "bundle").status == 6


def test_a_ledger_put_back_to_an_older_state_is_found(
    small_study: Callable[..., Path], cli: Callable[..., Any], tmp_path: Path
) -> None:
    """The ledger of before the run agrees with itself, and would let everything be spent a second time."""
    path = small_study()
    (ledger,) = path.parent.glob("*.db")
    shutil.copy(ledger, tmp_path / "older.db")
    assert cli("run", path).status == 0
    run = _only_run(path.parent)
    assert {file.name for file in (run / "heads").iterdir()} == {"north.json", "south.json", "east.json"}
    checked = cli("verify", run)
    assert checked.status == 0
    assert "its ledger still holds what this run charged" in checked.out
    shutil.copy(tmp_path / "older.db", ledger)
    outcome = cli("verify", run)
    assert outcome.status == 3
    assert "does not contain the head" in outcome.out + outcome.err


def test_the_epsilon_of_the_report_lies_within_the_bounds_of_an_independent_accountant(
    small_study: Callable[..., Path], cli: Callable[..., Any]
) -> None:
    """Opacus' PRV accountant (Gopi, Lee, Wutschitz 2021) on the same events."""
    import warnings

    path = small_study()
    assert cli("run", path).status == 0
    facts = json.loads((_only_run(path.parent) / "report.json").read_text())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from opacus.accountants import PRVAccountant

        for site in json.loads((_only_run(path.parent) / "plan.json").read_text())["sites"]:
            accountant = PRVAccountant()
            accountant.history = [
                (site["noise_multiplier"], site["sampling_probability"], 4 * site["local_steps"]),
                (json.loads((_only_run(path.parent) / "plan.json").read_text())["metrics"]["noise_multiplier"], 1.0, 2),
            ]
            upper = accountant.get_epsilon(delta=1e-4, eps_error=0.01)
            assert upper - 2 * 0.01 - 1e-3 <= site["epsilon"] <= upper + 1e-3
    assert facts["promise"]["epsilon"] >= max(site["promised_epsilon"] for site in facts["sites"])


def test_a_plan_says_what_is_left_before_and_after(small_study: Callable[..., Path], cli: Callable[..., Any]) -> None:
    path = small_study(granted=None)
    text = cli("plan", path).out
    assert text.count("left before 0.00") == 3
    assert not (path.parent / "budget.db").exists()
    path = small_study(granted=7.0)
    assert cli("run", path).status == 0
    left = json.loads(cli("plan", path, "--format", "json").out)["left_epsilon"]
    assert set(left) == {"east", "north", "south"}
    assert all(4.0 <= value < 4.1 for value in left.values())


def test_without_sampling_the_epsilon_matches_the_closed_form(
    small_study: Callable[..., Path], cli: Callable[..., Any]
) -> None:
    """Balle and Wang, ICML 2018, theorem 8: unsampled Gaussians compose into one."""
    path = small_study({"sampling_probability = 0.25": "sampling_probability = 1.0"})
    plan = json.loads(cli("plan", path, "--format", "json").out)
    site = plan["sites"][0]
    energy = 4 * site["local_steps"] / site["noise_multiplier"] ** 2 + 2 / plan["metrics"]["noise_multiplier"] ** 2
    sigma = dp.gaussian_sigma(sensitivity=1.0, epsilon=site["epsilon"], delta=1e-4)
    assert 1 / sigma**2 == pytest.approx(energy, rel=1e-3)


def test_without_a_grant_the_run_prints_the_command_that_grants_and_changes_nothing(
    small_study: Callable[..., Path], cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import shlex

    path = small_study(granted=None)
    monkeypatch.chdir(path.parent)
    refused = cli("run", path)
    assert refused.status == 3
    commands = [
        line[line.index("reticent ledger grant") :] for line in refused.err.splitlines() if "ledger grant" in line
    ]
    assert len(commands) == 3
    assert not (path.parent / "budget.db").exists()
    for command in commands:
        assert cli(*shlex.split(command.replace("YOUR NAME", "t"))[1:]).status == 0
    assert cli("run", path).status == 0
    shown = json.loads(cli("ledger", "show", "--format", "json").out)
    assert set(shown) == {"east", "north", "south"}
    assert all(entry["balance"]["left_epsilon"] < 1e-6 for entry in shown.values())


def test_predictions_are_those_of_the_model_on_prepared_rows(
    small_study: Callable[..., Path], cli: Callable[..., Any], tmp_path: Path
) -> None:
    path = small_study(
        {
            'guarantee = "differential-privacy"': 'guarantee = "none"\nreason = "made-up records"',
            'unit = "person"\nrelation = "add_or_remove_one"\n'
            "target = { epsilon = 3.0, delta = 1e-4 }\nmax_grad_norm = 1.0\n"
            "sampling_probability = 0.25\nspare_executions = 1\n": "",
            "rounds = 3": "rounds = 10",
            "local_steps = 2": "local_steps = 10",
            "learning_rate = 0.5": "learning_rate = 0.5\nbatch_size = 8",
            "metrics = { every = 0, epsilon = 0.5 }": "metrics = { every = 5 }",
        },
        granted=None,
    )
    assert cli("run", path).status == 0
    pd.DataFrame({"age": [22, 88, 30, 80], "smoker": "no"}).to_csv(tmp_path / "new.csv", index=False)
    assert cli("predict", _only_run(path.parent), tmp_path / "new.csv", "-o", tmp_path / "out.csv").status == 0
    assert list(pd.read_csv(tmp_path / "out.csv")["prediction"]) == ["no", "yes", "no", "yes"]


def test_a_new_study_can_be_planned_at_once(cli: Callable[..., Any], tmp_path: Path) -> None:
    assert cli("new", tmp_path / "mine").status == 0
    assert cli("plan", tmp_path / "mine" / "study.toml").status == 0
    assert cli("new", tmp_path / "mine").status == 2
    assert cli("new", tmp_path / "two", "--sites", "a,b").status == 2


def test_the_first_interrupt_ends_the_round_and_resume_finishes(
    small_study: Callable[..., Path], cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import os
    import signal

    from reticent.cli.progress import Progress

    original = Progress.__call__

    def interrupting(self: Progress, event: Any) -> None:
        original(self, event)
        if (event.name, event.when, event.round) == ("commit", "after", 2) and event.site == "east":
            os.kill(os.getpid(), signal.SIGINT)

    path = small_study()
    monkeypatch.setattr(Progress, "__call__", interrupting)
    assert cli("run", path).status == 130
    monkeypatch.setattr(Progress, "__call__", original)
    run = _only_run(path.parent)
    assert len(list((run / "checkpoints").iterdir())) == 2
    assert cli("resume", run).status == 0
    assert cli("verify", run).status == 0


def test_a_finished_run_is_left_as_it_is(small_study: Callable[..., Path], cli: Callable[..., Any]) -> None:
    path = small_study({"rounds = 3": "rounds = 1"})
    assert cli("run", path).status == 0
    run = _only_run(path.parent)
    before = {file: file.read_bytes() for file in sorted(run.rglob("*")) if file.is_file()}
    assert cli("resume", run).status == 0
    assert {file: file.read_bytes() for file in sorted(run.rglob("*")) if file.is_file()} == before


def test_a_refusal_before_the_run_leaves_no_folder(small_study: Callable[..., Path], cli: Callable[..., Any]) -> None:
    path = small_study(granted=None)
    assert cli("run", path).status == 3
    assert not [folder for folder in (path.parent / "runs").iterdir() if folder.is_dir()]


def test_refusals_of_several_sites_say_whose_they_are(
    small_study: Callable[..., Path], cli: Callable[..., Any]
) -> None:
    path = small_study(granted=None)
    (path.parent / "north.csv").unlink()
    outcome = cli("run", path)
    assert outcome.status == 6, "what is broken comes before what was not allowed"
    assert "north: " in outcome.err
    assert "east: whoever answers" in outcome.err
