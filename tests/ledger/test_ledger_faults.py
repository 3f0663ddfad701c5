"""Crashes, races, full disks and damaged files; each safeguard beside a copy without it, which must be caught."""

from __future__ import annotations

import contextlib
import pathlib
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from reticent import dp
from reticent.errors import EnvironmentFault, ReticentError
from reticent.ledger import Head, Ledger, sqlite_journal
from reticent.ledger.amounts import Amount
from reticent.ledger.entries import Standing
from reticent.ledger.pages import Pages

# kill -9 ------------------------------------------------------------------------------------------------------------


def check_kills(result: dict[str, Any]) -> None:
    """What a killed process was told is in the ledger; at most one action more; and the rows add up."""
    assert result["lost"] == 0
    assert result["more than one ahead"] == 0
    assert result["told"] >= 1


def test_kill_nine_loses_nothing_that_was_promised(child: Callable) -> None:
    check_kills(child("kill", 10, 0))


def test_a_copy_that_returns_before_it_is_durable_is_caught(child: Callable) -> None:
    with pytest.raises(AssertionError):
        check_kills(child("kill", 5, 1))


@pytest.mark.soak
def test_kill_nine_two_thousand_times(child: Callable) -> None:
    result = child("kill", 2000, 0, timeout=1800)
    check_kills(result)
    assert result["hot journals"] > 200  # many kills hit the inside of a transaction


