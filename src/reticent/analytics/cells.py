"""Histograms: every row counts in one cell of a declared table, or in none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent.analytics.features import Geometry, Integers, Spread, partition
from reticent.analytics.rows import Rows

__all__ = ["Axis", "Cells"]


@dataclass(frozen=True, slots=True)
class Axis:
    """One side of a histogram: declared categories, or bins of a number between declared edges.

    A bin holds its lower edge; the last one holds its upper edge too, and values beyond the edges fall into the outer
    bins. `other` adds a cell for any undeclared word, `missing` one for cells without a value; without them such a row
    counts nowhere.
    """

    column: str
    categories: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()
    other: bool = False
    missing: bool = False

    @property
    def size(self) -> int:
        """Number of cells."""
        return (len(self.categories) or len(self.edges) - 1) + self.other + self.missing

    @property
    def labels(self) -> tuple[str, ...]:
        """Name of each cell."""
        named = self.categories or tuple(
            f"{low:g} to {high:g}" for low, high in zip(self.edges[:-1], self.edges[1:], strict=True)
        )
        return (*named, *(["other"] if self.other else []), *(["missing"] if self.missing else []))

    def cells(self, rows: Rows) -> Integers:
        """Return the cell of each row, -1 for none; shape `(n,)`."""
        if self.categories:
            places, known = rows.places(self.column, self.categories), len(self.categories)
        else:
            values, known = rows.numbers(self.column), len(self.edges) - 1
            binned = np.searchsorted(np.array(self.edges[1:-1]), values, side="right")
            places = np.where(np.isnan(values), -1, binned).astype(np.int64)
        strangers, gaps = places == known, places < 0
        places = np.where(strangers, known if self.other else -1, places)
        return np.where(gaps, self.size - 1 if self.missing else -1, places)


@dataclass(frozen=True, slots=True)
class Cells(Spread):
    """A histogram over one or more axes: each row counts in one cell, or in none."""

    axes: tuple[Axis, ...]

    @property
    def slot(self) -> Any:
        """All of it."""
        return ("cells", self.axes)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the axes."""
        return tuple(axis.column for axis in self.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of cells along each axis."""
        return tuple(axis.size for axis in self.axes)

    @property
    def width(self) -> int:
        """Number of cells."""
        return int(np.prod(self.shape))

    def merged(self, other: Cells) -> Cells:
        """Return the same."""
        return other

    def geometry(self, steps: int) -> Geometry:
        """Return the bounds; a single cell cannot differ by more than its weight."""
        return partition(steps) if self.width > 1 else Geometry(steps, steps**2, steps, steps**2)

    def total(self, rows: Rows, chosen: NDArray[np.intp], steps: int) -> Integers:
        """Return the counts."""
        places = [axis.cells(rows)[chosen] for axis in self.axes]
        known = np.logical_and.reduce([place >= 0 for place in places])
        flat = np.ravel_multi_index([place[known] for place in places], self.shape)
        return np.bincount(flat, minlength=self.width).astype(np.int64) * steps
