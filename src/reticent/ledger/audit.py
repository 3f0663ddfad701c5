"""Adding up a ledger from its first entry, to find rows that contradict each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from reticent.dp import Event, flatten
from reticent.ledger.amounts import NOTHING
from reticent.ledger.entries import Entry, History, Standing
from reticent.ledger.faults import contradiction

__all__ = ["audit"]


def audit(rows: Iterable[tuple[Entry, Standing]]) -> int:
    """Replay all entries in order and compare with the totals stored beside them.

    Args:
      rows: Every entry of the ledger with its stored standing, in order.

    Returns:
      How many entries there are.

    Raises:
      EnvironmentFault: At the first entry that does not follow from those before it.
    """
    standings: dict[str, Standing] = {}
    histories: dict[str, History] = {}
    seen = 0
    for entry, stored in rows:
        seen += 1
        if entry.seq != seen:
            raise contradiction(seen, "is missing")
        before = standings.get(entry.population) or _first(entry, stored)
        after = before.after(entry.kind, entry.amount, entry.curve)
        problem = _problem(entry, before, standings, histories)
        if problem is None and (after.written_with(entry.amount) != stored or not _fits(entry, after)):
            problem = "does not add up"
        if problem is not None:
            raise contradiction(seen, problem)
        if entry.kind != "disjoint":
            standings[entry.population] = after
    return seen


def _first(entry: Entry, stored: Standing) -> Standing:
    """Return where a population stands before its first entry; only a grant chooses the order to favour."""
    favoured = stored.favoured if entry.kind == "grant" and entry.filter == "renyi" else 0
    return Standing(
        population=entry.population,
        unit=entry.unit,
        relation=entry.relation,
        filter=entry.filter,
        favoured=favoured,
    )


def _fits(entry: Entry, after: Standing) -> bool:
    # Only a reservation can exceed the grant; converting a Renyi curve after each round would take hours.
    return entry.kind != "reserve" or after.within_the_grant()


def _problem(
    entry: Entry, before: Standing, standings: dict[str, Standing], histories: dict[str, History]
) -> str | None:
    if entry.filter != before.filter:
        return "adds up by another filter than the entries before it"
    if bool(entry.curve) != (entry.filter == "renyi" and entry.kind != "grant" and entry.amount != NOTHING):
        return "has a curve where none belongs, or none where one does"
    if bool(entry.members) != (entry.kind == "disjoint") or bool(entry.population) != (entry.kind != "disjoint"):
        return "names other populations than its kind does"
    if entry.kind == "disjoint":
        return _vouch(entry, standings)
    if entry.kind == "reserve":
        known = entry.key in histories
        histories[entry.key] = History(entry, Counter(), voided=False)
        return "reserves under a key used before" if known else None
    return None if entry.kind == "grant" else _follow(entry, histories)


def _vouch(entry: Entry, standings: dict[str, Standing]) -> str | None:
    known = [standings[name] for name in entry.members if name in standings]
    alike = all((entry.unit, entry.relation) == (standing.unit, standing.relation) for standing in known)
    enough = 2 <= len(known) == len(entry.members)
    return None if alike and enough else "is about populations that have no such grants"


def _follow(entry: Entry, histories: dict[str, History]) -> str | None:
    history = histories.get(entry.key)
    if history is None or history.reserve.population != entry.population:
        return "belongs to no reservation"
    if history.voided:
        return "follows a void"
    if entry.amount != NOTHING and entry.curve != history.reserve.curve:
        return "has another curve than its reservation"
    drawn: Counter[Event] = flatten(entry.events)
    first = not history.committed
    if entry.kind == "void":
        histories[entry.key] = replace(history, voided=True)
        return None if first and entry.amount == history.reserve.amount else "gives back what was spent"
    if not drawn or not drawn <= history.remaining():
        return "commits more than was reserved"
    history.committed.update(drawn)
    return None if entry.amount == (history.reserve.amount if first else NOTHING) else "has a wrong amount"
