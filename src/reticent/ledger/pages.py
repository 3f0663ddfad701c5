"""Reading and appending rows, inside a transaction that `Journal` has opened."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NoReturn, get_args

from sqlalchemy import Connection, Row, func, insert, select

from reticent.dp import Event, events, flatten
from reticent.errors import EnvironmentFault, ReticentError
from reticent.ledger.amounts import Amount
from reticent.ledger.entries import Entry, History, Kind, Standing
from reticent.ledger.tables import entries

__all__ = ["Pages"]

_SUM = "sum"
"""The filter: every plan's (epsilon, delta) is added up."""

_COPIED = (
    *("seq", "kind", "time", "population", "unit", "relation", "key", "commit_key"),
    *("dataset", "purpose", "plan_hash", "reason", "signer"),
)


class Pages:
    """The rows of a ledger as one transaction sees them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def standing(self, population: str) -> Standing | None:
        """Return where a population stands, from its last row; None if nothing was ever granted to it."""
        last = select(entries).where(entries.c.population == population).order_by(entries.c.seq.desc()).limit(1)
        row = self._connection.execute(last).one_or_none()
        return None if row is None else _standing(row)

    def populations(self) -> tuple[str, ...]:
        """Return the names of all populations, sorted."""
        names = select(entries.c.population).distinct().order_by(entries.c.population)
        return tuple(_checked(row).population for row in self._connection.execute(names))

    def history(self, key: str) -> History | None:
        """Return what happened to the reservation `key`; None if there is none."""
        reserve = self._connection.execute(
            select(entries).where(entries.c.key == key, entries.c.kind == "reserve")
        ).one_or_none()
        if reserve is None:
            return None
        # Rounds repeat the same events: grouping them keeps the cost of a commit flat over a long run.
        later = self._connection.execute(
            select(entries.c.kind, entries.c.events, func.count().label("times"))
            .where(entries.c.key == key, entries.c.kind != "reserve")
            .group_by(entries.c.kind, entries.c.events)
        ).all()
        committed: Counter[Event] = Counter()
        for row in later:
            _checked(row)
            if row.kind == "commit":
                committed.update({event: n * row.times for event, n in flatten(_events(row.events)).items()})
        return History(_entry(reserve), committed, voided=any(row.kind == "void" for row in later))

    def was_committed(self, key: str, commit_key: str) -> bool:
        """Return whether the reservation `key` has a commit of this name."""
        same = select(entries.c.seq).where(
            entries.c.key == key, entries.c.kind == "commit", entries.c.commit_key == commit_key
        )
        return self._connection.execute(same).first() is not None

    def rows(self, population: str | None = None) -> Iterator[tuple[Entry, Standing]]:
        """Yield all entries, or those of one population, in order, each with the totals stored beside it."""
        query = select(entries).order_by(entries.c.seq)
        if population is not None:
            query = query.where(entries.c.population == population)
        for row in self._connection.execute(query):
            yield _entry(row), _standing(row)

    def append(self, kind: Kind, before: Standing, amount: Amount, **fields: Any) -> Entry:
        """Append one entry that moves `amount`; `fields` are the other attributes of `Entry`."""
        last: int = self._connection.execute(select(func.coalesce(func.max(entries.c.seq), 0))).scalar_one()
        entry = Entry(
            seq=last + 1,
            kind=kind,
            time=datetime.now(UTC).isoformat(timespec="microseconds"),
            population=before.population,
            unit=before.unit,
            relation=before.relation,
            amount=amount,
            **fields,
        )
        self._connection.execute(insert(entries).values(_values(entry, before.after(kind, amount))))
        return entry


def _values(entry: Entry, after: Standing) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(entry, name) for name in _COPIED}
    values |= {"filter": _SUM, "events": _text(entry.events)}
    values |= {"nano_epsilon": entry.amount.nano_epsilon, "atto_delta": entry.amount.atto_delta}
    for name in ("granted", "reserved", "spent"):
        total: Amount = getattr(after, name)
        values |= {f"{name}_nano_epsilon": total.nano_epsilon, f"{name}_atto_delta": total.atto_delta}
    return values


def _checked(row: Row[Any]) -> Row[Any]:
    # SQLite stores any type in any column, so a damaged row can hold anything.
    for name, value in row._mapping.items():
        if name in entries.c and not isinstance(value, entries.c[name].type.python_type):
            _damaged(f"a row of the ledger holds {type(value).__name__} as {name}")
    return row


def _entry(row: Row[Any]) -> Entry:
    _checked(row)
    fields = {name: getattr(row, name) for name in _COPIED}
    if row.kind not in get_args(Kind):
        _damaged(f"row {row.seq} of the ledger is of the unknown kind {row.kind!r}")
    return Entry(amount=Amount(row.nano_epsilon, row.atto_delta), events=_events(row.events), **fields)


def _standing(row: Row[Any]) -> Standing:
    _checked(row)
    if row.filter != _SUM:
        _damaged(f"row {row.seq} of the ledger names the unknown filter {row.filter!r}")
    return Standing(
        population=row.population,
        unit=row.unit,
        relation=row.relation,
        granted=Amount(row.granted_nano_epsilon, row.granted_atto_delta),
        reserved=Amount(row.reserved_nano_epsilon, row.reserved_atto_delta),
        spent=Amount(row.spent_nano_epsilon, row.spent_atto_delta),
    )


def _text(described: Iterable[Event]) -> str:
    return "[" + ",".join(events.to_json(event) for event in described) + "]"


@functools.lru_cache(maxsize=1024)
def _events(text: str) -> tuple[Event, ...]:
    try:
        return tuple(events.from_json(json.dumps(plain)) for plain in json.loads(text))
    except (ValueError, TypeError, ReticentError) as error:
        _damaged(f"the ledger holds a description of events that cannot be read ({type(error).__name__})")


def _damaged(message: str) -> NoReturn:
    raise EnvironmentFault(
        "ledger-damaged", message, hint="restore the file from a backup that is not older than the last release"
    )
