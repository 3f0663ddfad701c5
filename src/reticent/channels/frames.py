"""Messages on a byte stream: a kind, a length, and that many bytes.

    frame    kind u8 | length u64 | body
    data     body: the message
    alive    body: whom the sender waits for, and how many messages it has received from and sent to each party
    abort    body: number of the party that was seen to fail
    bye      body empty: nothing follows, and that is no failure
    hello    body: the record `Hello`, once, first
    confirm  body: 32 bytes that name the meeting, once, second

All numbers are little-endian. The reader does no I/O: it says where the next bytes belong, so that large messages are
received into the memory that is handed to the program, without a copy.
"""

from __future__ import annotations

import struct
from enum import IntEnum

import numpy as np

from reticent.errors import IdentityError

__all__ = [
    "HEADER_BYTES",
    "Frame",
    "FrameReader",
    "Kind",
    "abort_body",
    "alive_body",
    "header",
    "read_abort",
    "read_alive",
]

_HEADER = struct.Struct("<BQ")
HEADER_BYTES = _HEADER.size
RECORD_BYTES = 1 << 14
"""Most bytes that TLS hands over at once (RFC 8446, section 5.1)."""
_NOBODY = 0xFFFFFFFF


class Kind(IntEnum):
    """What a frame is for."""

    DATA = 1
    ALIVE = 2
    ABORT = 3
    BYE = 4
    HELLO = 5
    CONFIRM = 6


Frame = tuple[Kind, memoryview]
_CONTROL_LIMIT = 1 << 16
_KINDS = {int(kind): kind for kind in Kind}


def header(kind: Kind, length: int) -> bytes:
    """Return the first bytes of a frame."""
    return _HEADER.pack(kind, length)


class FrameReader:
    """Cuts what arrives from one peer into frames.

    Args:
      peer: Name of the peer, for errors.
      limit: Most bytes of a message.
    """

    def __init__(self, peer: str, limit: int) -> None:
        self._peer = peer
        self._limit = limit
        self._scratch = memoryview(bytearray(RECORD_BYTES))
        self._head = b""
        self._kind = Kind.DATA
        self._body: memoryview | None = None
        self._filled = 0
        self._direct = False

    def space(self) -> memoryview:
        """Return where the next bytes of the stream are to be written; call `take` with their number then."""
        # Always room for a whole TLS record: the rest of one would stay inside TLS, where `poll` does not see it. And
        # while more than a record is missing, nothing of the next frame can be in it.
        self._direct = self._body is not None and self._body.nbytes - self._filled >= RECORD_BYTES
        if self._direct and self._body is not None:
            return self._body[self._filled : self._filled + RECORD_BYTES]
        return self._scratch

    def take(self, count: int) -> list[Frame]:
        """Return the frames that are complete now that `count` bytes were written to `space()`.

        Raises:
          IdentityError: If the peer sends what is no frame, or one over the limit.
        """
        if self._direct:
            self._filled += count
            return self._completed([])
        frames: list[Frame] = []
        rest = self._scratch[:count]
        while rest.nbytes:
            rest = self._into_head(rest) if self._body is None else self._into_body(rest)
            self._completed(frames)
        return frames

    def _into_head(self, rest: memoryview) -> memoryview:
        missing = HEADER_BYTES - len(self._head)
        self._head += bytes(rest[:missing])
        if len(self._head) == HEADER_BYTES:
            number, length = _HEADER.unpack(self._head)
            self._check(number, length)
            self._kind = _KINDS[number]
            # Not written to before bytes arrive, so a length that is never delivered takes no memory.
            self._body = np.empty(length, dtype=np.uint8).data
            self._filled, self._head = 0, b""
        return rest[missing:]

    def _into_body(self, rest: memoryview) -> memoryview:
        assert self._body is not None  # noqa: S101  for the type checker
        part = rest[: self._body.nbytes - self._filled]
        self._body[self._filled : self._filled + part.nbytes] = part
        self._filled += part.nbytes
        return rest[part.nbytes :]

    def _completed(self, frames: list[Frame]) -> list[Frame]:
        if self._body is not None and self._filled == self._body.nbytes:
            frames.append((self._kind, self._body))
            self._body = None
        return frames

    def _check(self, number: int, length: int) -> None:
        if number not in _KINDS:
            raise malformed(self._peer, f"a frame of unknown kind {number}")
        if length > (self._limit if number == Kind.DATA else _CONTROL_LIMIT):
            raise IdentityError(
                "frame-too-long",
                f"party {self._peer!r} announces {length} bytes, over the limit of {self._limit} of this channel",
                hint="raise the limit at every party if the program needs such messages; otherwise the peer is hostile",
            )


def malformed(peer: str, what: str) -> IdentityError:
    """Return the error for bytes from `peer` that the protocol does not have."""
    return IdentityError(
        "malformed-frame",
        f"party {peer!r} sent {what}",
        hint="check that all parties run the same version of reticent; otherwise treat the peer as hostile",
    )


def alive_body(waits_for: int | None, received: list[int], sent: list[int]) -> bytes:
    """Return the body of an alive frame; the counts are by party."""
    waits = _NOBODY if waits_for is None else waits_for
    return struct.pack(f"<I{2 * len(sent)}Q", waits, *received, *sent)


def read_alive(body: memoryview, peer: str, parties: int) -> tuple[int | None, list[int], list[int]]:
    """Return what `alive_body` was given."""
    if body.nbytes != 4 + 16 * parties:
        raise malformed(peer, "an alive frame of the wrong length")
    waits, *counts = struct.unpack(f"<I{2 * parties}Q", body)
    if waits >= parties and waits != _NOBODY:
        raise malformed(peer, "an alive frame that names no party")
    return None if waits == _NOBODY else waits, counts[:parties], counts[parties:]


def abort_body(failed: int) -> bytes:
    """Return the body of an abort frame."""
    return struct.pack("<I", failed)


def read_abort(body: memoryview, peer: str, parties: int) -> int:
    """Return the number of the party that `peer` has seen to fail."""
    if body.nbytes != 4 or (failed := int(struct.unpack("<I", body)[0])) >= parties:
        raise malformed(peer, "an abort frame that names no party")
    return failed
