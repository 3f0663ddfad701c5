"""The facts are those of the folder and of the ledger, and nothing of a site's private files."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from reticent.errors import EnvironmentFault
from reticent.report import Facts, gather, render, write_statement
from reticent.report.statement import read_statement

Written = Any


def test_what_was_written_is_what_is_stated(facts: Facts, written: Written) -> None:
    plan = written.plan
    assert facts.plan_hash == plan.hash
    assert facts.study.purpose == plan.purpose
    assert (facts.run.status, facts.run.rounds_done, facts.run.rounds_planned) == ("finished", 20, 20)
    assert [r.round for r in facts.rounds] == list(range(1, 21))
    assert facts.rounds[6].absent == {"west": "late"}
    assert facts.rounds[3].bytes_up == 2 * 4 * 3904, "a round's evaluation counts in its bytes"
    assert [e.round for e in facts.utility.evaluations] == [4, 8, 12, 16, 20]
    assert facts.utility.baselines[-1].name == "federated, as planned"
    assert all(file.sha256 == file.recorded for file in facts.files)
    assert len(facts.files) == 21


def test_every_epsilon_is_derived_again(facts: Facts, written: Written) -> None:
    promise = facts.promise
    assert promise is not None
    assert promise.derived_epsilon <= promise.epsilon <= 3.0
    assert promise.derived_epsilon == pytest.approx(promise.epsilon, abs=1e-4)
    for site in facts.sites:
        assert site.planned_epsilon == pytest.approx(site.promised_epsilon, abs=1e-5)
        assert site.committed_epsilon is not None
        assert site.planned_epsilon is not None
        assert 0 < site.committed_epsilon < site.planned_epsilon
        update, counts = site.releases
        assert (update.planned, counts.planned) == (21, 6)
        assert (update.made, counts.made) == ({"south": 18, "west": 19}.get(site.name, 20), 5)
        assert update.epsilon_one is not None
        assert update.epsilon_all is not None
        assert counts.epsilon_all is not None
        assert 0 < update.epsilon_one < update.epsilon_all < site.planned_epsilon
        assert site.planned_epsilon < update.epsilon_all + counts.epsilon_all


def test_budgets_come_from_the_ledger(facts: Facts, written: Written) -> None:
    north = next(site for site in facts.sites if site.name == "north").budget
    assert north is not None
    balance = written.ledger.balance("north-hospital-patients")
    assert (north.granted_epsilon, north.spent_epsilon) == (8.0, balance.spent_epsilon)
    assert north.left_epsilon == pytest.approx(8.0 - balance.spent_epsilon)
    assert north.grants[0].signer == "I. Okafor"


def test_without_a_ledger_nothing_is_said_about_spending(written: Written) -> None:
    facts = gather(written.folder)
    assert all(site.budget is None and site.committed_epsilon is None for site in facts.sites)
    assert all(release.made is None for site in facts.sites for release in site.releases)
    assert "No ledger was given" in render(facts)


def test_private_folders_are_never_opened(copied: Written) -> None:
    secret = "PRIVATE-EXACT-FIGURE-0.123456"
    private = copied.folder / "sites" / "north"
    private.mkdir(parents=True)
    (private / "exact.jsonl").write_text(json.dumps({"event": "metrics", "accuracy": secret}))
    (private / "identity.key").write_text(secret)
    facts = gather(copied.folder, copied.ledger)
    assert secret not in render(facts)
    assert secret not in facts.model_dump_json()


def test_statement_is_the_facts_and_refuses_other_fields(facts: Facts, tmp_path: Any) -> None:
    path = write_statement(facts, tmp_path / "statement.json")
    assert read_statement(path) == facts
    stated = json.loads(path.read_text())
    assert stated["schema_version"] == 1
    assert {"trust_model", "mechanism", "composition", "side_channels", "floating_point"} <= stated["protection"].keys()
    assert {"unit", "relation", "epsilon", "delta"} <= stated["promise"].keys()
    with pytest.raises(ValidationError, match="extra"):
        Facts.model_validate({**stated, "more": 1})


def test_a_round_done_again_counts_twice_and_shows_once(copied: Written) -> None:
    log = copied.folder / "log.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    again = next(line for line in lines if line["event"] == "round" and line["round"] == 3)
    log.write_text("".join(json.dumps(line) + "\n" for line in [again, *lines]))
    facts = gather(copied.folder)
    assert facts.run.rounds_done == 20
    assert facts.rounds[2].repeats == 1
    assert facts.rounds[2].bytes_up == 2 * 4 * 3904
    assert "done again 1 time" in render(facts)


def test_an_interrupted_run_has_a_report(copied: Written) -> None:
    log = copied.folder / "log.jsonl"
    lines = log.read_text().splitlines()
    log.write_text("\n".join(lines[:7]) + '\n{"event": "rou')
    (copied.folder / "model.safetensors").unlink()
    facts = gather(copied.folder, copied.ledger)
    assert facts.run.status == "unfinished"
    assert facts.run.damaged_log_lines == 1
    assert 0 < facts.run.rounds_done < 20
    assert "interrupted" in render(facts)


def test_a_run_without_a_single_round_has_a_report(copied: Written) -> None:
    (copied.folder / "log.jsonl").write_text("")
    assert "No round was completed" in render(gather(copied.folder, copied.ledger))


def test_baselines_are_shown_for_public_data_only(copied: Written) -> None:
    run = json.loads((copied.folder / "run.json").read_text())
    (copied.folder / "run.json").write_text(json.dumps({**run, "public_data": False}))
    assert gather(copied.folder).utility.baselines == ()


@pytest.mark.parametrize("file", ["plan.json", "run.json", "log.jsonl"])
def test_a_missing_file_is_named(copied: Written, file: str) -> None:
    (copied.folder / file).unlink()
    with pytest.raises(EnvironmentFault, match=file.replace(".", r"\.")) as caught:
        gather(copied.folder)
    assert caught.value.code == "run-folder-incomplete"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("plan.json", "not json"),
        ("run.json", '{"run": 3}'),
        ("log.jsonl", '{"event": "round", "when": "after", "round": -1, "contributors": []}'),
        ("log.jsonl", '{"event": "metrics", "when": "after", "round": "x"}'),
        ("baselines.json", "[]"),
    ],
)
def test_a_damaged_file_is_named(copied: Written, file: str, text: str) -> None:
    (copied.folder / file).write_text(text)
    with pytest.raises(EnvironmentFault, match=file.replace(".", r"\.")) as caught:
        gather(copied.folder)
    assert caught.value.code == "run-folder-damaged"


def test_a_study_without_a_promise_says_so(run_of: Any, unprotected: str) -> None:
    other = run_of(unprotected)
    facts = gather(other.folder)
    assert facts.promise is None
    assert facts.why_no_promise == "the data are public"
    page = render(facts)
    assert "No promise about single people is made" in page
    assert "the data are public" in page
    assert all(release.epsilon_one is None for site in facts.sites for release in site.releases)


def test_an_evaluation_does_not_hide_who_was_absent_from_training(facts: Facts) -> None:
    assert 12 in [e.round for e in facts.utility.evaluations]
    assert facts.rounds[11].absent == {"south": "no answer"}
    assert facts.rounds[11].contributors == ("east", "north", "west")


def test_another_run_on_the_same_people_counts_in_the_balance_only(copied: Written) -> None:
    plan = copied.plan
    charge = copied.ledger.reserve(
        plan.release("north"), delta=1e-5, purpose="another", plan_hash="0" * 64, key="another-run/north"
    )
    charge.commit("another-run/north/train/update/1/1", [plan.execution("north")])
    north = next(site for site in gather(copied.folder, copied.ledger).sites if site.name == "north")
    assert north.releases[0].made == 20
    assert north.budget is not None
    assert north.budget.spent_epsilon == pytest.approx(2 * plan.site("north").epsilon, abs=1e-3)
