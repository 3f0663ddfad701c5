"""What comes back: a value with the size of its noise and an interval, and nothing exact beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent.errors import UsageError

__all__ = ["Answer", "Answers", "check_confidence"]

Figures = float | NDArray[np.float64]


def check_confidence(confidence: float) -> None:
    """Refuse what is no probability; asked before anything is paid for.

    Raises:
      UsageError: With code `statistics-confidence`.
    """
    if not 0 < confidence < 1:
        raise UsageError(
            "statistics-confidence", f"confidence is {confidence}", hint="give a number between 0 and 1, e.g. 0.95"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """One statistic.

    Attributes:
      name: In words, such as "mean of age".
      value: A number, or one for each of `labels`. Counts and sums are as the noise left them (they may be negative, and
        their errors average out when they are added up); means, quantiles and rates lie within what the bounds allow.
      noise_scale: Standard deviation of the noise in `value`, to first order where `value` is not a sum.
      low, high: Ends of the confidence interval, for the same statistic without noise, of the clipped rows that counted.
      confidence: Probability, over the noise, that an interval of this kind holds; for each label by itself.
      labels: What the entries of a vector are: categories, levels, cells. Empty for a number.
    """

    name: str
    value: Figures
    noise_scale: Figures
    low: Figures
    high: Figures
    confidence: float
    labels: tuple[str, ...] = ()

    @classmethod
    def of_each(
        cls, name: str, found: Iterable[tuple[float, float, float, float]], miss: float, labels: tuple[str, ...]
    ) -> Answer:
        """Return one answer of many numbers, each given as (value, noise_scale, low, high)."""
        value, noise_scale, low, high = (np.array(column) for column in zip(*found, strict=True))
        return cls(name, value, noise_scale, low, high, 1 - miss, labels)

    @property
    def interval(self) -> tuple[Figures, Figures]:
        """Ends of the confidence interval."""
        return self.low, self.high

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield one plain record for each number: statistic, label, value, noise, low, high."""
        columns = [np.atleast_1d(np.asarray(part)) for part in (self.value, self.noise_scale, self.low, self.high)]
        for place, label in enumerate(self.labels or ("",)):
            figures = [float(column[place]) for column in columns]
            yield {"statistic": self.name, "label": label, **dict(zip(_FIGURES, figures, strict=True))}

    def __str__(self) -> str:
        lines = [
            f"{self.name}{' ' + row['label'] if row['label'] else ''}: {row['value']:.6g} "
            f"({self.confidence:.0%} interval {row['low']:.6g} to {row['high']:.6g})"
            for row in self.rows()
        ]
        return "\n".join(lines)


_FIGURES = ("value", "noise", "low", "high")


class Answers(Mapping[Any, Answer]):
    """The answers to a list of questions, by question or by place."""

    def __init__(self, answers: Mapping[Any, Answer]) -> None:
        self._answers: dict[Any, Answer] = dict(answers)

    def __getitem__(self, query: Any) -> Answer:
        if isinstance(query, int):
            return list(self._answers.values())[query]
        return self._answers[query]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._answers)

    def __len__(self) -> int:
        return len(self._answers)

    def rows(self) -> list[dict[str, Any]]:
        """Return all numbers as plain records, for a table, a report or JSON."""
        return [row for answer in self._answers.values() for row in answer.rows()]

    def to_plain(self) -> list[dict[str, Any]]:
        """Return `rows` with the confidence of each interval."""
        return [{**row, "confidence": answer.confidence} for answer in self._answers.values() for row in answer.rows()]

    def __str__(self) -> str:
        return "\n".join(str(answer) for answer in self._answers.values())
