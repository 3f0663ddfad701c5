"""One row of a ledger, as a database or an export holds it: texts and whole numbers by the names of the columns.

Whatever is read may be damaged or made up: types, names and the row's own hash are checked before anything is believed.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

from reticent.dp import Event, Relation, Unit, events
from reticent.errors import ReticentError
from reticent.ledger.amounts import Amount
from reticent.ledger.chain import genesis, link
from reticent.ledger.entries import Entry, Kind, Standing
from reticent.ledger.faults import contradiction, damaged
from reticent.ledger.filters import FILTERS, curve_text, parse_curve

__all__ = ["NUMBERS", "TEXTS", "Row", "chained", "events_of", "read_row", "sealed", "types_checked"]

_COPIED = (
    *("seq", "kind", "time", "population", "unit", "relation", "filter", "key", "commit_key"),
    *("dataset", "purpose", "plan_hash", "reason", "signer", "hash", "signature"),
)
_TOTALS = ("granted", "reserved", "spent")

NUMBERS = (
    *("seq", "favoured", "nano_epsilon", "atto_delta"),
    *(f"{total}_{step}" for total in _TOTALS for step in ("nano_epsilon", "atto_delta")),
)
TEXTS = (*_COPIED[1:], "events", "members", "curve", "held_curve", "spent_curve", "previous")

_LARGEST_NUMBER = 2**63 - 1
_ONE_OF: dict[str, tuple[str, ...]] = {
    "kind": get_args(Kind),
    "unit": get_args(Unit),
    "relation": get_args(Relation),
    "filter": FILTERS,
}


@dataclass(frozen=True, slots=True)
class Row:
    """An entry, where its population stands after it, and the hash of the row before it."""

    entry: Entry
    standing: Standing
    previous: str


def sealed(entry: Entry, after: Standing, previous: str) -> tuple[Entry, dict[str, str | int]]:
    """Return the entry with its hash, and the row to store."""
    values: dict[str, Any] = {name: getattr(entry, name) for name in _COPIED}
    values |= {"events": _events_text(entry.events), "members": _members_text(entry.members)}
    values |= {"curve": curve_text(entry.curve), "favoured": after.favoured, "previous": previous}
    values |= {"nano_epsilon": entry.amount.nano_epsilon, "atto_delta": entry.amount.atto_delta}
    stored = after.written_with(entry.amount)
    values |= {name: curve_text(getattr(stored, name)) for name in ("held_curve", "spent_curve")}
    for name in _TOTALS:
        total: Amount = getattr(stored, name)
        values |= {f"{name}_nano_epsilon": total.nano_epsilon, f"{name}_atto_delta": total.atto_delta}
    values["hash"] = link(values)
    return replace(entry, hash=values["hash"]), values


def types_checked(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `values` if each has the type of its column.

    Raises:
      EnvironmentFault: If not: SQLite stores any type in any column, so a damaged row can hold anything.
    """
    for name, value in values.items():
        wanted = int if name in NUMBERS else str if name in TEXTS else None
        if wanted is not None and type(value) is not wanted:
            raise damaged(f"a row of the ledger holds {type(value).__name__} as {name}")
        if wanted is int and not 0 <= value <= _LARGEST_NUMBER:
            raise damaged(f"a row of the ledger holds a number out of range as {name}")
    return values


def read_row(values: Mapping[str, Any]) -> Row:
    """Return what a stored row says.

    Args:
      values: Every column.

    Raises:
      EnvironmentFault: If the row is damaged: a wrong type, an unknown name, or a hash that is not its own.
    """
    types_checked(values)
    seq = values["seq"]
    if link(values) != values["hash"]:
        raise contradiction(seq, "does not have the hash of its content")
    for name, known in _ONE_OF.items():
        if values[name] not in known:
            raise contradiction(seq, f"has the unknown {name} {values[name][:40]!r}")
    try:
        curves = {name: parse_curve(values[name]) for name in ("curve", "held_curve", "spent_curve")}
        members = _members(values["members"])
    except ValueError:
        raise contradiction(seq, "holds a curve or names of populations that cannot be read") from None
    entry = Entry(
        amount=Amount(values["nano_epsilon"], values["atto_delta"]),
        events=events_of(values["events"]),
        members=members,
        curve=curves["curve"],
        **{name: values[name] for name in _COPIED},
    )
    standing = Standing(
        **{name: values[name] for name in ("population", "unit", "relation", "filter", "favoured")},
        granted=_total(values, "granted"),
        reserved=_total(values, "reserved"),
        spent=_total(values, "spent"),
        held_curve=curves["held_curve"],
        spent_curve=curves["spent_curve"],
    )
    return Row(entry, standing, values["previous"])


def _total(values: Mapping[str, Any], name: str) -> Amount:
    return Amount(values[f"{name}_nano_epsilon"], values[f"{name}_atto_delta"])


def chained(rows: Iterable[Row], ledger: str) -> Iterator[Row]:
    """Yield rows as long as each follows the one before it.

    Args:
      rows: All rows of a ledger in order.
      ledger: Its identity.

    Raises:
      EnvironmentFault: At the first row that is missing, or follows another hash.
    """
    previous = genesis(ledger)
    for seq, row in enumerate(rows, start=1):
        if row.entry.seq != seq:
            raise contradiction(seq, "is missing")
        if row.previous != previous:
            raise contradiction(seq, "does not follow the one before it")
        previous = row.entry.hash
        yield row


@functools.lru_cache(maxsize=1024)
def events_of(text: str) -> tuple[Event, ...]:
    """Return the events of a row.

    Raises:
      EnvironmentFault: If the text does not describe events.
    """
    try:
        return tuple(events.from_json(json.dumps(plain)) for plain in json.loads(text))
    except (ValueError, TypeError, OverflowError, RecursionError, ReticentError) as error:
        raise damaged(
            f"the ledger holds a description of events that cannot be read ({type(error).__name__})"
        ) from error


def _events_text(described: Iterable[Event]) -> str:
    return "[" + ",".join(events.to_json(event) for event in described) + "]"


def _members_text(names: tuple[str, ...]) -> str:
    return json.dumps(names, separators=(",", ":")) if names else ""


def _members(text: str) -> tuple[str, ...]:
    names = json.loads(text) if text else []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(text[:40])
    if _members_text(tuple(names)) != text:
        raise ValueError(text[:40])
    return tuple(names)
