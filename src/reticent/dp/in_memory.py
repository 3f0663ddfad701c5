"""Budgets that live in one process: for notebooks, and for programs that end with it.

`PrivacyBudget` adds up (epsilon, delta) claims. `PrivacyAccountant` adds up mechanisms as a Renyi filter. Both refuse
*before* the step that would exceed, and both hold for adaptive programs, whose next step depends on earlier outputs:
the sum of claims does (Rogers, Roth, Ullman, Vadhan, NeurIPS 2016), a Renyi filter does (Feldman and Zrnic, NeurIPS
2021; Lecuyer 2021); composing a privacy loss distribution until epsilon is hit does not, and is not done here.

A budget guards against its own holder's mistakes, not against other programs: two processes with a budget each spend
twice. Where that can happen, or where a budget must outlive the process, use `reticent.ledger`. To make it hard to
spend twice by accident, a budget cannot be copied, pickled or used in a forked process. Its state can be written with
`to_json` and read with `from_json`, which refuses while the original is alive in this process; whoever reads an old
state spends again what was spent since, and only a ledger notices that.
"""

from __future__ import annotations

import json
from fractions import Fraction
from typing import NamedTuple, Self

from reticent.dp.one_holder import OneHolder, down, exact, loaded, unreadable
from reticent.dp.target import require_epsilon
from reticent.errors import PrivacyBudgetExhausted

__all__ = ["PrivacyBudget", "Remaining"]


class Remaining(NamedTuple):
    """What is left, rounded down."""

    epsilon: float
    delta: float


class PrivacyBudget(OneHolder):
    """A budget of (epsilon, delta), used up by claims in exact arithmetic.

    Claims add up whatever they are and however they were chosen; `PrivacyAccountant` gets more out of many small
    mechanisms.

    >>> budget = PrivacyBudget(initial_epsilon=1.0, initial_delta=1e-5)
    >>> budget.consume(epsilon=0.9)
    >>> budget.remaining()
    Remaining(epsilon=0.1, delta=1e-05)
    """

    def __init__(self, *, initial_epsilon: float, initial_delta: float) -> None:
        """Hold a fresh budget.

        Args:
          initial_epsilon: Above 0 and finite.
          initial_delta: From 0 to below 1; 0 admits pure claims only.

        Raises:
          UsageError: If one of them is out of range.
        """
        self._epsilon, self._delta = exact(initial_epsilon, "epsilon"), exact(initial_delta, "delta")
        if self._epsilon == 0:
            require_epsilon(0.0)
        self._spent_epsilon = self._spent_delta = Fraction(0)
        super().__init__()

    def consume(self, *, epsilon: float, delta: float = 0.0) -> None:
        """Use up a claim, before its mechanism is run.

        Raises:
          PrivacyBudgetExhausted: If it does not fit; then nothing is used up, and nothing may be released.
          UsageError: If a number is negative, infinite or NaN.
        """
        more_epsilon, more_delta = exact(epsilon, "epsilon"), exact(delta, "delta")
        with self._lock:
            self.require_own_process()
            after = self._spent_epsilon + more_epsilon, self._spent_delta + more_delta
            if after[0] > self._epsilon or after[1] > self._delta:
                left = self._left()
                raise PrivacyBudgetExhausted(
                    "privacy-budget-exhausted",
                    f"epsilon {float(more_epsilon):g} and delta {float(more_delta):g} were asked for, "
                    f"and epsilon {left.epsilon:g} and delta {left.delta:g} are left",
                    hint="release nothing more of these data, or less; only their owner can grant a larger budget",
                )
            self._spent_epsilon, self._spent_delta = after

    def remaining(self) -> Remaining:
        """Return what is left, rounded down."""
        with self._lock:
            return self._left()

    def is_exhausted(self) -> bool:
        """Say whether no epsilon is left at all."""
        return self.remaining().epsilon == 0

    def _left(self) -> Remaining:
        return Remaining(down(self._epsilon - self._spent_epsilon), down(self._delta - self._spent_delta))

    def to_json(self) -> str:
        """Return the state, for `from_json` after this process has ended."""
        with self._lock:
            numbers = (self._epsilon, self._delta, self._spent_epsilon, self._spent_delta)
            return json.dumps({"kind": "privacy_budget", "name": self._name, "numbers": [str(n) for n in numbers]})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the budget that `to_json` wrote.

        Raises:
          UsageError: If the text is something else (`invalid-saved-budget`).
          PolicyRefused: If the budget it was written from is alive in this process (`budget-copied`).
        """
        plain = loaded(text, "privacy_budget")
        try:
            epsilon, delta, spent_epsilon, spent_delta = map(Fraction, plain["numbers"])
            name = str(plain["name"])
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise unreadable(text) from error
        if not (0 <= spent_epsilon <= epsilon and epsilon > 0 and 0 <= spent_delta <= delta < 1):
            raise unreadable(text)
        budget = cls.__new__(cls)
        budget._epsilon, budget._delta = epsilon, delta
        budget._spent_epsilon, budget._spent_delta = spent_epsilon, spent_delta
        OneHolder.__init__(budget, name)
        return budget
