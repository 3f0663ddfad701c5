"""The loss distribution of a whole sequence of events in one direction, and certified answers from it.

For delta at epsilon, masses M above epsilon are summed: sum of M(l) * (1 - e^(epsilon - l)), plus infinite losses. What
the numbers carry is, in this order and each as an upper bound:

- every step's divergence, by chords (`discretise`), raised by the certificate's factor;
- the tilt e^(theta * l) and its removal, whose rounding is part of the same factor;
- the sum of independent losses on a circle of grid points (`transform`): what wraps around only adds, what lies above
  the circle is charged as infinite by Chernoff's bound, and rounding, bounded in Euclidean norm, by Cauchy and Schwarz;
- mass at infinite loss, summed over all steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reticent.dp.accounting.discretise import FARTHEST_LOSS, Discretised, connect_the_dots
from reticent.dp.accounting.evaluate import deltas_of, landmarks_of
from reticent.dp.accounting.pairs import Pair
from reticent.dp.accounting.pairs_gaussian import SampledGaussian
from reticent.dp.accounting.tilt import Cumulant, reach
from reticent.dp.accounting.transform import compose

__all__ = ["Coarse", "Composed", "Window"]

_Array = NDArray[np.float64]
_UNIT = 2.0**-53

LARGEST_LENGTH = 1 << 21
"""Grid points of a composition: 16 MiB. Where more would be needed the grid is coarser, and the answer less tight."""


@dataclass(frozen=True, slots=True)
class Window:
    """Where to compose: the tilt, and `length` grid points of distance `step` from `first` on.

    `focus` is the tilt that moves the mean to the question, `order` that at which Chernoff's bound on the mass above is
    good: both say which losses of a part matter.
    """

    tilt: float
    focus: float
    order: float
    step: float
    first: int
    length: int


class Coarse:
    """A coarse copy of the parts: it says where to look, and bounds what no window shows."""

    def __init__(self, parts: Sequence[Pair], counts: Sequence[int], points: int = 128) -> None:
        losses = landmarks_of(parts, points)
        self.distribution = connect_the_dots(losses, deltas_of(parts, losses))
        self.counts = np.array(counts, dtype=np.float64)
        self.steps = float(sum(counts))
        self.cumulant = Cumulant(losses, self.distribution.masses, self.counts)
        self.infinite = float(self.counts @ self.distribution.infinite)
        self._largest = self._largest_of(parts)

    def slack(self, tilt: float) -> float:
        """Return what to add to the cumulant, and to a logarithm of delta, so that it is an upper bound."""
        farthest = tilt * np.abs(self.distribution.losses).max(axis=1)
        each = 4 * (farthest + np.abs(self.cumulant.rows(tilt)) + 800) * _UNIT
        return float(self.counts @ (self.distribution.excess + each)) * 1.01 + 1e-12

    def _largest_of(self, parts: Sequence[Pair]) -> float:
        """Return the largest loss of the most frequent part that has one; 0 if none has."""
        for row in np.argsort(-self.counts):
            top = parts[row].loss_range()[1]
            if (
                not isinstance(parts[row], SampledGaussian)
                and parts[row].deltas(np.array([top]))[0] <= parts[row].infinite
            ):
                return float(top)
        return 0.0

    def window(self, tilt: float, focus: float, step: float, epsilon: float, log_delta: float) -> Window:
        """Return a grid for questions about (epsilon, delta), with about this distance of its points."""
        bottom, top, order = reach(self.cumulant, tilt, epsilon, log_delta, 0.5 / step)
        # Rounding losses to the grid spreads them a little further.
        margin = 3 * math.sqrt(self.steps) * step
        bottom, top = bottom - margin, top + margin
        width = max(top - bottom, 16 * step)
        length = min(1 << max(8, math.ceil(math.log2(width / step / 1.25))), LARGEST_LENGTH)
        # A power of two is at hand anyway: what it has room for makes the grid finer.
        step = self._aligned(width / (length - 4))
        while (length - 4) * step < width and length < LARGEST_LENGTH:
            length *= 2
        return Window(tilt, focus, order, step, math.floor(bottom / step) - 1, length)

    def _aligned(self, step: float) -> float:
        """Return about `step`, of which the largest loss of a bounded part is a multiple: its atoms need no rounding."""
        if not step / 16 < self._largest < math.inf:
            return step
        return self._largest / max(1, math.floor(self._largest / step))

    def knots(self, window: Window, points: int) -> NDArray[np.int64]:
        """Return grid points `(rows, points)`, increasing, at which the parts are to be evaluated.

        A chord of width w over tilted mass m adds about m * w^2 to the variance. For a given number of chords the sum
        is smallest where w is proportional to (m / w)^(-1/3). A third of them each goes where the transform has its mass,
        where the tail is asked for, and where the bound on the mass above the window comes from.
        """
        step = window.step
        losses, masses, _, _ = self.distribution
        widths = np.diff(losses, axis=1)
        with np.errstate(divide="ignore"):
            logs = np.log(np.maximum(masses[:, :-1], masses[:, 1:])) - np.log(widths)
        share = np.zeros_like(losses)
        for tilt in (window.tilt, window.focus, window.order):
            tilted = logs + tilt * losses[:, 1:]
            density = np.exp((tilted - tilted.max(axis=1, keepdims=True)) / 3)
            sums = np.cumsum(np.maximum(density, 1e-5) * widths, axis=1)
            share[:, 1:] += sums / sums[:, -1:] / 3
        tops = np.ceil(losses[:, -1] / step).astype(np.int64)
        widest = int((tops - np.floor(losses[:, 0] / step)).max())
        points = min(points, widest + 2, int(tops.min()) + int(1.05 * FARTHEST_LOSS / step))
        wanted = np.linspace(0, 1, points)
        chosen = np.array([np.interp(wanted, row, at) for row, at in zip(share, losses, strict=True)])
        indices = np.minimum(np.floor(chosen / step).astype(np.int64), tops[:, None])
        indices[:, -1] = tops
        # Points that coincide are moved apart downwards: above the range nothing may be added, however improbable.
        order = np.arange(points)
        indices = np.minimum.accumulate((indices - order)[:, ::-1], axis=1)[:, ::-1] + order
        return np.asarray(indices, dtype=np.int64)


class Composed:
    """The composed loss distribution in one direction, tilted, on one window."""

    def __init__(self, parts: Sequence[Pair], coarse: Coarse, window: Window, points: int) -> None:
        self.window = window
        indices = coarse.knots(window, points)
        losses = np.asarray(indices * window.step, dtype=np.float64)
        # The grid's losses are products that rounding may have raised: ask a little to the left of them.
        asked = losses - 2 * _UNIT * np.abs(losses)
        fine = connect_the_dots(losses, deltas_of(parts, asked))
        self._cumulant = Cumulant(losses, fine.masses, coarse.counts)
        logs = self._cumulant.rows(window.tilt)
        tilted = _tilted(fine, window.tilt, logs)
        circle = compose(indices, tilted, coarse.counts, window.length)
        self._scale = math.fsum(coarse.counts * logs)
        self._slack = float(coarse.counts @ fine.excess) + self._rounding(losses, logs, coarse)
        self._infinite = float(coarse.counts @ fine.infinite)
        self._error = circle.error
        self.bottom = window.first * window.step
        self.top = (window.first + window.length) * window.step
        self._losses = (window.first + np.arange(window.length)) * window.step
        masses = np.roll(circle.masses, -(window.first % window.length))
        self._weights = masses * np.exp(np.maximum(window.tilt * (self.bottom - self._losses), -650.0))
        self._above = self._above_the_circle()

    def delta(self, epsilon: float) -> float:
        """Return an upper bound on delta; 1 below the window, where wrapped mass would be missing."""
        return self.delta_and_rate(epsilon)[0]

    def delta_and_rate(self, epsilon: float) -> tuple[float, float]:
        """Return `delta`, and about how fast its logarithm falls."""
        window = self.window
        lower = epsilon - 1e-15 * float(np.abs(self._losses[[0, -1]]).max())
        if lower < self.bottom:
            return 1.0, 0.0
        first = min(int((lower - self.bottom) / window.step), window.length - 1)
        weights = self._weights[first:]
        share = np.exp(np.minimum(lower - self._losses[first:], 0.0))
        below = float(weights @ share)
        tail = float(weights @ -np.expm1(np.minimum(lower - self._losses[first:], 0.0)))
        rest = self._error * self._norm() * _exp(window.tilt * (self.bottom - lower))
        finite = (tail * (1 + 1e-13) + rest) * _exp(self._scale - window.tilt * self.bottom + self._slack)
        total = finite + self._infinite * _exp(self._slack) + self._above
        rate = below / tail if tail > 0 else math.inf
        return (1.0 if math.isnan(total) else min(1.0, total * (1 + 1e-12))), rate

    def rounding(self, epsilon: float) -> float:
        """Return how much of `delta` is the charge for rounding: what a larger tilt makes smaller."""
        window = self.window
        return self._error * self._norm() * _exp(self._scale - window.tilt * epsilon + self._slack)

    def room(self, epsilon: float, log_delta: float) -> float:
        """Return how much smaller, as a logarithm, delta is than the tilted mass: `gentle_tilt` knows it as room."""
        return self._scale - self.window.tilt * epsilon - log_delta

    def epsilon(self, delta: float, guess: float) -> float:
        """Return an epsilon of delta at most `delta`: 0, the bottom of the window, or infinity if the window has none."""
        return _crossing(self.delta_and_rate, delta, max(0.0, self.bottom + 1e-12 * abs(self.bottom)), self.top, guess)

    @property
    def missing(self) -> float:
        """Return the charge for mass above the window."""
        return self._above

    def _norm(self) -> float:
        """Return a bound on the Euclidean norm of e^(-theta x) * (1 - e^-x) over grid points x > 0 within the window."""
        tilt, step = self.window.tilt, self.window.step
        squares = float(self.window.length)
        if tilt * step > 1e-12:
            squares = min(squares, -1 / math.expm1(-2 * tilt * step), 1 / (4 * tilt**3 * step) + tilt**-2)
        return math.sqrt(squares)

    def _above_the_circle(self) -> float:
        """Return a bound on the mass above the circle: of any order, so the best of a few is taken (Chernoff)."""
        bounds = []
        for factor in (0.8, 0.9, 1.0, 1.15, 1.4):
            tilt = factor * self.window.order
            exponent = self._cumulant.value(tilt)
            bounds.append(exponent - tilt * self.top + 1e-12 * (abs(exponent) + tilt * abs(self.top)))
        return _exp(min(bounds) + self._slack)

    def _rounding(self, losses: _Array, logs: _Array, coarse: Coarse) -> float:
        """Return the relative error of tilting, folding and untilting: an exponent's rounding is relative to its parts."""
        tilt = self.window.tilt
        farthest = np.abs(losses).max(axis=1)
        each = 4 * tilt * farthest + 4 * np.abs(logs) + losses.shape[1] + 64
        ends = tilt * max(abs(self.window.first), abs(self.window.first + self.window.length)) * self.window.step
        return float(coarse.counts @ each) * _UNIT + 16 * _UNIT * (ends + float(coarse.counts @ np.abs(logs)))


