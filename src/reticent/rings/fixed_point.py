"""Real numbers as elements of a ring of 2^b integers, wide enough for their sum by construction.

A number x becomes the integer nearest to x / precision, and a negative integer its residue modulo 2^b. Sums modulo
2^b then are exact; b is derived from the bound, the precision and the number of terms, so that no sum of allowed
numbers can wrap around. (An encoding whose width is chosen apart from the number of terms overflows silently.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent.errors import DataError, IdentityError, UsageError

__all__ = ["FixedPoint", "Words"]

Words = NDArray[np.unsignedinteger[Any]]
"""Ring elements, held in 32- or 64-bit words."""

_EXACT = 2**53  # integers up to here are exact as float64, so that decoding adds no error


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """An encoding of numbers of absolute value up to `bound`, of which up to `terms` are summed.

    The error of a decoded sum of k terms is at most k * precision / 2, and zero for multiples of `precision`.

    Attributes:
      bound: Largest absolute value of one number.
      precision: Distance of neighbouring encoded numbers.
      terms: Most numbers that are ever summed.
      ring_bits: Bits b of the ring, derived: the smallest with 2^b > 2 * terms * round(bound / precision).

    Raises:
      UsageError: If an argument is not positive and finite, the precision is coarser than the bound, or the sum needs
          more than 2^53 steps, where float64 would round it again.
    """

    bound: float
    precision: float
    terms: int
    ring_bits: int = field(init=False)

    def __post_init__(self) -> None:
        for name in ("bound", "precision"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise UsageError(
                    "invalid-encoding", f"{name} is {value}", hint=f"give {name} as a finite number above 0"
                )
        if self.terms < 1 or self.precision > self.bound:
            raise UsageError(
                "invalid-encoding",
                f"terms is {self.terms}, precision {self.precision}, bound {self.bound}",
                hint="give at least one term, and a precision not coarser than the bound",
            )
        if self.terms * (self.bound / self.precision + 1) >= _EXACT:
            raise UsageError(
                "ring-too-wide",
                f"{self.terms} terms up to {self.bound} in steps of {self.precision} need more than 2^53 steps",
                hint="make the bound smaller or the precision coarser",
            )
        object.__setattr__(self, "ring_bits", (2 * self.terms * round(self.bound / self.precision)).bit_length())

    @property
    def word(self) -> np.dtype[np.unsignedinteger[Any]]:
        """The numpy type in which arithmetic modulo 2^ring_bits is done: 32 bits where they suffice, for speed."""
        return np.dtype(np.uint32 if self.ring_bits <= 32 else np.uint64)

    def encode(self, x: NDArray[np.floating[Any]]) -> NDArray[np.uint64]:
        """Return `x` as ring elements, same shape.

        Raises:
          DataError: If a number is not finite, or larger than the bound. The error names counts only; callers clip
              before they encode, since whether a site refuses may depend on its data otherwise.
        """
        values = np.asarray(x, dtype=np.float64)
        if bad := int(np.count_nonzero(~np.isfinite(values))):
            raise DataError(
                "encode-not-finite",
                f"{bad} of {values.size} numbers to encode are infinite or not a number",
                hint="replace the contribution by zero before it is encoded",
            )
        if bad := int(np.count_nonzero(np.abs(values) > self.bound)):
            raise DataError(
                "encode-over-bound",
                f"{bad} of {values.size} numbers to encode are larger than the bound {self.bound}",
                hint="clip to the bound before encoding, or declare a larger bound in the study",
            )
        return np.rint(values / self.precision).astype(np.int64).astype(np.uint64) & self._mask

    def decode(self, words: Words) -> NDArray[np.float64]:
        """Return the numbers that `words` (encoded numbers, summed modulo 2^ring_bits) stand for, same shape."""
        spare = np.uint64(64 - self.ring_bits)
        # Shifting up and down again copies the sign bit of the ring into the upper bits.
        signed = (words.astype(np.uint64) << spare).view(np.int64) >> np.int64(spare)
        return signed.astype(np.float64) * self.precision

    def packed_bytes(self, length: int) -> int:
        """Return how many bytes `pack` needs for `length` words."""
        return -(-length // 8) * self.ring_bits

    def pack(self, words: Words) -> bytes:
        """Return `words` (1-d, below 2^ring_bits) in `ring_bits` bits each, filled up to a multiple of 8 words.

        Word j * m + k (m = ceil(n / 8)) fills bits j * b to (j + 1) * b - 1 of column k; the bytes are written byte by
        byte of all columns, which makes every step one operation on contiguous memory.
        """
        columns = -(-len(words) // 8)
        rows = np.zeros((8, columns), dtype=words.dtype)
        rows.reshape(-1)[: len(words)] = words
        planes = np.zeros((self.ring_bits, columns), dtype=np.uint8)
        for row, plane, shift in self._pieces():
            piece = rows[row] >> words.dtype.type(shift) if shift >= 0 else rows[row] << words.dtype.type(-shift)
            planes[plane] |= piece.astype(np.uint8)
        return planes.tobytes()

    def unpack(self, data: bytes, length: int) -> NDArray[np.uint64]:
        """Return the `length` words that `pack` wrote.

        Raises:
          IdentityError: If `data` has another length, or bits are set where filling belongs.
        """
        columns = -(-length // 8)
        rows = np.zeros((8, columns), dtype=np.uint64)
        if len(data) == self.packed_bytes(length):
            planes = np.frombuffer(data, dtype=np.uint8).reshape(self.ring_bits, columns)
            for row, plane, shift in self._pieces():
                piece = planes[plane].astype(np.uint64)
                rows[row] |= piece << np.uint64(shift) if shift >= 0 else piece >> np.uint64(-shift)
            rows &= self._mask
        words = rows.reshape(-1)
        if len(data) != self.packed_bytes(length) or words[length:].any():
            raise IdentityError(
                "malformed-words",
                f"{len(data)} bytes are not {length} packed words of {self.ring_bits} bits",
                hint="check that both sides run the same plan; otherwise treat the sender as hostile",
            )
        return words[:length].copy()

    @property
    def _mask(self) -> np.uint64:
        return np.uint64(2**self.ring_bits - 1)

    def _pieces(self) -> list[tuple[int, int, int]]:
        """All (word, byte, shift) such that bits of word >> shift lie in that byte of a column."""
        bits = self.ring_bits
        return [
            (row, plane, 8 * plane - row * bits)
            for row in range(8)
            for plane in range(row * bits // 8, -(-(row + 1) * bits // 8))
        ]
