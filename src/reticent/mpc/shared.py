"""What one party holds of a shared array: one share (additive), or two of three (replicated)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from reticent.mpc.rounds import Words

__all__ = ["Shared"]


@dataclass(frozen=True, slots=True)
class Shared:
    """One party's part of a shared array.

    Attributes:
      parts: The shares this party holds, all of the shape of the array.
      holder: The party whose share is the value itself while all others hold zero: an input that never had to be
        split, because whatever is sent of it later is masked first. None for true shares.
    """

    parts: tuple[Words, ...]
    holder: int | None = None

    def map(self, function: Callable[[Words], Words]) -> Shared:
        """Return the result of a linear `function` of the array, applied to each share."""
        return Shared(tuple(np.asarray(function(part)) for part in self.parts), self.holder)

    def combine(self, other: Shared, function: Callable[[Words, Words], Words]) -> Shared:
        """Return the result of a `function` linear in both arrays together, such as their sum."""
        holder = self.holder if self.holder == other.holder else None
        pairs = zip(self.parts, other.parts, strict=True)
        return Shared(tuple(np.asarray(function(a, b)) for a, b in pairs), holder)
