"""From stages, ranges and a precision to a ring, a packing and diagonals: the smallest ring in which all of it fits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reticent.errors import UsageError
from reticent.he.bounds import Range, largest_error, ranges
from reticent.he.diagonals import Diagonals, best_packing, diagonals
from reticent.he.packing import Packing, next_power
from reticent.he.parameters import SECURITY_BITS, Parameters
from reticent.he.stages import Map, Stages

__all__ = ["Plan", "plan"]

Array = NDArray[np.float64]
_DEGREES = (4096, 8192, 16384, 32768)
_SCALES = range(48, 20, -1)
_WIDEST_PRIME = 60
_ROOM = 2.1  # bits: the factor 4 of Parameters.capacity, and primes a little below their power of two


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that is decided before a key is made.

    Attributes:
      stages: The model.
      ranges: Of the input and of each stage.
      parameters: The ring, its primes and its precision.
      before: Packing of the input.
      after: Packing of the result.
      maps: Diagonals of each map, by number of the stage.
      error: Largest error of a result before rounding to reckon with, every value at the end of its range and the errors
        of different slots independent; at most half the precision.
      worst: The same if all errors align.
    """

    stages: Stages
    ranges: list[Range]
    parameters: Parameters
    before: Packing
    after: Packing
    maps: dict[int, Diagonals]
    error: float
    worst: float

    @property
    def steps(self) -> frozenset[int]:
        """Rotation steps, in slots, for which evaluation keys are needed."""
        return frozenset().union(*(found.steps for found in self.maps.values()))


def plan(stages: Stages, low: Array, high: Array, *, precision: float, rows: int | None) -> Plan:
    """Return the plan with the smallest ring.

    Args:
      stages: The model.
      low: Smallest value of each input, shape `(features,)`.
      high: Largest value of each input.
      precision: Largest error of a result, rounding included.
      rows: Samples in one ciphertext, a power of two; None: as many as fit.

    Raises:
      UsageError: If no ring up to degree 32768 fits; the error names what does not.
    """
    found = ranges(stages, low, high)
    widths = [len(low)] + [len(stage.bias) for stage in stages.stages if isinstance(stage, Map)]
    widest, refusal = max(map(next_power, widths)), _too_wide(max(widths), rows or 1)
    for degree in _DEGREES:
        fitting = degree // 2 // widest
        if fitting < max(rows or 1, 1) or not any(True for _ in _candidates(degree, stages, found, precision)):
            if fitting >= (rows or 1):
                refusal = _too_deep(stages, found)
            continue
        before, after, maps = _pack(stages, degree // 2, rows or fitting)
        for bases in (1, 2):
            best = _best(degree, bases, stages, found, maps=maps, after=after, precision=precision)
            if best is not None and best[0] <= precision / 2:
                error, worst, parameters = best
                return Plan(stages, found, parameters, before, after, maps, error, worst)
            if best is not None:
                refusal = _too_fine(precision, 2 * best[0])
    raise refusal


def _pack(stages: Stages, slots: int, rows: int) -> tuple[Packing, Packing, dict[int, Diagonals]]:
    """Walk through the maps: the first chooses how the client packs, the others take what the one before left."""
    first, maps = stages.stages[0], dict[int, Diagonals]()
    width = int(np.prod(stages.input_shape))
    packing = before = Packing.repeated(slots, width, rows=rows)
    for number, stage in enumerate(stages.stages):
        if isinstance(stage, Map):
            chosen = (
                best_packing(stage.matrix, slots, rows=rows) if stage is first else diagonals(stage.matrix, packing)
            )
            maps[number], packing = chosen, chosen.after
            before = chosen.before if stage is first else before
    return before, packing, maps


def _candidates(
    degree: int, stages: Stages, found: list[Range], precision: float, bases: tuple[int, ...] = (1, 2)
) -> Iterator[Parameters]:
    """Yield parameters in which every range fits, larger scales first."""
    for count in bases:
        for scale in _SCALES:
            base = _base_bits(stages, found, scale)
            widths = (base,) if count == 1 else (base - base // 2, base // 2)
            special = min(_WIDEST_PRIME, SECURITY_BITS[degree] - base - stages.depth * scale)
            if max(*widths, scale) > special:
                continue
            bound = max(float(found[0].largest.max()), precision)
            levels = (scale,) * stages.depth
            try:
                yield Parameters(degree, widths, levels, special, scale, bound, precision)
            except UsageError:
                continue  # narrow primes that are 1 modulo 2 N run out


def _base_bits(stages: Stages, found: list[Range], scale: int) -> int:
    """Bits of the modulus that remains at level 0, so that nothing wraps at any level."""
    level, needed = stages.depth, scale + math.log2(max(found[0].peak, 1.0))
    for stage, span in zip(stages.stages, found[1:], strict=True):
        level -= stage.levels
        needed = max(needed, scale + math.log2(max(span.peak, 1.0)) - level * scale)
    return math.ceil(needed + _ROOM)


def _best(
    degree: int,
    bases: int,
    stages: Stages,
    found: list[Range],
    *,
    maps: dict[int, Diagonals],
    after: Packing,
    precision: float,
) -> tuple[float, float, Parameters] | None:
    """Return error, worst error and parameters of the best scale: larger ones starve the special prime."""
    copies = after.slots // (after.rows * after.period)
    best: tuple[float, float, Parameters] | None = None
    for parameters in _candidates(degree, stages, found, precision, (bases,)):
        error, worst = largest_error(stages, found, maps, parameters, copies)
        if best is not None and error > best[0]:
            break
        best = (error, worst, parameters)
    return best


def _too_wide(width: int, rows: int) -> UsageError:
    most = _DEGREES[-1] // 2
    return UsageError(
        "he-too-wide",
        f"{rows} rows of {width} numbers in one ciphertext, which holds at most {most}",
        hint="use fewer rows, or a model with narrower layers",
    )


def _too_deep(stages: Stages, found: list[Range]) -> UsageError:
    most = 2.0 ** (2 * _WIDEST_PRIME - 1 - _SCALES[-1] - _ROOM)
    peak = next((span for span in found if span.peak > most), max(found, key=lambda span: span.peak))
    if _base_bits(stages, found, _SCALES[-1]) > 2 * _WIDEST_PRIME - 1:
        return UsageError(
            "range-exceeded",
            f"within the declared input bounds the numbers at {peak.name} reach {peak.peak:.3g}, more than any level holds",
            hint="declare tighter input bounds, scale the input, or train with smaller weights there",
        )
    return UsageError(
        "he-too-deep",
        f"{stages.depth} products in sequence, with numbers up to {peak.peak:.3g} at {peak.name}, fit no ring of degree "
        f"up to {_DEGREES[-1]} at 128 bits of security",
        hint="use fewer activations of lower degree, narrower input bounds, or smaller weights",
    )


def _too_fine(precision: float, reachable: float) -> UsageError:
    return UsageError(
        "he-precision",
        f"precision is {precision:g}; within the declared input bounds at most {reachable:.2g} can be promised",
        hint=f"ask for precision={_up(reachable):g}, declare tighter input bounds, or train with smaller weights",
    )


def _up(value: float) -> float:
    """Round up to one digit."""
    step = 10.0 ** math.floor(math.log10(value))
    return math.ceil(value / step) * step
