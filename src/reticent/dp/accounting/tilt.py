"""Where a composed loss distribution matters for a question, from a coarse copy of its parts.

Multiplying a loss distribution by e^(theta * loss) moves its mean to where the question is asked, so that rounding
errors, which are relative to the largest mass, become relative to the tail that is asked for. Theta is where Chernoff's
bound on the tail is smallest; for the bound itself that is Renyi accounting of order theta + 1 (Mironov 2017).

Nothing here has to be exact: a poor tilt or window costs tightness, never correctness.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Cumulant", "gentle_tilt", "reach", "tilt_for_delta", "tilt_for_epsilon"]

_Array = NDArray[np.float64]


class Cumulant:
    """The logarithm of the moment generating function of a sum of independent losses.

    Args:
      losses: `(rows, n)`.
      masses: `(rows, n)`, not negative.
      counts: `(rows,)`, how many independent copies of each row are added.
    """

    def __init__(self, losses: _Array, masses: _Array, counts: _Array) -> None:
        self.losses, self.counts = losses, counts
        with np.errstate(divide="ignore"):
            self._logs = np.log(masses)

        spread = math.sqrt(max(self.moments(0.0)[1], 1e-300))
        self.largest_tilt = min(60.0 / spread, 1e30)
        """Beyond, e^(tilt * loss) tells apart what a delta of 1e-300 does not."""

    def rows(self, tilt: float) -> _Array:
        """Return the logarithm for one copy of each row, `(rows,)`."""
        return self._tilted(tilt)[0]

    def value(self, tilt: float) -> float:
        """Return the logarithm for the sum."""
        return float(self.counts @ self.rows(tilt))

    def moments(self, tilt: float) -> tuple[float, float]:
        """Return mean and variance of the sum under the tilted distribution."""
        _, weights = self._tilted(tilt)
        weights /= weights.sum(axis=1, keepdims=True)
        means = (weights * self.losses).sum(axis=1)
        variances = (weights * np.square(self.losses - means[:, None])).sum(axis=1)
        return float(self.counts @ means), float(self.counts @ variances)

    def _tilted(self, tilt: float) -> tuple[_Array, _Array]:
        exponents = self._logs + tilt * self.losses
        top = exponents.max(axis=1)
        weights = np.exp(exponents - top[:, None])
        return np.asarray(top + np.log(weights.sum(axis=1))), weights


def chernoff_tilt(objective: Callable[[float], float], largest: float, start: float = math.inf) -> float:
    """Return about the smallest tilt up to `largest` that minimises a quasiconvex `objective`, to a few per cent."""
    start = min(start, largest / 16)
    low, here, high = start / 2, start, 2 * start
    values = {tilt: objective(tilt) for tilt in (low, here, high)}
    while values[high] < values[here] - 1e-4 * abs(values[here]) and high < largest:
        low, here, high = here, high, 2 * high
        values[high] = objective(high)
    while values[low] <= values[here] and low > 1e-12 * largest:
        low, here, high = low / 2, low, here
        values[low] = objective(low)
    for _ in range(6):  # golden section on a logarithmic scale would save one call; this keeps the middle point
        for side in ((low, here), (here, high)):
            middle = math.sqrt(side[0] * side[1])
            values[middle] = objective(middle)
        ordered = sorted(tilt for tilt in values if low <= tilt <= high)
        best = min(range(1, len(ordered) - 1), key=lambda index: values[ordered[index]])
        low, here, high = ordered[best - 1 : best + 2]
        if high < 1.1 * low:
            break
    return here


def tilt_for_delta(cumulant: Cumulant, delta: float) -> tuple[float, float]:
    """Return a tilt for the question "which epsilon at this delta", and Chernoff's answer to it.

    The bound is delta <= e^(K(theta) - theta * epsilon) * theta^theta / (1 + theta)^(1 + theta) (Canonne, Kamath,
    Steinke 2020, proposition 12).
    """

    def epsilon(tilt: float) -> float:
        return (cumulant.value(tilt) - math.log(delta) + _slack(tilt)) / tilt

    tilt = chernoff_tilt(epsilon, cumulant.largest_tilt)
    return tilt, epsilon(tilt)


def tilt_for_epsilon(cumulant: Cumulant, epsilon: float) -> tuple[float, float]:
    """Return a tilt for the question "which delta at this epsilon", and the logarithm of Chernoff's answer."""

    def log_delta(tilt: float) -> float:
        return cumulant.value(tilt) - tilt * epsilon + _slack(tilt)

    tilt = chernoff_tilt(log_delta, cumulant.largest_tilt)
    return tilt, log_delta(tilt)


def _slack(tilt: float) -> float:
    return tilt * math.log(tilt) - (1 + tilt) * math.log1p(tilt)


def gentle_tilt(cumulant: Cumulant, epsilon: float, log_delta: float, largest: float, room: float) -> float:
    """Return about the smallest tilt at which rounding is harmless: under which delta is e^-room of the whole mass.

    The best tilt for Chernoff's bound is not the best one here: where rare steps reveal much it moves the mean to them,
    and the window would have to hold what is typical and what is rare.
    """

    def excess(tilt: float) -> float:
        return cumulant.value(tilt) - tilt * epsilon - log_delta - room

    if excess(largest) > 0:
        return largest
    low, high = 1e-6 * largest, largest
    while high > 1.2 * low:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if excess(middle) <= 0 else (middle, high)
    return high


def reach(
    cumulant: Cumulant, tilt: float, epsilon: float, log_delta: float, highest: float
) -> tuple[float, float, float]:
    """Return a window around `epsilon` that leaves out, and wraps into the tail, about e^-8 of delta.

    `highest` is the largest order that a bound may have: a grid is too coarse for larger ones.

    Returns:
      Its two ends, and the order at which Chernoff's bound on the mass above is smallest.
    """
    here = cumulant.value(tilt)
    room = max(here - tilt * epsilon - log_delta, 0.0) + 8
    mean, variance = cumulant.moments(tilt)
    spread = math.sqrt(variance) + 1e-12 * abs(mean) + 1e-300

    def below(shift: float) -> float:
        return (cumulant.value(tilt - shift) - here + room) / shift

    def wrapped(shift: float) -> float:
        return (cumulant.value(tilt + shift) - here + room) / shift

    def above(order: float) -> float:
        return (cumulant.value(order) - log_delta + 8) / order

    start = math.sqrt(2 * room) / spread
    bottom = min(-below(chernoff_tilt(below, cumulant.largest_tilt, start)), epsilon - spread)
    order = min(chernoff_tilt(above, 2 * cumulant.largest_tilt, tilt + start), max(highest, 1.01 * tilt))
    top = max(above(order), epsilon + spread)
    # Mass a whole turn above epsilon would be counted with the weight of epsilon.
    turn = wrapped(chernoff_tilt(wrapped, cumulant.largest_tilt, start)) - epsilon
    return bottom, max(top, bottom + turn), order
