"""Reading and appending rows, inside a transaction that a journal has opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Result, RowMapping, func, insert, select

from reticent.dp import Event, flatten
from reticent.identity import SigningKey
from reticent.ledger.amounts import Amount
from reticent.ledger.chain import Head, genesis
from reticent.ledger.entries import Entry, History, Kind, Standing
from reticent.ledger.rows import Row, events_of, read_row, sealed, types_checked
from reticent.ledger.signatures import sign_entry
from reticent.ledger.tables import MOVES, entries

__all__ = ["Pages"]

_BATCH = 1000


class Pages:
    """The rows of a ledger as one transaction sees them.

    Args:
      connection: Inside a transaction.
      ledger: Identity of the ledger.
    """

    def __init__(self, connection: Connection, ledger: str) -> None:
        self._connection = connection
        self._head: Head | None = None
        self._results: list[Result[Any]] = []
        self.ledger = ledger

    def close(self) -> None:
        """End all reading: a half-read result would keep SQLite's lock for as long as somebody keeps a traceback."""
        for result in self._results:
            result.close()

    def head(self) -> Head:
        """Return the position and hash of the last entry."""
        if self._head is None:
            self._head = self._read_head()
        return self._head

    def _read_head(self) -> Head:
        last = select(entries).order_by(entries.c.seq.desc()).limit(1)
        row = self._connection.execute(last).mappings().one_or_none()
        if row is None:
            return Head(self.ledger, 0, genesis(self.ledger))
        entry = read_row(_plain(row)).entry
        return Head(self.ledger, entry.seq, entry.hash)

    def hash_at(self, seq: int) -> str | None:
        """Return the hash of entry `seq`, or the one that the first entry follows; None if there is no such entry."""
        if seq == 0:
            return genesis(self.ledger)
        return self._connection.scalar(select(entries.c.hash).where(entries.c.seq == seq))

    def contains(self, head: Head) -> bool:
        """Return whether `head` was a state of this ledger."""
        return head.ledger == self.ledger and self.hash_at(head.seq) == head.hash

    def standing(self, population: str) -> Standing | None:
        """Return where a population stands, from the last row that moved something; None if nothing was granted."""
        last = select(entries).where(entries.c.population == population, MOVES).order_by(entries.c.seq.desc()).limit(1)
        row = self._connection.execute(last).mappings().one_or_none()
        return None if row is None else read_row(_plain(row)).standing

    def populations(self) -> tuple[str, ...]:
        """Return the names of all populations, sorted."""
        names = select(entries.c.population).where(MOVES).distinct().order_by(entries.c.population)
        return tuple(types_checked(_plain(row))["population"] for row in self._connection.execute(names).mappings())

    def history(self, key: str) -> History | None:
        """Return what happened to the reservation `key`; None if there is none."""
        reserve = (
            self._connection.execute(select(entries).where(entries.c.key == key, entries.c.kind == "reserve"))
            .mappings()
            .one_or_none()
        )
        if reserve is None:
            return None
        # Rounds repeat the same events: grouping them keeps the cost of a commit flat over a long run.
        later = self._connection.execute(
            select(entries.c.kind, entries.c.events, func.count().label("times"))
            .where(entries.c.key == key, entries.c.kind != "reserve")
            .group_by(entries.c.kind, entries.c.events)
        ).mappings()
        committed: Counter[Event] = Counter()
        voided = False
        for row in later:
            types_checked(_plain(row))
            voided |= row["kind"] == "void"
            if row["kind"] == "commit":
                drawn = flatten(events_of(row["events"]))
                committed.update({event: n * row["times"] for event, n in drawn.items()})
        return History(read_row(_plain(reserve)).entry, committed, voided=voided)

    def was_committed(self, key: str, commit_key: str) -> bool:
        """Return whether the reservation `key` has a commit of this name."""
        same = select(entries.c.seq).where(
            entries.c.key == key, entries.c.kind == "commit", entries.c.commit_key == commit_key
        )
        return self._connection.execute(same).first() is not None

    def stored(self, population: str | None = None, kind: Kind | None = None) -> Iterator[Mapping[str, Any]]:
        """Yield all rows as they are stored, or those of one population or kind, in order."""
        query = select(entries).order_by(entries.c.seq)
        if population is not None:
            query = query.where(entries.c.population == population)
        if kind is not None:
            query = query.where(entries.c.kind == kind)
        result = self._connection.execute(query.execution_options(yield_per=_BATCH))
        self._results.append(result)
        for row in result.mappings():
            yield _plain(row)

    def rows(self, population: str | None = None, kind: Kind | None = None) -> Iterator[Row]:
        """Yield all rows, or those of one population or kind, in order."""
        return map(read_row, self.stored(population, kind))

    def append(
        self, kind: Kind, before: Standing, amount: Amount, *, signing_key: SigningKey | None = None, **fields: Any
    ) -> Entry:
        """Append one entry that moves `amount`; `fields` are the other attributes of `Entry`."""
        head = self.head()
        entry = Entry(
            seq=head.seq + 1,
            kind=kind,
            time=datetime.now(UTC).isoformat(timespec="microseconds"),
            population=before.population,
            unit=before.unit,
            relation=before.relation,
            filter=before.filter,
            amount=amount,
            **fields,
        )
        entry, values = sealed(entry, before.after(kind, amount, entry.curve), head.hash)
        if signing_key is not None:
            entry = sign_entry(entry, signing_key)
            values["signature"] = entry.signature
        self._connection.execute(insert(entries).values(values))
        self._head = Head(self.ledger, entry.seq, entry.hash)
        return entry

    def adopt(self, rows: Iterable[Mapping[str, Any]], head: Head) -> None:
        """Take over all rows of another ledger, as they were stored there; `head` is that of the last."""
        values = [dict(row) for row in rows]
        if values:
            self._connection.execute(insert(entries), values)
        self._head = head


def _plain(row: RowMapping) -> dict[str, Any]:
    return {str(name): value for name, value in row.items()}
