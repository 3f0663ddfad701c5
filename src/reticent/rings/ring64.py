"""Real numbers as elements of Z/2^64, held in 64-bit words that wrap by themselves: the ring of secure computation.

A number x becomes the integer nearest to x * 2^f, and a negative integer its residue modulo 2^64 (two's complement).
Products of two codes carry 2f fraction bits; who multiplies, truncates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reticent.errors import DataError, UsageError

__all__ = ["Ring64"]

HEADROOM_BITS = 62
"""Codes stay below 2^62 in absolute value, so that sums of two and sign tests by an offset of 2^62 are exact."""


@dataclass(frozen=True, slots=True)
class Ring64:
    """Fixed point in Z/2^64.

    `encode` rounds to the nearest code; `decode` is exact, and inverse to `encode`, for every code up to 2^53 in
    absolute value (float64 holds no more digits).

    Attributes:
      fraction_bits: Bits f after the point, 0 to 30: neighbouring codes are 2^-f apart, and a number is encoded if it
        is below 2^(62 - f) in absolute value.

    Raises:
      UsageError: If `fraction_bits` is out of range.
    """

    fraction_bits: int = 16

    def __post_init__(self) -> None:
        if not 0 <= self.fraction_bits <= 30:
            raise UsageError(
                "invalid-fraction-bits",
                f"fraction_bits is {self.fraction_bits}",
                hint="give 0 to 30; 16 leaves products of numbers up to 8192 in range and is a good start",
            )

    @property
    def bound(self) -> float:
        """Numbers must be smaller than this in absolute value."""
        return float(2 ** (HEADROOM_BITS - self.fraction_bits))

    def encode(self, x: ArrayLike) -> NDArray[np.uint64]:
        """Return the codes of `x`, same shape.

        Raises:
          DataError: If a number is not finite, or not below `bound`. The error names counts only.
        """
        scaled = np.asarray(x, dtype=np.float64) * float(2**self.fraction_bits)
        largest = float(np.abs(scaled).max(initial=0.0))
        if not largest < float(2**HEADROOM_BITS):
            self._refuse(scaled)
        return np.asarray(np.rint(scaled).astype(np.int64)).view(np.uint64)

    def decode(self, words: NDArray[np.uint64]) -> NDArray[np.float64]:
        """Return the numbers that the codes stand for, same shape."""
        return np.asarray(np.asarray(words).view(np.int64).astype(np.float64) * float(2.0**-self.fraction_bits))

    def _refuse(self, scaled: NDArray[np.floating[Any]]) -> None:
        if bad := int(np.count_nonzero(~np.isfinite(scaled))):
            raise DataError(
                "encode-not-finite",
                f"{bad} of {scaled.size} numbers to encode are infinite or not a number",
                hint="replace them before the numbers enter the computation",
            )
        raise DataError(
            "encode-over-bound",
            f"some of {scaled.size} numbers to encode are not below the bound {self.bound}",
            hint="scale the numbers down, or use fewer fraction_bits",
        )
