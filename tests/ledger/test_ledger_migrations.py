"""A ledger that version 0.1.0 wrote (form_1.sql, a dump of it) comes to the present form with every entry it had."""

from __future__ import annotations

import contextlib
import itertools
import pathlib
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from reticent import dp
from reticent.errors import EnvironmentFault
from reticent.ledger import Ledger, chain
from reticent.ledger.tables import SCHEMA_VERSION

DUMP = pathlib.Path(__file__).with_name("form_1.sql")
COMMON = (
    *("seq", "kind", "time", "population", "unit", "relation", "filter", "key", "commit_key", "dataset", "purpose"),
    *("plan_hash", "events", "reason", "signer", "nano_epsilon", "atto_delta", "granted_nano_epsilon"),
    *("granted_atto_delta", "reserved_nano_epsilon", "reserved_atto_delta", "spent_nano_epsilon", "spent_atto_delta"),
)


@pytest.fixture
def old(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "old.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(DUMP.read_text(encoding="utf-8"))
    return path


def rows(path: pathlib.Path) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"select {', '.join(COMMON)} from reticent_entries order by seq").fetchall()


def form(path: pathlib.Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        statements = connection.execute("select sql from sqlite_master where sql is not null").fetchall()
    return sorted(" ".join(statement.split()).replace('"', "") for (statement,) in statements)


def test_nothing_is_lost(old: pathlib.Path) -> None:
    before = rows(old)
    assert len(before) == 12
    book = Ledger(f"sqlite:///{old}")
    balance = book.balance("ward-7")
    # What version 0.1.0 itself said of this file.
    assert (balance.granted_epsilon, balance.spent_epsilon) == (4.5, 1.207080172)
    assert (balance.reserved_epsilon, balance.left_epsilon) == (1.001935718, 2.29098411)
    assert (balance.granted_delta, balance.left_delta, balance.filter) == (1e-5, 9.8e-6, "sum")
    assert rows(old) == before
    assert book.verify() == 12
    assert book.head().seq == 12
    assert [path.name for path in old.parent.iterdir()] == ["old.db"]


def test_it_goes_on_where_it_was(old: pathlib.Path, step: Any) -> None:
    book = Ledger(f"sqlite:///{old}")
    first = dp.PoissonSampled(0.05, dp.Gaussian(1.5))
    charge = book.charge("run-1/north")
    assert charge.remaining()[first] == 17
    charge.commit("train/3", [first])
    book.charge("run-3/north").void("not needed")
    claim = {"unit": "person", "relation": "add_or_remove_one", "reason": "more", "signer": "Dr. Ada"}
    book.grant("ward-8", epsilon=1, delta=0, **claim)
    assert book.verify() == 15


def test_a_migrated_ledger_has_the_form_of_a_new_one(old: pathlib.Path, book: Ledger, grant: Callable) -> None:
    grant()
    Ledger(f"sqlite:///{old}").entries()
    assert form(old) == form(book._journal.path)


def test_looking_is_enough_and_happens_once(old: pathlib.Path) -> None:
    head = Ledger(f"sqlite:///{old}").head()
    assert Ledger(f"sqlite:///{old}").head() == head
    with contextlib.closing(sqlite3.connect(old)) as connection:
        assert connection.execute("select version from reticent_ledger").fetchall() == [(SCHEMA_VERSION,)]
        assert connection.execute("select version_num from reticent_migrations").fetchall() == [(str(SCHEMA_VERSION),)]


def test_a_migration_that_breaks_off_changes_nothing(old: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, tables = rows(old), form(old)
    calls = itertools.count()

    def stop(values: Any) -> str:
        if next(calls) > 13:
            raise KeyboardInterrupt
        return f"{next(calls):064x}"

    with monkeypatch.context() as patch:
        patch.setattr(chain, "link", stop)  # Alembic loads a copy of form_2, which takes it from there
        with pytest.raises(KeyboardInterrupt):
            Ledger(f"sqlite:///{old}").entries()
    assert rows(old) == before
    assert form(old) == tables
    assert Ledger(f"sqlite:///{old}").verify() == 12


def test_rows_that_contradict_each_other_stay_visible(old: pathlib.Path) -> None:
    """A migration seals what it finds; the audit of the sums still sees what was wrong before."""
    with contextlib.closing(sqlite3.connect(old)) as connection:
        connection.execute("drop trigger reticent_no_update")
        connection.execute("update reticent_entries set nano_epsilon = nano_epsilon - 1 where seq = 4")
        connection.commit()
    with pytest.raises(EnvironmentFault) as error:
        Ledger(f"sqlite:///{old}").verify()
    assert error.value.code == "ledger-damaged"


def test_a_newer_form_is_refused(book: Ledger, grant: Callable) -> None:
    grant()
    with contextlib.closing(sqlite3.connect(book._journal.path)) as connection:
        connection.execute("update reticent_ledger set version = ?", (SCHEMA_VERSION + 1,))
        connection.commit()
    before = book._journal.path.read_bytes()
    for act in (book.entries, grant, book.verify, Ledger(book._journal.url).head):
        with pytest.raises(EnvironmentFault) as error:
            act()
        assert error.value.code == "ledger-version"
    assert book._journal.path.read_bytes() == before


@pytest.mark.parametrize("version", ["'2'", "0", "-1", "2.5", "null"])
def test_a_version_that_is_none(book: Ledger, grant: Callable, version: str) -> None:
    grant()
    with contextlib.closing(sqlite3.connect(book._journal.path)) as connection:
        connection.execute("drop table reticent_ledger")
        connection.execute("create table reticent_ledger (version, ledger)")
        connection.execute(f"insert into reticent_ledger values ({version}, 'x')")
        connection.commit()
    with pytest.raises(EnvironmentFault) as error:
        Ledger(book._journal.url).entries()
    assert error.value.code == "ledger-damaged"


def test_the_migrations_are_in_the_package() -> None:
    import reticent.ledger

    folder = pathlib.Path(reticent.ledger.__file__).parent / "migrations"
    assert {path.name for path in folder.rglob("*.py")} == {"__init__.py", "env.py", "form_1.py", "form_2.py"}
