"""The parties among which additive shares are held while a gate runs, and how they open a masked value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reticent.mpc.rounds import Array, Round, Steps, Words

__all__ = ["Group", "Masked"]


_WORD = np.dtype(np.uint64)


@dataclass(frozen=True, slots=True)
class Masked:
    """One array to open: this party's share of it, masked already.

    Attributes:
      share: This party's share; None if it holds none, because `holder` is another.
      shape: Its shape.
      xor: Whether shares are combined by exclusive or instead of addition.
      holder: The one party whose share is not zero; None if all have one.
    """

    share: Array | None
    shape: tuple[int, ...]
    dtype: np.dtype[Any] = _WORD
    xor: bool = False
    holder: int | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Additive shares over Z/2^bits of `members`.

    Attributes:
      me: Own number, in `members`.
      members: Who holds a share, ascending. The last one receives the dealer's corrections.
      bits: Width of the ring; 64, or less where all views are enumerated.
    """

    me: int
    members: tuple[int, ...]
    bits: int = 64

    @property
    def first(self) -> bool:
        """Whether this party adds public constants to its share."""
        return self.me == self.members[0]

    @property
    def last(self) -> bool:
        """Whether this party receives corrections."""
        return self.me == self.members[-1]

    def reduce(self, words: Words) -> Words:
        """Return `words` modulo 2^bits."""
        return words if self.bits == 64 else np.bitwise_and(words, np.uint64(2**self.bits - 1))

    def opened(self, items: Sequence[Masked]) -> Steps[list[Array]]:
        """Open all of `items` in one round: everybody sends its shares to everybody.

        Reveals: their sums, to all members. Each caller masks with randomness that no member knows in full.
        """
        others = [member for member in self.members if member != self.me]
        mine = [self._own(item) for item in items]
        out = [share for item, share in zip(items, mine, strict=True) if share is not None]
        wanted = {
            other: [(item.shape, item.dtype) for item in items if item.holder in (None, other)] for other in others
        }
        got = yield Round({other: out for other in others if out}, {o: w for o, w in wanted.items() if w})
        arrivals = {other: iter(got.get(other, ())) for other in others}
        return [
            self._sum(item, share, [next(arrivals[other]) for other in others if item.holder in (None, other)])
            for item, share in zip(items, mine, strict=True)
        ]

    def _own(self, item: Masked) -> Array | None:
        if item.share is None or item.holder not in (None, self.me):
            return None
        return item.share if item.xor or self.bits == 64 else self.reduce(item.share)

    def _sum(self, item: Masked, own: Array | None, others: list[Array]) -> Array:
        combine = np.bitwise_xor if item.xor else np.add
        total = own if own is not None else others.pop()
        for other in others:
            total = combine(total, other)
        return total if item.xor or self.bits == 64 else self.reduce(total)
