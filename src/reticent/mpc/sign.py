"""Comparison with zero, and products with its outcome: ReLU, maximum and selection come from this one gate.

The parties open c = x + r, compare the low bits of c and r (`carry`), and have the sign of x as a shared bit m. The
mask of m, a random bit b, was dealt together with b r and b s; hence m x and m y for further payloads y (opened as
y + s in the first round) cost no further round: b x = c b - b r. A ReLU of 64 bits opens 20 bytes for each party in 7
rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from reticent.mpc.bits import expand, padded
from reticent.mpc.carry import LessMaterial, deal_less, less
from reticent.mpc.carry import rounds_of as rounds_of_less
from reticent.mpc.group import Group, Masked
from reticent.mpc.material import Source
from reticent.mpc.rounds import Array, Steps, Words
from reticent.mpc.truncation import word_of_bit

__all__ = ["SignMaterial", "deal_sign", "rounds_of", "sign"]

_OCTET = np.dtype(np.uint8)


@dataclass(frozen=True, slots=True)
class SignMaterial:
    """Shares of r, of the bits below its top, of a random bit b, of b xor the top bit of r, and of products with b."""

    r: Array
    less: LessMaterial
    bit: Array
    packed: Array
    masks: tuple[Array, ...]
    products: tuple[Array, ...]


def rounds_of(ring_bits: int = 64) -> int:
    """Return how many rounds `sign` takes."""
    return 2 + rounds_of_less(ring_bits - 1)


def deal_sign(source: Source, *, count: int, payloads: int = 0, keep: bool = True, ring_bits: int = 64) -> SignMaterial:
    """Return what `sign` needs for `count` elements; a recipe.

    Args:
      source: Dealer's or party's side.
      count: Elements.
      payloads: How many further arrays are multiplied with the outcome.
      keep: Whether x itself is.
      ring_bits: Width of the ring.
    """
    r = source.uniform((count,))
    compare = deal_less(source, r, count, ring_bits - 1)
    mask = source.uniform((padded(count) // 8,), _OCTET, xor=True)

    cache: list[Array] = []

    def bit() -> Array:
        # `mask` covers b xor top(r), which is what the outcome of the comparison is opened with.
        if not cache:
            cache.append(expand(mask, count) ^ np.right_shift(r, np.uint64(ring_bits - 1)))
        return cache[0]

    word = source.fixed(bit, (count,))
    masks = [source.uniform((count,)) for _ in range(payloads)]
    multiplied = [*([r] if keep else []), *masks]
    products = [source.fixed(partial(_times, bit, s), (count,)) for s in multiplied]
    return SignMaterial(r, compare, word, mask, tuple(masks), tuple(products))


def _times(bit: Callable[[], Array], s: Array) -> Array:
    return np.asarray(bit() * s)


def sign(
    group: Group, material: SignMaterial, x: Words, payloads: Sequence[Words] = (), *, keep: bool = True
) -> Steps[list[Words]]:
    """Return shares of m = [x < 0], then of m x (if `keep`), then of m y for each payload y; all `uint64 (count,)`.

    Requires: x as a signed number of k bits, k the width of the ring: any.
    Reveals: x + r, y + s and masked bits, to all members; all uniform.
    """
    masked = [x + material.r, *(y + s for y, s in zip(payloads, material.masks, strict=True))]
    opened = yield from group.opened([Masked(m, m.shape) for m in masked])
    c = opened[0]
    below = yield from less(group, material.less, c, group.bits - 1)
    below = below ^ material.packed
    (packed,) = yield from group.opened([Masked(below, below.shape, _OCTET, xor=True)])
    e = expand(packed, c.size).astype(np.uint64)
    e ^= np.right_shift(c, np.uint64(group.bits - 1))
    outputs = [word_of_bit(group, e, material.bit)]
    flipped = e.astype(np.bool_)
    values = [*([x] if keep else []), *payloads]
    for public, own, product in zip(opened if keep else opened[1:], values, material.products, strict=True):
        # t = b y; the outcome is b or not b, whichever e says.
        t = public * material.bit
        t -= product
        outputs.append(group.reduce(np.where(flipped, own - t, t)))
    return [group.reduce(outputs[0]), *outputs[1:]]
