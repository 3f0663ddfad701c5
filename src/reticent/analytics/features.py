"""What one row adds to the vector that is released, in whole grid steps, and how long that can be.

Most features let a row spread a weight of one over a few coordinates that are never negative: one cell of a histogram,
or the Bernstein polynomials of a number, which add up to one. The weight bounds the L1 and the L2 norm of a row at
once, whatever the row holds; the sum of the coordinates is the count, and a coordinate for missing cells costs nothing,
since a row that uses it uses no other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from reticent.analytics.bounding import distinct_persons
from reticent.analytics.rows import Rows

__all__ = ["Feature", "Geometry", "Integers", "Moments", "Persons", "Presence", "Spread", "partition"]

Integers = NDArray[np.int64]
Chosen = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Geometry:
    """How long the contribution of one row can be, and how far apart those of two rows, in grid steps.

    Attributes:
      l1, l2_squared: Largest norms.
      l1_apart, l2_squared_apart: Largest distances, also from the contribution of no row.
    """

    l1: int
    l2_squared: int
    l1_apart: int
    l2_squared_apart: int

    def times(self, rows: int) -> Geometry:
        """Return the same for the sum of up to `rows` rows of one unit."""
        return Geometry(
            self.l1 * rows, self.l2_squared * rows**2, self.l1_apart * rows, self.l2_squared_apart * rows**2
        )


def partition(steps: int) -> Geometry:
    """Return the geometry of vectors without negative coordinates that add up to at most `steps`."""
    return Geometry(steps, steps**2, 2 * steps, 2 * steps**2)


class Feature(Protocol):
    """A stretch of the vector."""

    @property
    def slot(self) -> Any:
        """What it is about; features of one slot are merged."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it reads."""
        ...

    @property
    def width(self) -> int:
        """Number of coordinates."""
        ...

    @property
    def norm(self) -> float:
        """L2 norm of a row's contribution in units of `steps`."""
        ...

    @property
    def per_unit(self) -> bool:
        """Whether a unit contributes once, however many rows it has."""
        ...

    def merged(self, other: Any) -> Feature:
        """Return the feature that serves both, of the same slot."""
        ...

    def geometry(self, steps: int) -> Geometry:
        """Return how long one row's contribution can be."""
        ...

    def total(self, rows: Rows, chosen: Chosen, steps: int) -> Integers:
        """Return the exact sum over the chosen rows, shape `(width,)`."""
        ...


@dataclass(frozen=True, slots=True)
class Spread:
    """Base of the features in which a row spreads a weight of at most one."""

    @property
    def norm(self) -> float:
        """One."""
        return 1.0

    @property
    def per_unit(self) -> bool:
        """No: every row counts."""
        return False

    def geometry(self, steps: int) -> Geometry:
        """Return the bounds that hold for any row."""
        return partition(steps)


@dataclass(frozen=True, slots=True)
class Presence(Spread):
    """Rows in which a cell is there, or (column None) all rows; and, if asked, those in which it is missing."""

    column: str | None
    missing: bool = False

    @property
    def slot(self) -> Any:
        """The column, whatever its bounds."""
        return ("presence", self.column)

    @property
    def columns(self) -> tuple[str, ...]:
        """The column, if one is meant."""
        return () if self.column is None else (self.column,)

    @property
    def width(self) -> int:
        """One, and one more for missing cells."""
        return 1 + self.missing

    def merged(self, other: Presence) -> Presence:
        """Return one that counts missing cells if either does."""
        return replace(self, missing=self.missing or other.missing)

    def geometry(self, steps: int) -> Geometry:
        """Return the bounds; a single coordinate cannot differ by more than its weight."""
        return partition(steps) if self.missing else Geometry(steps, steps**2, steps, steps**2)

    def total(self, rows: Rows, chosen: Chosen, steps: int) -> Integers:
        """Return the two counts."""
        here = len(chosen) if self.column is None else int(rows.present(self.column)[chosen].sum())
        return np.array([here, len(chosen) - here][: self.width], dtype=np.int64) * steps

    def count(self) -> NDArray[np.float64]:
        """Return the coefficients of the number of rows with a value."""
        return np.array([1.0, 0.0][: self.width])

    def gaps(self) -> NDArray[np.float64]:
        """Return the coefficients of the number of rows without."""
        return np.array([0.0, 1.0])


