"""The words in which questions are asked, in Python and in a study file."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

from reticent.analytics.basic import Count, Mean, Missing, PersonCount, Standardisation, Sum, Variance
from reticent.analytics.cells import Axis
from reticent.analytics.distribution import Histogram, Quantiles, Shares, TopK
from reticent.analytics.query import check_bounds, check_categories
from reticent.analytics.scores import AUROC, Brier, Calibration
from reticent.errors import UsageError

__all__ = [
    "auroc",
    "brier",
    "calibration",
    "contingency",
    "count",
    "deviation",
    "histogram",
    "mean",
    "missing",
    "persons",
    "quantiles",
    "shares",
    "standardisation",
    "top",
    "total",
    "variance",
]

Bounds = Sequence[float]


def count(column: str | None = None, *, weight: float = 1.0) -> Count:
    """Ask how many rows there are, or how many have a value in `column`."""
    return Count(column=column, weight=weight)


def missing(column: str, *, weight: float = 1.0) -> Missing:
    """Ask how many rows have no value in `column`."""
    return Missing(column=column, weight=weight)


def persons(*, weight: float = 1.0) -> PersonCount:
    """Ask how many persons there are (unit `person`)."""
    return PersonCount(weight=weight)


def total(column: str, *, bounds: Bounds, weight: float = 1.0) -> Sum:
    """Ask for the sum of a number clipped to `bounds`."""
    return Sum(column=column, bounds=tuple(bounds), weight=weight)  # type: ignore[arg-type]  # checked there


def mean(column: str, *, bounds: Bounds, weight: float = 1.0) -> Mean:
    """Ask for the mean of a number clipped to `bounds`, over the rows that have it."""
    return Mean(column=column, bounds=tuple(bounds), weight=weight)  # type: ignore[arg-type]


def variance(column: str, *, bounds: Bounds, weight: float = 1.0) -> Variance:
    """Ask for the variance of a number clipped to `bounds`."""
    return Variance(column=column, bounds=tuple(bounds), weight=weight)  # type: ignore[arg-type]


def deviation(column: str, *, bounds: Bounds, weight: float = 1.0) -> Variance:
    """Ask for the standard deviation of a number clipped to `bounds`."""
    return Variance(column=column, bounds=tuple(bounds), root=True, weight=weight)  # type: ignore[arg-type]


def standardisation(columns: Mapping[str, Bounds], *, weight: float = 1.0) -> Standardisation:
    """Ask for mean and deviation of several numbers, given with their bounds."""
    return Standardisation(columns=tuple(columns.items()), weight=weight)  # type: ignore[arg-type]


def quantiles(
    column: str, levels: Iterable[float], *, bounds: Bounds, bins: int = 128, weight: float = 1.0
) -> Quantiles:
    """Ask for quantiles of a number, such as levels [0.25, 0.5, 0.75], to within a bin of the bounds."""
    return Quantiles(column=column, levels=tuple(levels), bounds=tuple(bounds), bins=bins, weight=weight)  # type: ignore[arg-type]


def histogram(
    column: str,
    *,
    categories: Iterable[object] | None = None,
    edges: Iterable[float] | None = None,
    other: bool = False,
    missing: bool = False,
    weight: float = 1.0,
) -> Histogram:
    """Ask how many rows have each of the declared categories, or lie between each two of the declared edges."""
    axis = _axis(column, categories=categories, edges=edges, other=other, missing=missing)
    return Histogram(axes=(axis,), weight=weight)


def shares(of: Histogram, *, weight: float = 1.0) -> Shares:
    """Ask for the share of each cell of a question as `histogram` makes it; free beside that question."""
    return Shares(axes=of.axes, weight=weight)


def contingency(first: Histogram, second: Histogram, *, weight: float = 1.0) -> Histogram:
    """Ask how many rows have each pair of values, of two questions as `histogram` makes them."""
    return Histogram(axes=(*first.axes, *second.axes), weight=weight)


def top(column: str, k: int, *, categories: Iterable[object] | None = None, weight: float = 1.0) -> TopK:
    """Ask for the `k` most frequent of the declared categories."""
    return TopK(axes=(_axis(column, categories=categories),), k=k, weight=weight)


def auroc(score: str, label: str, *, classes: Iterable[object] = (0, 1), bins: int = 32, weight: float = 1.0) -> AUROC:
    """Ask how well `score`, from 0 to 1, tells the second class of `label` from the first."""
    return AUROC(score=score, label=label, classes=tuple(classes), bins=bins, weight=weight)  # type: ignore[arg-type]


def calibration(
    score: str, label: str, *, classes: Iterable[object] = (0, 1), bins: int = 10, weight: float = 1.0
) -> Calibration:
    """Ask, for each bin of `score`, how often the second class of `label` occurs."""
    return Calibration(score=score, label=label, classes=tuple(classes), bins=bins, weight=weight)  # type: ignore[arg-type]


def brier(score: str, label: str, *, classes: Iterable[object] = (0, 1), bins: int = 32, weight: float = 1.0) -> Brier:
    """Ask for the mean squared distance of `score` from what happened."""
    return Brier(score=score, label=label, classes=tuple(classes), bins=bins, weight=weight)  # type: ignore[arg-type]


def _axis(
    column: str,
    *,
    categories: Iterable[object] | None = None,
    edges: Iterable[float] | None = None,
    other: bool = False,
    missing: bool = False,
) -> Axis:
    if edges is None:
        return Axis(column, categories=check_categories(column, categories), other=other, missing=missing)
    cuts = tuple(float(edge) for edge in edges)
    if categories is not None or other or len(cuts) < 2 or any(a >= b for a, b in itertools.pairwise(cuts)):
        raise UsageError(
            "statistics-edges",
            f"edges of {column!r} are {list(cuts)}",
            hint="give rising edges, such as edges=[0, 20, 40, 60], and neither categories nor other beside them",
        )
    check_bounds(column, (cuts[0], cuts[-1]))
    return Axis(column, edges=cuts, missing=missing)
