"""Correlated randomness: how parties and dealer come to shares of it from seeds and few corrections.

A *recipe* is one function that all run alike. At the dealer its values are the secrets; at a party they are that
party's shares. What is uniform costs nothing: each party's share comes from the stream it has in common with the
dealer. What depends on it costs one correction, sent to the last party only; the others expand a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from reticent.mpc.group import Group
from reticent.mpc.rounds import Array
from reticent.mpc.streams import Filler, refuse_message

__all__ = ["DealerSource", "PartySource", "Source"]

WORD = np.dtype(np.uint64)
Dtype = np.dtype[Any]


class Source(Protocol):
    """Where a recipe gets its values."""

    def uniform(
        self, shape: tuple[int, ...], dtype: Dtype = WORD, *, xor: bool = False, holder: int | None = None
    ) -> Array | None:
        """Return a uniform secret (dealer) or a share of it (party).

        With `holder` that party alone knows it in full, and None is returned at the others.
        """
        ...

    def fixed(
        self, compute: Callable[[], Array], shape: tuple[int, ...], dtype: Dtype = WORD, *, xor: bool = False
    ) -> Array:
        """Return what `compute` gives (dealer) or a share of it (party, where `compute` is never called)."""
        ...


class PartySource:
    """One party's side of a recipe.

    Args:
      group: Who shares.
      stream: The stream of this party and the dealer, for this one piece of material.
      corrections: What the dealer sent to the last party; None at the others.
      sender: Number of the dealer, for errors.
    """

    def __init__(self, group: Group, stream: Filler, corrections: memoryview | None, sender: int = -1) -> None:
        self._group = group
        self._stream = stream
        self._corrections = corrections
        self._sender = sender
        self._read = 0

    def uniform(
        self, shape: tuple[int, ...], dtype: Dtype = WORD, *, xor: bool = False, holder: int | None = None
    ) -> Array | None:
        """See `Source`."""
        if holder not in (None, self._group.me):
            return None
        out: Array = np.empty(shape, dtype=dtype)
        self._stream.fill(out)
        return out

    def fixed(
        self, compute: Callable[[], Array], shape: tuple[int, ...], dtype: Dtype = WORD, *, xor: bool = False
    ) -> Array:
        """See `Source`."""
        if not self._group.last:
            out: Array = np.empty(shape, dtype=dtype)
            self._stream.fill(out)
            return out
        assert self._corrections is not None
        count = int(np.prod(shape, dtype=np.int64))
        end = self._read + count * dtype.itemsize
        if end > len(self._corrections):
            refuse_message(self._sender, len(self._corrections), end)
        found: Array = np.frombuffer(self._corrections, dtype=dtype, count=count, offset=self._read).reshape(shape)
        self._read = end
        return found

    def finish(self) -> None:
        """Check that the corrections are used up.

        Raises:
          IdentityError: If the dealer sent more than the recipe takes.
        """
        if self._corrections is not None and self._read != len(self._corrections):
            refuse_message(self._sender, len(self._corrections), self._read)


class DealerSource:
    """The dealer's side of a recipe; `corrections` holds what the last party must be sent.

    Args:
      group: Who shares; its `me` is not used.
      streams: The stream of the dealer with each member, in the order of `group.members`.
    """

    def __init__(self, group: Group, streams: Sequence[Filler]) -> None:
        self._group = group
        self._streams = streams
        self.corrections: list[Array] = []

    def uniform(
        self, shape: tuple[int, ...], dtype: Dtype = WORD, *, xor: bool = False, holder: int | None = None
    ) -> Array:
        """See `Source`."""
        streams = self._streams if holder is None else [self._streams[self._group.members.index(holder)]]
        total: Array = np.empty(shape, dtype=dtype)
        streams[0].fill(total)
        part: Array = np.empty(shape, dtype=dtype) if len(streams) > 1 else total
        for stream in streams[1:]:
            stream.fill(part)
            (np.bitwise_xor if xor else np.add)(total, part, out=total)
        return total if xor or dtype != WORD else self._group.reduce(total)

    def fixed(
        self, compute: Callable[[], Array], shape: tuple[int, ...], dtype: Dtype = WORD, *, xor: bool = False
    ) -> Array:
        """See `Source`."""
        value = compute()
        assert value.shape == shape
        assert value.dtype == dtype
        part: Array = np.empty(shape, dtype=dtype)
        rest: Array = value
        for stream in self._streams[:-1]:
            stream.fill(part)
            rest = np.bitwise_xor(rest, part) if xor else np.subtract(rest, part)
        self.corrections.append(np.asarray(rest if xor or dtype != WORD else self._group.reduce(rest)))
        return value
