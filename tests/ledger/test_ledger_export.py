"""Exports: self-contained, the same bytes each time, and every changed byte is found without the database."""

from __future__ import annotations

import json
import pathlib
import random
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reticent import dp
from reticent.errors import EnvironmentFault, ReticentError, UsageError
from reticent.ledger import Ledger, rows, verify_export

FUZZ = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def filled(book: Ledger, grant: Callable, reserve: Callable, step: Any) -> Ledger:
    grant(reason="Grüße, \U0001f600 and 'quotes'")
    grant("ward-8", filter="renyi")
    book.declare_disjoint(["ward-7", "ward-8"], reason="two towns", signer="Dr. Ada")
    reserve("run-1", 2).commit("round 1", [step])
    reserve("run-2", 1, population="ward-8").void("not needed")
    return book


@pytest.fixture
def exported(filled: Ledger, tmp_path: pathlib.Path) -> pathlib.Path:
    filled.export(tmp_path / "budget.jsonl")
    return tmp_path / "budget.jsonl"


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(ReticentError) as error:
        act()
    return error.value.code


def test_an_export_stands_by_itself(filled: Ledger, exported: pathlib.Path) -> None:
    assert verify_export(exported) == filled.head()
    lines = [json.loads(line) for line in exported.read_text().splitlines()]
    assert lines[0] == {"format": "reticent ledger", "version": 2, "ledger": filled.head().ledger}
    assert [line["kind"] for line in lines[1:-1]] == [entry.kind for entry in filled.entries()]
    assert lines[1]["reason"] == "Grüße, \U0001f600 and 'quotes'"
    assert lines[-1] == {"head": filled.head().to_plain()}


def test_no_database_is_needed(filled: Ledger, exported: pathlib.Path) -> None:
    filled._journal.path.unlink()
    source = str(pathlib.Path(rows.__file__).parents[2])
    program = (
        "import sys, reticent.ledger as l; h = l.verify_export(sys.argv[1]); "
        "print(h.seq); sys.exit(bool({'sqlalchemy', 'alembic', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(exported)],
        env={"PYTHONPATH": source},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "7")


def test_exports_are_the_same_bytes_and_a_later_one_begins_alike(
    filled: Ledger, exported: pathlib.Path, reserve: Callable, tmp_path: pathlib.Path
) -> None:
    filled.export(tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == exported.read_bytes()
    reserve("run-3", 1)
    filled.export(tmp_path / "later.jsonl")
    earlier = exported.read_text().splitlines()[:-1]
    assert (tmp_path / "later.jsonl").read_text().splitlines()[: len(earlier)] == earlier


def test_an_export_contains_the_heads_before_it(
    filled: Ledger, exported: pathlib.Path, reserve: Callable, tmp_path: pathlib.Path
) -> None:
    old = filled.head()
    reserve("run-3", 1)
    filled.export(tmp_path / "later.jsonl")
    assert verify_export(tmp_path / "later.jsonl", head=old) == filled.head()
    assert code_of(lambda: verify_export(exported, head=filled.head())) == "ledger-rolled-back"
    assert filled.verify(head=verify_export(exported)) == 8


def test_every_changed_byte_is_found(exported: pathlib.Path, tmp_path: pathlib.Path) -> None:
    whole = exported.read_bytes()
    damaged = tmp_path / "damaged.jsonl"
    for position in random.Random(3).sample(range(len(whole)), 150):
        changed = bytearray(whole)
        changed[position] ^= 1 << random.Random(position).randrange(8)
        damaged.write_bytes(changed)
        assert code_of(lambda: verify_export(damaged)) in ("ledger-damaged", "not-an-export"), position


def test_a_copy_without_hashes_misses_changed_bytes(
    exported: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "link", lambda values: values["hash"])
    with pytest.raises(pytest.fail.Exception):
        test_every_changed_byte_is_found(exported, tmp_path)


@pytest.mark.parametrize("cut", ["half a line", "the head", "the last entry", "a middle entry", "all but the first"])
def test_a_part_of_an_export(exported: pathlib.Path, cut: str) -> None:
    lines = exported.read_text().splitlines(keepends=True)
    parts = {
        "half a line": [*lines[:-1], lines[-1][:20]],
        "the head": lines[:-1],
        "the last entry": [*lines[:-2], lines[-1]],
        "a middle entry": [*lines[:3], *lines[4:]],
        "all but the first": lines[:1],
    }
    exported.write_text("".join(parts[cut]))
    assert code_of(lambda: verify_export(exported)) == "ledger-damaged"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (',"kind":', ', "kind":'),
        ('"kind":"reserve"', '"kind":"grant","kind":"reserve"'),
        ("Dr. Ada", "\\u0044r. Ada"),
        ('"seq":', '"spent_atto_delta":0,"seq":'),
        ("\n", "\r\n"),
        ("\n", "\n\n"),
    ],
)
def test_an_export_has_one_spelling(exported: pathlib.Path, old: str, new: str) -> None:
    exported.write_bytes(exported.read_bytes().replace(old.encode(), new.encode()))
    assert code_of(lambda: verify_export(exported)) == "ledger-damaged"


