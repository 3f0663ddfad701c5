"""Reading and appending rows, inside a transaction that `Journal` has opened."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from reticent.dp import Event, events, flatten
from reticent.errors import EnvironmentFault, ReticentError
from reticent.ledger.amounts import Amount
from reticent.ledger.entries import Entry, History, Kind, Standing
from reticent.ledger.tables import entries

__all__ = ["Pages"]

_SUM = "sum"


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
        return tuple(self._connection.scalars(select(entries.c.population).distinct().order_by(entries.c.population)))

    def history(self, key: str) -> History | None:
        """Return what happened to the reservation `key`; None if there is none."""
        reserve = self._connection.execute(
            select(entries).where(entries.c.key == key, entries.c.kind == "reserve")
        ).one_or_none()
        if reserve is None:
            return None
        # Rounds repeat the same events: grouping them keeps the cost of a commit flat over a long run.
        later = self._connection.execute(
            select(entries.c.kind, entries.c.events, func.count())
            .where(entries.c.key == key, entries.c.kind != "reserve")
            .group_by(entries.c.kind, entries.c.events)
        ).all()
        committed: Counter[Event] = Counter()
        for kind, text, times in later:
            if kind == "commit":
                committed.update({event: n * times for event, n in flatten(_events(text)).items()})
        return History(_entry(reserve), committed, voided=any(kind == "void" for kind, _, _ in later))

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
    copied = ("seq", "kind", "time", "population", "unit", "relation", "key", "commit_key", "dataset", "purpose")
    values: dict[str, Any] = {name: getattr(entry, name) for name in (*copied, "plan_hash", "reason", "signer")}
    values |= {"filter": _SUM, "events": _text(entry.events)}
    values |= {"nano_epsilon": entry.amount.nano_epsilon, "atto_delta": entry.amount.atto_delta}
    for name in ("granted", "reserved", "spent"):
        total: Amount = getattr(after, name)
        values |= {f"{name}_nano_epsilon": total.nano_epsilon, f"{name}_atto_delta": total.atto_delta}
    return values


def _entry(row: Row[Any]) -> Entry:
    copied = ("seq", "kind", "time", "population", "unit", "relation", "key", "commit_key", "dataset", "purpose")
    fields = {name: getattr(row, name) for name in (*copied, "plan_hash", "reason", "signer")}
    return Entry(amount=Amount(row.nano_epsilon, row.atto_delta), events=_events(row.events), **fields)


def _standing(row: Row[Any]) -> Standing:
    if row.filter != _SUM:
        raise EnvironmentFault(
            "ledger-damaged",
            f"row {row.seq} of the ledger names the filter {row.filter!r}, which this version never writes",
            hint="restore the file from a backup that is not older than the last release",
        )
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
        raise EnvironmentFault(
            "ledger-damaged",
            "the ledger holds a description of events that cannot be read",
            hint="restore the file from a backup that is not older than the last release",
        ) from error
