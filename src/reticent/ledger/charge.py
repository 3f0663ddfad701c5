"""A charge: the hold that one plan has on a budget, and the commits that turn it into permission to draw noise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from reticent.dp import Event, Grant, flatten
from reticent.errors import PolicyRefused, UsageError
from reticent.ledger.amounts import NOTHING, Amount
from reticent.ledger.chain import Head
from reticent.ledger.entries import Entry, History, Kind
from reticent.ledger.wording import check_text

if TYPE_CHECKING:
    from reticent.ledger.journal import Journal
    from reticent.ledger.pages import Pages

__all__ = ["Charge", "void_charge"]


class Charge:
    """One reservation: all executions of one plan on one population, fixed before the first is drawn.

    The epsilon is that of the whole plan. The first commit turns all of it from reserved to spent, later ones cost
    nothing more, and none of it comes back when the plan stops early: the bound was computed for the plan as a whole.
    """

    def __init__(self, journal: Journal, entry: Entry, *, head: Head | None = None) -> None:
        self._journal = journal
        self._head = head
        self.entry = entry

    @property
    def head(self) -> Head | None:
        """The ledger's head after the last entry that this object wrote; None if it wrote none.

        A run keeps it: `Ledger.verify(head=...)` then notices a ledger that was rolled back since.
        """
        return self._head

    @property
    def key(self) -> str:
        """The name under which the plan was reserved."""
        return self.entry.key

    @property
    def epsilon(self) -> float:
        """Epsilon of the whole plan."""
        return self.entry.epsilon

    @property
    def delta(self) -> float:
        """Delta of the whole plan."""
        return self.entry.delta

    def committed(self) -> Counter[Event]:
        """Return how often each single event was committed."""
        return self._look().committed

    def remaining(self) -> Counter[Event]:
        """Return how often each single event may still be committed; nothing once the charge is void."""
        history = self._look()
        return Counter() if history.voided else history.remaining()

    def voided(self) -> bool:
        """Return whether the reservation was given back."""
        return self._look().voided

    def commit(self, key: str, events: Iterable[Event]) -> Grant:
        """Spend `events` of the reservation and return the grant that lets their noise be drawn.

        Durable before it returns. Never idempotent: after a crash nobody knows what was drawn under a key, so the
        next attempt takes another key and other executions of the plan.

        Args:
          key: Name of this commit within the charge, such as "round 7, attempt 1".
          events: What will be drawn under the grant.

        Raises:
          PolicyRefused: If the key was committed before, the charge is void, or what is left does not cover `events`.
          UsageError: If there is no event, or the key is no printable text.
        """
        check_text("commit key", key)
        wanted = tuple(events)
        if not flatten(wanted):
            raise UsageError(
                "empty-release",
                f"commit {key!r} of {self.key!r} holds no event",
                hint="commit the events that will be drawn; what draws nothing needs no commit",
            )
        with self._journal.writing() as pages:
            history = self._history(pages)
            if history.voided:
                raise void_charge(self.key)
            if pages is None or pages.was_committed(self.key, key):
                raise PolicyRefused(
                    "already-committed",
                    f"{key!r} of the reservation {self.key!r} was committed before",
                    hint="its noise may have been drawn: send the journalled reply again, or commit under a new key",
                )
            if not flatten(wanted) <= history.remaining():
                raise PolicyRefused(
                    "reservation-spent",
                    f"commit {key!r}: the reservation {self.key!r} has {_words(history.remaining())} left, which does "
                    f"not cover {_words(flatten(wanted))}",
                    hint="reserve a plan with more executions or spare executions; this one ends here",
                )
            # A plan is paid for as a whole, by its first commit.
            first = not history.committed
            amount, curve = (self.entry.amount, self.entry.curve) if first else (NOTHING, ())
            head = self._append(pages, "commit", amount, curve=curve, commit_key=key, events=wanted)
        self._head = head
        return Grant(f"{self.key} / {key}", wanted)

    def void(self, reason: str) -> None:
        """Give the reservation back; a second time changes nothing. Its key cannot be used again.

        Raises:
          PolicyRefused: If anything was committed: the noise may have been drawn, so the whole plan is spent.
        """
        check_text("reason", reason)
        head = self._head
        with self._journal.writing() as pages:
            history = self._history(pages)
            if history.committed:
                raise PolicyRefused(
                    "cannot-void",
                    f"the reservation {self.key!r} was committed in part: epsilon {self.entry.amount.epsilon_text()} "
                    f"of population {self.entry.population!r} is spent",
                    hint="run the rest of the plan, which costs nothing more: a part of a plan has no epsilon",
                )
            if pages is not None and not history.voided:
                head = self._append(pages, "void", self.entry.amount, curve=self.entry.curve, reason=reason)
        self._head = head

    def _append(self, pages: Pages, kind: Kind, amount: Amount, **fields: Any) -> Head:
        standing = pages.standing(self.entry.population)
        if standing is None:
            raise self._journal.vanished()
        if kind == "commit":
            fields |= {name: getattr(self.entry, name) for name in ("dataset", "purpose", "plan_hash")}
        entry = pages.append(kind, standing, amount, key=self.key, **fields)
        return Head(pages.ledger, entry.seq, entry.hash)

    def _history(self, pages: Pages | None) -> History:
        history = None if pages is None else pages.history(self.key)
        if history is None:
            raise self._journal.vanished()
        return history

    def _look(self) -> History:
        with self._journal.reading() as pages:
            return self._history(pages)


def void_charge(key: str) -> PolicyRefused:
    """Return the refusal of a reservation that was given back."""
    return PolicyRefused(
        "reservation-void",
        f"the reservation {key!r} was given back",
        hint="reserve the plan again, under a new key",
    )


def _words(counts: Counter[Event]) -> str:
    return " and ".join(f"{times} of {event}" for event, times in counts.items()) or "nothing"
