"""What is known before anything is encrypted: the range of every value, and how large the error can become.

Ranges are intervals: the declared bounds of the input, pushed through the stages with the weights, which the server
knows (Moore, Interval Analysis, 1966). They are sound: no input within the bounds leaves them.

Errors are standard deviations in two parts that add up at the end: `own`, fresh in each slot and independent between
them, and `common`, inherited and in the worst case aligned. A map turns independent errors into the root of the sum of
their squares, common ones into their plain sum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reticent.he.diagonals import Diagonals
from reticent.he.estimate import TAIL
from reticent.he.noise import Noise
from reticent.he.parameters import Parameters
from reticent.he.stages import Map, Power, Stage, Stages

__all__ = ["Range", "largest_error", "ranges"]

Array = NDArray[np.float64]
DEVIATIONS = 6.0
"""Of errors that a map sums up from many slots, which makes them Gaussian: passed once in 5e8 numbers."""


@dataclass(frozen=True, eq=False)
class Range:
    """Where the values of one stage lie.

    Attributes:
      name: Of the stage.
      low, high: Bounds of each result, shape `(outputs,)`.
      peak: Largest absolute value of anything that is computed on the way, partial sums included.
    """

    name: str
    low: Array
    high: Array
    peak: float

    @property
    def largest(self) -> Array:
        """Largest absolute value of each result."""
        return np.maximum(np.abs(self.low), np.abs(self.high))


def ranges(stages: Stages, low: Array, high: Array) -> list[Range]:
    """Return the range of the input and of each stage, for inputs in `[low, high]`, each of shape `(features,)`."""
    found = [Range("the input", low, high, float(np.maximum(np.abs(low), np.abs(high)).max()))]
    for stage in stages.stages:
        found.append(_map(stage, found[-1]) if isinstance(stage, Map) else _power(stage, found[-1]))
    return found


def _map(stage: Map, before: Range) -> Range:
    positive, negative = np.maximum(stage.matrix, 0.0), np.minimum(stage.matrix, 0.0)
    low = positive @ before.low + negative @ before.high + stage.bias
    high = positive @ before.high + negative @ before.low + stage.bias
    parts = np.abs(stage.matrix) @ before.largest + np.abs(stage.bias)
    return Range(stage.name, low, high, float(parts.max()))


def _power(stage: Power, before: Range) -> Range:
    polynomial = np.polynomial.Polynomial(stage.coefficients)
    turns = [root.real for root in polynomial.deriv().roots() if abs(root.imag) < 1e-9]
    inner = [np.clip(turn, before.low, before.high) for turn in turns]  # outside the interval: an end of it
    values = polynomial(np.stack([before.low, before.high, *inner]))
    largest = float(before.largest.max())
    terms = [max(1.0, abs(c)) * largest**k for k, c in enumerate(stage.coefficients) if c]
    peak = largest**2 if stage.square else max(sum(terms), largest**stage.degree)
    return Range(stage.name, values.min(axis=0), values.max(axis=0), max(peak, largest))


def largest_error(
    stages: Stages, found: list[Range], plans: dict[int, Diagonals], parameters: Parameters, copies: int
) -> tuple[float, float]:
    """Return the largest error of a result to reckon with, errors of different slots independent, and if all align.

    Args:
      stages: The model.
      found: Its ranges; values are taken at their largest.
      plans: The diagonals of each map, by number of the stage.
      parameters: The ring.
      copies: Copies of each result in the slots, of which the client takes the mean.
    """
    noise, level = Noise(parameters), parameters.depth
    own = np.full(len(found[0].low), noise.fresh / parameters.scale(level))
    inherited, common = np.zeros_like(own), np.zeros_like(own)
    for number, stage in enumerate(stages.stages):
        before = found[number].largest
        if isinstance(stage, Map):
            plan = plans[number]
            turn = noise.key_switching(level) / parameters.scale(level) if plan.babies else 0.0
            squares = stage.matrix**2
            common = np.abs(stage.matrix) @ common + np.sqrt(squares @ (own**2 + turn**2))
            inherited = np.sqrt(squares @ (inherited**2 + own**2 + turn**2))
            fresh = _map_error(plan, float(before.max()), noise, level, parameters)
        else:
            slope = _slope(stage, before)
            common, inherited = slope * (common + own), slope * np.hypot(inherited, own)
            fresh = _power_error(stage, float(before.max()), noise, level, parameters)
        own = np.full_like(common, fresh)
        level -= stage.levels
    last = TAIL * float(own.max()) / math.sqrt(copies)
    return DEVIATIONS * float(inherited.max()) + last, TAIL * float(common.max()) + last


def _map_error(plan: Diagonals, largest: float, noise: Noise, level: int, parameters: Parameters) -> float:
    """Errors that a map adds itself: encoded weights, rotated parts, rescaling, fold, bias."""
    scale, after = parameters.scale(level), parameters.scale(level - 1)
    parts = 2 ** len(plan.folds)
    weights = noise.encoding / scale * largest * math.sqrt(len(plan.terms) * parts)
    giants = noise.key_switching(level) / scale**2 * math.sqrt(len(plan.giants) * parts)
    folding = noise.key_switching(level - 1) / after * math.sqrt(parts - 1)
    return math.hypot(weights, giants, noise.rescaling / after * math.sqrt(parts), folding, noise.encoding / after)


def _slope(stage: Stage, largest: Array) -> Array:
    """Largest absolute derivative at each value within the range."""
    steps = [abs(c) * k * largest ** (k - 1) for k, c in enumerate(stage.coefficients) if k]  # type: ignore[union-attr]
    total: Array = np.sum(steps, axis=0)
    return total


def _power_error(stage: Power, largest: float, noise: Noise, level: int, parameters: Parameters) -> float:
    """Errors that a polynomial adds itself: each product rescales once, and later products scale that up."""
    if stage.square:
        return math.hypot(
            noise.rescaling / parameters.scale(level - 1), noise.key_switching(level) / parameters.scale(level) ** 2
        )
    step = (noise.rescaling + noise.key_switching(level)) / min(parameters.scale(below) for below in range(level + 1))
    return step * sum(
        abs(c) * 2 * k * max(1.0, largest) ** (k - 1) for k, c in enumerate(stage.coefficients) if k
    ) + step * len(stage.coefficients)
