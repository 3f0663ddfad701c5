"""A uniform real number that is read bit by bit, and the exact comparison of it with a probability."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from reticent.randomness import Keystream

__all__ = ["MAX_BITS", "TOTAL_VARIATION", "Uniform", "exp_fixed"]

MAX_BITS = 1024

TOTAL_VARIATION = 2.0**-970
"""Per draw. A tail above 2^-1024 has fewer than 2^50 boundaries (754 scales of 2^40), each undecided with probability
2^-1024; less than 2^-1024 of the mass lies beyond; rejection, which keeps 0.46 or more, less than quintuples the sum.
This is what `reticent.dp.epsilon` charges for every draw."""

_GUARD_BITS = 32
_SLACK = 16
"""Units of 2^-(bits read + 32) by which a probability handed to `below` may be off."""

_FARTHEST = Fraction(1024)
"""exp(-1024) is below anything that 1024 bits resolve."""

_HALVINGS = 20


class Uniform:
    """A uniform real in [0, 1) of which only as many bits are read as its comparisons need.

    After `MAX_BITS` bits an undecided comparison is decided as "not below", which ends every search; see
    `TOTAL_VARIATION`.

    Args:
      prefix: The first `bits` bits, as a whole number.
      bits: How many were read.
      keystream: Where the others come from.
    """

    def __init__(self, prefix: int, bits: int, keystream: Keystream) -> None:
        self._prefix, self._bits, self._keystream = prefix, bits, keystream

    def below(self, fixed: Callable[[int], int]) -> bool:
        """Return whether the number is less than a probability.

        Args:
          fixed: From a precision to the probability in units of 2^-precision, off by at most 16.
        """
        while True:
            edge = fixed(self._bits + _GUARD_BITS)
            if (self._prefix + 1) << _GUARD_BITS <= edge - _SLACK:
                return True
            if self._prefix << _GUARD_BITS >= edge + _SLACK:
                return False
            if self._bits >= MAX_BITS:
                return False
            self._prefix = (self._prefix << 64) | int(self._keystream.words(1)[0])
            self._bits += 64


def exp_fixed(gamma: Fraction, precision: int) -> int:
    """Return e^-gamma, gamma >= 0, in units of 2^-precision, off by at most 2.

    The series at gamma / 2^20, squared 20 times, in whole numbers alone: libraries of real numbers keep a precision or
    constants in global variables, which other threads may be changing. Fewer than 200 terms of the series are each
    rounded by at most 2 units of 2^-(precision + 40), and a squaring at most doubles the error and adds 1: together
    less than 2^30 of the 2^40.

    >>> exp_fixed(Fraction(1), 20) / 2**20
    0.3678789...
    """
    gamma = min(gamma, _FARTHEST)
    working = precision + 40
    small = (gamma.numerator << working) // (gamma.denominator << _HALVINGS)
    total = term = 1 << working
    k = 0
    while term:
        k += 1
        term = (term * small >> working) // k
        total += -term if k % 2 else term
    for _ in range(_HALVINGS):
        total = total * total >> working
    return total >> 40
