"""How far noise can carry a weighted sum of the released coordinates.

All intervals of this room follow from `reach`. It is exact for Gaussian noise and for a single Laplace coordinate; for
sums of Laplace noise it is Chernoff's bound, or the exact tail of two, and never too short.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Kind", "Noise", "Part"]

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
            from scipy.special import ndtri

            return -float(ndtri(miss / 2)) * self.deviation(coefficients) + rounding
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


def _laplace_reach(scales: Coefficients, miss: float) -> float:
    if len(scales) == 1:
        return float(scales[0]) * -math.log(miss)
    if len(scales) == 2:
        return _two(float(scales.max()), float(scales.min()), miss)
    return _chernoff(scales, miss)


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


def _chernoff(scales: Coefficients, miss: float) -> float:
    """Return the smallest t with log E exp(s X) - s t <= log(miss / 2) for some s (Chernoff's bound)."""
    largest = float(scales.max())
    shares = scales / largest
    s = np.linspace(1e-3, 1 - 1e-6, 400)
    cumulants = -np.log1p(-((s[:, None] * shares[None, :]) ** 2)).sum(axis=1)
    return largest * float(((cumulants - math.log(miss / 2)) / s).min())
