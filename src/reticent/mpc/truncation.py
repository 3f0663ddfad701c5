"""Dividing by a power of two: after each product, to take the extra fraction bits off again.

The parties open c = x + 2^(k-2) + r for a uniform r of all k bits of the ring. Since x + 2^(k-2) lies in the lower half
of the ring, whether the sum wrapped around follows from the top bits of r and c alone, so that there are no large
errors, ever. (Truncating each share by itself errs by 2^(k-f) with probability |x| / 2^k; others mask with fewer bits
than the ring has and hide less.) What is left is the borrow from the bits cut off: with `exact` a comparison of f bits
settles it and the result is floor(x / 2^f); without, it is left out, and the result is floor or floor + 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reticent.mpc.bits import expand, padded
from reticent.mpc.carry import LessMaterial, deal_less, less
from reticent.mpc.carry import rounds_of as rounds_of_less
from reticent.mpc.group import Group, Masked
from reticent.mpc.material import Source
from reticent.mpc.rounds import Array, Steps, Words

__all__ = ["Borrow", "TruncationMaterial", "deal_truncation", "rounds_of", "truncate"]

_OCTET = np.dtype(np.uint8)


@dataclass(frozen=True, slots=True)
class Borrow:
    """What the exact mode needs: comparison of the low bits, and a random bit in both kinds of shares."""

    less: LessMaterial
    packed: Array
    word: Array


@dataclass(frozen=True, slots=True)
class TruncationMaterial:
    """Shares of r, of r shifted down, and of its top bit (in the f bits that survive a shift by k - f)."""

    r: Array
    shifted: Array
    top: Array
    borrow: Borrow | None


def rounds_of(bits: int, *, exact: bool) -> int:
    """Return how many rounds a truncation by `bits` takes."""
    return 1 + (rounds_of_less(bits) + 1 if exact else 0)


def deal_truncation(source: Source, *, count: int, bits: int, exact: bool, ring_bits: int = 64) -> TruncationMaterial:
    """Return what `truncate` needs for `count` elements; a recipe."""
    r = source.uniform((count,))
    shifted = source.fixed(lambda: np.right_shift(r, np.uint64(bits)), (count,))
    kind = _top_type(bits)
    top = source.fixed(lambda: np.right_shift(r, np.uint64(ring_bits - 1)).astype(kind), (count,), kind)
    borrow = None
    if exact:
        compare = deal_less(source, r, count, bits)
        packed, word = deal_bit(source, count)
        borrow = Borrow(compare, packed, word)
    return TruncationMaterial(r, shifted, top, borrow)


def deal_bit(source: Source, count: int) -> tuple[Array, Array]:
    """Return shares of uniform bits: packed (exclusive or, `uint8 (padded / 8,)`) and as words (sum, `(count,)`)."""
    packed = source.uniform((padded(count) // 8,), _OCTET, xor=True)
    return packed, source.fixed(lambda: expand(packed, count).astype(np.uint64), (count,))


def truncate(group: Group, material: TruncationMaterial, x: Words, *, bits: int) -> Steps[Words]:
    """Return this party's share of x / 2^bits: `uint64 (count,)`, from a share of the same shape.

    Requires: |x| < 2^(k-2) as a signed number, k the width of the ring.
    Reveals: x + 2^(k-2) + r and, if exact, masked bits, to all members; all uniform.
    """
    masked = x + material.r
    if group.first:
        masked += np.uint64(_offset(group.bits))
    (c,) = yield from group.opened([Masked(masked, x.shape)])
    share = np.subtract(_unwrapped(group, material, c, bits), material.shifted)
    if material.borrow is not None:
        below = yield from less(group, material.borrow.less, c, bits)
        below = below ^ material.borrow.packed
        (e,) = yield from group.opened([Masked(below, below.shape, _OCTET, xor=True)])
        share -= word_of_bit(group, expand(e, c.size), material.borrow.word)
    return group.reduce(share)


def _unwrapped(group: Group, material: TruncationMaterial, c: Words, bits: int) -> Words:
    """Return a share of (c >> bits) + wrap * 2^(k-bits) - 2^(k-2-bits), where wrap = top(r) and not top(c)."""
    not_top = np.right_shift(~c, np.uint64(group.bits - 1)) & np.uint64(1)
    share = material.top.astype(np.uint64)
    share <<= np.uint64(group.bits - bits)
    share *= not_top
    if group.first:
        share += np.right_shift(c, np.uint64(bits))
        share -= np.uint64(_offset(group.bits) >> bits)
    return share


def word_of_bit(group: Group, opened: Array, word: Words) -> Words:
    """Return a share, as words, of the bit opened xor the bit that `word` shares."""
    flip = opened.astype(np.uint64)
    share = word * (np.uint64(1) - (flip << np.uint64(1)))
    if group.first:
        share += flip
    return share


def _offset(ring_bits: int) -> int:
    # Moves [-2^(k-2), 2^(k-2)) into the lower half of the ring.
    return 1 << (ring_bits - 2)


def _top_type(bits: int) -> np.dtype[Any]:
    # A share modulo 2^bits is enough, since it is shifted up by k - bits; the next larger machine word holds it.
    return np.dtype(np.uint16 if bits <= 16 else np.uint32 if bits <= 32 else np.uint64)
