"""What the ledgers show about one site of one run: what was reserved for it, and what was committed.

A run reserves under the key `run/site`, which its commits repeat; a ledger may hold other runs
of the same people, which count in the balance and nowhere else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reticent.dp import Event, flatten
from reticent.report.facts import Budget, GrantFact
from reticent.report.folder import RunFolder
from reticent.study.plan import SitePlan

if TYPE_CHECKING:
    from reticent.ledger import Entry, Ledger

__all__ = ["Charges", "budget_of"]


@dataclass(frozen=True, slots=True)
class Charges:
    """The reservations and commits of one site in one run."""

    reserved: tuple[Entry, ...]
    commits: tuple[Entry, ...]

    @classmethod
    def of(cls, folder: RunFolder, site: SitePlan, ledgers: Sequence[Ledger]) -> Charges:
        """Look the site up in every ledger."""
        entries = [entry for ledger in ledgers for entry in ledger.entries(site.population)]
        name = f"{folder.run.run}/{site.name}"
        return cls(
            reserved=tuple(e for e in entries if e.kind == "reserve" and e.key == name),
            commits=tuple(e for e in entries if e.kind == "commit" and e.key == name),
        )

    @property
    def found(self) -> bool:
        """Whether any ledger knows this run at this site."""
        return bool(self.reserved)

    def committed_events(self) -> tuple[Event, ...]:
        """Return the events of all commits."""
        return tuple(event for entry in self.commits for event in entry.events)

    def times(self, event: Event) -> int:
        """Return how many commits are for exactly `event`, one execution of it each."""
        wanted = flatten([event])
        return sum(flatten(entry.events) == wanted for entry in self.commits)

    def overdrawn(self) -> Counter[Event]:
        """Return what was committed beyond the reservation; empty where all is well."""
        left = flatten(self.committed_events())
        left.subtract(flatten(event for entry in self.reserved for event in entry.events))
        return +left


def budget_of(population: str, ledgers: Sequence[Ledger]) -> Budget | None:
    """Return the budget of `population` from the ledger that holds its grant; None where no ledger does."""
    for ledger in ledgers:
        grants = [entry for entry in ledger.entries(population) if entry.kind == "grant"]
        if grants:
            balance = ledger.balance(population)
            return Budget(
                population=population,
                granted_epsilon=balance.granted_epsilon,
                granted_delta=balance.granted_delta,
                spent_epsilon=balance.spent_epsilon,
                spent_delta=balance.spent_delta,
                reserved_epsilon=balance.reserved_epsilon,
                reserved_delta=balance.reserved_delta,
                left_epsilon=balance.left_epsilon,
                left_delta=balance.left_delta,
                filter=balance.filter,
                grants=tuple(
                    GrantFact(time=g.time, epsilon=g.epsilon, delta=g.delta, reason=g.reason, signer=g.signer)
                    for g in grants
                ),
            )
    return None
