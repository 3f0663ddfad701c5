"""Adding up a ledger from its first entry, to find rows that contradict each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from reticent.dp import Event, flatten
from reticent.errors import EnvironmentFault
from reticent.ledger.amounts import NOTHING
from reticent.ledger.entries import Entry, History, Standing

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
            raise _contradiction(seen, "is missing")
        empty = Standing(population=entry.population, unit=entry.unit, relation=entry.relation)
        before = standings.get(entry.population, empty)
        problem = _problem(entry, histories)
        after = before.after(entry.kind, entry.amount)
        if problem is None and (after != stored or not after.granted.covers(after.reserved + after.spent)):
            problem = "does not add up"
        if problem is not None:
            raise _contradiction(seen, problem)
        standings[entry.population] = after
    return seen


def _problem(entry: Entry, histories: dict[str, History]) -> str | None:
    match entry.kind:
        case "grant":
            return None
        case "reserve":
            if entry.key in histories:
                return "reserves under a key used before"
            histories[entry.key] = History(entry, Counter(), voided=False)
            return None
        case _:
            return _follow(entry, histories)


def _follow(entry: Entry, histories: dict[str, History]) -> str | None:
    history = histories.get(entry.key)
    if history is None or history.reserve.population != entry.population:
        return "belongs to no reservation"
    if history.voided:
        return "follows a void"
    drawn: Counter[Event] = flatten(entry.events)
    first = not history.committed
    if entry.kind == "void":
        histories[entry.key] = History(history.reserve, history.committed, voided=True)
        return None if first and entry.amount == history.reserve.amount else "gives back what was spent"
    if not drawn or not drawn <= history.remaining():
        return "commits more than was reserved"
    history.committed.update(drawn)
    return None if entry.amount == (history.reserve.amount if first else NOTHING) else "has a wrong amount"


def _contradiction(seq: int, problem: str) -> EnvironmentFault:
    return EnvironmentFault(
        "ledger-damaged",
        f"entry {seq} of the ledger {problem}",
        hint="restore the file from a backup that is not older than the last release",
    )
