"""Bits in words: reversal of their order, and planes, in which byte j holds one bit of each of eight elements.

All on whole arrays of machine words (H. Warren, Hacker's Delight, chapter 7).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["expand", "halves", "padded", "planes", "reverse_bits", "word_of"]

Unsigned = NDArray[Any]

_WORDS = {8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}


def word_of(width: int) -> np.dtype[Any]:
    """Return the unsigned type of `width` bits: 8, 16, 32 or 64."""
    return np.dtype(_WORDS[width])


def padded(count: int) -> int:
    """Return `count` filled up to a multiple of 8 elements."""
    return -(-count // 8) * 8


def reverse_bits(words: Unsigned) -> Unsigned:
    """Return `words` with the order of the bits of each reversed: bit i goes to bit i with its index bits reversed.

    That is the order in which neighbours in the tree of carries lie in the upper and the lower half of a word:
    index 0, 1, 2, 3, .. goes to the place whose number is the index read backwards in binary. (Not a reversal of the
    string of bits: bit 1 of 8 goes to place 4, bit 2 stays.)
    """
    width = 8 * words.dtype.itemsize
    kind = words.dtype.type
    index_bits = width.bit_length() - 1
    out = words
    # Swapping index bit i with index bit j moves bits by 2^j - 2^i places; reversing an index swaps from both ends.
    for low in range(index_bits // 2):
        high = index_bits - 1 - low
        shift = kind((1 << high) - (1 << low))
        mask = kind(sum(1 << k for k in range(width) if (k >> low) & 1 and not (k >> high) & 1))
        moved = np.right_shift(out, shift)
        moved ^= out
        moved &= mask
        out = out ^ moved
        moved <<= shift
        out ^= moved
    return out


def halves(words: Unsigned) -> tuple[Unsigned, Unsigned]:
    """Return views of the upper and the lower halves of `words` (1-d, C-contiguous): a word type half as wide."""
    view = words.view(word_of(4 * words.dtype.itemsize)).reshape(-1, 2)
    return view[:, 1], view[:, 0]


def planes(octets: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return `uint8 (8, n / 8)` of `uint8 (n,)`, n a multiple of 8: bit i of element 8 j + k is bit k of [i, j]."""
    words = np.ascontiguousarray(octets).view(np.uint64)
    for shift, mask in ((7, 0x00AA00AA00AA00AA), (14, 0x0000CCCC0000CCCC), (28, 0x00000000F0F0F0F0)):
        moved = np.right_shift(words, np.uint64(shift))
        moved ^= words
        moved &= np.uint64(mask)
        words = words ^ moved
        moved <<= np.uint64(shift)
        words ^= moved
    return np.ascontiguousarray(words.view(np.uint8).reshape(-1, 8).T)


def expand(packed: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """Return `count` bits, one a byte, of what lies packed in one plane."""
    return np.unpackbits(packed, count=count, bitorder="little")
