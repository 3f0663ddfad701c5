"""A setting that may change from step to step, fixed before the first one: a number, or (steps, value) pairs.

A schedule is part of the mechanism, and each step is accounted with its own noise. One that looks at the data or at
unpaid figures, such as "less noise once the loss stalls", has no place here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Final

from reticent.errors import UsageError

__all__ = ["PerStep", "Segments"]


class Segments:
    """Values for runs of steps.

    >>> schedule = Segments((400, 1.5), (160, 1.1))
    >>> schedule.steps, schedule.at(399), schedule.at(400)
    (560, 1.5, 1.1)

    Args:
      parts: Pairs of how many steps (1 or more) and the value during them.

    Raises:
      UsageError: With code `invalid-segments`.
    """

    __slots__ = ("parts",)
    parts: Final[tuple[tuple[int, float], ...]]

    def __init__(self, *parts: tuple[int, float]) -> None:
        for part in parts:
            if len(part) != 2 or part[0] != int(part[0]) or part[0] < 1 or not math.isfinite(part[1]):
                raise UsageError(
                    "invalid-segments",
                    f"a segment is {part}",
                    hint="give pairs (steps, value): Segments((400, 1.5), (160, 1.1)), steps whole and at least 1",
                )
        self.parts = tuple((int(steps), float(value)) for steps, value in parts)

    @classmethod
    def of(cls, value: PerStep, steps: int) -> Segments:
        """Return `value` as segments: itself, one number for all `steps`, or a sequence with one for each step."""
        if isinstance(value, Segments):
            return value
        if isinstance(value, Sequence):
            return cls(*((len(list(run)), float(number)) for number, run in groupby(value)))
        return cls((steps, float(value)))

    @property
    def steps(self) -> int:
        """How many steps there are values for."""
        return sum(steps for steps, _ in self.parts)

    @property
    def constant(self) -> float | None:
        """The one value of all steps; None if it changes."""
        values = {value for _, value in self.parts}
        return values.pop() if len(values) == 1 else None

    def at(self, step: int) -> float:
        """Return the value of one step, counted from 0."""
        for steps, value in self.parts:
            if step < steps:
                return value
            step -= steps
        raise IndexError(step)

    def between(self, first: int, stop: int) -> tuple[tuple[int, float], ...]:
        """Return the pairs (steps, value) of the steps `first` to `stop - 1`."""
        found = []
        start = 0
        for steps, value in self.parts:
            inside = min(stop, start + steps) - max(first, start)
            if inside > 0:
                found.append((inside, value))
            start += steps
        return tuple(found)

    def __repr__(self) -> str:
        return f"Segments({', '.join(map(repr, self.parts))})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Segments) and self.parts == other.parts

    def __hash__(self) -> int:
        return hash(self.parts)


PerStep = float | Sequence[float] | Segments
"""One number for all steps, one for each step, or segments."""
