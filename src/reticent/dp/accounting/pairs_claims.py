"""Dominating pairs of what is known about a mechanism by a claim alone, and of groups of events by their Renyi curve."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reticent.dp.accounting.orders import RENYI_ORDERS
from reticent.dp.accounting.pairs import Atoms, Pair
from reticent.dp.accounting.pairs_lattice import LEAST_SMOOTHED
from reticent.dp.accounting.renyi import renyi_curve
from reticent.dp.events import ApproximateDP, BoundedRange, DiscreteGaussian, Event, PureDP, Repeated
from reticent.dp.release import Relation

__all__ = ["BoundedRangePair", "RenyiPair", "joined", "joins", "pairs"]

Losses = NDArray[np.float64]

_UP = 1 + 1e-13


def pairs(event: PureDP | ApproximateDP | BoundedRange, relation: Relation) -> tuple[Pair]:
    """Return the pair that dominates every mechanism of which the claim holds, in both directions."""
    del relation  # the claim was made for it
    match event:
        case PureDP(epsilon):
            return (_approximate(epsilon, 0.0),)
        case ApproximateDP(epsilon, delta):
            return (_approximate(epsilon, delta),)
        case BoundedRange(epsilon):
            return (BoundedRangePair(epsilon) if epsilon > 0 else _approximate(0.0, 0.0),)


def _approximate(epsilon: float, delta: float) -> Atoms:
    """Randomized response that shows the truth outright with probability delta.

    It dominates every (epsilon, delta)-private mechanism (Kairouz, Oh, Viswanath, ICML 2015, theorem 3.3).
    """
    if epsilon == 0:
        return Atoms(np.zeros(1), np.array([1 - delta]) * _UP, infinite=delta)
    low = math.exp(-epsilon) / (1 + math.exp(-epsilon))
    high = 1 / (1 + math.exp(-epsilon))
    return Atoms(np.array([-epsilon, epsilon]), (1 - delta) * np.array([low, high]) * _UP, infinite=delta)


@dataclass(frozen=True, slots=True)
class BoundedRangePair:
    """All mechanisms whose loss lies in [t - epsilon, t] for some t: the supremum over t, at every loss.

    At one t the worst law has mass (e^epsilon - e^t) / (e^epsilon - 1) at loss t and the rest at t - epsilon (Dong,
    Durfee, Rogers, ICML 2020, lemma 3.3), so H(e^x) = that mass * (1 - e^(x - t)), largest at t = (epsilon + x) / 2:
    (e^(epsilon/2) - e^(x/2))^2 / (e^epsilon - 1). Composed, this is above what any t can reach (its variance is
    epsilon^2 / 3, that of one t at most epsilon^2 / 4), as no single pair is tight for all t at once; `joined` is
    better for many.
    """

    epsilon: float
    infinite: float = 0.0

    def loss_range(self) -> tuple[float, float]:
        """Return minus and plus epsilon: the support is exact."""
        return -self.epsilon, self.epsilon

    def deltas(self, losses: Losses) -> Losses:
        """Return H(e^loss), rounded up."""
        gap = -np.expm1(np.clip(losses - self.epsilon, -2 * self.epsilon, 0.0) / 2)
        inside = gap * gap / -math.expm1(-self.epsilon)
        below = -np.expm1(np.minimum(losses, 0.0))
        return np.asarray(np.where(losses < -self.epsilon, below, inside * _UP), dtype=np.float64)


def joins(event: Event) -> bool:
    """Say whether events of this kind are better added up by their Renyi curves first (`joined`)."""
    return isinstance(event, BoundedRange) or (
        isinstance(event, DiscreteGaussian) and event.coordinates > 1 and event.sigma < LEAST_SMOOTHED
    )


def joined(counts: Mapping[Event, int], relation: Relation) -> RenyiPair:
    """Return a pair for all of `counts` together, to be composed once with the pairs of the other events.

    Why a group may be taken out of its place among adaptively chosen others. Let U(x) be the largest divergence at
    loss x that the group alone can reach, adaptively. Running a member of the group before another event instead of
    after it never helps an attacker: sup over the member of E_other is at most E_other of the sup, as the later choice
    may depend on more. So all together reach at most E_others[U(x - L_others)], and the Renyi bound is above U(x) at
    every x. This is composition with a pair whose divergence is that bound.
    """
    curve = renyi_curve([Repeated(event, count) for event, count in counts.items()], relation=relation)
    limit = 0.0
    for event, count in counts.items():
        limit += count * event.epsilon if isinstance(event, BoundedRange) else math.inf
    return RenyiPair(curve, limit * (1 + 1e-12))


@dataclass(frozen=True, slots=True, eq=False)
class RenyiPair:
    """Everything whose Renyi divergences, both ways, are at most `curve`, and whose loss is at most `limit`.

    H(e^x) <= min over orders a of e^((a - 1)(curve[a] - x)) (1 - 1/a)^(a - 1) / a (Canonne, Kamath, Steinke 2020,
    proposition 12, whose proof holds for negative x also); H(e^-x) = 1 - e^-x + e^-x H'(e^x) with the reverse H'.

    Attributes:
      curve: `(233,)`, at `RENYI_ORDERS`.
      limit: No loss is larger.
    """

    curve: Losses
    limit: float = math.inf
    infinite: float = 0.0

    def loss_range(self) -> tuple[float, float]:
        """Return where the bound falls to 1e-30, or the limit, and minus it."""
        finite = np.isfinite(self.curve)
        if not finite.any():
            return -1.0, 1.0
        falls = self.curve[finite] + (69.1 + self._offsets()[finite]) / (RENYI_ORDERS[finite] - 1)
        top = max(min(self.limit, float(falls.min())), 1e-9)
        return -top, top

    def deltas(self, losses: Losses) -> Losses:
        """Return the bound at each loss."""
        size = np.abs(losses)
        exponents = np.full(len(losses), 0.0)
        offsets = self._offsets()
        for order, divergence, offset in zip(RENYI_ORDERS, self.curve, offsets, strict=True):
            if math.isfinite(divergence):
                np.minimum(exponents, (order - 1) * (divergence - size) + offset, out=exponents)
        above = np.where(size > self.limit, 0.0, np.exp(exponents) * (1 + 1e-12))
        negative = -np.expm1(-size) + np.exp(-size) * above
        return np.asarray(np.minimum(np.where(losses < 0, negative, above), 1.0), dtype=np.float64)

    def _offsets(self) -> Losses:
        return np.asarray((RENYI_ORDERS - 1) * np.log1p(-1 / RENYI_ORDERS) - np.log(RENYI_ORDERS), dtype=np.float64)
