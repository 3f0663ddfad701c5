"""The chain of hashes: recomputed by hand, forged with and without a kept head, rolled back, flipped bit by bit."""

from __future__ import annotations

import contextlib
import hashlib
import json
import pathlib
import random
import shutil
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reticent.errors import EnvironmentFault, IdentityError, PolicyRefused, ReticentError, UsageError
from reticent.identity import Roster, SigningKey
from reticent.ledger import Head, Ledger, chain, rows


@pytest.fixture
def filled(book: Ledger, grant: Callable, reserve: Callable, step: Any) -> Ledger:
    """Six entries: two grants, two reservations, a commit, a void."""
    grant()
    grant("ward-8", filter="renyi")
    reserve("run-1", 2).commit("round 1", [step])
    reserve("run-2", 1, population="ward-8").void("not needed")
    return book


def stored(book: Ledger) -> list[dict[str, Any]]:
    with contextlib.closing(sqlite3.connect(book._journal.path)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("select * from reticent_entries order by seq")]


def by_hand(values: dict[str, Any]) -> str:
    kept = {name: value for name, value in values.items() if value not in ("", 0) and name not in ("hash", "signature")}
    text = "{" + ",".join(f"{json.dumps(name)}:{json.dumps(kept[name])}" for name in sorted(kept)) + "}"
    return hashlib.sha256(b"reticent ledger entry\x00" + text.encode("ascii")).hexdigest()


def change(book: Ledger, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(book._journal.path)) as connection:
        connection.execute("pragma ignore_check_constraints = 1")
        for trigger in ("reticent_no_update", "reticent_no_delete"):
            connection.execute(f"drop trigger if exists {trigger}")
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(ReticentError) as error:
        act()
    return error.value.code


def test_each_hash_is_that_of_the_row_and_the_one_before_it(filled: Ledger) -> None:
    head = filled.head()
    previous = hashlib.sha256(b"reticent ledger\x00" + head.ledger.encode()).hexdigest()
    for values in stored(filled):
        assert values["previous"] == previous
        previous = values["hash"]
        assert previous == by_hand(values)
    assert (head.seq, head.hash) == (6, previous)
    assert [entry.hash for entry in filled.entries()][-1] == previous


def test_a_field_that_is_empty_adds_nothing_to_the_hash() -> None:
    """So a later form with more fields gives old rows the hashes they have."""
    values = {"seq": 1, "kind": "grant", "previous": "a"}
    assert chain.link(values) == chain.link({**values, "a_later_text": "", "a_later_number": 0})
    assert chain.link(values) != chain.link({**values, "a_later_text": "0"})


VALUES = st.dictionaries(st.sampled_from("abc"), st.text() | st.integers())


@settings(deadline=None)
@given(VALUES, VALUES)
def test_different_rows_have_different_texts(one: dict, other: dict) -> None:
    def kept(values: dict) -> dict:
        return {name: value for name, value in values.items() if value not in ("", 0)}

    assert (chain.canonical(one) == chain.canonical(other)) == (kept(one) == kept(other))


