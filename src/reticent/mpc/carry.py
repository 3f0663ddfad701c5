"""Is a public number smaller than a secret one whose bits are shared? A tree of AND gates on packed bits.

For each bit of the public c and the secret r: g = (not c) and r says "c < r decided here", p = not (c xor r) says "equal
here, look below". Neighbours join by (g, p) o (g', p') = (g xor p g', p p'), in log2(width) levels. Bits are laid out so
that each level joins the upper half of a word with the lower one. The first level costs nothing: there, g and p are
linear in the bits of r, so that the dealer deals the products of neighbouring bits of r beforehand. In the others two
AND gates share a factor, so that three masked words are opened instead of four.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reticent.mpc.bits import halves, padded, planes, reverse_bits, word_of
from reticent.mpc.group import Group, Masked
from reticent.mpc.material import Source
from reticent.mpc.rounds import Array, Steps

__all__ = ["LessMaterial", "Level", "deal_less", "less", "rounds_of", "width_for"]

_OCTET = np.dtype(np.uint8)


@dataclass(frozen=True, slots=True)
class Level:
    """Masks of one level: for p, for g' and for p', and the products of the first with the other two."""

    p: Array
    g_low: Array
    p_low: Array | None
    pg: Array
    pp: Array | None


@dataclass(frozen=True, slots=True)
class LessMaterial:
    """Shares (exclusive or) of the bits of r, of the products of its neighbouring bits, and of the masks."""

    high: Array
    low: Array
    both: Array
    levels: tuple[Level, ...]


def width_for(bits: int) -> int:
    """Return the width of the word in which `bits` bits are compared."""
    return max(2, 1 << (bits - 1).bit_length())


def rounds_of(bits: int) -> int:
    """Return how many rounds `less` takes for numbers of `bits` bits."""
    return width_for(bits).bit_length() - 2


def _split(words: Array, bits: int) -> tuple[Array, Array]:
    """Return the odd and the even bits of the low `bits` bits, in the order in which later levels halve them.

    They are moved to the top of words of `width_for(bits)` bits: what is filled up below is equal in both numbers.
    From 16 bits on the halves are words, of 8 bits or more; below they are planes.
    """
    width = width_for(bits)
    flat = np.zeros(padded(words.size), dtype=np.uint64)
    np.left_shift(words.reshape(-1), np.uint64(max(width, 8) - bits), out=flat[: words.size])
    if width >= 16:
        return halves(reverse_bits(flat.astype(word_of(width))))
    found = planes(flat.astype(np.uint8))[8 - width :]
    order = [sum(1 << (width.bit_length() - 2 - k) for k in range(8) if i >> k & 1) for i in range(width)]
    placed = found[np.argsort(order)]
    return placed[width // 2 :], placed[: width // 2]


def deal_less(source: Source, r: Array, count: int, bits: int) -> LessMaterial:
    """Return what `less` needs to compare with the low `bits` bits of `r`; a recipe.

    Args:
      source: Dealer's or party's side.
      r: The secret, `uint64 (count,)`; at a party its share, which is not looked at.
      count: Elements.
      bits: How many low bits are compared, 1 to 64.
    """
    half = width_for(bits) // 2
    cache: list[tuple[Array, Array]] = []

    def parts() -> tuple[Array, Array]:
        if not cache:
            high, low = _split(r, bits)
            cache.append((np.ascontiguousarray(high), np.ascontiguousarray(low)))
        return cache[0]

    shape, dtype = _form(half, count)
    high = source.fixed(lambda: parts()[0], shape, dtype, xor=True)
    low = source.fixed(lambda: parts()[1], shape, dtype, xor=True)
    both = source.fixed(lambda: parts()[0] & parts()[1], shape, dtype, xor=True)
    levels = []
    while half > 1:
        half //= 2
        levels.append(_deal_level(source, *_form(half, count), last=half == 1))
    return LessMaterial(high, low, both, tuple(levels))


def _form(width: int, count: int) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type of `width` bits for each of `count` elements: words, or planes below 8 bits."""
    size = padded(count)
    return ((size,), word_of(width)) if width >= 8 else ((width, size // 8), _OCTET)


def _deal_level(source: Source, shape: tuple[int, ...], dtype: np.dtype[Any], *, last: bool) -> Level:
    p, g_low = source.uniform(shape, dtype, xor=True), source.uniform(shape, dtype, xor=True)
    p_low = None if last else source.uniform(shape, dtype, xor=True)
    pg = source.fixed(lambda: p & g_low, shape, dtype, xor=True)
    pp = None if p_low is None else source.fixed(lambda: p & p_low, shape, dtype, xor=True)
    return Level(p, g_low, p_low, pg, pp)


def less(group: Group, material: LessMaterial, c: Array, bits: int) -> Steps[Array]:
    """Return a share (exclusive or) of [low bits of c < low bits of r], packed: `uint8 (padded(count) / 8,)`.

    Reveals: bits that the masks of `material` cover, to all members.
    """
    g, p = _first_level(group, material, c, bits)
    for level in material.levels:
        if g.ndim == 1 and g.dtype == _OCTET:
            g, p = planes(g), planes(p)
        if g.ndim == 1:
            (g_high, g_low), (p_high, p_low) = halves(g), halves(p)
        else:
            middle = len(g) // 2
            g_high, g_low, p_high, p_low = g[middle:], g[:middle], p[middle:], p[:middle]
        g, p = yield from _join(group, level, (g_high, p_high), (g_low, p_low))
    return g.reshape(-1)


def _first_level(group: Group, material: LessMaterial, c: Array, bits: int) -> tuple[Array, Array]:
    high, low = _split(c, bits)
    not_high, not_low = ~high, ~low
    g = not_high & material.low
    p = g ^ material.both
    g = not_low & p
    g ^= not_high & material.high
    p ^= not_low & material.high
    if group.first:
        p ^= not_high & not_low
    return g, p


def _join(
    group: Group, level: Level, upper: tuple[Array, Array], lower: tuple[Array, Array]
) -> Steps[tuple[Array, Array]]:
    (g_high, p_high), (g_low, p_low) = upper, lower
    masked = [p_high ^ level.p, g_low ^ level.g_low]
    if level.p_low is not None:
        masked.append(p_low ^ level.p_low)
    d, e, *f = yield from group.opened([Masked(m, m.shape, m.dtype, xor=True) for m in masked])
    g = g_high ^ _and(group, (d, e), (level.p, level.g_low), level.pg)
    if level.p_low is None or level.pp is None:
        return g, g
    return g, _and(group, (d, f[0]), (level.p, level.p_low), level.pp)


def _and(group: Group, opened: tuple[Array, Array], masks: tuple[Array, Array], product: Array) -> Array:
    """Return a share of the conjunction of two opened words, each xor its mask: Beaver's product modulo 2."""
    (d, e), (a, b) = opened, masks
    out = d & (e ^ b if group.first else b)
    out ^= a & e
    out ^= product
    return out
