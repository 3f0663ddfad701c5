"""Dominating pairs of noise with a known law other than the Gaussian, and of randomized response.

All of these families shift one law whose likelihood ratio is monotone in the output, so that the worst sets are
half-lines and H(e^t) = max over m of F(m) - e^t F(m - shift): the larger the shift, the larger the divergence, at
every t. The largest contribution is therefore the worst one. Each family is symmetric (a reflection exchanges the two
neighbours), so one pair serves both directions.

Several coordinates, Laplace and discrete Laplace. Independent noise in each coordinate, the neighbours apart by an L1
norm of T, is dominated by one coordinate with shift T. Proof for two coordinates, t1 + t2 = T (a pair that dominates
may replace a coordinate, so more follow by induction). A sufficient statistic of one coordinate is Z, the output
clamped to [0, t]: the loss is t - 2 Z, natural units of the scale. For two coordinates it is W = Z1 + Z2, and the loss
is T - 2 W: the same function, so all depends on the law of W against that of Z with t = T under the first neighbour.
Both have E[e^(2 W - T)] = E[e^(2 Z - T)] = 1. For 0 <= w < T, P(Z > w) = e^-w / 2, and e^w P(W > w) is, for t1 >= t2,
  3/4 + w / 4              where w < t2,
  1/2 + t2 / 4             where t2 <= w < t1,
  1/4 + (T - w) / 4        where t1 <= w < T:
first above 1/2, then decreasing to 1/4, so that P(W > w) crosses P(Z > w) once, from above. By the cut criterion
(Karlin and Novikoff 1963) e^(2 W) is below e^(2 Z) in the convex order; hockey-stick divergences are expectations of
convex functions of e^-loss. The same computation with r = e^(-1/scale), P(Z > w) = r^(w+1) / (1 + r), gives for
whole t1, t2, with c = r / (1 + r): c + c (1 + w (1 - r)) / (1 + r), then c (2 + (t2 - 1)(1 - r)) / (1 + r), then
c (1 + (T - 1 - w)(1 - r)) / (1 + r), against c: one crossing again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reticent.dp.accounting.moments import distance
from reticent.dp.accounting.pairs import Atoms, Pair
from reticent.dp.accounting.pairs_lattice import discrete_gaussian
from reticent.dp.accounting.renyi import unsupported
from reticent.dp.events import DiscreteGaussian, DiscreteLaplace, Laplace, RandomizedResponse
from reticent.dp.release import Relation

__all__ = ["DiscreteLaplacePair", "LaplacePair", "pairs"]

Losses = NDArray[np.float64]

_UP = 1 + 1e-14
"""More than the rounding errors of one of the closed forms below."""

NOTHING = Atoms(np.zeros(1), np.ones(1))
EVERYTHING = Atoms(np.zeros(1), np.zeros(1), infinite=1.0)


def pairs(event: Laplace | DiscreteGaussian | DiscreteLaplace | RandomizedResponse, relation: Relation) -> tuple[Pair]:
    """Return the pair that dominates `event`.

    Raises:
      UsageError: `unsupported-event` for randomized response under add-or-remove-one.
    """
    apart = distance(relation)
    match event:
        case Laplace(multiplier):
            return (LaplacePair(apart / multiplier) if multiplier > 1e-300 else EVERYTHING,)
        case DiscreteLaplace(scale, sensitivity):
            return (DiscreteLaplacePair(scale, apart * int(sensitivity)) if scale > 1e-300 else EVERYTHING,)
        case RandomizedResponse(flip, categories):
            if relation != "replace_one":
                raise unsupported(event, relation)
            return (_randomized_response(flip, categories),)
        case DiscreteGaussian(sigma, sensitivity, coordinates):
            return (discrete_gaussian(sigma, apart * sensitivity, coordinates) if sigma > 1e-9 else EVERYTHING,)


@dataclass(frozen=True, slots=True)
class LaplacePair:
    """Laplace noise of scale 1, neighbours `shift` apart: H(e^x) = 1 - e^((x - shift) / 2) inside the range."""

    shift: float
    infinite: float = 0.0

    def loss_range(self) -> tuple[float, float]:
        """Return minus and plus the shift: the support is exact."""
        return -self.shift, self.shift

    def deltas(self, losses: Losses) -> Losses:
        """Return H(e^loss), rounded up."""
        inside = -np.expm1(np.minimum(losses - self.shift, 0.0) / 2)
        return np.asarray(np.where(losses < -self.shift, -np.expm1(losses), inside) * _UP, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class DiscreteLaplacePair:
    """Integer noise with P(x) proportional to r^|x|, r = e^(-1 / scale), neighbours `shift` whole steps apart.

    With F(m) = 1 - r^(m+1) / (1 + r) for m >= 0 and r^-m / (1 + r) for m <= 0, and m = floor((shift - scale x) / 2):
    H(e^x) = F(m) - e^x F(m - shift) = (r (1 - r^m) + 1 - e^(x - (shift - m) / scale)) / (1 + r).
    """

    scale: float
    shift: int
    infinite: float = 0.0

    def loss_range(self) -> tuple[float, float]:
        """Return minus and plus shift / scale: the support is exact."""
        return -self.shift / self.scale, self.shift / self.scale

    def deltas(self, losses: Losses) -> Losses:
        """Return H(e^loss), rounded up: each m gives a lower bound of the maximum, so both candidates are tried."""
        best = np.zeros(len(losses))
        with np.errstate(over="ignore"):
            middle = np.floor((self.shift - self.scale * losses) / 2)
            for m in (middle, middle + 1, middle - 1):  # the division may have been rounded over a whole number
                best = np.maximum(best, self._excess(np.clip(m, 0.0, float(self.shift)), losses))
        best /= 1 + math.exp(-1 / self.scale)
        low, high = self.loss_range()
        below = -np.expm1(np.minimum(losses, 0.0))
        return np.asarray(np.where(losses < low, below, np.where(losses >= high, 0.0, best * _UP)), dtype=np.float64)

    def _excess(self, m: Losses, losses: Losses) -> Losses:
        inner = -math.exp(-1 / self.scale) * np.expm1(-m / self.scale)
        return np.asarray(inner - np.expm1(losses - (self.shift - m) / self.scale), dtype=np.float64)


def _randomized_response(flip: float, categories: int) -> Atoms:
    """One answer given, another one possible: keeps its answer, gives the other one, or one of the rest."""
    other = flip / categories
    if other == 0:
        return EVERYTHING
    kept = 1 - flip + other
    loss = math.log1p(-flip + other) - math.log(other)
    if loss <= 0:
        return NOTHING
    rest = max(0.0, 1 - kept - other)
    return Atoms(np.array([-loss, 0.0, loss]), np.array([other, rest, kept]) * _UP)
