"""How many values lie below each of many thresholds, all at once, at the price of about three counts.

Asked one by one, d thresholds would cost as much as d counts. Instead a histogram h is multiplied by a matrix A before
the noise and the prefix sums are decoded after it, P = P A^-1 (A h + noise) (the matrix mechanism: Li, Hay, Rastogi,
Miklau, McGregor, PODS 2010). For Gaussian noise A is the square root of the prefix-sum matrix, a Toeplitz matrix with
the coefficients of (1 - x)^(-1/2), which is within a few per cent of the best there is: every prefix has the same
noise, about sqrt((ln d + 3.35) / pi) squared times that of a count (Henzinger, Upadhyay, Upadhyay, SODA 2023). For
Laplace noise, which counts L1 norms, A is a tree of counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent.analytics.cells import Axis
from reticent.analytics.features import Geometry, Integers
from reticent.analytics.rows import Rows

__all__ = ["Prefixes"]

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Prefixes:
    """The distribution of a number over equal bins between its bounds, encoded for prefix sums.

    Attributes:
      column: The number.
      bounds: Declared; values beyond are moved to the nearer end.
      bins: How many.
      tree: Encode as a tree of counts (Laplace noise) and not by the square root (Gaussian noise).
    """

    column: str
    bounds: tuple[float, float]
    bins: int
    tree: bool = False

    @property
    def slot(self) -> Any:
        """All of it."""
        return ("prefixes", self.column, self.bounds, self.bins)

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def width(self) -> int:
        """Rows of the matrix."""
        return len(self.strategy)

    @property
    def norm(self) -> float:
        """L2 norm of the longest column of the matrix."""
        return float(np.sqrt((self.strategy**2).sum(axis=0).max()))

    @property
    def per_unit(self) -> bool:
        """No: every row counts."""
        return False

    @property
    def edges(self) -> NDArray[np.float64]:
        """Edges of the bins, shape `(bins + 1,)`."""
        return np.linspace(*self.bounds, self.bins + 1)

    @property
    def strategy(self) -> Matrix:
        """The matrix A, shape `(width, bins)`."""
        return _tree(self.bins) if self.tree else _square_root(self.bins)

    def merged(self, other: Prefixes) -> Prefixes:
        """Return the same."""
        return other

    def encoder(self, steps: int) -> Integers:
        """Return A in whole grid steps: the sums that follow are exact."""
        return np.rint(self.strategy * steps).astype(np.int64)

    def geometry(self, steps: int) -> Geometry:
        """Return the bounds, from the rounded matrix itself."""
        columns = self.encoder(steps)
        inner = columns.T @ columns
        squares = np.diag(inner)
        absolute = np.abs(columns).sum(axis=0)
        apart = squares[:, None] + squares[None, :] - 2 * inner
        apart_l1 = max(int(np.abs(columns - columns[:, [place]]).sum(axis=0).max()) for place in range(self.bins))
        return Geometry(
            int(absolute.max()),
            int(squares.max()),
            max(int(absolute.max()), apart_l1),
            max(int(squares.max()), int(apart.max())),
        )

    def total(self, rows: Rows, chosen: NDArray[np.intp], steps: int) -> Integers:
        """Return the encoded histogram, exactly."""
        axis = Axis(self.column, edges=tuple(self.edges.tolist()))
        cells = axis.cells(rows)[chosen]
        counts = np.bincount(cells[cells >= 0], minlength=self.bins).astype(np.int64)
        return self.encoder(steps) @ counts

    def decoder(self, steps: int) -> Matrix:
        """Return the coefficients of each prefix sum, shape `(bins, width)`, for a vector in units of `steps`."""
        return _decoder(self, steps)


@lru_cache(maxsize=64)
def _decoder(feature: Prefixes, steps: int) -> Matrix:
    # The inverse of the rounded matrix, not of the ideal one: no error is left but the noise.
    rounded = feature.encoder(steps) / steps
    inverse = np.linalg.pinv(rounded)
    return np.cumsum(inverse, axis=0)


def _square_root(bins: int) -> Matrix:
    """Return the lower triangular Toeplitz matrix whose square sums prefixes."""
    k = np.arange(1, bins)
    coefficients = np.r_[1.0, np.cumprod((2 * k - 1) / (2 * k))]
    gaps = np.arange(bins)[:, None] - np.arange(bins)[None, :]
    return np.where(gaps >= 0, coefficients[np.abs(gaps)], 0.0)


@lru_cache(maxsize=32)
def _tree(bins: int) -> Matrix:
    """Return counts of aligned runs of bins, in as many levels as make the largest error of a prefix smallest."""
    choices = [_levels(bins, round(bins ** (1 / depth) + 0.49)) for depth in (1, 2, 3, 4)]
    return min(choices, key=_worst)


def _levels(bins: int, branching: int) -> Matrix:
    runs, rows = 1, []
    while True:
        members = np.arange(bins) // runs
        rows.append((members[None, :] == np.arange(members.max() + 1)[:, None]).astype(np.float64))
        if runs * branching >= bins or branching < 2:
            return np.concatenate(rows)
        runs *= branching


def _worst(matrix: Matrix) -> float:
    prefixes = np.cumsum(np.linalg.pinv(matrix), axis=0)
    return float(np.sqrt((prefixes**2).sum(axis=1)).max() * np.abs(matrix).sum(axis=0).max())
