"""Studies of split learning and secure computation from file to report, on this machine."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import reticent
from reticent.errors import DataError, PolicyRefused, QuorumLost, UsageError
from reticent.ledger import Ledger
from reticent.mpc import cyclic_batches, plain_logistic_regression
from reticent.report import gather, verify, write_page
from reticent.runs import Bundle, Event, export, predict

Write = Callable[..., Path]
COLUMNS = ("lab", "scan", "clinic")
KINDS = ("split", "vertical", "secure-computation rows", "secure-computation columns")


def lines(folder: Path, event: str) -> list[dict[str, Any]]:
    found = (json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines())
    return [line for line in found if line["event"] == event]


@pytest.mark.parametrize("kind", KINDS)
def test_a_study_runs_reports_verifies_and_predicts(
    kind: str, technique: Write, people: pd.DataFrame, tmp_path: Path
) -> None:
    result = reticent.run(reticent.plan(technique(kind)), directory=tmp_path / "runs")
    assert result.metrics[-1]["accuracy"] > 0.75
    assert all(check.result != "failed" for check in verify(result.folder))
    facts = gather(result.folder)
    assert facts.run.rounds_done == facts.run.rounds_planned == 3
    page = tmp_path / "page.html"
    write_page(facts, page)
    text = page.read_text()
    assert ("measured, no guarantee" in text) == (kind in ("split", "vertical"))
    assert "No promise about single people is made" in text
    people.to_csv(tmp_path / "whole.csv", index=False)
    said = predict(Bundle.open(result.folder), tmp_path / "whole.csv", base=tmp_path)
    assert np.mean(said["prediction"] == people["outcome"]) > 0.75


@pytest.mark.parametrize("kind", ["split", "vertical"])
def test_noise_at_the_cut_is_charged_once_a_pass(kind: str, technique: Write, tmp_path: Path) -> None:
    plan = reticent.plan(technique(kind, epsilon=True))
    result = reticent.run(plan, directory=tmp_path / "runs")
    book = Ledger(f"sqlite:///{tmp_path}/budget.db")
    assert all(check.ok for check in verify(result.folder, book))
    for site in plan.sites:
        assert book.balance(site.name).spent_epsilon == pytest.approx(site.epsilon, abs=1e-6)
        commits = [entry for entry in book.entries(site.name) if entry.kind == "commit"]
        assert len(commits) == 3
    assert plan.guarantee.epsilon <= 8.0
    leaked = {line["what"]: line["value"] for line in lines(result.folder, "leakage")}
    labels = [value for what, value in leaked.items() if "labels" in what]
    assert labels
    assert max(labels) < 0.65


@pytest.mark.parametrize("broken", ["none", "less"])
def test_a_plan_that_promises_more_than_its_noise_gives_is_refused_by_the_site(
    broken: str, technique: Write, tmp_path: Path
) -> None:
    """Changed by hand, whatever the hand was: the site compares the promise with what its ledger would charge."""
    bound = reticent.plan(technique("split", epsilon=True))
    noises = dict(bound.plan.split.boundary)
    if broken == "none":
        del noises["east"]
    else:
        noises["east"] = noises["east"].model_copy(update={"output_noise": 0.5 * noises["east"].output_noise})
    split = bound.plan.split.model_copy(update={"boundary": noises})
    changed = dataclasses.replace(bound, plan=bound.plan.model_copy(update={"split": split}))
    with pytest.raises(PolicyRefused) as caught:
        reticent.run(changed, directory=tmp_path / "runs")
    assert caught.value.code == "promise-without-noise"
    assert Ledger(f"sqlite:///{tmp_path}/budget.db").balance("east").spent_epsilon == 0
    assert not list((tmp_path / "runs").glob("*-*"))


def test_a_row_that_lacks_a_value_is_not_missed_in_a_defended_run(technique: Write, tmp_path: Path) -> None:
    """Otherwise the number of messages would say, without noise, whether a record is complete."""
    study = technique("split", {"rounds = 3": "rounds = 1"}, epsilon=True)
    sent = []
    for gaps in (0, 12):
        table = pd.read_csv(tmp_path / "east.csv")
        table.loc[: gaps - 1, "age"] = np.nan
        table.to_csv(tmp_path / "east.csv", index=False)
        result = reticent.run(reticent.plan(study), directory=tmp_path / f"runs{gaps}")
        sent.append(lines(result.folder, "round")[0]["bytes_up"]["east"])
    assert sent[0] == sent[1]


def test_without_noise_the_canaries_tell_the_labels(technique: Write, tmp_path: Path) -> None:
    result = reticent.run(reticent.plan(technique("split")), directory=tmp_path / "runs")
    labels = [line["value"] for line in lines(result.folder, "leakage") if "labels" in line["what"]]
    assert max(labels) > 0.95


class _Stop(Exception):
    """Ends a run at a chosen event."""


def _stop_at(name: str, when: str, number: int) -> Callable[[Event], None]:
    def watch(event: Event) -> None:
        if (event.name, event.when, event.round) == (name, when, number):
            raise _Stop

    return watch


@pytest.mark.parametrize("kind", ["split", "vertical"])
def test_a_broken_run_goes_on_from_the_checkpoints_of_both_sides(kind: str, technique: Write, tmp_path: Path) -> None:
    plan = reticent.plan(technique(kind))
    with pytest.raises(_Stop):
        reticent.run(plan, directory=tmp_path / "runs", observer=_stop_at("checkpoint", "before", 2))
    (folder,) = (tmp_path / "runs").glob("*-*")
    result = reticent.resume(folder)
    assert [line["round"] for line in lines(folder, "round") if line["task"] == "train"] == [1, 2, 3]
    assert result.metrics[-1]["accuracy"] > 0.7


def test_a_pass_that_was_opened_is_spent_and_repeated_only_if_paid_for(technique: Write, tmp_path: Path) -> None:
    plan = reticent.plan(technique("split", {"spare_executions = 1": "spare_executions = 0"}, epsilon=True))
    with pytest.raises(_Stop):
        reticent.run(plan, directory=tmp_path / "runs", observer=_stop_at("checkpoint", "before", 2))
    (folder,) = (tmp_path / "runs").glob("*-*")
    with pytest.raises(PolicyRefused) as caught:
        reticent.resume(folder)
    assert caught.value.code == "no-spare-execution"


def test_a_spare_pass_repeats_what_broke_off(technique: Write, tmp_path: Path) -> None:
    plan = reticent.plan(technique("split", epsilon=True))
    with pytest.raises(_Stop):
        reticent.run(plan, directory=tmp_path / "runs", observer=_stop_at("checkpoint", "before", 2))
    (folder,) = (tmp_path / "runs").glob("*-*")
    reticent.resume(folder)
    book = Ledger(f"sqlite:///{tmp_path}/budget.db")
    assert len([entry for entry in book.entries("east") if entry.kind == "commit"]) == 4
    assert all(check.ok for check in verify(folder, book))


@pytest.mark.parametrize("kind", ["vertical", "secure-computation columns"])
def test_sites_with_different_people_are_told_so(kind: str, technique: Write, tmp_path: Path) -> None:
    study = technique(kind)
    table = pd.read_csv(tmp_path / "lab.csv")
    table.loc[0, "id"] = "somebody else"
    table.to_csv(tmp_path / "lab.csv", index=False)
    with pytest.raises((DataError, QuorumLost)) as caught:
        reticent.run(reticent.plan(study), directory=tmp_path / "runs")
    assert "align" in caught.value.code
    assert "somebody" not in str(caught.value)


def test_a_computation_equals_plain_descent_on_the_same_batches(technique: Write, tmp_path: Path) -> None:
    """Coefficients within the fixed-point error of a few dozen steps; the order of the columns is the contract's."""
    from reticent.data import Contract, prepare_columns

    plan = reticent.plan(technique("secure-computation columns"))
    result = reticent.run(plan, directory=tmp_path / "runs")
    contract: Contract = plan.plan.contract
    held = {site.name: plan.plan.columns(site.name) for site in plan.plan.sites}
    parts = {name: prepare_columns(contract, columns, tmp_path / f"{name}.csv") for name, columns in held.items()}
    x = np.concatenate([parts["lab"].train, parts["scan"].train, parts["clinic"].train], axis=1).astype(float)
    y = parts["clinic"].train_labels
    steps = 3 * -(-len(x) // 8)
    weights, intercept = plain_logistic_regression(x, y, batches=cyclic_batches(len(x), 8, steps), learning_rate=0.3)
    found = np.concatenate([value.detach().numpy().ravel() for value in result.model().parameters()])
    np.testing.assert_allclose(found, [*weights, intercept], atol=5e-3)


@pytest.mark.parametrize("rows", [1, 40], ids=["no test row", "no whole row"])
def test_a_site_without_rows_computes_along(technique: Write, tmp_path: Path, rows: int) -> None:
    """One row, so that none is held out; or forty, each of which lacks a value. The others have a model all the same."""
    study = technique("secure-computation rows")
    table = pd.read_csv(tmp_path / "north.csv")
    if rows > 1:
        table["height"] = np.nan
    table.head(rows).to_csv(tmp_path / "north.csv", index=False)
    result = reticent.run(reticent.plan(study), directory=tmp_path / "runs")
    assert result.metrics[-1]["accuracy"] > 0.75


def test_one_feature_is_enough(technique: Write, tmp_path: Path) -> None:
    """Weight and intercept are of one size then, and must not be taken for each other."""
    others = '  { name = "height", kind = "number", range = [100, 220] },\n'
    others += '  { name = "smoker", kind = "category", values = ["no", "yes"] },\n'
    result = reticent.run(
        reticent.plan(technique("secure-computation rows", {others: ""})), directory=tmp_path / "runs"
    )
    weight, intercept = (value.item() for value in result.model().parameters())
    assert weight > 1 > abs(intercept)


CURVED = (
    "import torch\ndef make(inputs):\n    return torch.nn.Sequential(torch.nn.Linear(inputs, 1), torch.nn.Tanh())\n"
)


def test_a_model_that_is_not_linear_is_refused_before_anything_is_opened(technique: Write, tmp_path: Path) -> None:
    """It has as many parameters as a linear one; its answers would be others than those of what was computed."""
    (tmp_path / "curved_under_sharing.py").write_text(CURVED)
    change = {"reticent.training.models:logistic": "curved_under_sharing:make"}
    with pytest.raises(UsageError) as caught:
        reticent.plan(technique("secure-computation rows", change))
    assert caught.value.code == "model-under-sharing"


def test_a_computation_that_diverged_is_not_passed_off_as_a_model(technique: Write, tmp_path: Path) -> None:
    """Least squares with steps of 30: the numbers wrap around, and what is opened looks like any other model."""
    changes = {
        '"outcome", kind = "label", values = ["no", "yes"] }': '"age", kind = "label", range = [0, 100] }',
        '  { name = "age", kind = "number", range = [0, 100] },\n': "",
        "binary_cross_entropy_with_logits": "mse_loss",
        "metrics = { every = 0 }": 'metrics = "none"',
        "learning_rate = 0.3": "learning_rate = 30.0",
    }
    plan = reticent.plan(technique("secure-computation rows", changes))
    with pytest.raises(UsageError) as caught:
        reticent.run(plan, directory=tmp_path / "runs")
    assert caught.value.code == "computation-out-of-range"
    assert not list(tmp_path.glob("runs/*/model.safetensors"))


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds the party's process in /proc")
def test_parties_end_with_the_process_that_started_them(technique: Write, tmp_path: Path) -> None:
    """Killed outright, it can stop nobody; orphans would hold the rows and go on to open the model."""
    study = technique("secure-computation columns", {"rounds = 3": "rounds = 60"})
    command = [sys.executable, "-c", "from reticent.cli import main; main()", "run", str(study)]
    command += ["--set", "run.separate_processes=true"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as running:
        began = time.monotonic()
        while any(_party(tmp_path, name) is None for name in COLUMNS):
            assert time.monotonic() < began + 60, "no party came up"
            time.sleep(0.05)
        running.kill()
    killed = time.monotonic()
    while any(_party(tmp_path, name) is not None for name in COLUMNS):
        assert time.monotonic() < killed + 10, "a party was left running"
        time.sleep(0.05)


@pytest.mark.parametrize("kind", ["split", "secure-computation columns"])
def test_each_site_in_a_process_of_its_own(kind: str, technique: Write, tmp_path: Path) -> None:
    changes = {"rounds = 3": "rounds = 1"}
    if kind != "split":
        changes['protocol = "replicated"'] = 'protocol = "additive"'
    result = reticent.run(reticent.plan(technique(kind, changes)), engine="processes", directory=tmp_path / "runs")
    assert result.metrics[-1]["accuracy"] > 0.4
    assert sum(lines(result.folder, "round")[0]["bytes_up"].values()) > 1000


@pytest.mark.parametrize("kind", KINDS)
def test_the_plan_states_the_traffic_of_the_run(
    kind: str, technique: Write, people: pd.DataFrame, tmp_path: Path
) -> None:
    """Within 2 %: declared rows (90, or 30 each) differ from the real ones by less than a batch."""
    from reticent.data.split import held_out

    plan = reticent.plan(technique(kind))
    ids = people["id"].to_numpy()
    parts = [ids] if plan.columns(plan.sites[0].name) else [ids[number::3] for number in range(3)]
    real = [int((~held_out(part, key="k", fraction=0.25)).sum()) for part in parts]
    text = (tmp_path / "study.toml").read_text()
    for number, site in enumerate(sorted(plan.study.sites)):
        declared = "90" if len(parts) == 1 else "30"
        text = text.replace(f"[sites.{site}]\nrows = {declared}", f"[sites.{site}]\nrows = {real[number % len(real)]}")
    (tmp_path / "study.toml").write_text(text)
    plan = reticent.plan(tmp_path / "study.toml")
    result = reticent.run(plan, directory=tmp_path / "runs")
    sent = sum(sum(line[way].values()) for line in lines(result.folder, "round") for way in ("bytes_up", "bytes_down"))
    assert plan.cost.total_per_site * 3 == pytest.approx(sent, rel=0.02)


def test_the_parts_of_a_cut_model_are_not_exported(technique: Write, tmp_path: Path) -> None:
    result = reticent.run(reticent.plan(technique("split")), directory=tmp_path / "runs")
    with pytest.raises(PolicyRefused) as caught:
        export(Bundle.open(result.folder), tmp_path / "bundle", card="")
    assert caught.value.code == "parts-stay-apart"
    assert not (tmp_path / "bundle").exists()


def _party(folder: Path, name: str) -> int | None:
    """Return the process id of a party of the run below `folder`."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "reticent.engines.party_process" in words and str(folder) in " ".join(words) and name in words:
            return int(entry.parent.name)
    return None


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds the party's process in /proc")
def test_a_killed_party_is_named_and_nothing_is_left_running(technique: Write, tmp_path: Path) -> None:
    """Over mutual TLS, in three processes: status 5 and the name within the deadline; no process is left."""
    study = technique("secure-computation columns", {"rounds = 3": "rounds = 60", "deadline = 60": "deadline = 20"})
    command = [sys.executable, "-c", "from reticent.cli import main; main()", "run", str(study)]
    command += ["--set", "run.separate_processes=true"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as running:
        assert running.stderr is not None
        began = time.monotonic()
        while (log := next(tmp_path.glob("runs/*/sites/scan"), None)) is None or _party(tmp_path, "scan") is None:
            assert time.monotonic() < began + 60, "no party came up"
            time.sleep(0.05)
        time.sleep(4.0)  # let the three meet and compute
        victim = _party(tmp_path, "scan")
        assert victim is not None, "the computation was over before it could be stopped"
        os.kill(victim, signal.SIGKILL)
        killed = time.monotonic()
        words = running.stderr.read()
    assert running.returncode == 5, words
    assert "scan" in words
    assert time.monotonic() < killed + 25
    assert all(_party(tmp_path, name) is None for name in ("lab", "scan", "clinic"))
    assert not (log.parent.parent / "model.safetensors").exists()