def test_a_commit_is_synced_and_leaves_one_file(book: Ledger, grant: Callable, reserve: Callable, step: Any) -> None:
    grant()
    reserve().commit("round 1", [step])
    with contextlib.closing(book._journal._connect()) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (3,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert [path.name for path in book._journal.path.parent.iterdir()] == ["budget.db"]


# races --------------------------------------------------------------------------------------------------------------

RACES = {
    "create": ({"ok": 6}, 6),
    "reserve": ({"ok": 1, "budget-exhausted": 5}, 2),
    "same reserve": ({"ok": 6}, 2),
    "commit": ({"ok": 1, "reservation-spent": 5}, 3),
    "same commit": ({"ok": 1, "already-committed": 5}, 3),
}


def check_race(what: str, result: dict[str, Any]) -> None:
    outcomes, rows = RACES[what]
    assert result["outcomes"] == outcomes
    assert result["rows"] == result["verified"] == rows


def test_one_winner(child: Callable) -> None:
    results = child("races", 6)
    assert set(results) == set(RACES)
    for what, result in results.items():
        check_race(what, result)


@pytest.mark.parametrize("what", ["reserve", "commit", "create"])
def test_a_copy_without_the_transaction_is_caught(child: Callable, what: str) -> None:
    def is_right() -> bool:
        try:
            check_race(what, child("race", what, 6, 1))
        except (AssertionError, KeyError):
            return False
        return True

    # On a busy machine the racers may run one after another, and then even the copy is right: it gets five chances.
    assert not all(is_right() for _ in range(5))


def test_without_the_transaction_the_rows_still_exclude_each_other(child: Callable) -> None:
    """The second line of defence: two rows cannot follow the same head."""
    result = child("race", "reserve", 6, 1)
    assert result["outcomes"]["ok"] == 1
    assert result["rows"] == result["verified"] == 2


def test_without_both_the_budget_is_overspent(child: Callable) -> None:
    tries = (child("race", "reserve", 6, 2) for _ in range(8))
    overspent = next((result for result in tries if result["outcomes"].get("ok", 0) > 1), None)
    assert overspent is not None
    assert "verified" not in overspent  # `verify` sees it


def test_a_void_and_a_commit_exclude_each_other(child: Callable) -> None:
    result = child("race", "void", 6, 0)
    assert result["outcomes"] in ({"ok": 3, "reservation-void": 3}, {"ok": 1, "already-committed": 2, "cannot-void": 3})
    assert result["verified"] == 3


@pytest.mark.soak
def test_many_races(child: Callable) -> None:
    for _ in range(100):
        test_one_winner(child)


def test_a_writer_waits_for_another(book: Ledger, grant: Callable, reserve: Callable) -> None:
    grant()
    other = sqlite3.connect(book._journal.path, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.5, other.rollback)
    release.start()
    start = time.monotonic()
    assert reserve().epsilon == 1.0
    assert time.monotonic() - start >= 0.4
    release.join()
    other.close()


def test_waiting_ends(book: Ledger, grant: Callable, step: Any) -> None:
    grant()
    impatient = Ledger(book._journal.url, wait=0.05)
    with contextlib.closing(sqlite3.connect(book._journal.path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for act in (lambda: impatient.balance("ward-7"), lambda: impatient.charge("x")):
            with pytest.raises(EnvironmentFault) as error:
                act()
            assert error.value.code == "ledger-busy"


# disks and files ----------------------------------------------------------------------------------------------------


def test_a_full_disk_leaves_no_half_row(child: Callable) -> None:
    result = child("disk")
    assert result["code"] == "ledger-disk"
    assert result["told"] == result["stored"]
    assert result["rows"] == len(result["told"]) + 1
    assert result["rows_after"] == result["rows"] + 1  # with space again, it goes on


def test_where_a_ledger_cannot_be(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("x")
    for place in ("none/budget.db", ".", "file/budget.db"):
        with pytest.raises(EnvironmentFault) as error:
            Ledger(f"sqlite:///{tmp_path}/{place}").grant(
                "w", epsilon=1, delta=0, unit="record", relation="replace_one", reason="r", signer="s"
            )
        assert error.value.code == "ledger-unreachable"


def test_a_ledger_that_may_only_be_read(
    book: Ledger, grant: Callable, reserve: Callable, step: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading goes on; whatever writes is refused. (An administrator may write to any file, so SQLite is told.)"""
    grant()
    charge = reserve()
    connect = type(book._journal)._connect

    def reading_only(self: Any) -> sqlite3.Connection:
        connection = connect(self)
        connection.execute("PRAGMA query_only=ON")
        return connection

    monkeypatch.setattr(type(book._journal), "_connect", reading_only)
    monkeypatch.setattr(book._journal._engine.pool, "_creator", lambda: reading_only(book._journal))
    assert book.balance("ward-7").reserved_epsilon == 1.0
    assert book.verify() == 2
    for act in (lambda: charge.commit("r", [step]), lambda: reserve("b"), grant, lambda: charge.void("x")):
        with pytest.raises(EnvironmentFault) as error:
            act()
        assert error.value.code == "ledger-unreachable"
    assert book.verify() == 2


def test_a_deleted_ledger_does_not_come_back_empty(book: Ledger, grant: Callable, reserve: Callable, step: Any) -> None:
    grant()
    charge = reserve()
    book._journal.path.unlink()
    for empty in (False, True):
        if empty:
            book._journal.path.touch()
        for act in (lambda: charge.commit("r", [step]), lambda: reserve("b"), lambda: book.balance("ward-7"), grant):
            with pytest.raises(EnvironmentFault) as error:
                act()
            assert error.value.code == "ledger-vanished"
        if not empty:
            assert not book._journal.path.exists()


def test_a_copy_that_creates_missing_files_is_caught(
    book: Ledger, grant: Callable, reserve: Callable, step: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sqlite3.connect
    monkeypatch.setattr(
        sqlite_journal.sqlite3, "connect", lambda address, **rest: real(address.replace("mode=rw", "mode=rwc"), **rest)
    )
    with pytest.raises(AssertionError):
        test_a_deleted_ledger_does_not_come_back_empty(book, grant, reserve, step)


def test_another_programs_database_is_left_alone(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "patients.db"
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("create table patients (name text)")
        other.commit()
    before = path.read_bytes()
    book = Ledger(f"sqlite:///{path}")
    for act in (
        book.entries,
        lambda: book.grant("w", epsilon=1, delta=0, unit="site", relation="replace_one", reason="r", signer="s"),
    ):
        with pytest.raises(EnvironmentFault) as error:
            act()
        assert error.value.code == "not-a-ledger"
    assert path.read_bytes() == before


def test_damaged_files_give_an_error_or_an_answer(book: Ledger, grant: Callable, reserve: Callable, step: Any) -> None:
    grant()
    for number in range(2):
        reserve(str(number), 3).commit("round 1", [step])
    path = book._journal.path
    whole = path.read_bytes()
    noticed = 0
    for trial in range(60):
        chance = random.Random(trial)
        damaged = bytearray(whole)
        if trial % 3:
            start = chance.randrange(len(damaged))
            damaged[start : start + 64] = chance.randbytes(64)
        else:
            del damaged[chance.randrange(1, len(damaged)) :]
        path.write_bytes(damaged)
        path.with_name("budget.db-journal").unlink(missing_ok=True)
        for act in (Ledger.verify, Ledger.entries, lambda b: b.balance("ward-7"), lambda b: b.charge("0").committed()):
            try:
                act(Ledger(book._journal.url))
            except ReticentError:
                noticed += 1
            except AttributeError:  # charge("0") is None where its row was hit
                noticed += 1
    assert noticed > 50


# rows that contradict each other ------------------------------------------------------------------------------------

TAMPERED = {
    "a smaller charge": "update reticent_entries set nano_epsilon = nano_epsilon - 1 where seq = 3",
    "a larger grant": "update reticent_entries set nano_epsilon = nano_epsilon + 1 where seq = 1",
    "smaller totals": "update reticent_entries set spent_nano_epsilon = 0 where seq = 4",
    "a missing row": "delete from reticent_entries where seq = 3",
    "a missing commit": "delete from reticent_entries where seq = 4",
    "fewer events": "update reticent_entries set events = '[]' where seq = 4",
    "more events": "update reticent_entries set events = (select events from reticent_entries where seq = 3) "
    "where seq = 5",
    "another unit": "update reticent_entries set unit = 'person' where seq = 3",
    "a renamed reservation": "update reticent_entries set key = 'x' where seq = 3",
    "a commit of another's": "update reticent_entries set key = 'run-2' where seq = 4",
    "an unknown kind": "update reticent_entries set kind = 'refund' where seq = 4",
    "bytes for a text": "update reticent_entries set purpose = x'ff' where seq = 3",
    "an unknown filter": "update reticent_entries set filter = 'none' where seq = 4",
    "an unknown event": 'update reticent_entries set events = \'[{"kind":"nothing"}]\' where seq = 4',
}


@pytest.fixture
def spent(book: Ledger, grant: Callable, reserve: Callable, step: Any) -> Ledger:
    """A grant, two reservations, two commits of the second."""
    grant()
    reserve("run-2", 1)
    charge = reserve("run-1", 2)
    charge.commit("round 1", [step])
    charge.commit("round 2", [step])
    assert book.verify() == 5
    return Ledger(book._journal.url)


@pytest.mark.parametrize("what", TAMPERED)
def test_verify_finds(spent: Ledger, what: str) -> None:
    with contextlib.closing(sqlite3.connect(spent._journal.path)) as other:
        other.execute("pragma ignore_check_constraints = 1")
        other.execute("drop trigger reticent_no_update")
        other.execute("drop trigger reticent_no_delete")
        other.execute(TAMPERED[what])
        other.commit()
    with pytest.raises(EnvironmentFault) as error:
        spent.verify()
    assert error.value.code == "ledger-damaged"


@pytest.mark.parametrize("what", TAMPERED)
def test_the_sums_find_it_even_where_the_chain_was_computed_anew(spent: Ledger, forge: Callable, what: str) -> None:
    forge(spent, TAMPERED[what])
    with pytest.raises(EnvironmentFault) as error:
        spent.verify()
    assert error.value.code == "ledger-damaged"
    assert "hash" not in error.value.message or what == "bytes for a text"


@pytest.mark.parametrize("change", ["update reticent_entries set epsilon_x = 0", "delete from reticent_entries"])
def test_rows_are_append_only(book: Ledger, grant: Callable, change: str) -> None:
    grant()
    with contextlib.closing(sqlite3.connect(book._journal.path)) as other, pytest.raises(sqlite3.Error, match="append"):
        other.execute(change.replace("epsilon_x", "nano_epsilon"))


def test_the_tables_themselves_refuse_an_overspent_budget(book: Ledger, grant: Callable, reserve: Callable) -> None:
    grant(epsilon=1.0)
    reserve()
    with contextlib.closing(sqlite3.connect(book._journal.path)) as other:
        names = [row[1] for row in other.execute("pragma table_info(reticent_entries)")]
        changed = {"seq": "3", "key": "'forged'", "reserved_nano_epsilon": "reserved_nano_epsilon + 1"}
        with pytest.raises(sqlite3.IntegrityError, match="within_the_grant"):
            other.execute(
                f"insert into reticent_entries select {', '.join(changed.get(name, name) for name in names)} "
                "from reticent_entries where seq = 2"
            )


# speed --------------------------------------------------------------------------------------------------------------


def fill(book: Ledger, rows: int) -> None:
    """Append copies of the last row by one statement, with made-up hashes, and one real reservation after them.

    An action reads the last row of the ledger and of its population, and no other: only these need their hashes.
    """
    last = book.charge("run-1").entry
    with contextlib.closing(sqlite3.connect(book._journal.path)) as other:
        names = [row[1] for row in other.execute("pragma table_info(reticent_entries)")]
        moved = {"seq": "n.i + 2", "key": "'k' || n.i", "previous": "'p' || n.i", "hash": "'h' || n.i"}
        other.execute(
            f"with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows}) insert into "
            f"reticent_entries select {', '.join(moved.get(name, name) for name in names)} from n, reticent_entries "
            "where seq = 2"
        )
        other.commit()
    with book._journal._engine.connect() as connection:
        pages = Pages(connection, "")
        held = Standing(population="ward-7", unit=last.unit, relation=last.relation, granted=Amount(2 * 10**9, 10**14))
        pages._head = Head("", rows + 2, "f" * 64)
        pages.append("reserve", held, last.amount, key="last", events=last.events)
        connection.commit()
    book._journal._seen = None


def fastest(act: Callable[[], object], times: int = 15) -> float:
    """Return the least processor time: other programs on the machine do not count."""
    measured = []
    for _ in range(times):
        start = time.process_time()
        act()
        measured.append(time.process_time() - start)
    return min(measured)


def test_nothing_slows_down_with_the_number_of_entries(book: Ledger, grant: Callable, reserve: Callable) -> None:
    """`balance` within 20 ms at 1e5 reservations; a reservation costs what it cost in an empty ledger."""
    grant()
    reserve()
    keys = iter(range(1000))
    empty = fastest(lambda: reserve(f"early-{next(keys)}", 1, delta=1e-9), 1)
    with contextlib.closing(sqlite3.connect(book._journal.path)) as other:
        other.execute("drop trigger reticent_no_delete")
        other.execute("delete from reticent_entries where seq > 2")
        other.commit()
    book._journal._seen = None
    fill(book, 100_000)
    assert fastest(lambda: book.balance("ward-7")) < 0.02
    assert book.balance("ward-7").reserved_epsilon == 1.0
    assert fastest(lambda: reserve(f"late-{next(keys)}", 1, delta=1e-9), 3) < 3 * empty + 0.005
    assert fastest(lambda: book.charge("last").committed()) < 0.02


@pytest.mark.soak
def test_a_large_ledger_verifies(book: Ledger, grant: Callable, reserve: Callable) -> None:
    """1e5 real reservations, each with its hash, checked and exported; prints how long it took."""
    grant(epsilon=1e5)
    template = reserve().entry
    with book._journal.writing() as pages:
        standing = pages.standing("ward-7")
        for number in range(100_000):
            pages.append("reserve", standing, Amount(1, 1), key=f"k{number}", events=template.events)
            standing = standing.after("reserve", Amount(1, 1))
    start = time.perf_counter()
    assert book.verify() == 100_002
    verified, start = time.perf_counter() - start, time.perf_counter()
    balance = book.balance("ward-7")
    print(f"verify {verified:.1f} s, balance {1000 * (time.perf_counter() - start):.1f} ms")
    assert balance.reserved_epsilon == 1.0001


def test_a_long_plan_commits_in_constant_time(book: Ledger, grant: Callable, reserve: Callable, step: Any) -> None:
    grant(epsilon=1e5)
    charge = reserve(steps=20_000)
    for number in range(3):
        charge.commit(str(number), [dp.Repeated(step, 1)])
    with book._journal.writing() as pages:
        standing = pages.standing("ward-7")
        for number in range(3, 1000):
            pages.append("commit", standing, charge.entry.amount - charge.entry.amount, key="run-1",
                         commit_key=str(number), events=(dp.Repeated(step, 1),))  # fmt: skip
    keys = iter(range(1000, 2000))
    assert fastest(lambda: charge.commit(str(next(keys)), [step]), 7) < 0.05
    assert charge.committed()[step] == 1000 + 7