def _tilted(fine: Discretised, tilt: float, logs: _Array) -> _Array:
    """Return masses * e^(tilt * loss), each row of sum 1; what would vanish is rounded up."""
    exponents = np.maximum(tilt * fine.losses - logs[:, None], -600.0)
    masses = fine.masses * np.exp(np.minimum(exponents, 700.0))
    return np.where(fine.masses > 0, np.maximum(masses, 1e-300), 0.0)


def _exp(x: float) -> float:
    return math.exp(x) if x < 700 else math.inf


def _crossing(
    curve: Callable[[float], tuple[float, float]], level: float, low: float, high: float, guess: float
) -> float:
    """Return a point in [low, high] where a falling curve is at most `level`: low, or 1e-6 above one where it is not.

    Newton's method on the logarithm, kept inside a bracket; `curve` returns value and rate.
    """
    point = min(max(guess, low), high)
    lowest, within, seen, width = low, math.inf, False, high - low
    for turn in range(120):
        value, rate = curve(point)
        if value <= level:
            within = high = point
            if point == lowest:
                return lowest
        else:
            low, seen = point, True
        if within < math.inf and high - low <= 1e-6 * high and (seen or high - lowest <= 1e-300):
            return within
        if within == math.inf and high - low <= 1e-6 * high:
            return math.inf
        step = math.log(max(value, 1e-320) / level) / rate if rate > 0 else math.inf
        # Beyond the root by less than the tolerance, so that the bracket closes from both ends.
        aimed = point + step + (4e-7 if value > level else -4e-7) * abs(point)
        if not low < aimed < high:
            aimed = lowest if not seen and aimed <= low else low + (high - low) / 2
        elif turn % 3 == 2:
            # Between two grid points the logarithm is concave, and Newton's steps may be tiny: halve instead.
            aimed = aimed if high - low <= width / 2 else low + (high - low) / 2
            width = high - low
        point = aimed
    return within