CHANGES = {
    "a time": "update reticent_entries set time = '2020-01-01' where seq = 3",
    "a purpose": "update reticent_entries set purpose = 'other' where seq = 3",
    "a data set": "update reticent_entries set dataset = 'other' where seq = 5",
    "a plan": "update reticent_entries set plan_hash = 'cd' where seq = 3",
    "a reason": "update reticent_entries set reason = 'none' where seq = 1",
    "a signer": "update reticent_entries set signer = 'Dr. Eve' where seq = 1",
    "the last entry": "update reticent_entries set reason = 'other' where seq = 6",
    "a curve": "update reticent_entries set curve = (select held_curve from reticent_entries where seq = 5) "
    "where seq = 2",
    "a favoured order": "update reticent_entries set favoured = favoured + 1 where filter = 'renyi'",
    "a population": "update reticent_entries set population = 'ward-9' where population = 'ward-8'",
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_row_is_found(filled: Ledger, what: str) -> None:
    change(filled, CHANGES[what])
    assert code_of(Ledger(filled._journal.url).verify) == "ledger-damaged"


@pytest.mark.parametrize("what", ["a time", "a purpose", "a signer", "a reason", "the last entry"])
def test_a_copy_without_hashes_is_caught(filled: Ledger, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not enter the sums is found by the hashes alone."""
    monkeypatch.setattr(rows, "link", lambda values: values["hash"])
    with pytest.raises(pytest.fail.Exception):
        test_a_changed_row_is_found(filled, what)


def test_a_row_with_a_hash_of_its_own_breaks_the_chain(filled: Ledger) -> None:
    """A forger who computes the hash of the row that he changes, and not those after it."""
    change(filled, CHANGES["a reason"])
    first = stored(filled)[0]
    change(filled, f"update reticent_entries set hash = '{by_hand(first)}' where seq = 1")
    with pytest.raises(EnvironmentFault, match="entry 2 of the ledger does not follow the one before it"):
        Ledger(filled._journal.url).verify()


def test_a_chain_that_was_computed_anew_needs_a_head_that_was_kept(filled: Ledger, forge: Callable) -> None:
    head = filled.head()
    forge(filled, CHANGES["a signer"])
    again = Ledger(filled._journal.url)
    assert again.verify() == 6  # nothing in the file contradicts anything else in it
    assert code_of(lambda: again.verify(head=head)) == "ledger-rolled-back"
    assert code_of(filled.entries) == "ledger-rolled-back"  # a program that had it open knows its head


# roll-back ----------------------------------------------------------------------------------------------------------


def test_an_older_copy_is_found_by_a_program_that_had_it_open(
    filled: Ledger, reserve: Callable, step: Any, tmp_path: pathlib.Path
) -> None:
    path = filled._journal.path
    shutil.copy(path, tmp_path / "older")
    charge = reserve("run-3", 1)
    for replacement in ("older", "empty"):
        if replacement == "empty":
            (tmp_path / "empty").touch()
        shutil.copy(tmp_path / replacement, path)
        wanted = "ledger-rolled-back" if replacement == "older" else "ledger-vanished"
        for act in (
            lambda: charge.commit("r", [step]),
            lambda: reserve("x"),
            lambda: filled.balance("ward-7"),
            filled.head,
        ):
            assert code_of(act) == wanted


def test_an_older_copy_is_found_by_a_head_that_was_kept(
    filled: Ledger, reserve: Callable, tmp_path: pathlib.Path
) -> None:
    url, path = filled._journal.url, filled._journal.path
    old = filled.head()
    shutil.copy(path, tmp_path / "older")
    charge = reserve("run-3", 1)
    new = filled.head()
    assert charge.head == new
    assert Ledger(url).verify(head=old) == Ledger(url).verify(head=new) == 7
    shutil.copy(tmp_path / "older", path)
    assert Ledger(url).verify() == Ledger(url).verify(head=old) == 6
    assert code_of(lambda: Ledger(url).verify(head=new)) == "ledger-rolled-back"
    path.unlink()
    assert code_of(lambda: Ledger(url).verify(head=old)) == "ledger-rolled-back"


def test_a_ledger_that_went_another_way_is_found(filled: Ledger, reserve: Callable, tmp_path: pathlib.Path) -> None:
    """Roll back and spend again: as long as before, with other entries."""
    path = filled._journal.path
    shutil.copy(path, tmp_path / "older")
    reserve("run-3", 1)
    head = filled.head()
    shutil.copy(tmp_path / "older", path)
    filled._journal._seen = None
    reserve("run-4", 1)
    assert Ledger(filled._journal.url).verify() == 7
    assert code_of(lambda: Ledger(filled._journal.url).verify(head=head)) == "ledger-rolled-back"


def test_another_ledger_is_not_taken_for_this_one(filled: Ledger, grant: Callable, tmp_path: pathlib.Path) -> None:
    other = Ledger(f"sqlite:///{tmp_path}/other.db")
    claim = {"unit": "record", "relation": "add_or_remove_one", "reason": "r", "signer": "s"}
    other.grant("ward-7", epsilon=9, delta=0.1, **claim)
    assert code_of(lambda: other.verify(head=filled.head())) == "ledger-rolled-back"
    shutil.copy(other._journal.path, filled._journal.path)
    assert code_of(lambda: filled.balance("ward-7")) == "ledger-rolled-back"


def test_a_copy_that_does_not_remember_its_head_is_caught(
    filled: Ledger, reserve: Callable, step: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(filled._journal), "_remember", lambda self, head: None)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        test_an_older_copy_is_found_by_a_program_that_had_it_open(filled, reserve, step, tmp_path)


def test_a_charge_knows_the_head_after_its_last_entry(filled: Ledger, reserve: Callable, step: Any) -> None:
    charge = reserve("run-3", 2)
    assert charge.head == filled.head()
    charge.commit("round 1", [step])
    assert charge.head == filled.head()
    assert filled.charge("run-3").head is None
    other = reserve("run-4", 1)
    other.void("not needed")
    assert other.head == filled.head()
    assert charge.head.seq == other.head.seq - 2


# bits ---------------------------------------------------------------------------------------------------------------


def said(book: Ledger) -> object:
    return (
        [book.balance(name) for name in book.populations()],
        book.entries(),
        book.head(),
        book.charge("run-1").committed(),
    )


def check_flips(book: Ledger, positions: list[int]) -> int:
    """Every flipped byte is found by `verify`, or lies where nothing is stored and changes no answer."""
    path, url = book._journal.path, book._journal.url
    whole, truth, found = path.read_bytes(), said(book), 0
    for position in positions:
        chance = random.Random(position)
        damaged = bytearray(whole)
        damaged[position] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        for leftover in path.parent.glob("budget.db-*"):
            leftover.unlink()
        try:
            Ledger(url).verify()
        except ReticentError:
            found += 1
        else:
            assert said(Ledger(url)) == truth, position
    path.write_bytes(whole)
    return found


def used_bytes(path: pathlib.Path) -> list[int]:
    return [index for index, byte in enumerate(path.read_bytes()) if byte]


def test_a_flipped_byte_is_found_or_changes_nothing(filled: Ledger) -> None:
    positions = random.Random(5).sample(used_bytes(filled._journal.path), 150)
    assert check_flips(filled, positions) > 120


@pytest.mark.soak
def test_every_flipped_byte_is_found_or_changes_nothing(filled: Ledger) -> None:
    positions = used_bytes(filled._journal.path)
    print(f"{check_flips(filled, positions)} of {len(positions)} bytes that are not 0")


# heads and signatures -----------------------------------------------------------------------------------------------


def test_a_head_survives_its_text(filled: Ledger, tmp_path: pathlib.Path) -> None:
    head = filled.head()
    exported = tmp_path / "budget.jsonl"
    filled.export(exported)
    for text in (
        json.dumps(head.to_plain()),
        json.dumps({"entries": 6, "head": head.to_plain()}, indent=1),
        exported.read_text(),
    ):
        assert Head.parse(text) == head


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["ledger", "seq", "hash", "head"]), inner)
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.text() | JSON.map(json.dumps) | st.just('{"a":' * 20_000))
def test_texts_that_are_no_head(text: str) -> None:
    with pytest.raises(UsageError) as error:
        Head.parse(text)
    assert error.value.code == "invalid-ledger-head"


def test_a_signed_grant(book: Ledger, grant: Callable) -> None:
    ada, eve = SigningKey.generate(), SigningKey.generate()
    roster = Roster({"Dr. Ada": ada.public})
    grant(key=ada)
    grant("ward-8", key=ada)
    book.declare_disjoint(["ward-7", "ward-8"], reason="separate hospitals", signer="Dr. Ada", key=ada)
    assert book.verify(roster=roster) == 3
    with pytest.raises(IdentityError) as error:
        book.verify(roster=Roster({"Dr. Ada": eve.public}))
    assert error.value.code == "bad-signature"
    with pytest.raises(IdentityError) as error:
        book.verify(roster=Roster({"Dr. Eve": ada.public}))
    assert error.value.code == "unknown-signer"
    grant(key=eve)
    with pytest.raises(IdentityError):
        book.verify(roster=roster)
    assert book.verify() == 4


def test_a_grant_by_name_alone_is_refused_where_signatures_are_asked_for(book: Ledger, grant: Callable) -> None:
    ada = SigningKey.generate()
    grant(key=ada)
    change(book, "update reticent_entries set signature = ''")
    with pytest.raises(PolicyRefused) as error:
        book.verify(roster=Roster({"Dr. Ada": ada.public}))
    assert error.value.code == "grant-not-signed"
    assert book.verify() == 1


def test_a_forger_who_computes_the_chain_anew_cannot_sign(book: Ledger, grant: Callable, forge: Callable) -> None:
    ada = SigningKey.generate()
    grant(key=ada)
    forge(book, "update reticent_entries set nano_epsilon = 9000000000, granted_nano_epsilon = 9000000000")
    assert Ledger(book._journal.url).verify() == 1
    with pytest.raises(IdentityError):
        Ledger(book._journal.url).verify(roster=Roster({"Dr. Ada": ada.public}))


def test_faults_name_the_entry(filled: Ledger) -> None:
    change(filled, CHANGES["a purpose"])
    with pytest.raises(EnvironmentFault, match="entry 3 of the ledger does not have the hash of its content"):
        filled.verify()