def resealed(exported: pathlib.Path, **changes: Any) -> None:
    """Change the fields of entry 4 (a reservation), and compute all hashes anew."""
    first, *entries, _ = [json.loads(line) for line in exported.read_text().splitlines()]
    entries[3] |= changes
    previous = entries[0]["previous"]
    for entry in entries:
        entry["previous"] = previous
        previous = entry["hash"] = rows.link(entry)
    head = {"head": {"ledger": first["ledger"], "seq": len(entries), "hash": previous}}
    lines = [json.dumps(line, sort_keys=True, separators=(",", ":")) for line in (first, *entries, head)]
    exported.write_text("\n".join(lines) + "\n")


STRANGE = {
    "a float": {"nano_epsilon": 1.5},
    "a truth": {"nano_epsilon": True},
    "a text for a number": {"nano_epsilon": "1"},
    "a number for a text": {"purpose": 7},
    "a negative amount": {"nano_epsilon": -5},
    "a huge amount": {"nano_epsilon": 2**70},
    "an unknown field": {"epsilon": 1},
    "an unknown kind": {"kind": "refund"},
    "an unknown unit": {"unit": "household"},
    "an unknown filter": {"filter": "none"},
    "another filter": {"filter": "renyi"},
    "a curve that is none": {"curve": "1,2,3"},
    "members of a reservation": {"members": '["a","b"]'},
    "members that are none": {"members": "{"},
    "no events": {"events": "[]"},
    "events that are none": {"events": "["},
    "deep events": {"events": "[" * 5000},
    "an event with a wrong number": {"events": '[{"kind":"gaussian","noise_multiplier":-1.0}]'},
    "an endless event": {"events": '[{"kind":"gaussian","noise_multiplier":1e999}]'},
    "a list for an event": {"events": "[[]]"},
    "more than was granted": {"nano_epsilon": 10**12, "reserved_nano_epsilon": 10**12},
}


@pytest.mark.parametrize("what", STRANGE)
def test_strange_entries_with_good_hashes(exported: pathlib.Path, what: str) -> None:
    resealed(exported)
    verify_export(exported)
    resealed(exported, **STRANGE[what])
    assert code_of(lambda: verify_export(exported)) == "ledger-damaged"


NAMES = st.sampled_from(["format", "version", "ledger", "head", "seq", "hash"])
FIRST = '{"format":"reticent ledger","ledger":"x","version":2}'
LINES = st.lists(
    st.text(max_size=30)
    | st.sampled_from([FIRST, '{"head":{}}', '{"head":null}', "{}", "[]"])
    | st.dictionaries(NAMES, st.integers() | st.text()).map(json.dumps),
    max_size=5,
)
HOW = st.sampled_from(["insert", "delete", "replace", "swap", "double"])


@FUZZ
@given(LINES.map("\n".join).map(lambda text: text.encode("utf-8", "replace")) | st.binary(max_size=80))
def test_files_that_are_no_export(tmp_path: pathlib.Path, content: bytes) -> None:
    path = tmp_path / "fuzzed.jsonl"
    path.write_bytes(content)
    assert code_of(lambda: verify_export(path)) in ("ledger-damaged", "not-an-export")


