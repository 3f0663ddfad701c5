"""A question about a table: declared, hashable, without any data."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

from reticent.analytics.rows import word_of
from reticent.errors import UsageError

if TYPE_CHECKING:
    from reticent.analytics.answers import Answer
    from reticent.analytics.features import Feature
    from reticent.analytics.layout import Noised
    from reticent.analytics.noise import Kind

__all__ = ["Query", "check_bounds", "check_categories"]

MOST_CELLS = 100_000


@dataclass(frozen=True, kw_only=True)
class Query(ABC):
    """A question.

    Attributes:
      weight: How much of the joint vector it takes: with weight 2 its noise is half, and that of the others larger.
    """

    what: ClassVar[str]
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not (isinstance(self.weight, int | float) and 2**-10 <= self.weight <= 2**10):
            raise UsageError(
                "statistics-weight", f"weight is {self.weight}", hint="give a number from 1/1024 to 1024; 1 is usual"
            )

    @property
    @abstractmethod
    def name(self) -> str:
        """The statistic in words."""

    @abstractmethod
    def features(self, kind: Kind) -> tuple[Feature, ...]:
        """Return what it needs of the vector."""

    @abstractmethod
    def answer(self, noised: Noised, miss: float) -> Answer:
        """Return the answer that a noised vector holds; its interval misses with probability `miss` at most."""

    def of(self, table: Any, **how: Any) -> Answer:
        """Answer this one question about `table`, in a notebook; the arguments are those of `analytics.answer`."""
        from reticent.analytics.planning import answer

        return answer(table, [self], **how)[self]

    def to_plain(self) -> dict[str, Any]:
        """Return the question as values that JSON and TOML hold."""
        return {"what": self.what, **{part.name: getattr(self, part.name) for part in fields(self)}}


def check_bounds(column: str, bounds: Any) -> tuple[float, float]:
    """Return declared bounds as two numbers.

    Raises:
      UsageError: If they are missing or no range. They are never taken from the data: a single record can move them.
    """
    pair = tuple(bounds) if isinstance(bounds, Sequence) and not isinstance(bounds, str) else ()
    fits = len(pair) == 2 and all(isinstance(end, int | float) and abs(end) < 1e150 for end in pair)
    if not fits or not (math.isfinite(pair[1] - pair[0]) and pair[0] < pair[1]):
        raise UsageError(
            "statistics-bounds",
            f"bounds of {column!r} are {bounds}",
            hint="declare the lowest and highest value that can occur, such as bounds=(0, 120); they are public and "
            "must not be looked up in the data",
        )
    return float(pair[0]), float(pair[1])


def check_categories(column: str, categories: Any) -> tuple[str, ...]:
    """Return declared categories as canonical texts.

    Raises:
      UsageError: If there is none, or one is named twice. The words of a column are data: a category that only one
        person has would tell of that person whether its count is noised or not.
    """
    words = () if isinstance(categories, str) or categories is None else tuple(word_of(word) for word in categories)
    if not words or len(set(words)) < len(words):
        raise UsageError(
            "statistics-categories",
            f"categories of {column!r} are {categories}",
            hint='declare each category once, such as categories=["f", "m"]; they are public and must not be collected '
            "from the data. other=True counts all the rest together",
        )
    return words


def check_cells(name: str, cells: int) -> None:
    """Refuse a histogram too large to be useful or kept.

    Raises:
      UsageError: If it has more than 100,000 cells.
    """
    if cells > MOST_CELLS:
        raise UsageError(
            "statistics-too-many-cells",
            f"{name} has {cells} cells",
            hint=f"ask for fewer, {MOST_CELLS} at most: in each cell stands the noise of a whole count",
        )
