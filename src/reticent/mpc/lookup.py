"""Tables at a secret index: a one among zeros, dealt at a random place and turned to the right one in public.

The dealer shares a vector with a one at place r. The parties open (i + r) modulo its length, which tells nothing, and
turn the vector: one round, one byte, and no multiplication (Y. Ishai, E. Kushilevitz, S. Meldgaard, C. Orlandi and
A. Paskin-Cherniavsky, "On the power of correlated randomness in secure computation", TCC 2013). The dealer's correction
is one word for each place, so tables are short.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reticent.errors import UsageError
from reticent.mpc.group import Group, Masked
from reticent.mpc.material import Source
from reticent.mpc.operation import Operation
from reticent.mpc.rounds import Array, Steps, Words
from reticent.mpc.shared import Shared

if TYPE_CHECKING:
    from reticent.mpc.tensor import Tensor

__all__ = ["OneHot", "deal_one_hot", "look_up", "one_hot", "turned"]

_OCTET = np.dtype(np.uint8)
_LONGEST = 256
_BLOCK = 1024  # elements whose rows stay in the cache


@dataclass(frozen=True, slots=True)
class OneHot:
    """Shares of r (modulo 256) and of the vector with a one at place r modulo its length: `uint64 (count, size)`."""

    r: Array
    vector: Array


def deal_one_hot(source: Source, *, count: int, size: int) -> OneHot:
    """Return what `turned` needs for `count` elements and vectors of `size` places (a power of two); a recipe."""
    r = source.uniform((count,), _OCTET)

    def vector() -> Array:
        out = np.zeros((count, size), dtype=np.uint64)
        out[np.arange(count), r & np.uint8(size - 1)] = 1
        return out

    return OneHot(r, source.fixed(vector, (count, size)))


def turned(group: Group, material: OneHot, index: Words) -> Steps[Array]:
    """Return, for each element, where place 0 of the turned vector lies: (index + r) modulo size, `int64 (count,)`.

    Requires: 0 <= index < size.
    Reveals: (index + r) modulo size, which is uniform, to all members.
    """
    size = material.vector.shape[1]
    masked = (index.astype(np.uint8) + material.r) & np.uint8(size - 1)
    (opened,) = yield from group.opened([Masked(masked, masked.shape, _OCTET)])
    return (opened & np.uint8(size - 1)).astype(np.int64)


def from_table(group: Group, material: OneHot, index: Words, table: Words) -> Steps[Words]:
    """Return this party's share of table[index]."""
    place = yield from turned(group, material, index)
    # The one lies at place r; index = place - r, so the entry at k of the unturned vector counts table[place - k].
    steps = np.arange(len(table))
    rotations = table[(steps[:, np.newaxis] - steps) % len(table)]
    out = np.empty(len(place), dtype=np.uint64)
    for start in range(0, len(place), _BLOCK):
        part = slice(start, start + _BLOCK)
        rows = rotations[place[part]]
        rows *= material.vector[part]
        rows.sum(axis=1, out=out[part])
    return out


def hot(group: Group, material: OneHot, index: Words, count: int) -> Steps[Words]:
    """Return this party's share of the vector with a one at `index`: `uint64 (n, count)`."""
    place = yield from turned(group, material, index)
    size = material.vector.shape[1]
    return np.take_along_axis(material.vector, (place[:, np.newaxis] - np.arange(count)) % size, axis=1)


def look_up(index: Tensor, table: Words, *, fraction: int) -> Tensor:
    """Return table[index], elementwise, for an index of whole numbers below the length of the table (a power of two)."""
    protocol, shape, size = index.session.protocol, index.shape, len(table)

    def start(operation: Operation, value: Shared) -> Steps[Shared]:
        words = protocol.to_group(value)
        share = yield from protocol.gate(
            operation,
            "one-hot",
            {"count": index.size, "size": size},
            lambda material: from_table(protocol.group, material, words.reshape(-1), table),
            rounds=1,
        )
        found = yield from protocol.from_group(operation, None if share is None else [share], [shape])
        return found[0]

    return index.session.defer(f"lookup {shape}", start, [index], shape=shape, fraction=fraction)


def one_hot(index: Tensor, count: int) -> Tensor:
    """Return a vector of `count` zeros with a one at `index` (whole numbers below `count`), along a new last axis."""
    size = 1 << max(1, (count - 1).bit_length())
    if index.fraction or size > _LONGEST:
        raise UsageError(
            "index-not-whole",
            f"an index with {index.fraction} fraction bits among {count} places was to become a one among zeros",
            hint="use the index that argmax gives, among at most 256 places",
        )
    protocol, shape = index.session.protocol, (*index.shape, count)

    def start(operation: Operation, value: Shared) -> Steps[Shared]:
        words = protocol.to_group(value)
        share = yield from protocol.gate(
            operation,
            "one-hot",
            {"count": index.size, "size": size},
            lambda material: hot(protocol.group, material, words.reshape(-1), count),
            rounds=1,
        )
        found = yield from protocol.from_group(operation, None if share is None else [share], [shape])
        return found[0]

    return index.session.defer(f"one-hot {shape}", start, [index], shape=shape, fraction=0)
