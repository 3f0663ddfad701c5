"""One encrypted connection to one peer: frames out without waiting, frames in as they come.

Used by one thread at a time: a TLS connection of OpenSSL must not be read and written by two threads at once, and
without threads no message waits for another thread to be scheduled.
"""

from __future__ import annotations

import ssl
import time
from collections import deque

from reticent.channels.frames import HEADER_BYTES, RECORD_BYTES, Frame, FrameReader, Kind, header

__all__ = ["Link"]

_PIECE = 1 << 17
"""Bytes handed to TLS at once: what did not fit into the kernel's buffer is copied, so not too much."""

Data = bytes | bytearray | memoryview


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

    def put(self, kind: Kind, body: Data) -> None:
        """Send a frame, or keep what the kernel does not take now; never waits."""
        view = memoryview(body)
        view = view.cast("B") if view.nbytes else memoryview(b"")
        first = RECORD_BYTES - HEADER_BYTES
        queued = len(self._unsent)
        # Header and body in one record: one packet for a small message instead of two.
        self._unsent.append(memoryview(header(kind, view.nbytes) + bytes(view[:first])))
        for start in range(first, view.nbytes, _PIECE):
            self._unsent.append(view[start : start + _PIECE])
        if kind == Kind.DATA:
            self.sent += 1
        if not queued:
            self.write()
        # As far as it was not taken.
        if self._unsent and not isinstance(body, bytes):
            # The caller may write to its memory again. TLS accepts a moved buffer if the bytes are the same.
            kept = [memoryview(bytes(piece)) for piece in list(self._unsent)[queued:]]
            for _ in kept:
                self._unsent.pop()
            self._unsent.extend(kept)

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
