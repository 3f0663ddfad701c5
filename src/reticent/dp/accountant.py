"""A privacy accountant for programs that choose their next step by earlier outputs: a Renyi filter in memory."""

from __future__ import annotations

import json
import math
from collections import Counter
from fractions import Fraction
from typing import Self

import numpy as np
from numpy.typing import NDArray

from reticent.dp.accounting.renyi import ORDERS_VERSION, RENYI_ORDERS, renyi_budget, renyi_curve
from reticent.dp.events import (
    ApproximateDP,
    Event,
    Gaussian,
    PoissonSampled,
    PureDP,
    Repeated,
    flatten,
    from_json,
    to_json,
)
from reticent.dp.one_holder import OneHolder, down, exact, loaded, unreadable
from reticent.dp.release import Relation
from reticent.dp.target import require_delta, require_epsilon, require_relation
from reticent.errors import PrivacyBudgetExhausted, UsageError

__all__ = ["PrivacyAccountant"]

Curve = NDArray[np.float64]


class PrivacyAccountant(OneHolder):
    """A Renyi filter: admits mechanisms, chosen one by one, as long as all of them together stay within a target.

    The promise is the target, whenever the program stops. `epsilon()` says how much of it is used; read at a moment
    that depends on the outputs it is no promise of its own (an odometer: Rogers et al. 2016).

    >>> accountant = PrivacyAccountant(target_epsilon=8.0, delta=1e-5, relation="add_or_remove_one")
    >>> for _ in range(3):
    ...     accountant.step(noise_multiplier=1.1, sampling_probability=0.01)
    >>> accountant.remaining_steps(noise_multiplier=1.1, sampling_probability=0.01) > 10_000
    True
    """

    _budget: Curve | None = None

    def __init__(
        self,
        *,
        target_epsilon: float,
        delta: float,
        relation: Relation,
        delta_of_claims: float = 0.0,
        expecting: Event | None = None,
    ) -> None:
        """Hold a filter that has admitted nothing yet.

        Args:
          target_epsilon: What all admitted mechanisms together never exceed.
          delta: Of the promise, in (0, 1).
          relation: The neighbouring relation.
          delta_of_claims: The part of `delta` kept for mechanisms known by an (epsilon, delta) claim, `ApproximateDP`.
            Fixed beforehand, since a share that depends on outputs would not add up.
          expecting: What will mostly be run, for sharing delta among the orders; by default the first mechanism.

        Raises:
          UsageError: If an argument is out of range.
        """
        self._open(target_epsilon, delta, relation, exact(delta_of_claims, "delta"))
        if expecting is not None:
            self._budget = self._shared(self._curve(expecting))
        super().__init__()

    def _open(self, epsilon: float, delta: float, relation: Relation, claims: Fraction) -> None:
        require_epsilon(epsilon)
        require_delta(delta)
        require_relation(relation)
        if claims >= exact(delta, "delta"):
            raise UsageError("invalid-delta", f"delta_of_claims is {claims}", hint=f"keep it below delta = {delta}")
        self._target, self._delta, self._relation = float(epsilon), float(delta), relation
        self._claims, self._claimed = claims, Fraction(0)
        self._counts: Counter[Event] = Counter()
        self._total = np.zeros(len(RENYI_ORDERS))
        self._curves: dict[Event, Curve] = {}

    def step(self, *, noise_multiplier: float, sampling_probability: float) -> None:
        """Admit one Gaussian on a Poisson sample, before it is drawn; otherwise as `charge`."""
        self.charge(PoissonSampled(sampling_probability, Gaussian(noise_multiplier)))

    def charge(self, event: Event) -> None:
        """Admit `event` before it is run.

        Raises:
          PrivacyBudgetExhausted: If it does not fit; then nothing is charged, and nothing may be released.
          UsageError: If no bound is known for it under this relation.
        """
        with self._lock:
            self.require_own_process()
            budget = self._shared(self._curve(event)) if self._budget is None else self._budget
            total, claimed = self._with(event)
            if not np.any(total <= budget) or claimed > self._claims:
                raise self._exhausted(event)
            self._budget = budget
            self._add(event)

    def epsilon(self) -> float:
        """Return how much of the target is used: at most `target_epsilon`, and 0 before the first charge."""
        with self._lock:
            if self._budget is None or not self._counts:
                return 0.0
            used = np.where(np.isfinite(self._budget), self._target - self._budget + self._total, math.inf)
            return min(max(0.0, float(np.min(used)) * (1 + 1e-12)), self._target)

    def remaining_steps(self, *, noise_multiplier: float, sampling_probability: float) -> int:
        """Return how many more such steps are admitted for certain, if nothing else is charged."""
        event = PoissonSampled(sampling_probability, Gaussian(noise_multiplier))
        with self._lock:
            curve = self._curve(event)
            budget = self._shared(curve) if self._budget is None else self._budget
            with np.errstate(divide="ignore", invalid="ignore"):
                room = np.where(np.isfinite(budget), budget - self._total, -1.0) / curve
            return max(0, math.floor(float(np.nanmax(room)) * (1 - 1e-9)))

    def events(self) -> tuple[Event, ...]:
        """Return all that was admitted, for `reticent.dp.epsilon`: a tighter figure if the program was fixed before."""
        with self._lock:
            return tuple(Repeated(event, count) for event, count in self._counts.items())

    def _shared(self, expected: Curve) -> Curve:
        """Return the budget at each order. Fixed before the first output, so that the shares add up."""
        return renyi_budget(
            epsilon=self._target, delta=down(exact(self._delta, "delta") - self._claims), expecting=expected
        )

    def _with(self, event: Event) -> tuple[Curve, Fraction]:
        """Return what would be spent with `event`: rounded up, so that no curve vanishes beside a large total."""
        claimed = Fraction(0)
        for single, count in flatten([event]).items():
            if isinstance(single, ApproximateDP):
                claimed += exact(single.delta, "delta") * count
        return np.nextafter(self._total + self._curve(event), math.inf), self._claimed + claimed

    def _add(self, event: Event) -> None:
        self._total, self._claimed = self._with(event)
        self._counts.update(flatten([event]))

    def _curve(self, event: Event) -> Curve:
        """Return the curve of an event, of claims with their delta taken apart."""
        if event not in self._curves:
            parts = [Repeated(_without_delta(single), count) for single, count in flatten([event]).items()]
            self._curves[event] = renyi_curve(parts, relation=self._relation)
        return self._curves[event]

    def _exhausted(self, event: Event) -> PrivacyBudgetExhausted:
        return PrivacyBudgetExhausted(
            "privacy-budget-exhausted",
            f"with {event} all mechanisms together could exceed epsilon {self._target:g} at delta {self._delta:g}",
            hint="release nothing more of these data, or with more noise; only their owner can grant a larger budget",
        )

    def to_json(self) -> str:
        """Return the state, for `from_json` after this process has ended."""
        with self._lock:
            return json.dumps(
                {
                    "kind": "privacy_accountant",
                    "name": self._name,
                    "orders": ORDERS_VERSION,
                    "target": [self._target, self._delta, self._relation, str(self._claims)],
                    "budget": None if self._budget is None else [float(b).hex() for b in self._budget],
                    "spent": [json.loads(to_json(Repeated(event, n))) for event, n in self._counts.items()],
                }
            )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the accountant that `to_json` wrote: the same filter, with all its events counted again.

        Raises:
          UsageError: If the text is something else (`invalid-saved-budget`).
          PolicyRefused: If the accountant it was written from is alive in this process (`budget-copied`).
        """
        plain = loaded(text, "privacy_accountant")
        try:
            epsilon, delta, relation, claims = plain["target"]
            budget = [float.fromhex(number) for number in plain["budget"] or ()]
            spent = [from_json(json.dumps(event)) for event in plain["spent"]]
            name = str(plain["name"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise unreadable(text) from error
        if plain.get("orders") != ORDERS_VERSION or len(budget) not in (0, len(RENYI_ORDERS)) or (spent and not budget):
            raise unreadable(text)
        accountant = cls.__new__(cls)
        accountant._open(epsilon, delta, relation, Fraction(claims))
        accountant._budget = np.array(budget) if budget else None
        for event in spent:
            accountant._add(event)
        OneHolder.__init__(accountant, name)
        return accountant


def _without_delta(event: Event) -> Event:
    return PureDP(event.epsilon) if isinstance(event, ApproximateDP) else event
