"""The edge of a target: the last parameter of a family of events that keeps epsilon at or below it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from reticent.dp.accounting.answers import bound
from reticent.dp.accounting.line import COARSE, FINE
from reticent.dp.accounting.terms import terms_of
from reticent.dp.events import Event
from reticent.dp.release import Relation
from reticent.dp.target import Target

__all__ = ["TOLERANCE", "Family"]

TOLERANCE = 1e-3
"""How far answers may lie from the edge, relative to themselves, on the side that keeps the target."""

_FAR = 3.0
"""Excesses are cut off at this logarithm: beyond, only their sign is used."""


@dataclass(frozen=True)
class Family:
    """Events that depend on one positive number, and what they may reveal.

    Attributes:
      events: The events at a number.
      target: What `dp.epsilon` of them may be at most.
      relation: The neighbouring relation.
      falling: Whether larger numbers reveal less (as noise does), or more (as steps do).
      whole: Whether the number is a count.
    """

    events: Callable[[float], tuple[Event, ...]]
    target: Target
    relation: Relation
    falling: bool
    whole: bool = False

    def last(self, *, start: float, least: float, most: float) -> float | None:
        """Return the smallest (if falling, else largest) number from `least` to `most` that keeps the target.

        Returns:
          A number at which `dp.epsilon` is at or below the target, less than `TOLERANCE` (or one count) away from one
          at which it is not; the nearer end of the range if all of it keeps the target, and None if nothing does.
        """
        ends = sorted((self._place(least), self._place(most)))
        # Coarse grids say where to look; what is returned was looked at finely.
        rough = self._search(COARSE, self._place(start), 0.7, ends)
        found = self._search(FINE, ends[1] if rough is None else rough, 2 * TOLERANCE, ends)
        return None if found is None else self._number(found)

    def _place(self, number: float) -> float:
        """Return where a number lies on a line on which everything to the right reveals less."""
        return math.log(number) if self.falling else -math.log(number)

    def _number(self, place: float) -> float:
        number = math.exp(place if self.falling else -place)
        return float(round(number)) if self.whole else number

    def _excess(self, place: float, grid: float) -> float:
        """Return log(epsilon / target): above 0 exactly where `dp.epsilon` exceeds the target."""
        spent = bound(terms_of(self.events(self._number(place))), self.target.delta, self.relation, grid)
        if spent <= self.target.epsilon:
            return max(-_FAR, math.log(max(spent, 1e-300) / self.target.epsilon))
        return min(_FAR, max(1e-15, math.log(spent / self.target.epsilon))) if math.isfinite(spent) else _FAR

    def _search(self, grid: float, start: float, stride: float, ends: list[float]) -> float | None:
        fails: list[float] | None = None
        keeps: list[float] | None = None
        place = min(max(self._snapped(start), ends[0]), ends[1])
        for _ in range(200):
            excess = self._excess(place, grid)
            if excess > 0:
                fails = [place, excess]
            else:
                keeps = [place, excess]
            if keeps is None:
                if place >= ends[1]:
                    return None
                place = min(ends[1], place + stride)
                stride *= 2
            elif fails is None:
                if place <= ends[0]:
                    return place
                place = max(ends[0], place - stride)
                stride *= 2
            elif self._near(fails[0], keeps[0]):
                break
            else:
                place = self._between(fails, keeps, last_failed=excess > 0)
        return None if keeps is None else keeps[0]

    def _snapped(self, place: float) -> float:
        return self._place(max(1.0, self._number(place))) if self.whole else place

    def _near(self, fails: float, keeps: float) -> bool:
        close = keeps - fails <= TOLERANCE
        return close or (self.whole and abs(self._number(fails) - self._number(keeps)) <= 1)

    def _between(self, fails: list[float], keeps: list[float], *, last_failed: bool) -> float:
        """Return where to look next: by interpolation, a little beyond it on the side that was not hit last."""
        width = keeps[0] - fails[0]
        if fails[1] >= _FAR or keeps[1] <= -_FAR:
            place = fails[0] + width / 2
        else:
            root = fails[0] + width * fails[1] / (fails[1] - keeps[1])
            aside = max(0.4 * TOLERANCE, 0.05 * width)
            place = root + aside if last_failed else root - aside
        place = self._snapped(min(max(place, fails[0] + 0.02 * width), keeps[0] - 0.02 * width))
        if self.whole and not fails[0] < place < keeps[0]:
            step = 1 if self.falling else -1
            place = self._place(self._number(fails[0]) + step)
        return place
