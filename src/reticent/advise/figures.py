"""What a measurement finds: seconds, bytes, rounds and accuracy of one technique, beside the same without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reticent.advise.techniques import Technique

__all__ = ["Figure", "Measurements", "Missing", "Outcome"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of one technique took, and what came of it.

    Attributes:
      seconds: The work of all parties together, which ran in one process, one after the other where they could wait.
      bytes: What all parties sent to each other.
      rounds: How often everybody waits for a message: the number of latencies in a row.
      accuracy: On the test rows.
      rows: Rows that were trained on, or predicted.
      parties: Parties that took part.
      note: What has to be known beside the numbers.
    """

    seconds: float
    bytes: int
    rounds: int
    accuracy: float
    rows: int
    parties: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """An outcome with its name, beside the plain run of the same task."""

    techniques: tuple[Technique, ...]
    task: Literal["train", "predict"]
    model: Literal["logistic", "mlp"]
    outcome: Outcome
    plain_seconds: float
    plain_accuracy: float

    @property
    def name(self) -> str:
        """The techniques joined by plus signs."""
        return " + ".join(self.techniques)

    @property
    def overhead(self) -> float:
        """Seconds over the seconds of the plain run."""
        return self.outcome.seconds / self.plain_seconds

    def over_network(self, latency_ms: float, bandwidth_mbit: float) -> float:
        """Return seconds over a network, computed: what was measured, plus rounds by latency, plus bytes by bandwidth.

        The bytes of all parties are taken to share one line: an upper bound where parties send at the same time.
        """
        waiting = self.outcome.rounds * latency_ms / 1000
        return self.outcome.seconds + waiting + 8 * self.outcome.bytes / (bandwidth_mbit * 1e6)


@dataclass(frozen=True, slots=True)
class Missing:
    """A run that could not be made on this machine, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Measurements:
    """All figures, and what they were measured on.

    Attributes:
      data: Name and size of the data.
      machine: What the machine is: processor architecture, cores, versions; never its name.
      seconds: Of the whole measurement.
    """

    data: str
    machine: str
    figures: tuple[Figure, ...]
    missing: tuple[Missing, ...]
    seconds: float

    def of(self, techniques: tuple[Technique, ...], task: str, model: str) -> Figure | None:
        """Return the figure of exactly these techniques, or None."""
        for figure in self.figures:
            if (figure.techniques, figure.task, figure.model) == (techniques, task, model):
                return figure
        return None
