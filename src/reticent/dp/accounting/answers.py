"""Epsilon, delta and the trade-off curve of a sequence of events: the worse of the two directions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal, get_args, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reticent.dp.accounting.line import COARSE, FINE, Line
from reticent.dp.accounting.terms import Term, directions, terms_of
from reticent.dp.events import Event
from reticent.dp.noise import TOTAL_VARIATION
from reticent.dp.release import Relation
from reticent.dp.target import require_delta, require_relation
from reticent.errors import UsageError

__all__ = [
    "LARGEST_EPSILON",
    "SAMPLER_CHARGE",
    "LossDistribution",
    "Method",
    "bound",
    "delta",
    "epsilon",
    "loss_distribution",
]

Method = Literal["tight", "pld", "rdp"]
"""The smaller of both bounds, the composed loss distribution, or Renyi divergences alone."""

LARGEST_EPSILON = 500.0
"""Anything above is reported as infinity: it promises nothing, and the arithmetic below was not made for it."""

SAMPLER_CHARGE = TOTAL_VARIATION * 2.0**780
"""Taken from every delta: (1 + e^500) * 2^58 draws * the total variation of one draw."""

_MANY = 10**9
"""From so many steps on, the grid may be coarser than the tolerance asks, and Renyi divergences are asked too."""


class LossDistribution:
    """What a sequence of events reveals, as upper bounds at every epsilon and every delta.

    Made by `loss_distribution`. Questions may be asked in any order; each is answered to the tolerance.
    """

    def __init__(self, terms: Sequence[Term], relation: Relation, tolerance: float = FINE) -> None:
        with np.errstate(all="ignore"):  # what overflows here is a loss beyond every claim
            self._lines = [Line(parts, counts, tolerance) for parts, counts in directions(terms, relation) if parts]
        self._tolerance = tolerance

    def epsilon(self, delta: float) -> float:
        """Return an upper bound on epsilon at `delta`: 0 or larger, infinity above 500.

        Raises:
          UsageError: If delta is not in (0, 1).
        """
        require_delta(delta)
        left = float(delta) - SAMPLER_CHARGE
        if left <= 0 and self._lines:
            return math.inf
        worst = 0.0
        with np.errstate(all="ignore"):  # what overflows or is not a number counts as infinite, in `Composed`
            for line in self._lines:
                # A second direction that is lower anyway need not be known to the last digit.
                if worst > 0 and self._tolerance < COARSE and line.roughly().epsilon(left) <= worst:
                    continue
                worst = max(worst, _honest(line.epsilon(left)))
        return worst

    @overload
    def delta(self, epsilon: float) -> float: ...
    @overload
    def delta(self, epsilon: NDArray[np.float64]) -> NDArray[np.float64]: ...
    def delta(self, epsilon: ArrayLike) -> float | NDArray[np.float64]:
        """Return an upper bound on delta at `epsilon`, a number or an array of numbers, 0 or larger.

        Raises:
          UsageError: If an epsilon is negative, infinite or not a number.
        """
        values = np.asarray(epsilon, dtype=np.float64)
        for value in values.flat:
            if not 0 <= value < math.inf:
                raise UsageError("invalid-epsilon", f"epsilon is {value}", hint="give finite numbers, 0 or larger")
        charge = SAMPLER_CHARGE if self._lines else 0.0
        with np.errstate(all="ignore"):
            worst = [max((line.delta(float(x)) for line in self._lines), default=0.0) for x in values.flat]
        flat = [min(1.0, delta + charge) for delta in worst]
        return flat[0] if values.ndim == 0 else np.array(flat).reshape(values.shape)

    def trade_off(self, alpha: ArrayLike) -> NDArray[np.float64]:
        """Return the smallest share of positives that any test misses at each rate `alpha` of false alarms.

        A lower bound on the trade-off function, from delta at a hundred epsilons (Dong, Roth, Su 2022, proposition
        2.12): max over them of 0, 1 - delta - e^epsilon alpha, and e^-epsilon (1 - delta - alpha).
        """
        rates = np.asarray(alpha, dtype=np.float64)
        far = self.epsilon(1e-9)
        epsilons = np.linspace(0.0, far if math.isfinite(far) else LARGEST_EPSILON, 100)
        deltas = self.delta(epsilons)
        growth = np.exp(epsilons)
        steep = 1 - deltas - growth * rates[..., None]
        shallow = (1 - deltas - rates[..., None]) / growth
        return np.asarray(np.clip(np.maximum(steep, shallow).max(axis=-1), 0.0, 1.0), dtype=np.float64)


def loss_distribution(events: Iterable[Event] | Event, *, relation: Relation) -> LossDistribution:
    """Return the privacy loss distribution of all `events` on the same data.

    Raises:
      UsageError: If the relation is unknown, something is not an event, or an event has no proven bound under it.
    """
    require_relation(relation)
    return _distribution(terms_of(events), relation, FINE)


def epsilon(events: Iterable[Event] | Event, *, delta: float, relation: Relation, method: Method = "tight") -> float:
    """Return an upper bound on the epsilon of all `events` on the same data, at `delta`.

    Args:
      events: One event or many; their order and nesting do not matter.
      delta: In (0, 1).
      relation: The neighbouring relation.
      method: "tight" for the best bound, "pld" or "rdp" to compare with other accountants.

    Returns:
      0 for no events, infinity for an event without noise and for values above 500.

    Raises:
      UsageError: If an argument is out of range, something is not an event, or is not supported under the relation.
    """
    require_delta(delta)
    require_relation(relation)
    if method not in get_args(Method):
        raise UsageError("invalid-method", f"method is {method!r}", hint=f"use one of {', '.join(get_args(Method))}")
    return bound(terms_of(events), float(delta), relation, method=method)


def delta(events: Iterable[Event] | Event, *, epsilon: float, relation: Relation) -> float:
    """Return an upper bound on the delta of all `events` on the same data, at `epsilon` of 0 or larger.

    Raises:
      UsageError: If an argument is out of range, something is not an event, or is not supported under the relation.
    """
    return loss_distribution(events, relation=relation).delta(float(epsilon))


@lru_cache(maxsize=4096)
def bound(
    terms: tuple[Term, ...], delta: float, relation: Relation, tolerance: float = FINE, method: Method = "tight"
) -> float:
    """Return `epsilon` of canonical terms; with the tolerance `COARSE` sooner, and up to 0.3 % higher."""
    if not terms:
        return 0.0
    found = math.inf if method == "rdp" else _distribution(terms, relation, tolerance).epsilon(delta)
    if method == "rdp" or (method == "tight" and (math.isinf(found) or sum(count for _, count in terms) > _MANY)):
        found = min(found, _by_renyi(terms, delta, relation))
    return found


def _by_renyi(terms: Iterable[Term], delta: float, relation: Relation) -> float:
    from reticent.dp.accounting.renyi import renyi_curve, renyi_epsilon
    from reticent.dp.events import Repeated

    left = delta - SAMPLER_CHARGE
    if left <= 0:
        return math.inf
    with np.errstate(all="ignore"):  # NaN counts as infinity
        curve = renyi_curve([Repeated(event, count) for event, count in terms], relation=relation)
    return _honest(renyi_epsilon(curve, delta=left))


@lru_cache(maxsize=64)
def _distribution(terms: tuple[Term, ...], relation: Relation, tolerance: float) -> LossDistribution:
    return LossDistribution(terms, relation, tolerance)


def _honest(value: float) -> float:
    if not value <= LARGEST_EPSILON:  # true for NaN
        return math.inf
    return max(0.0, float(value))
