"""All events in one direction of the neighbouring relation, and how finely to look at them for one question."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from reticent.dp.accounting.distribution import LARGEST_LENGTH, Coarse, Composed
from reticent.dp.accounting.evaluate import deltas_of
from reticent.dp.accounting.pairs import Pair
from reticent.dp.accounting.tilt import gentle_tilt, tilt_for_delta, tilt_for_epsilon

__all__ = ["COARSE", "FINE", "Line"]

FINE = 1.5e-4
"""Largest relative error of epsilon, about, that the grid may add to what the proof allows."""

COARSE = 2e-3
"""The same for a first look, several times faster."""

_EVALUATIONS = 400_000

_ROUNDED = 1e-3
"""Largest share of a delta that may be the charge for rounding, if a larger tilt makes it smaller."""


class Line:
    """A composition of pairs in one direction.

    Args:
      parts: Different pairs.
      counts: How often each occurs, 1 or larger.
      tolerance: `FINE` or `COARSE`.
    """

    def __init__(self, parts: Sequence[Pair], counts: Sequence[int], tolerance: float = FINE) -> None:
        self.parts, self.counts, self._tolerance = tuple(parts), tuple(counts), tolerance
        self._latest: Composed | None = None

    def epsilon(self, delta: float) -> float:
        """Return an upper bound on epsilon, at least 0, or infinity."""
        if self._alone:
            return _inverse(self, delta)
        found = self._composed_epsilon(delta)
        if math.isinf(found):
            found = self._chernoff_epsilon(delta)
        return min(found, self._largest_loss)

    def delta(self, epsilon: float) -> float:
        """Return an upper bound on delta."""
        if self._alone:
            return float(deltas_of(self.parts, np.array([[epsilon]]))[0, 0])
        if epsilon >= self._largest_loss:
            return 0.0
        if not self._coarse.infinite < 1:
            return 1.0
        return min(self._composed_delta(epsilon), self._chernoff_delta(epsilon))

    @property
    def _alone(self) -> bool:
        return self.counts == (1,)

    @cached_property
    def _coarse(self) -> Coarse:
        return Coarse(self.parts, self.counts)

    @cached_property
    def _points(self) -> int:
        most = 8192 if self._tolerance <= FINE else 2048
        return min(most, max(192, _EVALUATIONS // len(self.parts)))

    @cached_property
    def _largest_loss(self) -> float:
        """Return the sum of all largest losses where there is no larger one, for basic composition."""
        total = 0.0
        for part, count in zip(self.parts, self.counts, strict=True):
            top = part.loss_range()[1]
            if not math.isfinite(top) or part.infinite > 0 or part.deltas(np.array([top]))[0] != 0:
                return math.inf
            total += count * max(top, 0.0)
        return total * (1 + 1e-12)

    def _composed_epsilon(self, delta: float) -> float:
        coarse = self._coarse
        left = delta - coarse.infinite
        if left <= 0:
            return math.inf
        level = math.log(left)
        best, guess = tilt_for_delta(coarse.cumulant, left)
        tilt = gentle_tilt(coarse.cumulant, guess, level, best, self._room)
        rate, found = best, math.inf
        for _ in range(4):
            step = self._step(max(guess, 0.0), rate, tilt)
            focus = min(best, tilt_for_epsilon(coarse.cumulant, guess)[0])
            composed = Composed(
                self.parts, coarse, coarse.window(tilt, max(tilt, focus), step, guess, level), self._points
            )
            answer = composed.epsilon(delta, 0.97 * guess)
            found = min(found, answer)
            if answer == 0 or answer >= (1 - self._tolerance) * self._largest_loss:  # infinity included
                break
            guess, rate = answer, composed.delta_and_rate(answer)[1]
            if answer <= composed.bottom + 1e-6 * answer:
                guess *= 0.7  # the true one lies below the window
                tilt = self._tilt(guess, level, self._room)
                continue
            wanted = self._step(answer, rate, tilt)
            previous, tilt = tilt, self._steeper(composed, answer, level, 0.3 * self._tolerance * rate * answer * delta)
            if composed.window.length == LARGEST_LENGTH or (previous == tilt and composed.window.step <= 1.3 * wanted):
                break
        return found

    def _tilt(self, epsilon: float, level: float, room: float) -> float:
        cumulant = self._coarse.cumulant
        return gentle_tilt(cumulant, epsilon, level, tilt_for_epsilon(cumulant, epsilon)[0], room)

    def _steeper(self, composed: Composed, epsilon: float, level: float, allowed: float) -> float:
        """Return a larger tilt where the charge for rounding is above `allowed` and would become much smaller."""
        tilt, rounded = composed.window.tilt, composed.rounding(epsilon)
        if rounded <= allowed:
            return tilt
        steeper = self._tilt(epsilon, level, composed.room(epsilon, level) - math.log(3 * rounded / allowed))
        value = self._coarse.cumulant.value
        gain = (value(tilt) - tilt * epsilon) - (value(steeper) - steeper * epsilon)
        return steeper if steeper > tilt and gain > 1.5 else tilt

    def _composed_delta(self, epsilon: float) -> float:
        if (latest := self._latest) and self._serves(latest, epsilon):
            return latest.delta(epsilon)
        coarse = self._coarse
        best, level = tilt_for_epsilon(coarse.cumulant, epsilon)
        level = min(level, -1e-3)
        rate, found = best, 1.0
        tilt = gentle_tilt(coarse.cumulant, epsilon, level, best, self._room)
        for _ in range(3):
            step = self._step(epsilon, rate, tilt)
            composed = Composed(
                self.parts, coarse, coarse.window(tilt, max(tilt, best), step, epsilon, level), self._points
            )
            answer, rate = composed.delta_and_rate(epsilon)
            if answer <= found:
                found, self._latest = answer, composed
            if not 0 < answer < 1:
                break
            wanted, level = self._step(epsilon, rate, tilt), min(math.log(answer), -1e-3)
            previous, tilt = tilt, self._steeper(composed, epsilon, level, _ROUNDED * answer)
            if composed.window.length == LARGEST_LENGTH or (previous == tilt and composed.window.step <= 1.3 * wanted):
                break
        return found

    def _serves(self, composed: Composed, epsilon: float) -> bool:
        """Say whether a composition made for another question answers this one about as well."""
        answer, rate = composed.delta_and_rate(epsilon)
        if not composed.bottom < epsilon < composed.top or composed.missing > 1e-3 * answer:
            return False
        fine = composed.window.step <= 1.3 * self._step(epsilon, rate, composed.window.tilt)
        return fine and composed.rounding(epsilon) <= _ROUNDED * answer

    def roughly(self) -> Line:
        """Return the same line at the tolerance `COARSE`."""
        return Line(self.parts, self.counts, COARSE)

    def _chernoff_epsilon(self, delta: float) -> float:
        """Return a bound from moments alone, for questions that no window answers."""
        coarse = self._coarse
        if delta <= (infinite := coarse.infinite * 1.01):
            return math.inf
        tilt, found = tilt_for_delta(coarse.cumulant, delta - infinite)
        return max(0.0, found + coarse.slack(tilt) / tilt)

    def _chernoff_delta(self, epsilon: float) -> float:
        coarse = self._coarse
        tilt, level = tilt_for_epsilon(coarse.cumulant, epsilon)
        level += coarse.slack(tilt)
        return min(1.0, math.exp(level) + coarse.infinite * 1.01) if level < 0 else 1.0

    @property
    def _room(self) -> float:
        """Return the logarithm of the tail's share of the tilted mass; rounding is about 1e-13 for each step."""
        return min(10.0, max(3.0, math.log(1e9 / self._coarse.steps)))

    def _step(self, epsilon: float, rate: float, tilt: float) -> float:
        """Return a grid step that adds less than the tolerance to epsilon.

        A chord of one step adds at most, and on average half of, step^2 / 6 to the variance of each loss and half of that
        to its mean; `rate`, by which log delta falls with epsilon, turns that into an epsilon.
        """
        spread = math.sqrt(max(self._coarse.cumulant.moments(tilt)[1], 1e-300))
        allowed = self._tolerance * max(epsilon, 0.1 * spread)
        return math.sqrt(12 * allowed / (self._coarse.steps * (1 + min(rate, 1e12))))


def _inverse(line: Line, delta: float) -> float:
    """Return the smallest epsilon of a curve, rounded up by less than 1e-9 of itself."""
    if line.delta(0.0) <= delta:
        return 0.0
    low, high = 0.0, 1.0
    while line.delta(high) > delta:
        low, high = high, 2 * high
        if high > 2.0**20:
            return math.inf
    while high - low > 1e-10 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if line.delta(middle) <= delta else (middle, high)
    return high
