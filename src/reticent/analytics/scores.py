"""How well a score between 0 and 1 tells two classes apart, and how far it can be believed: from one histogram.

The histogram counts rows by bin of the score and by class. AUROC, calibration curve and Brier score are read off it, and
asking for all three costs as much as one. What binning hides is bounded by the bins themselves and is inside every
interval, so that an interval is about the scores as they were and not about their bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from reticent.analytics import intervals
from reticent.analytics.answers import Answer
from reticent.analytics.cells import Axis, Cells
from reticent.analytics.features import Feature
from reticent.analytics.layout import Noised
from reticent.analytics.noise import Kind, Part
from reticent.analytics.query import Query, check_categories, check_cells
from reticent.errors import UsageError

__all__ = ["AUROC", "Brier", "Calibration"]

Matrix = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class _Scored(Query):
    """Base: a score, and a label with two classes of which the second is what the score predicts.

    Rows without a score or with another label do not count; scores beyond 0 and 1 are moved to the nearer end.
    """

    score: str
    label: str
    classes: tuple[str, ...] = ("0", "1")
    bins: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "classes", check_categories(self.label, self.classes))
        if len(self.classes) != 2 or self.bins < 2:
            raise UsageError(
                "statistics-classes",
                f"{self.label!r} has classes {list(self.classes)}, and the score {self.bins} bins",
                hint="give two classes, the one that the score predicts last, and two bins or more",
            )
        check_cells(self.name, 2 * self.bins)

    @property
    def axes(self) -> tuple[Axis, Axis]:
        """Label by score."""
        edges = tuple(np.linspace(0.0, 1.0, self.bins + 1).tolist())
        return Axis(self.label, categories=self.classes), Axis(self.score, edges=edges)

    @property
    def name(self) -> str:
        """In words."""
        return f"{self.what} of {self.score} for {self.label}"

    def features(self, kind: Kind) -> tuple[Feature, ...]:  # noqa: ARG002
        """Return the histogram."""
        return (Cells(self.axes),)

    def _part(self, noised: Noised) -> Part:
        return noised.part(("cells", self.axes))


@dataclass(frozen=True, kw_only=True)
class AUROC(_Scored):
    """Area under the ROC curve: how often a row of the second class scores above one of the first, ties counted half.

    Two rows of one bin may lie either way: the interval begins where all such pairs are counted as lost and ends where
    all are counted as won.
    """

    what: ClassVar[str] = "AUROC"

    def answer(self, noised: Noised, miss: float) -> Answer:
        """Return the area, with half of the pairs within a bin, and its interval."""
        part = self._part(noised)
        negatives, positives = part.vector[: self.bins], part.vector[self.bins :]
        strict = np.tri(self.bins, k=-1)  # a positive's bin, by the negatives' bins below it
        pairs = float(positives.sum() * negatives.sum())
        half = strict + np.eye(self.bins) / 2
        value = float(positives @ half @ negatives) / pairs if min(positives.sum(), negatives.sum()) > 0 else 0.5
        value = min(max(value, 0.0), 1.0)
        low, _ = _area(strict, positives, negatives, part, miss)
        _, high = _area(strict + np.eye(self.bins), positives, negatives, part, miss)
        scale = _spread(half, value, positives, negatives, part)
        return Answer(self.name, value, scale, min(low, value), max(high, value), 1 - miss)


def _area(wins: Matrix, positives: Matrix, negatives: Matrix, part: Part, miss: float) -> intervals.Interval:
    """Return the interval of p W q / (sum p sum q), as `intervals.ratio` does for a form in two vectors.

    For the true area a and K = W - a, p K q is zero, and P K Q of the noised vectors is noise: its linear part has the
    coefficients K q and K' p, for which the noised K Q and K' P stand; they are longer than the true ones on average,
    by as much as the product of the two noises needs.
    """
    if min(positives.sum(), negatives.sum()) <= 0:
        return 0.0, 1.0
    seen, pairs = float(positives @ wins @ negatives), float(positives.sum() * negatives.sum())
    low, high = 0.0, 1.0
    for _ in range(12):
        shapes = [np.r_[(wins - a) @ negatives, (wins - a).T @ positives] for a in (low, high)]
        reach = part.reach(np.max(np.abs(shapes), axis=0), miss)
        new = max(low, (seen - reach) / pairs), min(high, (seen + reach) / pairs)
        if new[0] > new[1]:
            middle = min(max(seen / pairs, low), high)
            return middle, middle
        if new == (low, high):
            break
        low, high = new
    return low, high


def _spread(wins: Matrix, area: float, positives: Matrix, negatives: Matrix, part: Part) -> float:
    shape = np.r_[(wins - area) @ negatives, (wins - area).T @ positives]
    pairs = max(float(positives.sum()), 1.0) * max(float(negatives.sum()), 1.0)
    return min(part.deviation(shape) / pairs, 1.0)


@dataclass(frozen=True, kw_only=True)
class Calibration(_Scored):
    """For each bin of the score, the share of rows that are of the second class."""

    what: ClassVar[str] = "calibration"
    bins: int = 10

    def answer(self, noised: Noised, miss: float) -> Answer:
        """Return the shares with Fieller's interval for each; a bin without rows has the interval 0 to 1."""
        part = self._part(noised)
        found = [self._one(place, part, miss) for place in range(self.bins)]
        return Answer.of_each(self.name, found, miss, self.axes[1].labels)

    def _one(self, place: int, part: Part, miss: float) -> tuple[float, float, float, float]:
        above, below = np.zeros(2 * self.bins), np.zeros(2 * self.bins)
        above[self.bins + place] = below[self.bins + place] = below[place] = 1.0
        low, high = intervals.ratio(above, below, part, miss, (0.0, 1.0))
        total = part.estimate(below)
        value = min(max(part.estimate(above) / total, 0.0), 1.0) if total > 0 else 0.5
        scale = min(part.deviation(above - value * below) / max(total, 1.0), 1.0)
        return value, scale, min(low, value), max(high, value)


@dataclass(frozen=True, kw_only=True)
class Brier(_Scored):
    """Mean squared distance between the score and what happened (1 for the second class, 0 for the first)."""

    what: ClassVar[str] = "brier"

    def answer(self, noised: Noised, miss: float) -> Answer:
        """Return the score at the bins' middles; the interval reaches from their better to their worse ends."""
        part = self._part(noised)
        edges = np.linspace(0.0, 1.0, self.bins + 1)
        left, right = edges[:-1], edges[1:]
        best = np.r_[left**2, (1 - right) ** 2]
        worst = np.r_[right**2, (1 - left) ** 2]
        middle = np.r_[((left + right) / 2) ** 2, (1 - (left + right) / 2) ** 2]
        everyone = np.ones(2 * self.bins)
        low, _ = intervals.ratio(best, everyone, part, miss, (0.0, 1.0))
        _, high = intervals.ratio(worst, everyone, part, miss, (0.0, 1.0))
        total = float(part.vector.sum())
        value = min(max(part.estimate(middle) / total, 0.0), 1.0) if total > 0 else 0.5
        scale = min(part.deviation(middle - value * everyone) / max(total, 1.0), 1.0)
        return Answer(self.name, value, scale, min(low, value), max(high, value), 1 - miss)
