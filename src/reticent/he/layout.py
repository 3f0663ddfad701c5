"""Where the numbers of a vector lie in the slots, and what lies in the slots between.

One vector of `length` numbers takes `chunks` ciphertexts. In a single ciphertext it is padded to a power of two, the
period, and repeated through all slots, so that a cyclic rotation of the slots is a cyclic rotation of the vector. In
several, each is full but the last, which is padded to the end.

The places between `length` and the period are padding. While the layout is `clean` they hold zero; operations that would
put something else there say so, and nothing reads a padding that is not clean (the defect of TenSEAL#462: a plain
operand that was padded where the ciphertext was repeated, read by the next product as data).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Layout"]


@dataclass(frozen=True)
class Layout:
    """The place of a vector in the slots.

    Attributes:
      length: Numbers in the vector, at least 1.
      slots: Slots of one ciphertext.
      clean: Whether all padding holds zero.
    """

    length: int
    slots: int
    clean: bool = True

    @property
    def chunks(self) -> int:
        """Ciphertexts that the vector takes."""
        return math.ceil(self.length / self.slots)

    @property
    def period(self) -> int:
        """Slots after which a ciphertext repeats: a power of two."""
        return 1 << (min(self.length, self.slots) - 1).bit_length() if self.chunks == 1 else self.slots

    @property
    def full(self) -> bool:
        """Whether there is no padding."""
        return self.length == self.chunks * self.period

    @property
    def readable(self) -> bool:
        """Whether sums over whole ciphertexts give the sum of the numbers."""
        return self.clean or self.full

    def place(self, values: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """Return the slots of each ciphertext for `values` of shape `(length,)`; padding is zero."""
        padded = np.zeros(self.chunks * self.period)
        padded[: self.length] = values
        return [np.tile(part, self.slots // self.period) for part in padded.reshape(self.chunks, self.period)]

    def read(self, slots: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return the numbers, shape `(length,)`, from the slots of each ciphertext; padding is left out."""
        return np.concatenate([part[: self.period] for part in slots])[: self.length]
