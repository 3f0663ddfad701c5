"""How far noise can carry a weighted sum of the released coordinates.

All intervals of this room follow from `reach`. It is exact for Gaussian noise, and for Laplace noise but for a
rounding up of at most a few per cent; never too short.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Kind", "Noise", "Part"]

_LEAST_SHARE = 0.02
"""Smaller terms of a sum are taken to be so large, which only widens it: tiny ones would need a fine integral."""

Kind = Literal["gaussian", "laplace"]
Coefficients = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Noise:
    """Independent noise in each coordinate of a vector, in units of the vector.

    Attributes:
      kind: `gaussian` or `laplace`.
      scale: Standard deviation of the one, b of the other, as each site draws it.
      sites: How many sites' noise is in the sum.
      rounding: Half a grid step: noise is rounded to the grid.
    """

    kind: Kind
    scale: float
    sites: int = 1
    rounding: float = 0.0

    def deviation(self, coefficients: Coefficients) -> float:
        """Return the standard deviation of the noise in a weighted sum of coordinates."""
        per_coordinate = self.scale * math.sqrt(self.sites * (2 if self.kind == "laplace" else 1))
        return per_coordinate * float(np.linalg.norm(coefficients))

    def reach(self, coefficients: Coefficients, miss: float) -> float:
        """Return t such that the noise in a weighted sum is at most t in size but for a probability of `miss`.

        It does not fall when the size of any coefficient grows: for symmetric noise without other modes, more of it
        reaches farther.
        """
        sizes = np.abs(coefficients)
        rounding = self.rounding * self.sites * float(sizes.sum())
        if self.scale == 0 or not sizes.any():
            return rounding
        if self.kind == "gaussian":
            return -NormalDist().inv_cdf(miss / 2) * self.deviation(coefficients) + rounding
        scales = np.repeat(sizes[sizes > 0] * self.scale, self.sites)
        return _laplace_reach(scales, miss) + rounding


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The noised coordinates of one feature, in units of one row's weight.

    Attributes:
      feature: What they are; it knows the coefficients of its statistics.
      vector: Shape `(width,)`.
      noise: Of each coordinate.
      steps: Grid steps in one row's weight.
    """

    feature: Any
    vector: Coefficients
    noise: Noise
    steps: int

    def estimate(self, coefficients: Coefficients) -> float:
        """Return a weighted sum of the coordinates."""
        return float(coefficients @ self.vector)

    def deviation(self, coefficients: Coefficients) -> float:
        """Return the standard deviation of its noise."""
        return self.noise.deviation(coefficients)

    def reach(self, coefficients: Coefficients, miss: float) -> float:
        """Return what its noise exceeds with probability `miss` at most."""
        return self.noise.reach(coefficients, miss)

    def reaches(self, rows: Coefficients, miss: float) -> Coefficients:
        """Return the same for each row of coefficients, shape `(n,)`."""
        return np.array([self.noise.reach(row, miss) for row in rows])


def _laplace_reach(scales: Coefficients, miss: float) -> float:
    if len(scales) == 1:
        return float(scales[0]) * -math.log(miss)
    if len(scales) == 2:
        return _two(float(scales.max()), float(scales.min()), miss)
    return _many(np.maximum(scales, _LEAST_SHARE * scales.max()), miss)


def _two(large: float, small: float, miss: float) -> float:
    """Return where the tail of the sum of two Laplace variables is `miss`, by bisection."""
    ratio = small / large

    def tail(t: float) -> float:  # in units of `large`, both sides together
        if ratio > 1 - 1e-4:  # at equal scales, which reach farther
            return (1 + t / 2) * math.exp(-t)
        return (math.exp(-t) - ratio**2 * math.exp(-t / ratio)) / (1 - ratio**2)

    low, high = 0.0, 2 * -math.log(miss) + 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(middle) > miss else (low, middle)
    return high * large


def _many(scales: Coefficients, miss: float) -> float:
    """Return where the tail of a sum of three or more Laplace variables is `miss`.

    P(|X| <= t) = 2/pi * integral of sin(u t) / u * prod 1 / (1 + b^2 u^2), by the midpoint rule (Davies, Applied
    Statistics 29, 1980): its error is the probability beyond the period less t, and the cut-off integral; both are
    kept below a ten-thousandth of `miss`, and taken off.
    """
    far, end, error = _chernoff(scales, 1e-4 * miss), _chernoff(scales, miss), 1e-4 * miss
    ordered = np.sort(scales)[::-1]
    products = np.cumsum(np.log(ordered**2))
    m = np.arange(1, len(ordered) + 1)
    cut = math.exp(float((-(np.log(math.pi * m * error) + products) / (2 * m))[2:].min()))
    step = math.pi / far  # a period of 2 * far
    u = step * (np.arange(math.ceil(cut / step)) + 0.5)
    sizes, counts = np.unique(ordered, return_counts=True)
    weights = 2 / math.pi * step / u * np.exp(-(np.log1p((u[:, None] * sizes) ** 2) @ counts))
    low = 0.0
    for _ in range(3):
        tried = np.linspace(low, end, 17)
        tails = 1 - np.sin(tried[:, None] * u) @ weights + 2 * error
        first = int(np.argmax(tails <= miss)) if (tails <= miss).any() else 16
        low, end = float(tried[max(first - 1, 0)]), float(tried[first])
    return end


def _chernoff(scales: Coefficients, miss: float) -> float:
    """Return the smallest t with log E exp(s X) - s t <= log(miss / 2) for some s (Chernoff's bound)."""
    largest = float(scales.max())
    shares = scales / largest
    s = np.linspace(0.02, 1 - 1e-6, 100)
    cumulants = -np.log1p(-((s[:, None] * shares[None, :]) ** 2)).sum(axis=1)
    return largest * float(((cumulants - math.log(miss / 2)) / s).min())
