"""Dominating pairs of the discrete Gaussian: exact in one coordinate, by smoothing in many or where it is wide."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reticent.dp.accounting.pairs import Pair
from reticent.dp.release import Relation

__all__ = ["LEAST_SMOOTHED", "DiscreteGaussianPair", "SmoothedGaussian", "discrete_gaussian", "replaced", "smoothed"]

Losses = NDArray[np.float64]

_LARGEST_SUMMED = 4000.0
"""Beyond, sums over the integers are long, and smoothing costs less than 1e-7 of sigma."""

LEAST_SMOOTHED = 4.0
"""Below, smoothing costs more than the Renyi bound does."""


def discrete_gaussian(sigma: float, shift: float, coordinates: int) -> Pair:
    """Return the pair of neighbours `shift` apart in L2 norm, whole steps in each coordinate."""
    if coordinates == 1 and sigma <= _LARGEST_SUMMED:
        return DiscreteGaussianPair(sigma, int(shift))
    if sigma >= LEAST_SMOOTHED:
        return smoothed(sigma, shift, coordinates)
    from reticent.dp.accounting.orders import RENYI_ORDERS
    from reticent.dp.accounting.pairs_claims import RenyiPair

    return RenyiPair(RENYI_ORDERS * (shift / sigma) ** 2 / 2 * (1 + 1e-12))


class DiscreteGaussianPair:
    """Integer noise with P(x) proportional to e^(-x^2 / (2 sigma^2)), neighbours `shift` whole steps apart.

    The loss at x is (shift^2 - 2 shift x) / (2 sigma^2) (Canonne, Kamath, Steinke 2020, theorem 7), so that
    H(e^l) = F(m) - e^l F(m - shift) with m = floor(shift / 2 - l sigma^2 / shift). F is summed from the far tail, in
    extended precision: the difference has a relative error of about the sum's, over the spacing of the losses.
    """

    def __init__(self, sigma: float, shift: int) -> None:
        self.sigma, self.shift = sigma, shift
        self._reach = math.ceil(12.0 * sigma + 1)  # the mass beyond is below e^-72
        points = np.arange(-self._reach, self._reach + 1).astype(np.longdouble)
        masses = np.exp(-points * points / (2 * np.longdouble(sigma) ** 2))
        self._below = np.cumsum(masses / masses.sum())
        self._slack = 4 * len(points) * float(np.finfo(np.longdouble).eps) + 1e-15
        self.infinite = min(1.0, 2 * math.exp(-0.5 * (self._reach / sigma) ** 2) * (1 + sigma))

    def loss_range(self) -> tuple[float, float]:
        """Return the losses at the two ends of the sums."""
        top = (self.shift + 2 * self._reach) * (self.shift / (2 * self.sigma**2))
        return -top, top

    def deltas(self, losses: Losses) -> Losses:
        """Return H(e^loss), rounded up; for a negative loss from the reverse pair, which is the same."""
        size = np.abs(losses)
        with np.errstate(over="ignore"):
            middle = np.floor(self.shift / 2 - size * (self.sigma * (self.sigma / self.shift)))
        above = np.zeros(len(losses))
        for m in (middle, middle + 1, middle - 1):  # rounding may have carried the quotient over a whole number
            upper, lower = self._mass(m), self._mass(m - self.shift)
            with np.errstate(under="ignore", over="ignore"):
                found = upper - _times_exp(lower, size) + self._slack * upper
            above = np.fmax(above, found.astype(np.float64))
        above = np.minimum(above + self.infinite, 1.0)
        negative = -np.expm1(-size) + np.exp(-size) * above
        return np.asarray(np.where(losses < 0, negative, above), dtype=np.float64)

    def _mass(self, m: Losses) -> NDArray[np.longdouble]:
        """Return F(m), without the mass beyond the reach."""
        index = np.clip(m + self._reach, -1.0, 2.0 * self._reach).astype(np.int64)
        return np.where(index < 0, np.longdouble(0), self._below[np.maximum(index, 0)])


def _times_exp(masses: NDArray[np.longdouble], losses: Losses) -> NDArray[np.longdouble]:
    """Return masses * e^losses, 0 where there is no mass: 0 * infinity is no number, and would hide what is above."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(masses > 0, np.exp(losses.astype(np.longdouble)) * masses, np.longdouble(0))


