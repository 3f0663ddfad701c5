"""How each error code of the ledger is raised."""

from __future__ import annotations

import contextlib
import pathlib
import sqlite3
import unittest.mock
from collections.abc import Callable
from typing import Any

from reticent import dp
from reticent.cli.app import app
from reticent.identity import Roster, SigningKey
from reticent.ledger import Charge, Head, Ledger, verify_export

_DRAW = dp.Gaussian(10.0)


def _book(folder: pathlib.Path, **granted: Any) -> Ledger:
    book = Ledger(f"sqlite:///{folder}/budget.db", wait=0.05)
    fields = {"epsilon": 2.0, "delta": 1e-4, "unit": "record", "relation": "add_or_remove_one", "reason": "trial"}
    fields |= {"signer": "t"}
    book.grant("ward-7", **{**fields, **granted})
    return book


def _reserve(book: Ledger, *events: dp.Event, key: str = "run", **changes: Any) -> Charge:
    fields = {"unit": "record", "relation": "add_or_remove_one", "population": "ward-7", "dataset": "1", **changes}
    release = dp.Release(events=events or (dp.Repeated(_DRAW, 2),), **fields)
    return book.reserve(release, delta=1e-5, purpose="sepsis", plan_hash="ab12", key=key)


def _committed(folder: pathlib.Path) -> Charge:
    charge = _reserve(_book(folder))
    charge.commit("round 1", [_DRAW])
    return charge


def _voided(folder: pathlib.Path) -> Charge:
    charge = _reserve(_book(folder))
    charge.void("not needed")
    return charge


