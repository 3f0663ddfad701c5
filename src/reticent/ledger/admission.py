"""Whether a plan fits: the check that precedes every reservation, within its transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reticent.dp import Relation, Release, Unit
from reticent.errors import PolicyRefused, UsageError
from reticent.ledger.amounts import DELTA_STEPS, EPSILON_STEPS, LARGEST_EPSILON, Amount, charged
from reticent.ledger.entries import Entry, Standing
from reticent.ledger.filters import Filter
from reticent.ledger.pricing import Price
from reticent.ledger.wording import budget_exhausted, grant_command

__all__ = ["Asked", "check_claim", "check_filter_kept", "check_fits", "check_total"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What `reserve` was asked for, to be stored, or compared with what is stored under the same key."""

    release: Release
    delta: float
    purpose: str
    plan_hash: str
    key: str

    def described(self) -> dict[str, Any]:
        """Return what the ledger stores of it, by the names of `Entry`."""
        return {
            "dataset": self.release.dataset,
            "purpose": self.purpose,
            "plan_hash": self.plan_hash,
            "events": tuple(self.release.events),
        }

    def equals(self, entry: Entry) -> bool:
        """Return whether `entry` reserved the same."""
        # Not epsilon: a later version of the accountant may find a tighter one, the old one stays charged.
        described = self.described() | {
            name: getattr(self.release, name) for name in ("population", "unit", "relation")
        }
        same_delta = charged(epsilon=0.0, delta=self.delta).atto_delta == entry.amount.atto_delta
        return same_delta and all(getattr(entry, name) == value for name, value in described.items())

    def command(self, url: str, amount: Amount) -> str:
        """Return the command that would allow it."""
        return grant_command(
            url=url,
            population=self.release.population,
            amount=amount.at_least_one_step(),
            unit=self.release.unit,
            relation=self.release.relation,
            purpose=self.purpose,
        )


def check_claim(standing: Standing, *, unit: Unit, relation: Relation) -> None:
    """Refuse another unit or relation than the budget's.

    Raises:
      PolicyRefused: With code `unit-mismatch` or `relation-mismatch`.
    """
    if unit != standing.unit:
        raise PolicyRefused(
            "unit-mismatch",
            f"population {standing.population!r} has a budget for unit {standing.unit!r}, not {unit!r}",
            hint="plan for the unit of the budget: epsilons of different units cannot be added",
        )
    if relation != standing.relation:
        raise PolicyRefused(
            "relation-mismatch",
            f"population {standing.population!r} has a budget for relation {standing.relation!r}, not {relation!r}",
            hint="plan for the relation of the budget: epsilons of different relations cannot be added",
        )


def check_filter_kept(standing: Standing, filter_: Filter | None) -> None:
    """Refuse a grant under another filter than the first one's.

    Raises:
      PolicyRefused: With code `filter-mismatch`.
    """
    if filter_ is not None and filter_ != standing.filter:
        raise PolicyRefused(
            "filter-mismatch",
            f"population {standing.population!r} has a budget under the filter {standing.filter!r}, not {filter_!r}",
            hint=f"grant under {standing.filter!r}: what was charged under one filter has no meaning under another",
        )


def check_total(standing: Standing, amount: Amount) -> None:
    """Refuse grants that together promise nothing.

    Raises:
      UsageError: With code `invalid-budget`.
    """
    total = standing.granted + amount
    if not Amount(LARGEST_EPSILON * EPSILON_STEPS, DELTA_STEPS - 1).covers(total):
        raise UsageError(
            "invalid-budget",
            f"all grants of population {standing.population!r} together would be epsilon {total.epsilon_text()} and "
            f"delta {total.delta_text()}",
            hint=f"grant less: at most epsilon {LARGEST_EPSILON:g} and delta below 1 in all; more promises nothing",
        )


def check_fits(standing: Standing, asked: Asked, price: Price, *, url: str) -> None:
    """Refuse a plan that what is left does not cover.

    Raises:
      PolicyRefused: With code `budget-exhausted`, `unit-mismatch`, `relation-mismatch` or `unbounded-release`.
    """
    check_claim(standing, unit=asked.release.unit, relation=asked.release.relation)
    after = standing.after("reserve", price.amount, price.curve)
    left = after.left
    if left is None:
        raise PolicyRefused(
            "unbounded-release",
            f"the events planned for population {standing.population!r} have no Renyi bound at any order in use",
            hint="this population is under the Renyi filter: plan with mechanisms that have a Renyi bound, and noise",
        )
    if after.within_the_grant():
        return
    missing = Amount(-min(left.nano_epsilon, 0), -min(left.atto_delta, 0))
    before = standing.left
    cost = price.amount
    if standing.filter == "renyi" and before is not None:
        cost = Amount((before - left).nano_epsilon, 0)
    raise budget_exhausted(standing, cost=cost, command=asked.command(url, missing))
