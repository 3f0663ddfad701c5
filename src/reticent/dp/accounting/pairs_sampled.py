"""Poisson samples for mechanisms other than the Gaussian.

Under add-or-remove-one the curve of the sampled mechanism is a function of that of the mechanism on all data, whichever
it is (Zhu, Dong, Wang, AISTATS 2022, theorem 11). Under replace-one that is so for one shifted law at a time; for
Laplace noise the pair at opposite points dominates by the argument in `reticent.dp.divergence`, as half-lines are best
for Laplace noise too, in one coordinate; for several the trade-off of a shift is not below that of all its length in
one coordinate (`pairs_discrete`), which is all that the argument uses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reticent.dp.accounting.pairs import Pair
from reticent.dp.divergence import added_delta, mixed_loss, removed_delta

__all__ = ["Added", "Removed", "ReplacedLaplace"]

_Array = NDArray[np.float64]
_FARTHEST = 1e4
"""Losses asked of a base curve; at larger ones its value here is an upper bound."""


@dataclass(frozen=True, slots=True)
class Removed:
    """(1-q) Q + q P against Q, for a `base` pair (P, Q)."""

    base: Pair
    probability: float

    @property
    def infinite(self) -> float:
        """Mass at infinite loss."""
        return self.probability * self.base.infinite

    def loss_range(self) -> tuple[float, float]:
        """Return the image of the base's range."""
        low, high = self.base.loss_range()
        return _mixed(low, self.probability), _mixed(high, self.probability) * (1 + 1e-15)

    def deltas(self, losses: _Array) -> _Array:
        """Return the exact image of the base's curve, rounded up."""
        return _rounded_up(removed_delta(_left(losses, self.probability), np.array(self.probability), self._base))

    def _base(self, losses: _Array) -> _Array:
        return self.base.deltas(np.clip(losses, -_FARTHEST, _FARTHEST))


@dataclass(frozen=True, slots=True)
class Added:
    """Q against (1-q) Q + q P, for a `base` pair (Q, P)."""

    base: Pair
    probability: float
    infinite: float = 0.0

    def loss_range(self) -> tuple[float, float]:
        """Return the image of the base's range."""
        low, high = self.base.loss_range()
        return -_mixed(-low, self.probability), min(-math.log1p(-self.probability), -_mixed(-high, self.probability))

    def deltas(self, losses: _Array) -> _Array:
        """Return the exact image of the base's curve, rounded up."""
        return _rounded_up(added_delta(_left(losses, self.probability), np.array(self.probability), self._base))

    def _base(self, losses: _Array) -> _Array:
        return self.base.deltas(np.clip(losses, -_FARTHEST, _FARTHEST))


@dataclass(frozen=True, slots=True)
class ReplacedLaplace:
    """(1-q) R + q P against (1-q) R + q P', Laplace noise of scale 1 around 0, `shift` and -`shift`.

    For a = e^loss - 1 >= 0, H is the largest over z of q (F(z) - F(z - 2s)) - a ((1-q) F(z - s) + q F(z - 2s)), F the
    distribution function. It rises as far as the z <= s of e^2z = q / (a (1-q) e^-s + (a + 1) q e^-2s), and falls
    from there on; below z = 0 it is proportional to e^z.
    """

    shift: float
    probability: float
    infinite: float = 0.0

    def loss_range(self) -> tuple[float, float]:
        """Return the largest loss and its negative: the support is exact."""
        top = _mixed(self.shift, self.probability) - _mixed(-self.shift, self.probability)
        return -top * (1 + 1e-14), top * (1 + 1e-14)

    def deltas(self, losses: _Array) -> _Array:
        """Return H(e^loss), rounded up; for a negative loss from the reverse pair, which is the same."""
        size = np.abs(losses)
        above = np.where(size >= self.loss_range()[1], 0.0, self._above(np.minimum(size, 700.0)))
        negative = -np.expm1(-size) + np.exp(-size) * above
        return np.asarray(np.minimum(np.where(losses < 0, negative, above) * (1 + 1e-14), 1.0), dtype=np.float64)

    def _above(self, loss: _Array) -> _Array:
        s, q = self.shift, self.probability
        growth = np.expm1(loss)
        far = growth * (1 - q) * math.exp(-s) + (growth + 1) * q * math.exp(-2 * s)
        z = np.clip(0.5 * np.log(q / np.maximum(far, 1e-300)), 0, s)
        gain = -0.5 * q * (np.expm1(-z) + np.expm1(z - 2 * s))
        cost = 0.5 * growth * ((1 - q) * np.exp(z - s) + q * np.exp(z - 2 * s))
        # Both are good to a few units; a difference of nearly equal ones is raised by those units.
        return np.asarray(np.maximum(gain * (1 + 2e-15) - cost * (1 - 2e-15), 0.0), dtype=np.float64)


def _mixed(loss: float, probability: float) -> float:
    return float(mixed_loss(np.array(loss), np.array(probability)))


def _left(losses: _Array, probability: float) -> _Array:
    """Return losses a little to the left, where delta is larger: more than rounding moves them on their way."""
    return losses - 2e-15 * np.maximum(np.abs(losses), min(-math.log1p(-probability), 1.0))


def _rounded_up(deltas: _Array) -> _Array:
    return np.asarray(np.clip(deltas * (1 + 1e-13), 0.0, 1.0), dtype=np.float64)