def _sql(folder: pathlib.Path, *statements: str, name: str = "budget.db") -> None:
    with contextlib.closing(sqlite3.connect(folder / name)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def _busy(folder: pathlib.Path) -> object:
    book = _book(folder)
    with contextlib.closing(sqlite3.connect(folder / "budget.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        return _reserve(book)


def _damaged(folder: pathlib.Path) -> object:
    (folder / "budget.db").write_bytes(b"not a database, but long enough to look at" * 100)
    return Ledger(f"sqlite:///{folder}/budget.db").balance("ward-7")


def _full(folder: pathlib.Path) -> object:
    book = _book(folder, epsilon=1000, delta=0.1)
    connect = book._journal._connect

    def small() -> sqlite3.Connection:
        connection = connect()
        connection.execute("PRAGMA max_page_count = 1")
        return connection

    book._journal._engine.pool._creator = small
    return [_reserve(book, _DRAW, key=f"run {number} {'x' * 400}") for number in range(50)]


def _broken_rule(folder: pathlib.Path) -> object:
    book = _book(folder)
    _sql(folder, "create trigger another before insert on reticent_entries begin select raise(abort, 'no'); end")
    return _reserve(book)


def _vanished(folder: pathlib.Path) -> object:
    book = _book(folder)
    (folder / "budget.db").unlink()
    return _reserve(book)


def _newer(folder: pathlib.Path) -> object:
    book = _book(folder)
    _sql(folder, "update reticent_ledger set version = 99")
    return book.balance("ward-7")


def _foreign(folder: pathlib.Path) -> object:
    _sql(folder, "create table patients (name text)")
    return _book(folder)


def _exported(folder: pathlib.Path) -> pathlib.Path:
    _book(folder).export(folder / "budget.jsonl")
    return folder / "budget.jsonl"


def _rolled_back(folder: pathlib.Path) -> object:
    book = _book(folder)
    older = (folder / "budget.db").read_bytes()
    head = _committed_book(folder).head()
    (folder / "budget.db").write_bytes(older)
    return Ledger(f"sqlite:///{folder}/budget.db").verify(head=head), book


def _without_driver(folder: pathlib.Path) -> object:
    with unittest.mock.patch("importlib.util.find_spec", return_value=None):
        return Ledger("postgresql://ada:geheim@host/budget")


def _cli(*words: object) -> object:
    with unittest.mock.patch("sys.argv", ["reticent", *map(str, words)]):
        return app(standalone_mode=False)


def _unsigned(folder: pathlib.Path) -> object:
    return _book(folder).verify(roster=Roster({"t": SigningKey.generate().public}))


def _other_units(folder: pathlib.Path) -> object:
    book = _book(folder)
    claim = {"unit": "person", "relation": "add_or_remove_one", "reason": "trial", "signer": "t"}
    book.grant("ward-8", epsilon=1, delta=0, **claim)
    return book.total(["ward-7", "ward-8"])


CASES: dict[str, Callable[[pathlib.Path], object]] = {
    "already-committed": lambda folder: _committed(folder).commit("round 1", [_DRAW]),
    "budget-exhausted": lambda folder: _reserve(_book(folder, epsilon=0.01)),
    "cannot-void": lambda folder: _committed(folder).void("stopped early"),
    "empty-release": lambda folder: _reserve(_book(folder), dp.Repeated(_DRAW, 0)),
    "export-unreadable": lambda folder: verify_export(folder / "none.jsonl"),
    "export-unwritable": lambda folder: _book(folder).export(folder / "no" / "such" / "folder.jsonl"),
    "filter-mismatch": lambda folder: (_book(folder), _book(folder, filter="renyi")),
    "grant-not-signed": _unsigned,
    "head-unreadable": lambda folder: _cli("ledger", "verify", "--head", folder / "none.json"),
    "invalid-budget": lambda folder: _book(folder, epsilon=float("nan")),
    "invalid-filter": lambda folder: _book(folder, filter="moments"),
    "invalid-ledger-head": lambda folder: Head.parse("no head"),
    "invalid-ledger-text": lambda folder: _book(folder, reason=""),
    "invalid-ledger-url": lambda folder: Ledger("mysql://user:secret@host/budget"),
    "invalid-population": lambda folder: _reserve(_book(folder), population="ward 7; drop"),
    "ledger-busy": _busy,
    "ledger-damaged": _damaged,
    "ledger-disk": _full,
    "ledger-driver-missing": _without_driver,
    "ledger-invariant": _broken_rule,
    "ledger-not-empty": lambda folder: _book(folder).restore(_exported(folder)),
    "ledger-rolled-back": _rolled_back,
    "ledger-unreachable": lambda folder: _book(folder / "no" / "such" / "folder"),
    "ledger-vanished": _vanished,
    "ledger-version": _newer,
    "no-common-unit": _other_units,
    "no-grant": lambda folder: _reserve(Ledger(f"sqlite:///{folder}/budget.db")),
    "not-a-ledger": _foreign,
    "not-an-export": lambda folder: verify_export(__file__),
    "nothing-to-export": lambda folder: Ledger(f"sqlite:///{folder}/budget.db").export(folder / "x"),
    "relation-mismatch": lambda folder: _reserve(_book(folder), relation="replace_one"),
    "reservation-key-reused": lambda folder: _reserve(_committed_book(folder), dp.Repeated(_DRAW, 3)),
    "reservation-spent": lambda folder: _committed(folder).commit("round 2", [dp.Repeated(_DRAW, 2)]),
    "reservation-void": lambda folder: _voided(folder).commit("round 1", [_DRAW]),
    "signer-missing": lambda folder: _book(folder, signer="YOUR NAME"),
    "too-few-populations": lambda folder: _book(folder).declare_disjoint(["ward-7"], reason="x", signer="t"),
    "unbounded-release": lambda folder: _reserve(_book(folder), dp.Gaussian(0.0)),
    "unit-mismatch": lambda folder: _reserve(_book(folder), unit="person"),
    "unknown-population": lambda folder: _book(folder).balance("ward-8"),
}


def _committed_book(folder: pathlib.Path) -> Ledger:
    _committed(folder)
    return Ledger(f"sqlite:///{folder}/budget.db")
