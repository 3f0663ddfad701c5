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

    def uniform(self, shape: tuple[int, ...], dtype: Dtype = WORD, *, xor: bool = False) -> Array:
        """Return a uniform secret (dealer) or a share of it (party)."""
        ...

    def held(self, shape: tuple[int, ...], holder: int | None) -> Array | None:
        """Return a uniform secret that party `holder` alone knows, in full; None at the other parties.

        If `holder` is None all have shares of it.
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
      sender: Number of the dealer, for errors.
    """

    def __init__(self, group: Group, stream: Filler, sender: int = -1) -> None:
        self._group = group
        self._stream = stream
        self._sender = sender
        self._awaited: list[Array] = []

    def uniform(self, shape: tuple[int, ...], dtype: Dtype = WORD, *, xor: bool = False) -> Array:  # noqa: ARG002
        """See `Source`; shares of both kinds are drawn alike."""
        out: Array = np.empty(shape, dtype=dtype)
        self._stream.fill(out)
        return out

    def held(self, shape: tuple[int, ...], holder: int | None) -> Array | None:
        """See `Source`."""
        return self.uniform(shape) if holder in (None, self._group.me) else None

    def fixed(
        self,
        compute: Callable[[], Array],  # noqa: ARG002 - a party never knows the value
        shape: tuple[int, ...],
        dtype: Dtype = WORD,
        *,
        xor: bool = False,  # noqa: ARG002 - shares of both kinds are drawn alike
    ) -> Array:
        """See `Source`."""
        out: Array = np.empty(shape, dtype=dtype)
        if self._group.last:
            self._awaited.append(out)
        else:
            self._stream.fill(out)
        return out

    def finish(self, corrections: memoryview) -> None:
        """Write what the dealer sent to the last party into the arrays that `fixed` has given out.

        Until then they hold nothing; a gate opens its first masked values, which need no correction, before it looks.

        Raises:
          IdentityError: If the dealer sent more or less than the recipe takes.
        """
        wanted = sum(array.nbytes for array in self._awaited)
        if wanted != corrections.nbytes:
            refuse_message(self._sender, corrections.nbytes, wanted)
        start = 0
        for array in self._awaited:
            found = np.frombuffer(corrections, dtype=array.dtype, count=array.size, offset=start)
            array[...] = found.reshape(array.shape)
            start += array.nbytes


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

    def uniform(self, shape: tuple[int, ...], dtype: Dtype = WORD, *, xor: bool = False) -> Array:
        """See `Source`."""
        return self._sum(self._streams, shape, dtype, xor=xor)

    def held(self, shape: tuple[int, ...], holder: int | None) -> Array:
        """See `Source`."""
        streams = self._streams if holder is None else [self._streams[self._group.members.index(holder)]]
        return self._sum(streams, shape, WORD, xor=False)

    def _sum(self, streams: Sequence[Filler], shape: tuple[int, ...], dtype: Dtype, *, xor: bool) -> Array:
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
        part: Array = np.empty(shape, dtype=dtype)
        rest: Array = value
        for stream in self._streams[:-1]:
            stream.fill(part)
            rest = np.bitwise_xor(rest, part) if xor else np.subtract(rest, part)
        self.corrections.append(np.asarray(rest if xor or dtype != WORD else self._group.reduce(rest)))
        return value