@dataclass(frozen=True, slots=True)
class Persons:
    """How many persons have rows that count."""

    @property
    def slot(self) -> Any:
        """There is one."""
        return ("persons",)

    @property
    def columns(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def width(self) -> int:
        """One."""
        return 1

    @property
    def norm(self) -> float:
        """One."""
        return 1.0

    @property
    def per_unit(self) -> bool:
        """Yes: a person is one, whatever their rows."""
        return True

    def merged(self, other: Persons) -> Persons:
        """Return the same."""
        return other

    def geometry(self, steps: int) -> Geometry:
        """Return the bounds of a number that is 0 or 1."""
        return Geometry(steps, steps**2, steps, steps**2)

    def total(self, rows: Rows, chosen: Chosen, steps: int) -> Integers:
        """Return the count."""
        return np.array([distinct_persons(rows, chosen) * steps], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Moments(Spread):
    """Count, sum and, for degree 2, sum of squares of a number clipped to declared bounds.

    With u the value mapped to [-1, 1], a row's coordinates are the Bernstein polynomials of u: ((1+u)/2, (1-u)/2) for
    degree 1, ((1+u)^2, 2(1+u)(1-u), (1-u)^2)/4 for degree 2. They add up to one, so all moments together cost as much as
    a count alone. (A clamp of each coordinate for itself would let a row weigh 1, u and u^2: up to three in L1.)
    """

    column: str
    bounds: tuple[float, float]
    degree: int = 1
    missing: bool = False

    @property
    def slot(self) -> Any:
        """The column and its bounds."""
        return ("moments", self.column, self.bounds)

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def width(self) -> int:
        """One more than the degree, and one for missing cells."""
        return self.degree + 1 + self.missing

    @property
    def center(self) -> float:
        """Middle of the bounds."""
        return self.bounds[0] / 2 + self.bounds[1] / 2

    @property
    def half(self) -> float:
        """Half the distance of the bounds."""
        return self.bounds[1] / 2 - self.bounds[0] / 2

    def merged(self, other: Moments | Presence) -> Moments:
        """Return one of the higher degree that counts missing cells if either does."""
        degree = max(self.degree, other.degree) if isinstance(other, Moments) else self.degree
        return replace(self, degree=degree, missing=self.missing or other.missing)

    def total(self, rows: Rows, chosen: Chosen, steps: int) -> Integers:
        """Return the exact sums of the rounded polynomials."""
        values = rows.numbers(self.column)[chosen]
        here = values[~np.isnan(values)]
        u = np.clip((np.clip(here, *self.bounds) - self.center) / self.half, -1.0, 1.0)
        high, low = (1 + u) / 2, (1 - u) / 2
        if self.degree == 2:
            high, low = high**2, low**2
        top = np.rint(high * steps).astype(np.int64)
        # The last coordinate is what is left of the weight, so that rounding can never lengthen a row.
        bottom = steps - top if self.degree == 1 else np.rint(low * steps).astype(np.int64)
        sums = [int(top.sum()), int(bottom.sum())]
        if self.degree == 2:
            sums.insert(1, len(here) * steps - sums[0] - sums[1])
        return np.array([*sums, *([(len(values) - len(here)) * steps] if self.missing else [])], dtype=np.int64)

    def count(self) -> NDArray[np.float64]:
        """Return the coefficients of the number of rows with a value."""
        return self._padded([1.0] * (self.degree + 1))

    def gaps(self) -> NDArray[np.float64]:
        """Return the coefficients of the number of rows without."""
        return np.array([*[0.0] * (self.degree + 1), 1.0])

    def first(self) -> NDArray[np.float64]:
        """Return the coefficients of the sum of u."""
        return self._padded([1.0, -1.0] if self.degree == 1 else [1.0, 0.0, -1.0])

    def second(self) -> NDArray[np.float64]:
        """Return the coefficients of the sum of u^2; degree 2 only."""
        return self._padded([1.0, -1.0, 1.0])

    def _padded(self, coefficients: list[float]) -> NDArray[np.float64]:
        return np.array([*coefficients, *([0.0] if self.missing else [])])
