"""Exact amounts of (epsilon, delta): whole numbers, so that no spend can vanish in a float addition.

Epsilon is counted in steps of 1e-9 and delta in steps of 1e-18; both fit 64 bits, as SQLite and PostgreSQL store them.
What is charged is rounded up, what is granted is rounded down. A number that a person writes (a grant, any delta) is
read as its shortest decimal, so that ten charges of delta 1e-6 fill a grant of 1e-5 exactly; the double that the
accountant works with differs from that decimal by less than 2^-52 of it. An epsilon that was computed is read as the
double it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction

from reticent.errors import UsageError

__all__ = ["DELTA_STEPS", "EPSILON_STEPS", "LARGEST_EPSILON", "NOTHING", "Amount", "charged", "granted"]

LARGEST_EPSILON = 10**6
"""No grant, and no sum of grants, is larger: it would promise nothing, and sums must fit 64 bits."""

EPSILON_STEPS = 10**9
"""Steps of `Amount.nano_epsilon` in an epsilon of 1."""

DELTA_STEPS = 10**18
"""Steps of `Amount.atto_delta` in a delta of 1."""


@dataclass(frozen=True, slots=True)
class Amount:
    """An exact (epsilon, delta).

    Attributes:
      nano_epsilon: Epsilon in steps of 1e-9.
      atto_delta: Delta in steps of 1e-18.
    """

    nano_epsilon: int
    atto_delta: int

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.nano_epsilon + other.nano_epsilon, self.atto_delta + other.atto_delta)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.nano_epsilon - other.nano_epsilon, self.atto_delta - other.atto_delta)

    def covers(self, other: Amount) -> bool:
        """Return whether `other` fits into this amount, in epsilon and in delta."""
        return other.nano_epsilon <= self.nano_epsilon and other.atto_delta <= self.atto_delta

    def at_least_one_step(self) -> Amount:
        """Return the amount as one that can be granted: a negative or zero epsilon as one step, no negative delta."""
        return Amount(max(self.nano_epsilon, 1), max(self.atto_delta, 0))

    @property
    def epsilon(self) -> float:
        """Epsilon as the nearest float."""
        return self.nano_epsilon / EPSILON_STEPS

    @property
    def delta(self) -> float:
        """Delta as the nearest float."""
        return self.atto_delta / DELTA_STEPS

    def epsilon_text(self) -> str:
        """Return epsilon as an exact decimal.

        >>> Amount(1_234_500_000, 0).epsilon_text()
        '1.2345'
        """
        return f"{Decimal(self.nano_epsilon).scaleb(-9).normalize():f}"

    def delta_text(self) -> str:
        """Return delta as a decimal of at most 15 digits, rounded up: what reads it back as a float loses nothing.

        >>> Amount(0, 10**13).delta_text()
        '1e-5'
        """
        short = Context(prec=15, rounding=ROUND_CEILING).create_decimal(self.atto_delta)
        return str(short.scaleb(-18).normalize()).lower()


NOTHING = Amount(0, 0)


def granted(*, epsilon: float, delta: float) -> Amount:
    """Return a grant as an amount, rounded down.

    Args:
      epsilon: Above 0, at most `LARGEST_EPSILON`.
      delta: At least 0 and below 1; 0 adds epsilon only.

    Raises:
      UsageError: For anything else, NaN and infinities included.
    """
    # Written so that NaN, which compares false with everything, is refused.
    if not 0 < epsilon <= LARGEST_EPSILON:
        raise UsageError(
            "invalid-budget",
            f"epsilon is {epsilon}",
            hint=f"grant a finite number above 0 and at most {LARGEST_EPSILON:g}; up to 10 still protects",
        )
    if not 0 <= delta < 1:
        raise _invalid_delta(delta)
    amount = Amount(math.floor(_decimal(epsilon) * EPSILON_STEPS), math.floor(_decimal(delta) * DELTA_STEPS))
    if amount.nano_epsilon == 0:
        raise UsageError("invalid-budget", f"epsilon is {epsilon}", hint="grant at least 1e-9, the ledger's step")
    return amount


def charged(*, epsilon: float, delta: float) -> Amount:
    """Return a charge as an amount, rounded up; `epsilon` is finite and not negative.

    Raises:
      UsageError: If delta is not above 0 and below 1.
    """
    if not 0 < delta < 1:
        raise _invalid_delta(delta)
    return Amount(math.ceil(Fraction(float(epsilon)) * EPSILON_STEPS), math.ceil(_decimal(delta) * DELTA_STEPS))


def _decimal(value: float) -> Fraction:
    return Fraction(repr(float(value)))


def _invalid_delta(delta: float) -> UsageError:
    return UsageError(
        "invalid-budget", f"delta is {delta}", hint="give a number above 0, smaller than 1 / (units in the population)"
    )
