"""What a finished plan promises, to whom, and against whom."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from reticent.dp.release import Relation, Unit

__all__ = ["Guarantee"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantee:
    """An (epsilon, delta) promise, complete enough to be read alone.

    Attributes:
      epsilon: Certified upper bound, for all that the plan may release about one unit.
      delta: Probability mass that the bound on the privacy loss does not cover.
      unit: Whose presence is hidden.
      relation: The neighbouring relation.
      holds_against: Everyone against whom the promise holds, in words.
      protects: All `records`, or their `labels` alone (under replace-one).
    """

    epsilon: float
    delta: float
    unit: Unit
    relation: Relation
    holds_against: str
    protects: Literal["records", "labels"] = "records"

    def best_guess(self, *, prior: float = 0.5) -> float:
        """Return the most a perfect attacker can believe after seeing the release, starting from `prior`."""
        odds = prior / (1 - prior) * math.exp(min(self.epsilon, 700.0))
        return odds / (1 + odds)

    def true_positives(self, *, at_false_positives: float = 0.01) -> float:
        """Return the largest share of members that any attack finds at this rate of false alarms.

        From the trade-off of (epsilon, delta) (Kairouz, Oh, Viswanath, ICML 2015, theorem 2.1):
        at most both e^epsilon * fpr + delta and 1 - e^-epsilon * (1 - delta - fpr).
        """
        growth = math.exp(min(self.epsilon, 700.0))
        return min(
            1.0,
            growth * at_false_positives + self.delta,
            1 - (1 - self.delta - at_false_positives) / growth,
        )

    @property
    def secret(self) -> str:
        """What an attacker tries to find out: a clause that follows "who was sure"."""
        if self.protects == "labels":
            return f"which of two labels one particular {self.unit} has"
        if self.relation == "replace_one":  # presence may be public: what is hidden is which of two the unit is
            return f"which of two versions of one particular {self.unit}'s data was used"
        return f"whether one particular {self.unit} {'was used' if self.unit == 'record' else 'took part'}"

    def sentence(self) -> str:
        """Return the promise in words, for the report and the terminal. Epsilon is rounded up."""
        guess = math.ceil(self.best_guess() * 1000) / 10
        sure = f"at most {guess:g} % sure" if guess < 100 else "all but certain (more than 99.9 % sure)"
        return (
            f"Someone who was 50 % sure {self.secret} can become {sure}; this holds against "
            f"{self.holds_against}, except with probability about {self.delta:g} "
            f"(epsilon {math.ceil(self.epsilon * 100) / 100:.2f}, delta {self.delta:g}, unit {self.unit}, "
            f"neighbours: {self.relation.replace('_', ' ')})."
        )
