"""What a ledger says: entries, where a population stands after each, and its balance."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

from reticent.dp import Event, Relation, Unit, flatten
from reticent.ledger.amounts import NOTHING, Amount

__all__ = ["Balance", "Entry", "History", "Kind", "Standing"]

Kind = Literal["grant", "reserve", "commit", "void"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of the ledger, written once and never changed.

    Attributes:
      seq: Position, 1 for the first; without gaps.
      kind: grant (a person allows), reserve (a plan holds), commit (noise may be drawn), void (a hold is given back).
      time: When, UTC, ISO 8601; by the clock of the machine that wrote it.
      population: The people whose budget it is.
      unit: Whose presence is hidden.
      relation: The neighbouring relation.
      key: Name of the reservation; empty for a grant.
      commit_key: Name of the commit within its reservation; empty otherwise.
      dataset: Version of the data; for reservations and commits.
      purpose: What for; for reservations and commits.
      plan_hash: Hash of the plan; for reservations and commits.
      amount: What it moves: granted, held, turned from held to spent (by the first commit only), given back.
      events: The mechanisms reserved or committed, so that they can be accounted anew.
      reason: Why; for grants and voids.
      signer: Who allows; for grants.
    """

    seq: int
    kind: Kind
    time: str
    population: str
    unit: Unit
    relation: Relation
    amount: Amount
    key: str = ""
    commit_key: str = ""
    dataset: str = ""
    purpose: str = ""
    plan_hash: str = ""
    events: tuple[Event, ...] = ()
    reason: str = ""
    signer: str = ""

    @property
    def epsilon(self) -> float:
        """Epsilon of `amount`."""
        return self.amount.epsilon

    @property
    def delta(self) -> float:
        """Delta of `amount`."""
        return self.amount.delta


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a population stands after one entry; every row of the ledger carries it, like a bank statement."""

    population: str
    unit: Unit
    relation: Relation
    granted: Amount = NOTHING
    reserved: Amount = NOTHING
    spent: Amount = NOTHING

    @property
    def left(self) -> Amount:
        """What a new plan may reserve."""
        return self.granted - self.reserved - self.spent

    def after(self, kind: Kind, amount: Amount) -> Standing:
        """Return the standing once an entry of this kind moved `amount`."""
        match kind:
            case "grant":
                return replace(self, granted=self.granted + amount)
            case "reserve":
                return replace(self, reserved=self.reserved + amount)
            case "commit":
                return replace(self, reserved=self.reserved - amount, spent=self.spent + amount)
            case "void":
                return replace(self, reserved=self.reserved - amount)


@dataclass(frozen=True, slots=True)
class History:
    """All that happened to one reservation."""

    reserve: Entry
    committed: Counter[Event]
    voided: bool

    def remaining(self) -> Counter[Event]:
        """Return the reserved events that no commit has used."""
        return flatten(self.reserve.events) - self.committed


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """The budget of one population.

    `spent` is the whole (epsilon, delta) of every reservation with at least one commit, `reserved` that of the
    reservations with none, and `left` what a new plan may still reserve.
    """

    population: str
    unit: Unit
    relation: Relation
    granted_epsilon: float
    granted_delta: float
    spent_epsilon: float
    spent_delta: float
    reserved_epsilon: float
    reserved_delta: float
    left_epsilon: float
    left_delta: float

    @classmethod
    def of(cls, standing: Standing) -> Balance:
        """Return a standing in floats, for reading."""
        return cls(
            population=standing.population,
            unit=standing.unit,
            relation=standing.relation,
            granted_epsilon=standing.granted.epsilon,
            granted_delta=standing.granted.delta,
            spent_epsilon=standing.spent.epsilon,
            spent_delta=standing.spent.delta,
            reserved_epsilon=standing.reserved.epsilon,
            reserved_delta=standing.reserved.delta,
            left_epsilon=standing.left.epsilon,
            left_delta=standing.left.delta,
        )