@FUZZ
@given(st.integers(0, 10**6), HOW, st.binary(min_size=1, max_size=4))
def test_exports_that_were_edited(
    exported: pathlib.Path, tmp_path: pathlib.Path, where: int, how: str, what: bytes
) -> None:
    whole = exported.read_bytes()
    lines = whole.splitlines(keepends=True)
    at, line = where % len(whole), where % len(lines)
    edited = {
        "insert": whole[:at] + what + whole[at:],
        "delete": whole[:at] + whole[at + len(what) :],
        "replace": whole[:at] + what + whole[at + len(what) :],
        "swap": b"".join([*lines[:line], *lines[line + 1 : line + 2], lines[line], *lines[line + 2 :]]),
        "double": b"".join([*lines[: line + 1], *lines[line:]]),
    }[how]
    path = tmp_path / "edited.jsonl"
    path.write_bytes(edited)
    if edited in (whole, whole.removesuffix(b"\n")):
        return
    assert code_of(lambda: verify_export(path)) in ("ledger-damaged", "not-an-export")


def test_a_newer_export_is_not_guessed_at(exported: pathlib.Path) -> None:
    exported.write_text(exported.read_text().replace('"version":2', '"version":3', 1))
    with pytest.raises(UsageError, match="version 3"):
        verify_export(exported)


def test_where_an_export_cannot_be(filled: Ledger, tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("x")
    for place in ("none/x.jsonl", "file/x.jsonl"):
        with pytest.raises(EnvironmentFault) as error:
            filled.export(tmp_path / place)
        assert error.value.code == "export-unwritable"
    with pytest.raises(EnvironmentFault) as error:
        verify_export(tmp_path)
    assert error.value.code == "export-unreadable"


def test_an_export_that_fails_leaves_the_older_one(
    filled: Ledger, exported: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = exported.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(EnvironmentFault, match="No space left"):
        filled.export(exported)
    assert exported.read_bytes() == whole
    assert [path.name for path in exported.parent.iterdir() if "jsonl" in path.name] == ["budget.jsonl"]


def test_a_large_event_list_stays_an_export(book: Ledger, grant: Callable, tmp_path: pathlib.Path) -> None:
    grant(epsilon=1e5)
    events = tuple(dp.Gaussian(1.0 + number / 1000) for number in range(1000))
    claim = {"unit": "record", "relation": "add_or_remove_one", "population": "ward-7", "dataset": "1"}
    book.reserve(dp.Release(events=events, **claim), delta=1e-9, purpose="p", plan_hash="h", key="k")
    book.export(tmp_path / "large.jsonl")
    assert verify_export(tmp_path / "large.jsonl").seq == 2


# restoring ----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> str:
    """The address of an empty ledger."""
    return str(request.getfixturevalue("postgres")) if request.param == "postgres" else f"sqlite:///{tmp_path}/new.db"


def test_an_export_restores_a_ledger(filled: Ledger, exported: pathlib.Path, empty: str, step: Any) -> None:
    book = Ledger(empty)
    assert book.restore(exported) == filled.head() == book.head()
    assert book.entries() == filled.entries()
    assert book.balance("ward-8") == filled.balance("ward-8")
    assert book.verify(head=filled.head()) == 7
    again = exported.with_name("again.jsonl")
    book.export(again)
    assert again.read_bytes() == exported.read_bytes()
    book.charge("run-1").commit("round 2", [step])
    assert book.verify() == 8
    assert code_of(lambda: Ledger(empty).restore(exported)) == "ledger-not-empty"


def test_a_damaged_export_restores_nothing(exported: pathlib.Path, tmp_path: pathlib.Path) -> None:
    exported.write_text(exported.read_text().replace("Dr. Ada", "Dr. Eve"))
    book = Ledger(f"sqlite:///{tmp_path}/restored.db")
    assert code_of(lambda: book.restore(exported)) == "ledger-damaged"
    assert not book._journal.path.exists()
