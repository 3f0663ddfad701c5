"""What a ledger says: entries, where a population stands after each, and its balance."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

from reticent.dp import Event, Relation, Unit, flatten
from reticent.ledger.amounts import NOTHING, Amount
from reticent.ledger.faults import damaged
from reticent.ledger.filters import Curve, Filter, plus, spent, zcdp_left

__all__ = ["Balance", "Entry", "History", "Kind", "Standing"]

Kind = Literal["grant", "reserve", "commit", "void", "disjoint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of the ledger, written once and never changed.

    Attributes:
      seq: Position, 1 for the first; without gaps.
      kind: grant (a person allows), reserve (a plan holds), commit (noise may be drawn), void (a hold is given back),
        disjoint (a person vouches that nobody is in two of these populations).
      time: When, UTC, ISO 8601; by the clock of the machine that wrote it.
      population: The people whose budget it is; empty for kind disjoint.
      unit: Whose presence is hidden.
      relation: The neighbouring relation.
      key: Name of the reservation; empty for a grant.
      commit_key: Name of the commit within its reservation; empty otherwise.
      dataset: Version of the data; for reservations and commits.
      purpose: What for; for reservations and commits.
      plan_hash: Hash of the plan; for reservations and commits.
      amount: What it moves: granted, held, turned from held to spent (by the first commit only), given back.
      events: The mechanisms reserved or committed, so that they can be accounted anew.
      reason: Why; for grants, voids and disjoint populations.
      signer: Who allows or vouches; for grants and disjoint populations.
      filter: How the plans of this population are added up.
      curve: The Renyi curve that it moves, under the filter "renyi".
      members: The populations that are disjoint; for kind disjoint.
      hash: Of this entry and all before it.
      signature: The signer's, of the hash; empty where the name is all there is.
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
    filter: Filter = "sum"
    curve: Curve = ()
    members: tuple[str, ...] = ()
    hash: str = ""
    signature: str = ""

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
    """Where a population stands after one entry; every row of the ledger carries it, like a bank statement.

    Attributes:
      population: The people.
      unit: Whose presence is hidden.
      relation: The neighbouring relation.
      filter: How plans are added up; chosen by the first grant.
      favoured: Index of the order that the first grant favours, under the filter "renyi".
      granted: All grants together.
      reserved: What plans hold that have drawn nothing; under the filter "sum".
      spent: What plans hold that have drawn something; under the filter "sum".
      held_curve: Curves of all plans that hold anything; under the filter "renyi".
      spent_curve: Curves of the plans that have drawn something; under the filter "renyi".
    """

    population: str
    unit: Unit
    relation: Relation
    filter: Filter = "sum"
    favoured: int = 0
    granted: Amount = NOTHING
    reserved: Amount = NOTHING
    spent: Amount = NOTHING
    held_curve: Curve = ()
    spent_curve: Curve = ()

    @property
    def left(self) -> Amount | None:
        """What a new plan may reserve, negative if too much is held; None if what is held has no bound."""
        held = self.total(self.reserved + self.spent, self.held_curve)
        if held is None:
            return None
        # Under the Renyi filter every total is converted at the same delta, which is therefore never used up.
        return self.granted - (held if self.filter == "sum" else Amount(held.nano_epsilon, 0))

    def total(self, added: Amount, curve: Curve) -> Amount | None:
        """Return what plans cost together under the filter; None if there is no bound."""
        if self.filter == "sum":
            return added
        epsilon = spent(curve, atto_delta=self.granted.atto_delta, favoured=self.favoured)
        if epsilon is None:
            return None
        return Amount(epsilon, self.granted.atto_delta if any(curve) else 0)

    def within_the_grant(self) -> bool:
        """Return whether what is held fits into what was granted."""
        left = self.left
        return left is not None and left.covers(NOTHING)

    def after(self, kind: Kind, amount: Amount, curve: Curve = ()) -> Standing:
        """Return the standing once an entry of this kind moved `amount` and `curve`."""
        if kind == "grant":
            return replace(self, granted=self.granted + amount)
        if self.filter == "renyi":
            held, spent_now = self.held_curve, self.spent_curve
            match kind:
                case "reserve":
                    held = plus(held, curve)
                case "commit":
                    spent_now = plus(spent_now, curve)
                case "void":
                    held = plus(held, curve, -1)
            return replace(self, held_curve=held, spent_curve=spent_now)
        match kind:
            case "reserve":
                return replace(self, reserved=self.reserved + amount)
            case "commit":
                return replace(self, reserved=self.reserved - amount, spent=self.spent + amount)
            case "void":
                return replace(self, reserved=self.reserved - amount)
        return self

    def written_with(self, amount: Amount) -> Standing:
        """Return what a row stores of it: a row that moves nothing, a round of a paid plan, repeats no curves."""
        return self if amount != NOTHING else replace(self, held_curve=(), spent_curve=())


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

    Under the filter "sum", `spent` is the whole (epsilon, delta) of every reservation with at least one commit,
    `reserved` that of the reservations with none, and `left` what a new plan may still reserve.

    Under the filter "renyi", what is spent is the epsilon of all spent plans together, `reserved` what those held raise
    it by, and `left` the rest of the grant. A plan adds less to that epsilon than its own where others were spent
    before it, so plans with an epsilon above `left` may fit. Delta is not used up: every total is converted at all of
    it, `spent_delta` is all of it once anything was spent, and `left_delta` is what was granted.

    Attributes:
      filter: How plans are added up.
      left_rho: Under "renyi", the largest rho for which a rho-zCDP plan fits; None under "sum".
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
    filter: Filter = "sum"
    left_rho: float | None = None

    @classmethod
    def of(cls, standing: Standing) -> Balance:
        """Return a standing in floats, for reading."""
        gone = standing.total(standing.spent, standing.spent_curve)
        left = standing.left
        if gone is None or left is None:
            raise damaged(f"population {standing.population!r} holds what its filter can never have admitted")
        held = standing.reserved
        if standing.filter == "renyi":
            delta = standing.granted.atto_delta if standing.held_curve and not gone.atto_delta else 0
            held = Amount(standing.granted.nano_epsilon - left.nano_epsilon - gone.nano_epsilon, delta)
        return cls(
            population=standing.population,
            unit=standing.unit,
            relation=standing.relation,
            granted_epsilon=standing.granted.epsilon,
            granted_delta=standing.granted.delta,
            spent_epsilon=gone.epsilon,
            spent_delta=gone.delta,
            reserved_epsilon=held.epsilon,
            reserved_delta=held.delta,
            left_epsilon=left.epsilon,
            left_delta=left.delta,
            filter=standing.filter,
            left_rho=None if standing.filter == "sum" else _rho(standing),
        )


def _rho(standing: Standing) -> float:
    return zcdp_left(
        standing.held_curve,
        nano_epsilon=standing.granted.nano_epsilon,
        atto_delta=standing.granted.atto_delta,
        favoured=standing.favoured,
    )
