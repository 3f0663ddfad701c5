"""Counts, sums, means, variances, and the constants that standardise a column."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from reticent.analytics import intervals
from reticent.analytics.answers import Answer
from reticent.analytics.features import Feature, Moments, Persons, Presence
from reticent.analytics.layout import Noised
from reticent.analytics.noise import Kind, Part
from reticent.analytics.query import Query, check_bounds
from reticent.errors import UsageError

__all__ = ["Count", "Mean", "Missing", "PersonCount", "Standardisation", "Sum", "Variance"]


def _counted(name: str, part: Part, shape: NDArray[np.float64], miss: float) -> Answer:
    low, high = intervals.linear(shape, part, miss, (0.0, math.inf))
    return Answer(name, part.estimate(shape), part.deviation(shape), low, high, 1 - miss)


@dataclass(frozen=True, kw_only=True)
class Count(Query):
    """How many rows, or how many rows with a value in `column`."""

    what: ClassVar[str] = "count"
    column: str | None = None

    @property
    def name(self) -> str:
        """In words."""
        return "rows" if self.column is None else f"count of {self.column}"

    def features(self, kind: Kind) -> tuple[Feature, ...]:  # noqa: ARG002
        """Return a single count."""
        return (Presence(self.column),)

    def answer(self, noised: Noised, miss: float) -> Answer:
        """Return the noised count."""
        part = noised.part(("presence", self.column))
        return _counted(self.name, part, part.feature.count(), miss)


@dataclass(frozen=True, kw_only=True)
class Missing(Query):
    """How many rows have no value in `column`; free beside a mean, variance or count of it."""

    what: ClassVar[str] = "missing"
    column: str

    @property
    def name(self) -> str:
        """In words."""
        return f"missing in {self.column}"

    def features(self, kind: Kind) -> tuple[Feature, ...]:  # noqa: ARG002
        """Return a count with its complement."""
        return (Presence(self.column, missing=True),)

    def answer(self, noised: Noised, miss: float) -> Answer:
        """Return the noised count."""
        part = noised.part(("presence", self.column))
        return _counted(self.name, part, part.feature.gaps(), miss)


@dataclass(frozen=True, kw_only=True)
class PersonCount(Query):
    """How many persons have rows; under unit `person` only."""

    what: ClassVar[str] = "persons"

    @property
    def name(self) -> str:
        """In words."""
        return "persons"

    def features(self, kind: Kind) -> tuple[Feature, ...]:  # noqa: ARG002
        """Return a count to which a person adds one, whatever their rows."""
        return (Persons(),)

    def answer(self, noised: Noised, miss: float) -> Answer:
        """Return the noised count."""
        return _counted(self.name, noised.part(("persons",)), np.ones(1), miss)


@dataclass(frozen=True, kw_only=True)
class _OfNumber(Query):
    """Base of the questions about one bounded number."""

    degree: ClassVar[int] = 1
    column: str
    bounds: tuple[float, float]

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "bounds", check_bounds(self.column, self.bounds))

    @property
    def name(self) -> str:
        """In words."""
        return f"{self.what} of {self.column}"

    def features(self, kind: Kind) -> tuple[Feature, ...]:  # noqa: ARG002
        """Return the moments."""
        return (Moments(self.column, self.bounds, self.degree),)

    def _part(self, noised: Noised) -> Part:
        return noised.part(("moments", self.column, self.bounds))


@dataclass(frozen=True, kw_only=True)
class Sum(_OfNumber):
    """Sum of a number clipped to `bounds`; a missing value adds nothing."""

    what: ClassVar[str] = "sum"

    def answer(self, noised: Noised, miss: float) -> Answer:
        """Return the noised sum."""
        part = self._part(noised)
        moments: Moments = part.feature
        shape = moments.center * moments.count() + moments.half * moments.first()
        low, high = intervals.linear(shape, part, miss, _sum_range(self.bounds))
        count = max(part.estimate(moments.count()), 0.0) + part.reach(moments.count(), miss)
        slack = moments.half * count / part.steps  # what rounding each value may add
        return Answer(self.name, part.estimate(shape), part.deviation(shape), low - slack, high + slack, 1 - miss)


def _sum_range(bounds: tuple[float, float]) -> tuple[float, float]:
    return (-math.inf if bounds[0] < 0 else 0.0), (math.inf if bounds[1] > 0 else 0.0)


@dataclass(frozen=True, kw_only=True)
class Mean(_OfNumber):
    """Mean of a number clipped to `bounds`, over the rows that have it: a noised sum over a noised count."""

    what: ClassVar[str] = "mean"

    def answer(self, noised: Noised, miss: float) -> Answer:
        """Return the mean and Fieller's interval."""
        part = self._part(noised)
        moments: Moments = part.feature
        value, scale, (low, high) = _mean(part, miss)
        center, half = moments.center, moments.half
        return Answer(
            self.name, center + half * value, half * scale, center + half * low, center + half * high, 1 - miss
        )


