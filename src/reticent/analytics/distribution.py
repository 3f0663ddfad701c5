"""Quantiles, histograms, contingency tables and the most frequent categories, over declared bins and categories."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from reticent.analytics import intervals
from reticent.analytics.answers import Answer
from reticent.analytics.cells import Axis, Cells
from reticent.analytics.features import Feature
from reticent.analytics.layout import Noised
from reticent.analytics.noise import Kind, Part
from reticent.analytics.prefixes import Prefixes
from reticent.analytics.query import Query, check_bounds, check_cells
from reticent.errors import UsageError

__all__ = ["Histogram", "Quantiles", "Shares", "TopK"]

_MOST_BINS = 4096


@dataclass(frozen=True, kw_only=True)
class Quantiles(Query):
    """Quantiles of a number: for level p, the smallest value that a share p of the rows do not exceed.

    Read off one noised distribution over equal bins, whatever the number of levels. (The exponential mechanism would
    need a draw for each level, and its draws at several sites do not add up to one of all their rows.)
    """

    what: ClassVar[str] = "quantiles"
    column: str
    levels: tuple[float, ...]
    bounds: tuple[float, float]
    bins: int = 128

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "bounds", check_bounds(self.column, self.bounds))
        object.__setattr__(self, "levels", tuple(float(level) for level in self.levels))
        if not self.levels or not all(0 < level < 1 for level in self.levels):
            raise UsageError(
                "statistics-levels",
                f"levels of {self.column!r} are {list(self.levels)}",
                hint="give numbers between 0 and 1, such as [0.25, 0.5, 0.75]; the extremes are single people's values",
            )
        if not 2 <= self.bins <= _MOST_BINS:
            raise UsageError(
                "statistics-too-many-cells",
                f"quantiles of {self.column!r} have {self.bins} bins",
                hint=f"give 2 to {_MOST_BINS}",
            )

    @property
    def name(self) -> str:
        """In words."""
        return f"quantile of {self.column}"

    def features(self, kind: Kind) -> tuple[Feature, ...]:
        """Return the distribution."""
        return (Prefixes(self.column, self.bounds, self.bins, tree=kind == "laplace"),)

    def answer(self, noised: Noised, miss: float) -> Answer:
        """Return a value within a bin for each level, and an interval of whole bins."""
        part = noised.part(("prefixes", self.column, self.bounds, self.bins))
        feature: Prefixes = part.feature
        decoder = feature.decoder(part.steps)
        found = [self._one(level, part, decoder, miss) for level in self.levels]
        return Answer.of_each(self.name, found, miss, tuple(f"{level:g}" for level in self.levels))

    def _one(
        self, level: float, part: Part, decoder: NDArray[np.float64], miss: float
    ) -> tuple[float, float, float, float]:
        best, first, last = intervals.crossing(level, decoder, part, miss)
        edges, prefixes = part.feature.edges, decoder @ part.vector
        before, here = (prefixes[best - 1] if best else 0.0), prefixes[best]
        share = (level * prefixes[-1] - before) / (here - before) if here > before else 0.5
        value = edges[best] + (edges[best + 1] - edges[best]) * min(max(share, 0.0), 1.0)
        # A density from the neighbourhood turns noise in ranks into noise in values.
        ranks = part.deviation(decoder[best] - level * decoder[-1])
        left, right = max(best - 4, 0), min(best + 4, len(prefixes) - 1)
        density = (prefixes[right] - prefixes[left]) / (edges[right + 1] - edges[left + 1])
        span = self.bounds[1] - self.bounds[0]
        scale = min(ranks / density, span) if density > 0 else span
        return value, scale, float(edges[first]), float(edges[last + 1])


@dataclass(frozen=True, kw_only=True)
class Histogram(Query):
    """How many rows fall into each cell: of one axis, or of two for a contingency table."""

    what: ClassVar[str] = "histogram"
    axes: tuple[Axis, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_cells(self.name, math.prod(axis.size for axis in self.axes))

    @property
    def name(self) -> str:
        """In words."""
        return f"{'histogram' if len(self.axes) == 1 else 'table'} of {' by '.join(axis.column for axis in self.axes)}"

    def features(self, kind: Kind) -> tuple[Feature, ...]:  # noqa: ARG002
        """Return the cells."""
        return (Cells(self.axes),)

    def answer(self, noised: Noised, miss: float) -> Answer:
        """Return the noised counts, flat, the last axis running fastest."""
        part, one = noised.part(("cells", self.axes)), np.ones(1)
        counts, deviation, reach = part.vector, part.deviation(one), part.reach(one, miss)
        labels = tuple(" / ".join(words) for words in itertools.product(*(axis.labels for axis in self.axes)))
        low, high = np.maximum(counts - reach, 0.0), np.maximum(counts + reach, 0.0)
        return Answer(self.name, counts, np.full(len(counts), deviation), low, high, 1 - miss, labels)

    def to_plain(self) -> dict[str, Any]:
        """Return the question as values that JSON and TOML hold."""
        axes = [{name: getattr(axis, name) for name in Axis.__dataclass_fields__} for axis in self.axes]
        return {"what": self.what, "weight": self.weight, "axes": axes}


@dataclass(frozen=True, kw_only=True)
class Shares(Histogram):
    """What share of the rows with a value falls into each cell; free beside the histogram of the same axes."""

    what: ClassVar[str] = "shares"

    @property
    def name(self) -> str:
        """In words."""
        return f"share of {' by '.join(axis.column for axis in self.axes)}"

    def answer(self, noised: Noised, miss: float) -> Answer:
        """Return the shares with Fieller's interval for each."""
        part = noised.part(("cells", self.axes))
        words = list(itertools.product(*(axis.labels for axis in self.axes)))
        counted = [not _is_gap(self.axes, word) for word in words]
        below, found = np.array(counted, dtype=np.float64), []
        for place in np.flatnonzero(counted):
            above = np.zeros(len(words))
            above[place] = 1.0
            low, high = intervals.ratio(above, below, part, miss, (0.0, 1.0))
            total = part.estimate(below)
            value = min(max(part.estimate(above) / total, 0.0), 1.0) if total > 0 else 0.5
            scale = min(part.deviation(above - value * below) / max(total, 1.0), 1.0)
            found.append((value, scale, min(low, value), max(high, value)))
        labels = tuple(" / ".join(word) for word, counts in zip(words, counted, strict=True) if counts)
        return Answer.of_each(self.name, found, miss, labels)