def smoothed(sigma: float, shift: float, coordinates: int, probability: float = 1.0) -> SmoothedGaussian:
    """Return the pair that compares a discrete Gaussian with a processed continuous one.

    Draw X from a Gaussian of variance sigma^2 - s^2, then Z from the integers with weights e^(-(z - X)^2 / (2 s^2)). By
    Poisson summation the sum of the weights is s sqrt(2 pi) (1 + t) with |t| <= h = 2.001 e^(-2 pi^2 s^2), whatever X
    is, so that Z has the law of the discrete Gaussian of variance sigma^2 but for a factor within e^(+-2.1 h) in each
    coordinate (Peikert, CRYPTO 2010, theorem 3.1). A shift by whole steps passes through. With k = 2.1 h coordinates
    for the product, P <= e^k P' and Q >= e^-k Q' give H(e^x) <= e^k H'(e^(x - 2 k)), where H' is at most the divergence
    of the continuous Gaussians, since processing reveals nothing. s is chosen to make k about 1e-18.

    With a sampling probability below 1: of Poisson samples with one unit exchanged.
    """
    variance = (math.log(coordinates) + 43.0) / (2 * math.pi**2)
    slack = 2.1 * 2.001 * coordinates * math.exp(-2 * math.pi**2 * variance)
    from reticent.dp.accounting import pairs_gaussian

    ratio = math.sqrt(sigma * sigma - variance) / shift * (1 - 1e-15)
    relation: Relation = "add_or_remove_one" if probability == 1 else "replace_one"
    return SmoothedGaussian(pairs_gaussian.pairs(ratio, probability, relation)[0], slack)


def replaced(sigma: float, shift: float, coordinates: int, probability: float) -> Pair | None:
    """Return the pair of Poisson samples with one unit exchanged, contributions of norm `shift`; None where none is.

    In one coordinate opposite contributions are worst. With A, B >= 0 and whole u, v within the norm, maximise
    q P_u(S) - A R(S) - B P_v(S), B >= q. If u > 0 and v < u, likelihood ratios make the best S a half-line [t, inf), on
    which u = shift and v = -shift are best. If 0 <= u < v, S is an interval or half-line with middle m: for m above
    (u + v) / 2 the value is not positive; for m from 0 up to there, v may be reflected at m, to below u, and for m < 0 u
    may be, or be put at -shift where that is nearer to m: P_u(S) does not fall, P_v(S) does not rise, as the law is
    symmetric with one peak, and the case is one of those above or its mirror image. Other signs are mirror images.
    """
    if coordinates == 1 and sigma <= _LARGEST_SUMMED:
        reach = math.ceil(12.0 * sigma + 1)
        points = np.arange(reach + int(shift), -reach - int(shift) - 1, -1).astype(np.longdouble)
        law = {at: np.exp(-((points - at) ** 2) / (2 * np.longdouble(sigma) ** 2)) for at in (0, -shift, shift)}
        first, second = ((1 - probability) * law[0] + probability * law[at] for at in (-shift, shift))
        return _Enumerated(first / first.sum(), second / second.sum(), 2 * math.exp(-72.0) * (1 + sigma))
    if sigma < LEAST_SMOOTHED:
        return None
    return smoothed(sigma, shift, coordinates, probability)


class _Enumerated:
    """Two lists of probabilities whose ratio rises along them, mirror images of each other; `tail` is left out."""

    def __init__(self, first: NDArray[np.longdouble], second: NDArray[np.longdouble], tail: float) -> None:
        # Where noise is narrow, tails are too small even for extended precision: 0 / 0 would not be in order.
        reached = (first > 0) | (second > 0)
        first, second = first[reached], second[reached]
        with np.errstate(divide="ignore"):
            self._losses = np.maximum.accumulate(np.log(first / second).astype(np.float64))
        self._above = [np.append(np.cumsum(law[::-1])[::-1], np.longdouble(0)) for law in (first, second)]
        self._slack = 4 * len(first) * float(np.finfo(np.longdouble).eps) + 1e-15
        self.infinite = min(1.0, tail)

    def loss_range(self) -> tuple[float, float]:
        """Return the losses at the two ends."""
        top = min(float(self._losses[-1]), 1e6)  # infinite where one of the laws was too small; `deltas` knows
        return -top, top

    def deltas(self, losses: Losses) -> Losses:
        """Return H(e^loss), rounded up; for a negative loss from the reverse pair, which is the same."""
        size = np.abs(losses)
        middle = np.searchsorted(self._losses, size)
        above = np.zeros(len(losses))
        for step in (-1, 0, 1):  # the logarithms may have been rounded over a loss
            index = np.clip(middle + step, 0, len(self._losses))
            upper, lower = self._above[0][index], self._above[1][index]
            found = upper * (1 + self._slack) - _times_exp(lower, size)
            above = np.maximum(above, found.astype(np.float64))
        above = np.minimum(above + self.infinite, 1.0)
        negative = -np.expm1(-size) + np.exp(-size) * above
        return np.asarray(np.where(losses < 0, negative, above), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class SmoothedGaussian:
    """Within e^slack, on both sides, of something that `pair` dominates."""

    pair: Pair
    slack: float

    @property
    def infinite(self) -> float:
        """Mass at infinite loss."""
        return self.pair.infinite * math.exp(self.slack)

    def loss_range(self) -> tuple[float, float]:
        """Return the range of `pair`, wider by twice the slack."""
        low, high = self.pair.loss_range()
        return low - 2 * self.slack, high + 2 * self.slack

    def deltas(self, losses: Losses) -> Losses:
        """Return the bound at each loss."""
        above = self.pair.deltas(losses - 2 * self.slack) * (math.exp(self.slack) * (1 + 1e-15))
        return np.asarray(np.minimum(above, 1.0), dtype=np.float64)
