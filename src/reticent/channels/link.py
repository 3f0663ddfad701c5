"""One encrypted connection to one peer: frames out without waiting, frames in as they come.

Used by one thread at a time: a TLS connection of OpenSSL must not be read and written by two threads at once, and
without threads no message waits for another thread to be scheduled.
"""

from __future__ import annotations

import ssl
import time
from collections import deque
from collections.abc import Iterator

from reticent.channels.frames import RECORD_BYTES, Frame, FrameReader, Kind, header
from reticent.channels.port import Data

__all__ = ["Link"]

_PIECE = 1 << 17
"""Bytes handed to TLS at once: what did not fit into the kernel's buffer is copied, so not too much."""

_SMALL = 1 << 15


class Link:
    """The connection to party `peer`.

    Attributes:
      data: Messages that have arrived and were not asked for yet.
      control: Other frames that have arrived.
      heard: Time (monotonic) of the last bytes that came in.
      ended: The peer has said that nothing follows.
      closed: The peer has closed the connection, with or without a word.
      sent: Messages sent.
      received: Messages that have arrived.
    """

    def __init__(self, sock: ssl.SSLSocket, peer: int, name: str, limit: int) -> None:
        self.socket = sock
        self.peer = peer
        self.data: deque[memoryview] = deque()
        self.control: deque[Frame] = deque()
        self.heard = time.monotonic()
        self.ended = False
        self.closed = False
        self.sent = 0
        self.received = 0
        self._reader = FrameReader(name, limit)
        self._unsent: deque[memoryview] = deque()
        self._deaf = False

    @property
    def pending(self) -> bool:
        """Whether something is still to be handed to the kernel."""
        return bool(self._unsent)

    def put(self, kind: Kind, *parts: Data) -> int:
        """Send a frame, or keep what the kernel does not take now; never waits. Return the bytes of its body."""
        size = sum(len(part) if isinstance(part, bytes) else memoryview(part).nbytes for part in parts)
        queued = len(self._unsent)
        if size <= _SMALL:
            self._unsent.append(memoryview(b"".join((header(kind, size), *parts))))
        else:
            views = [memoryview(part).cast("B") for part in parts if memoryview(part).nbytes]
            self._unsent.extend(_pieces([memoryview(header(kind, size)), *views]))
        if kind == Kind.DATA:
            self.sent += 1
        if not queued:
            self.write()
        if self._unsent:
            # The caller may write to its memory again. TLS accepts a moved buffer if the bytes are the same.
            kept = [memoryview(bytes(self._unsent.pop())) for _ in range(len(self._unsent) - queued)]
            self._unsent.extend(reversed(kept))
        return size

    def write(self) -> None:
        """Hand over what is pending as far as the kernel takes it.

        A peer that is gone is not noticed here but by `read`, which sees its last words first.
        """
        try:
            while self._unsent:
                if self._deaf or self.closed:
                    self._unsent.clear()
                    return
                count = self.socket.send(self._unsent[0])
                if count == self._unsent[0].nbytes:
                    self._unsent.popleft()
                else:
                    self._unsent[0] = self._unsent[0][count:]
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        except (OSError, ValueError):
            self._deaf = True
            self._unsent.clear()

    def read(self, *, one: bool = False) -> None:
        """Take in what has arrived, without waiting; with `one`, no more than up to the first message.

        Raises:
          IdentityError: If the peer sends what is no frame, or one over the limit.
        """
        try:
            while not (self.closed or (one and self.data)):
                self.closed = not self.receive_some()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except (OSError, ValueError):
            self.closed = True

    def receive_some(self) -> bool:
        """Take in what the socket gives next, waiting as its timeout says; return whether there was anything."""
        count = self.socket.recv_into(self._reader.space())
        if not count:
            return False
        self.heard = time.monotonic()
        for frame in self._reader.take(count):
            if frame[0] == Kind.DATA:
                self.received += 1
                self.data.append(frame[1])
            else:
                self.control.append(frame)
        return True


def _pieces(views: list[memoryview]) -> Iterator[memoryview]:
    """Cut into what is handed to TLS at once; small views are joined, so that they share a record and a packet."""
    small, size = list[memoryview](), 0
    for view in views:
        if view.nbytes > _SMALL:
            start = -size % RECORD_BYTES if small else 0
            if small:
                yield memoryview(b"".join([*small, view[:start]]))
            small, size = [], 0
            for at in range(start, view.nbytes, _PIECE):
                yield view[at : at + _PIECE]
        else:
            small.append(view)
            size += view.nbytes
            if size > _SMALL:
                yield memoryview(b"".join(small))
                small, size = [], 0
    if small:
        yield memoryview(b"".join(small))
