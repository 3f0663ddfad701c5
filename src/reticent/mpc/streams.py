"""Keystreams that two participants have in common, a new one for each operation.

At the start of a session each pair of participants agrees on 32 fresh bytes, sent by the one of lower number over the
channel. Everything that both must draw alike comes from HKDF of these bytes under a text that names the operation and
the use; the bytes are of this session alone. So no stream is ever read twice, in one session or in two.
"""

from __future__ import annotations

from typing import Any, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from reticent.channels import Channel
from reticent.errors import IdentityError, InternalError
from reticent.randomness import Keystream, derive, secret

__all__ = ["Filler", "Keys", "agree"]

_SECRET_BYTES = 32


class Filler(Protocol):
    """Anything that fills arrays: a `Keystream`, or the ideal tape of an enumeration in the tests."""

    def fill(self, out: NDArray[np.unsignedinteger[Any]]) -> None:
        """Overwrite `out` with the next values."""
        ...


class Keys:
    """The secrets of one participant with each other one, and what was drawn from them.

    Args:
      pairs: 32 bytes for each other participant, the same at both ends.
      common: 32 bytes that all computing parties have and the dealer has not; empty at the dealer.
    """

    def __init__(self, pairs: dict[int, bytes], common: bytes) -> None:
        self._pairs = pairs
        self._common = common
        self._drawn: set[tuple[int | None, str, tuple[int, ...]]] = set()

    def stream(self, peer: int, use: str, operation: tuple[int, ...]) -> Keystream:
        """Return the stream that only `peer` and this participant have, for one use in one operation.

        Raises:
          InternalError: If it was asked for before: the same masks would be used twice.
        """
        return self._make(peer, self._pairs[peer], use, operation)

    def common(self, use: str, operation: tuple[int, ...]) -> Keystream:
        """Return the stream that all computing parties have, for one use in one operation."""
        return self._make(None, self._common, use, operation)

    def _make(self, peer: int | None, key: bytes, use: str, operation: tuple[int, ...]) -> Keystream:
        name = (peer, use, operation)
        if name in self._drawn:
            raise InternalError(
                "stream-reused",
                f"the keystream for {use!r} of operation {operation} was drawn a second time",
                hint="give each operation a number of its own",
            )
        self._drawn.add(name)
        info = f"reticent mpc 1/{len(use)}/{use}/{'.'.join(map(str, operation))}".encode()
        return Keystream(derive(key, info=info, length=16))


def agree(channel: Channel, *, computing: int) -> Keys:
    """Return the keys of this participant, after every pair has agreed on theirs.

    Participants from number `computing` on are dealers. One message for each pair, from the lower number to the higher.
    """
    me, pairs = channel.party, {}
    common = secret(_SECRET_BYTES) if me == 0 else b""
    for peer in range(me + 1, channel.parties):
        pairs[peer] = secret(_SECRET_BYTES)
        channel.send(peer, pairs[peer] + (common if me == 0 and peer < computing else b""))
    for peer in range(me):
        received = bytes(channel.receive(peer))
        wanted = _SECRET_BYTES * (2 if peer == 0 and me < computing else 1)
        if len(received) != wanted:
            refuse_message(peer, len(received), wanted)
        pairs[peer] = received[:_SECRET_BYTES]
        common = common or received[_SECRET_BYTES:]
    return Keys(pairs, common)


def refuse_message(sender: int, found: int, wanted: int) -> NoReturn:
    """Raise because a message is not as long as the program says."""
    raise IdentityError(
        "message-of-other-length",
        f"participant {sender} sent {found} bytes where the program needs {wanted}",
        hint="check that all participants run the same program on the same shapes, version and settings",
    )
