"""What a computation cost: bytes, rounds and seconds of each operation, at each participant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Cost", "Entry", "Total", "merged"]


@dataclass(slots=True)
class Entry:
    """One operation.

    Attributes:
      name: What was computed, with its shapes.
      bytes_sent: By the participant, or by all of them in a merged cost.
      rounds: Rounds in which it took part; independent operations share them.
      seconds: Time of this operation at the participant (the slowest one in a merged cost): its own work, and an
        equal part of the waiting it shared with others.
    """

    name: str
    bytes_sent: int = 0
    rounds: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Total:
    """Sums over all operations; `rounds` counts a shared round once, `seconds` is the time on the clock."""

    bytes_sent: int
    rounds: int
    seconds: float


@dataclass(slots=True)
class Cost:
    """All operations of a session, in the order they were asked for.

    Attributes:
      entries: One for each operation.
      rounds: Rounds in which anything was sent or awaited.
      seconds: Time on the clock.
    """

    entries: list[Entry] = field(default_factory=list)
    rounds: int = 0
    seconds: float = 0.0

    def total(self) -> Total:
        """Return bytes, rounds and seconds of everything together."""
        return Total(sum(entry.bytes_sent for entry in self.entries), self.rounds, self.seconds)

    def by_operation(self) -> dict[str, Entry]:
        """Return the sums over operations of one kind, named by the first word of their names."""
        found: dict[str, Entry] = {}
        for entry in self.entries:
            kind = entry.name.split(" ", 1)[0]
            total = found.setdefault(kind, Entry(kind))
            total.bytes_sent += entry.bytes_sent
            total.rounds += entry.rounds
            total.seconds += entry.seconds
        return found

    def __str__(self) -> str:
        rows = [
            (entry.name, f"{entry.bytes_sent:,}", str(entry.rounds), f"{entry.seconds:.4f}") for entry in self.entries
        ]
        total = self.total()
        rows.append(("total", f"{total.bytes_sent:,}", str(total.rounds), f"{total.seconds:.4f}"))
        table = [("operation", "bytes", "rounds", "seconds"), *rows]
        widths = [max(len(row[column]) for row in table) for column in range(4)]
        return "\n".join(
            "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
            for row in table
        )


def merged(parties: Sequence[Cost], dealer: Cost | None = None) -> Cost:
    """Return the cost of all participants together: bytes added up, the most rounds, the longest time."""
    out = Cost(rounds=max(cost.rounds for cost in parties), seconds=max(cost.seconds for cost in parties))
    for rows in zip(*(cost.entries for cost in parties), strict=True):
        out.entries.append(
            Entry(
                rows[0].name,
                sum(row.bytes_sent for row in rows),
                max(row.rounds for row in rows),
                max(row.seconds for row in rows),
            )
        )
    if dealer is not None:
        out.entries.extend(Entry(f"dealer: {row.name}", row.bytes_sent, 0, row.seconds) for row in dealer.entries)
    return out
