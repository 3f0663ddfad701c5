"""Confidence intervals for what was computed from noised sums: they cover the noise, and nothing else is unknown.

An interval here is about the statistic of the rows that counted, with values clipped to the declared bounds. It says
nothing of a larger population from which these rows may be a sample.

Each is an inverted test: the set of all values that the noise could have carried to what was seen. It holds at any
number of rows, also at none, where it becomes all that the bounds allow.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from reticent.analytics.noise import Part

__all__ = ["Interval", "crossing", "linear", "ratio", "root", "variance"]

Interval = tuple[float, float]
Coefficients = NDArray[np.float64]
_ROUNDS = 12  # each round starts from an interval that holds, and can only narrow it


def linear(coefficients: Coefficients, part: Part, miss: float, within: Interval) -> Interval:
    """Return the interval of a weighted sum of exact coordinates."""
    value, reach = part.estimate(coefficients), part.reach(coefficients, miss)
    low, high = (min(max(end, within[0]), within[1]) for end in (value - reach, value + reach))
    return low, high


def ratio(above: Coefficients, below: Coefficients, part: Part, miss: float, within: Interval) -> Interval:
    """Return the interval of (above . x) / (below . x) for the exact x behind the noise (Fieller, JRSS B 1954).

    If m is the true ratio, (above - m below) of the noised x is noise alone. The sizes of the coefficients are convex in
    m, so their largest over an interval is at one of its ends; each round bounds the noise by that and keeps what it
    allows.

    Args:
      above, below: Coefficients, shape `(width,)`.
      part: The noised coordinates.
      miss: Probability that the interval may miss.
      within: Where the ratio must lie.
    """
    a, d = part.estimate(above), part.estimate(below)
    low, high = within
    for _ in range(_ROUNDS):
        largest = np.maximum(np.abs(above - low * below), np.abs(above - high * below))
        new = _solve(a, d, part.reach(largest, miss), (low, high))
        if new == (low, high):
            break
        low, high = new
    return low, high


def _solve(a: float, d: float, reach: float, within: Interval) -> Interval:
    """Return the m within an interval with |a - m d| <= reach; the middle if the noise allows none."""
    low, high = within
    if d == 0:
        return within
    ends = sorted(((a - reach) / d, (a + reach) / d))
    new = max(low, ends[0]), min(high, ends[1])
    if new[0] <= new[1]:
        return new
    nearest = min(max(a / d, low), high)
    return nearest, nearest


def variance(moments: tuple[Coefficients, Coefficients, Coefficients], part: Part, miss: float) -> Interval:
    """Return the interval of E u^2 - (E u)^2 for u in [-1, 1], from coefficients of count, sum and sum of squares.

    For the true mean m and variance v, the sum of squares - 2 m sum + (m^2 - v) count is noise alone. m is taken from
    an interval of its own, which gets a tenth of `miss`; near the true mean the left side hardly depends on m.
    """
    count, first, second = moments
    means = ratio(first, count, part, miss / 10, (-1.0, 1.0))
    # A coefficient's size is convex in v; in m it is a parabola whose vertex is where first = m count: at -1, 0 or 1.
    tried = [*means, *(m for m in (-1.0, 0.0, 1.0) if means[0] < m < means[1])]
    n, s, q = (part.estimate(shape) for shape in moments)
    low, high = 0.0, 1.0
    for _ in range(_ROUNDS):
        shapes = [second - 2 * m * first + (m**2 - v) * count for m in tried for v in (low, high)]
        reach = part.reach(np.max(np.abs(shapes), axis=0), miss * 0.9)
        about = [q - 2 * m * s + m**2 * n for m in _stationary(means, s, n)]
        middle, spread = (max(about) + min(about)) / 2, (max(about) - min(about)) / 2
        new = _solve(middle, n, reach + spread, (low, high))
        if new == (low, high):
            break
        low, high = new
    return low, high


def _stationary(means: Interval, s: float, n: float) -> list[float]:
    """Return the means at which q - 2 m s + m^2 n can be largest or smallest."""
    vertex = s / n if n else means[0]
    return [*means, *([vertex] if means[0] < vertex < means[1] else [])]


def crossing(level: float, prefixes: Coefficients, part: Part, miss: float) -> tuple[int, int, int]:
    """Return the bin in which a distribution reaches `level` of its total, and the first and last that it may be.

    Args:
      level: Within [0, 1].
      prefixes: Coefficients of the prefix sums, `(bins, width)`.
      part: The noised coordinates.
      miss: Probability that the true bin may be missed.

    Returns:
      (best, first, last). If j is the true bin, the prefix before it is below level * total, and that of it is not;
      each is tested with half of `miss`.
    """
    shapes = prefixes - level * prefixes[-1]
    values = shapes @ part.vector
    reaches = part.reaches(shapes, miss)  # two-sided at miss is one-sided at miss / 2
    before = np.r_[True, values[:-1] - reaches[:-1] <= 0]
    after = np.r_[values[:-1] + reaches[:-1] >= 0, True]
    possible = np.flatnonzero(before & after)
    # Where noise makes prefixes fall, the level is crossed several times: the middle of the crossings.
    best = int(np.count_nonzero(values[:-1] < 0))
    if not len(possible):
        return best, best, best
    return best, min(best, int(possible[0])), max(best, int(possible[-1]))


def root(interval: Interval) -> Interval:
    """Return the interval of the square root."""
    return math.sqrt(max(interval[0], 0.0)), math.sqrt(max(interval[1], 0.0))