def _is_gap(axes: tuple[Axis, ...], words: tuple[str, ...]) -> bool:
    """Whether a cell holds rows without a value on some axis."""
    return any(axis.missing and word == axis.labels[-1] for axis, word in zip(axes, words, strict=True))


@dataclass(frozen=True, kw_only=True)
class TopK(Histogram):
    """The `k` most frequent of declared categories, by their noised counts.

    All counts are released together at the price of one, and the order is read off them. (Releasing names alone, by
    the exponential mechanism, pays for each of the k.) Categories that are not declared cannot be found: that a rare
    word occurs at all tells of whoever wrote it.
    """

    what: ClassVar[str] = "top"
    k: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.k <= self.axes[0].size:
            raise UsageError(
                "statistics-top",
                f"k is {self.k}, of {self.axes[0].size} categories of {self.axes[0].column!r}",
                hint="ask for at least one, and for no more than there are",
            )

    @property
    def name(self) -> str:
        """In words."""
        return f"most frequent {self.axes[0].column}"

    def answer(self, noised: Noised, miss: float) -> Answer:
        """Return the categories in order, with their counts; the largest of many noised counts tends to be too large."""
        part, one = noised.part(("cells", self.axes)), np.ones(1)
        counts, deviation = part.vector, part.deviation(one)
        order = np.argsort(-counts, kind="stable")[: self.k]
        # The choice looked at all counts: only a bound that holds for all of them at once holds for the chosen.
        reach = part.reach(one, miss / len(counts))
        low, high = np.maximum(counts[order] - reach, 0.0), np.maximum(counts[order] + reach, 0.0)
        labels = tuple(self.axes[0].labels[place] for place in order)
        return Answer(self.name, counts[order], np.full(self.k, deviation), low, high, 1 - miss, labels)

    def to_plain(self) -> dict[str, Any]:
        """Return the question as values that JSON and TOML hold."""
        return {**super().to_plain(), "k": self.k}
