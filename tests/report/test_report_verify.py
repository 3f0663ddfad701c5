"""Verify finds what was changed after the run, in whichever place; each check is needed for one of the changes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from reticent.dp import Composed, Gaussian, Repeated
from reticent.report import Check, verify
from reticent.report.charges import Charges

Written = Any


def _failed(checks: list[Check]) -> list[str]:
    return [check.name for check in checks if check.result == "failed"]


def test_an_untouched_run_stands(written: Written) -> None:
    checks = verify(written.folder, written.ledger)
    assert _failed(checks) == []
    assert all(check.ok for check in checks)
    assert len(checks) == 3 + 21 + 1 + 1 + 4 * 4


def _edit_plan(folder: Any, change: Callable[[dict[str, Any]], None], *, canonical: bool = True) -> None:
    plan = json.loads((folder / "plan.json").read_text())
    change(plan)
    text = json.dumps(plan, sort_keys=True, separators=(",", ":")) if canonical else json.dumps(plan, indent=1)
    (folder / "plan.json").write_text(text)


def test_a_changed_purpose_in_the_plan_is_found(copied: Written) -> None:
    _edit_plan(copied.folder, lambda plan: plan.update(purpose="something else"))
    failed = _failed(verify(copied.folder, copied.ledger))
    assert "plan: named by every model file" in failed
    assert "site north: reservation is this plan's" in failed


def test_a_smaller_epsilon_in_the_plan_is_found(copied: Written) -> None:
    _edit_plan(copied.folder, lambda plan: plan["guarantee"].update(epsilon=1.0))
    failed = _failed(verify(copied.folder, copied.ledger))
    assert "promise: epsilon of the plan's events" in failed
    assert "site north: epsilon from the ledger's events" in failed


def test_a_plan_written_another_way_is_found(copied: Written) -> None:
    _edit_plan(copied.folder, lambda plan: None, canonical=False)
    assert "plan: canonical text" in _failed(verify(copied.folder, copied.ledger))


def test_a_plan_without_noise_is_found(copied: Written) -> None:
    _edit_plan(copied.folder, lambda plan: plan["sites"][0].update(noise_multiplier=0.0))
    checks = verify(copied.folder, copied.ledger)
    assert "promise: epsilon of the plan's events" in _failed(checks)


def test_a_site_that_is_let_off_the_noise_is_found(copied: Written) -> None:
    """A plan that names no mechanism for a site has nothing to compare with its ledger: that itself is the finding."""
    name = "site " + copied.plan.sites[0].name + ": what it releases is bounded"
    _edit_plan(copied.folder, lambda plan: plan["sites"][0].update(noise_multiplier=None))
    assert name in _failed(verify(copied.folder, copied.ledger))
    labels = lambda plan: plan["guarantee"].update(protects="labels")  # noqa: E731
    _edit_plan(copied.folder, labels)
    assert name in _failed(verify(copied.folder, copied.ledger))  # its people have labels, and these are promised


@pytest.mark.parametrize("file", ["model.safetensors", "checkpoints/round-00007.safetensors"])
def test_one_flipped_bit_in_a_model_file_is_found(copied: Written, file: str) -> None:
    data = bytearray((copied.folder / file).read_bytes())
    data[-1] ^= 1
    (copied.folder / file).write_bytes(data)
    assert _failed(verify(copied.folder, copied.ledger)) == [f"model file: {file}"]


def test_an_exchanged_an_added_and_a_missing_model_file_are_found(copied: Written) -> None:
    checkpoints = copied.folder / "checkpoints"
    (checkpoints / "round-00099.safetensors").write_bytes((checkpoints / "round-00003.safetensors").read_bytes())
    (copied.folder / "model.safetensors").write_bytes((checkpoints / "round-00004.safetensors").read_bytes())
    (checkpoints / "round-00005.safetensors").unlink()
    failed = _failed(verify(copied.folder, copied.ledger))
    assert failed == [
        "model file: checkpoints/round-00099.safetensors",
        "model file: model.safetensors",
        "model file: missing",
    ]


def test_a_forged_header_length_costs_no_memory(copied: Written) -> None:
    (copied.folder / "model.safetensors").write_bytes((2**62).to_bytes(8, "little") + b"{}")
    assert "plan: named by every model file" in _failed(verify(copied.folder, copied.ledger))


def test_lost_lines_of_the_log_are_found(copied: Written) -> None:
    log = copied.folder / "log.jsonl"
    log.write_text("?\n?\n" + log.read_text())
    assert "log: readable" in _failed(verify(copied.folder, copied.ledger))


def test_a_changed_noise_in_the_database_is_found(copied: Written) -> None:
    _edit_database(copied, lambda events: events.replace("1.7", "9.7"))
    failed = _failed(verify(copied.folder, copied.ledger))
    assert failed
    assert any(name.startswith(("ledger", "site")) for name in failed)


def test_a_database_that_is_none_is_found(copied: Written) -> None:
    copied.database.write_bytes(b"nothing like a database" * 100)
    assert "ledger 1: adds up" in _failed(verify(copied.folder, copied.ledger))


def test_without_the_ledger_nothing_is_taken_on_trust(written: Written) -> None:
    failed = _failed(verify(written.folder))
    assert failed == [f"site {name}: reservation" for name in ("east", "north", "south", "west")]


def _edit_database(copied: Written, change: Callable[[str], str]) -> None:
    """Change the events of every row that holds some, as whoever may write the file can."""
    with sqlite3.connect(copied.database) as connection:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        tables = [n for (n,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        edited = 0
        for table in tables:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            if "events" in columns:
                rows = connection.execute(f"SELECT rowid, events FROM {table}").fetchall()
                for row, events in rows:
                    if events and change(events) != events:
                        connection.execute(f"UPDATE {table} SET events = ? WHERE rowid = ?", (change(events), row))
                        edited += 1
        assert edited
    connection.close()


class Forged:
    """A ledger whose forger made every row agree with every other: only the folder can contradict it."""

    def __init__(self, ledger: Any, change: Callable[[list[Any]], list[Any]]) -> None:
        self._ledger = ledger
        self._change = change

    def verify(self) -> int:
        return 1

    def entries(self, population: str) -> list[Any]:
        return self._change(self._ledger.entries(population))


def _with_reserved(entries: list[Any], **changes: Any) -> list[Any]:
    return [replace(e, **changes) if e.kind == "reserve" else e for e in entries]


def _quieter(entries: list[Any]) -> list[Any]:
    return [replace(e, events=(Composed((Repeated(Gaussian(50.0), 27),)),)) if e.events else e for e in entries]


def _twice(entries: list[Any]) -> list[Any]:
    return entries + [e for e in entries if e.kind == "commit"]


FORGERIES: dict[str, tuple[Callable[[list[Any]], list[Any]], str, str]] = {
    "other plan": (lambda e: _with_reserved(e, plan_hash="0" * 64), "_reserved", "reservation is this plan's"),
    "other mechanisms": (_quieter, "_reserved", "reservation is this plan's"),
    "charged less": (
        lambda e: [_cheaper(x) if x.kind == "reserve" else x for x in e],
        "_rederived",
        "epsilon from the ledger's events",
    ),
    "committed too much": (_twice, "overdrawn", "committed within reserved"),
    "commits gone": (
        lambda e: [x for x in e if x.kind != "commit"],
        "_nothing_unpaid",
        "every release was paid for",
    ),
    "one commit gone": (
        lambda e: e[:-1],
        "_nothing_unpaid",
        "every release was paid for",
    ),
    "reservation gone": (lambda e: [x for x in e if x.kind == "grant"], "found", "reservation"),
}


def _cheaper(entry: Any) -> Any:
    return replace(entry, amount=type(entry.amount)(1, 1))


@pytest.mark.parametrize("name", FORGERIES)
def test_a_ledger_that_agrees_with_itself_is_compared_with_the_folder(written: Written, name: str) -> None:
    change, _, check = FORGERIES[name]
    failed = _failed(verify(written.folder, Forged(written.ledger, change)))
    assert f"site north: {check}" in failed


@pytest.mark.parametrize("name", [n for n in FORGERIES if n != "other mechanisms"])
def test_a_broken_copy_without_the_check_lets_the_forgery_pass(
    written: Written, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Each check is needed: without it, its forgery goes unnoticed."""
    import sys

    change, safeguard, _ = FORGERIES[name]
    module = sys.modules["reticent.report.verify"]
    if safeguard == "overdrawn":
        monkeypatch.setattr(Charges, "overdrawn", lambda self: {})
    elif safeguard == "found":
        monkeypatch.setattr(module, "_site", lambda *_: iter(()))
    else:
        monkeypatch.setattr(module, safeguard, lambda *_: Check("removed", "ok", ""))
    assert _failed(verify(written.folder, Forged(written.ledger, change))) == []


def test_a_run_without_a_promise_is_checked_by_its_hashes(run_of: Any, unprotected: str) -> None:
    other = run_of(unprotected)
    assert _failed(verify(other.folder)) == []
    (other.folder / "model.safetensors").write_bytes(b"other")
    assert "model file: model.safetensors" in _failed(verify(other.folder))