def _mean(part: Part, miss: float) -> tuple[float, float, tuple[float, float]]:
    """Return the mean of u in [-1, 1], its noise and its interval."""
    moments: Moments = part.feature
    count, first = moments.count(), moments.first()
    low, high = intervals.ratio(first, count, part, miss, (-1.0, 1.0))
    n = part.estimate(count)
    value = min(max(part.estimate(first) / n, -1.0), 1.0) if n > 0 else 0.0
    rounding = 1.0 / part.steps
    scale = part.deviation(first - value * count) / max(n, 1.0)
    return value, scale, (max(low - rounding, -1.0), min(high + rounding, 1.0))


@dataclass(frozen=True, kw_only=True)
class Variance(_OfNumber):
    """Variance (mean squared distance from the mean) of a number clipped to `bounds`; or its root, the deviation."""

    what: ClassVar[str] = "variance"
    degree: ClassVar[int] = 2
    root: bool = False

    @property
    def name(self) -> str:
        """In words."""
        return f"{'standard deviation' if self.root else 'variance'} of {self.column}"

    def answer(self, noised: Noised, miss: float) -> Answer:
        """Return variance or deviation with its interval."""
        part = self._part(noised)
        value, scale, ends = _variance(part, miss)
        half = part.feature.half
        if not self.root:
            low, high = ends
            return Answer(self.name, half**2 * value, half**2 * scale, half**2 * low, half**2 * high, 1 - miss)
        deviation = math.sqrt(value)
        low, high = intervals.root(ends)
        # To first order; never more than what the interval says where the variance may be 0.
        spread = min(scale / (2 * deviation) if deviation else math.inf, high - low)
        return Answer(self.name, half * deviation, half * spread, half * low, half * high, 1 - miss)


def _variance(part: Part, miss: float) -> tuple[float, float, tuple[float, float]]:
    """Return the variance of u in [-1, 1], its noise and its interval."""
    moments: Moments = part.feature
    count, first, second = moments.count(), moments.first(), moments.second()
    low, high = intervals.variance((count, first, second), part, miss)
    n, s, q = (part.estimate(shape) for shape in (count, first, second))
    if n <= 0:
        return 0.5, part.deviation(second), (0.0, 1.0)
    m = min(max(s / n, -1.0), 1.0)
    value = min(max(q / n - m * m, 0.0), 1.0)
    scale = part.deviation(second - 2 * m * first + (m * m - value) * count) / max(n, 1.0)
    rounding = 4.0 / part.steps
    return value, scale, (max(low - rounding, 0.0), min(high + rounding, 1.0))


@dataclass(frozen=True, kw_only=True)
class Standardisation(Query):
    """Mean and standard deviation of each of several numbers: the constants that bring them to mean 0, deviation 1."""

    what: ClassVar[str] = "standardisation"
    columns: tuple[tuple[str, tuple[float, float]], ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        pairs = self.columns.items() if isinstance(self.columns, Mapping) else self.columns
        checked = tuple((name, check_bounds(name, bounds)) for name, bounds in pairs)
        if not checked:
            raise UsageError(
                "statistics-bounds",
                "standardisation names no column",
                hint='name columns with their bounds: standardisation({"age": (0, 120)})',
            )
        object.__setattr__(self, "columns", checked)

    @property
    def name(self) -> str:
        """In words."""
        return "standardisation"

    def features(self, kind: Kind) -> tuple[Feature, ...]:  # noqa: ARG002
        """Return the moments of every column."""
        return tuple(Moments(name, bounds, 2) for name, bounds in self.columns)

    def answer(self, noised: Noised, miss: float) -> Answer:
        """Return, for each column, the mean and then the deviation."""
        found: list[Answer] = []
        for name, bounds in self.columns:
            found.append(Mean(column=name, bounds=bounds).answer(noised, miss))
            found.append(Variance(column=name, bounds=bounds, root=True).answer(noised, miss))
        figures = [(float(a.value), float(a.noise_scale), float(a.low), float(a.high)) for a in found]
        return Answer.of_each(self.name, figures, miss, tuple(answer.name for answer in found))
