"""reticent ledger: grant, disjoint, show, export, restore, verify; their statuses and their JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reticent.ledger import Ledger

BUDGET = (
    "--epsilon",
    "2",
    "--delta",
    "1e-5",
    "--unit",
    "person",
    "--relation",
    "add_or_remove_one",
    "--reason",
    "test",
)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RETICENT_SIGNER", raising=False)
    return tmp_path


def data(outcome: Any) -> Any:
    assert outcome.status == 0, outcome.err
    return json.loads(outcome.out)


def code(outcome: Any) -> tuple[int, str]:
    return outcome.status, json.loads(outcome.out)["error"]["code"]


def test_a_grant_needs_a_signer(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    assert cli("ledger", "grant", "ward-7", *BUDGET).status == 2
    assert not (here / "budget.db").exists()
    pasted = cli("ledger", "grant", "ward-7", *BUDGET, "--signer", "YOUR NAME", "--format", "json")
    assert code(pasted) == (2, "signer-missing")
    monkeypatch.setenv("RETICENT_SIGNER", "Dr. Ada")
    granted = data(cli("ledger", "grant", "ward-7", "ward-8", *BUDGET, "--format", "json"))
    assert {name: balance["left_epsilon"] for name, balance in granted.items()} == {"ward-7": 2.0, "ward-8": 2.0}
    (entry, _) = Ledger().entries()
    assert (entry.signer, entry.reason) == ("Dr. Ada", "test")


def test_a_renyi_grant_says_what_fits(cli: Callable[..., Any]) -> None:
    outcome = cli("ledger", "grant", "ward-7", *BUDGET, "--signer", "t", "--filter", "renyi")
    assert outcome.status == 0
    assert "Renyi filter" in outcome.err
    shown = data(cli("ledger", "show", "--format", "json"))["ward-7"]
    assert shown["balance"]["filter"] == "renyi"
    assert 0.01 < shown["balance"]["left_rho"] < 1
    assert shown["entries"][0]["filter"] == "renyi"
    other = cli("ledger", "grant", "ward-7", *BUDGET, "--signer", "t", "--filter", "sum", "--format", "json")
    assert code(other) == (3, "filter-mismatch")
    wrong = cli("ledger", "grant", "ward-8", *BUDGET, "--signer", "t", "--filter", "x", "--format", "json")
    assert code(wrong) == (2, "invalid-filter")


def test_several_populations_add_up_until_somebody_vouches(cli: Callable[..., Any]) -> None:
    cli("ledger", "grant", "ward-7", "ward-8", *BUDGET, "--signer", "t")
    together = cli("ledger", "show", "ward-7", "ward-8").out.splitlines()[-1]
    assert together.startswith("together: granted epsilon 4.0000")
    assert "nobody vouched" in together
    alone = cli("ledger", "disjoint", "ward-7", "--reason", "two towns", "--signer", "t", "--format", "json")
    assert alone.status == 2
    said = cli("ledger", "disjoint", "ward-7", "ward-8", "--reason", "two towns", "--signer", "t")
    assert said.status == 0
    assert "granted epsilon 2.0000" in said.err
    together = cli("ledger", "show", "ward-7", "ward-8").out.splitlines()[-1]
    assert "max(ward-7, ward-8), on the word of entry 3" in together


def test_export_verify_and_a_roll_back(cli: Callable[..., Any], here: Path) -> None:
    cli("ledger", "grant", "ward-7", *BUDGET, "--signer", "t")
    older = (here / "budget.db").read_bytes()
    cli("ledger", "grant", "ward-7", *BUDGET, "--signer", "t")
    checked = cli("ledger", "verify", "--format", "json")
    (here / "head.json").write_text(checked.out)
    assert data(checked)["entries"] == data(checked)["head"]["seq"] == 2

    written = data(cli("ledger", "export", "budget.jsonl", "--format", "json"))
    assert (written["entries"], written["head"]) == (2, data(checked)["head"])
    assert data(cli("ledger", "verify", "--export", "budget.jsonl", "--head", "head.json", "--format", "json")) == data(
        checked
    )
    assert "it contains the head 2" in cli("ledger", "verify", "--head", "budget.jsonl").out

    (here / "budget.db").write_bytes(older)
    assert cli("ledger", "verify").status == 0
    for earlier in ("head.json", "budget.jsonl"):
        assert code(cli("ledger", "verify", "--head", earlier, "--format", "json")) == (6, "ledger-rolled-back")

    restored = data(cli("ledger", "restore", "budget.jsonl", "--ledger", "sqlite:///new.db", "--format", "json"))
    assert restored == {"entries": 2, "head": data(checked)["head"]}
    assert (
        data(cli("ledger", "verify", "--ledger", "sqlite:///new.db", "--head", "head.json", "--format", "json"))
        == restored
    )
    assert code(cli("ledger", "restore", "budget.jsonl", "--format", "json")) == (2, "ledger-not-empty")


def test_a_damaged_export(cli: Callable[..., Any], here: Path) -> None:
    cli("ledger", "grant", "ward-7", *BUDGET, "--signer", "t")
    cli("ledger", "export", "budget.jsonl")
    text = (here / "budget.jsonl").read_text()
    (here / "budget.jsonl").write_text(text.replace("2000000000", "9000000000"))
    assert code(cli("ledger", "verify", "--export", "budget.jsonl", "--format", "json")) == (6, "ledger-damaged")
    assert code(cli("ledger", "verify", "--export", "none", "--format", "json")) == (6, "export-unreadable")
    (here / "head.json").write_text("{}")
    assert code(cli("ledger", "verify", "--head", "head.json", "--format", "json")) == (2, "invalid-ledger-head")
    assert code(cli("ledger", "verify", "--head", "none.json", "--format", "json")) == (6, "head-unreadable")


def test_looking_at_nothing(cli: Callable[..., Any], here: Path) -> None:
    assert data(cli("ledger", "verify", "--format", "json")) == {"entries": 0, "head": None}
    assert code(cli("ledger", "export", "x.jsonl", "--format", "json")) == (2, "nothing-to-export")
    assert list(here.iterdir()) == []


def test_an_address_with_a_password_is_not_repeated(cli: Callable[..., Any]) -> None:
    outcome = cli("ledger", "show", "--ledger", "mysql://ada:geheim@host/db", "--format", "json")
    assert outcome.status == 2
    assert "geheim" not in outcome.out + outcome.err
