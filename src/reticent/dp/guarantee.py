"""What a finished plan promises, to whom, and against whom."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from reticent.dp.release import Relation, Unit
from reticent.dp.trade_off import TradeOff

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

    def curve(self) -> TradeOff:
        """Return what the pair (epsilon, delta) alone bounds; `dp.trade_off` of the events bounds more."""
        return TradeOff.claim(self.epsilon, self.delta)

    def in_words(self, curve: TradeOff | None = None) -> tuple[str, ...]:
        """Return what the promise limits, for a reader who decides about it and does not compute.

        Args:
          curve: Of the same releases, from `dp.trade_off`; by default the wider one that epsilon and delta give.

        Returns:
          Sentences that can each be read alone. Limits on an attacker are rounded up.
        """
        known = self.curve() if curve is None else curve
        found = known.true_positives(0.01).item()
        lines = [
            f"Whoever guesses {self.secret}, and would be right half of the time without the release, is right at most "
            f"{_percent_up(known.success(prior=0.5))} of the time with it.",
            f"{self._alarms} at most {_percent_up(found)} {self._those_found}; guessing would give 1 %.",
            f"If {self._rarely}, at most "
            f"{_percent_up(known.belief(prior=0.01, at_false_positives=0.01))} of such alarms are right.",
        ]
        mu = known.gaussian_mu(slack=self.delta)
        if 0 < mu < math.inf:
            lines.append(
                f"All releases together give away no more than a single number that is published once with Gaussian "
                f"noise of {_down(1 / mu)} times the difference that one {self.unit} makes to it (mu "
                f"{_up(mu)}), except for a probability mass of {self.delta:g}."
            )
        return (
            *lines,
            f"These are limits on the best attack there can be, for one {self.unit} at a time. They do not limit what is "
            "learnt about people in general, and they hold only while the code does what it says.",
        )

    @property
    def _alarms(self) -> str:
        if self.relation == "replace_one":
            return "An attack that is wrong in 1 case of 100 where the one version is true tells"
        return f"An attack that wrongly names 1 in 100 of the {self.unit}s that were not there finds"

    @property
    def _rarely(self) -> str:
        if self.relation == "replace_one":
            return "the other version is true in 1 case of 100"
        return f"only one {self.unit} in 100 was there"

    @property
    def _those_found(self) -> str:
        return "of the cases where the other is" if self.relation == "replace_one" else "of those that were"


def _percent_up(share: float) -> str:
    """Return a bound as a percentage with one decimal, never below it."""
    return f"{min(100.0, math.ceil(round(share * 1000, 6)) / 10):g} %"


def _up(value: float) -> str:
    return f"{math.ceil(round(value * 1000, 6)) / 1000:.3f}"


def _down(value: float) -> str:
    return f"{math.floor(round(value * 100, 6)) / 100:.2f}"
