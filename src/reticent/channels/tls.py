"""The channel of one party over TLS connections to all others.

Everything happens in the calls of the one thread that uses the channel: `send` hands to the kernel what it takes, and
`receive` moves data on all connections until its message is there. Whoever waits tells the others for whom, so that
a party that waits is told from one that is dead or stopped, and so that parties that all wait for each other notice.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Sequence
from types import TracebackType
from typing import NoReturn, Self

from reticent.channels.frames import Kind, abort_body, alive_body, malformed, read_abort, read_alive
from reticent.channels.link import Link
from reticent.channels.port import Data, Failure, other_party, parts_of, refuse_diverged
from reticent.errors import IdentityError

__all__ = ["TlsChannel"]

_SILENCE = 0.75
"""Share of the deadline after which a silent party counts as failed; the rest is for the news to reach everybody."""
_BEATS = 8
_LAST_WORDS = 1.0
_Snapshot = tuple[int | None, list[int], list[int]]


class TlsChannel:
    """One party's end, over connections that have been made and checked; see `connect`."""

    def __init__(self, names: tuple[str, ...], party: int, links: dict[int, Link], deadline: float) -> None:
        self.names = names
        self.party = party
        self.bytes_sent = 0
        self.messages_sent = 0
        self.seconds_waiting = 0.0
        self._links = links
        self._deadline = deadline
        self._failure: Failure | None = None
        self._over = False
        self._snapshots: dict[int, _Snapshot] = {}
        self._poll = select.poll()
        self._by_fd: dict[int, Link] = {}
        self._polled: dict[int, int] = {}
        for link in links.values():
            link.socket.settimeout(0.0)
            self._by_fd[link.socket.fileno()] = link
            self._poll.register(link.socket, select.POLLIN)
            self._polled[link.socket.fileno()] = select.POLLIN

    @property
    def parties(self) -> int:
        """Number of parties."""
        return len(self.names)

    def send(self, to: int, data: Data | Sequence[Data]) -> None:
        """Send one message; see `Channel`."""
        if self._failure or self._over:
            self._refuse_use()
        link = self._links[other_party(to, own=self.party, parties=self.parties)]
        self.bytes_sent += link.put(Kind.DATA, *parts_of(data))
        self.messages_sent += 1
        if link.pending:
            # A party that only sends must notice, too, that nobody is left to read it.
            self._move(0.0)
            self._look_for_failures()

    def receive(self, sender: int) -> memoryview:
        """Return the next message of `sender`; see `Channel`."""
        link = self._links[other_party(sender, own=self.party, parties=self.parties)]
        if link.data:
            return link.data.popleft()
        if self._failure or self._over:
            self._refuse_use()
        self._wait(link)
        return link.data.popleft()

    def _wait(self, link: Link) -> None:
        start = now = time.monotonic()
        silence = _SILENCE * self._deadline
        beat = start + self._deadline / _BEATS
        while True:
            self._take_in(link, one=True)
            if link.data:
                self.seconds_waiting += now - start
                return
            self._look_for_failures(link)
            self._look_for_divergence(link.peer)
            silent_since = max(start, link.heard)
            if now - silent_since > silence:
                self._fail(Failure(link.peer, f"sent nothing for {silence:g} s"))
            if now >= beat:
                self._say_alive(link.peer)
                beat = now + self._deadline / _BEATS
            self._move(max(0.0, min(beat, silent_since + silence + 1e-3) - now), awaited=link)
            now = time.monotonic()

    def _move(self, timeout: float, awaited: Link | None = None) -> None:
        """Wait until some connection can move data, or for `timeout` seconds; then move what can be moved."""
        for fd, polled in list(self._polled.items()):
            link = self._by_fd[fd]
            if link.closed:  # would report its end again and again
                self._poll.unregister(fd)
                del self._polled[fd]
            elif (wanted := select.POLLIN | (select.POLLOUT if link.pending else 0)) != polled:
                self._poll.modify(fd, wanted)
                self._polled[fd] = wanted
        for fd, events in self._poll.poll(timeout * 1e3):
            link = self._by_fd[fd]
            if events & select.POLLOUT:
                link.write()
            if events & ~select.POLLOUT and link is not awaited:
                self._take_in(link)

    def _take_in(self, link: Link, *, one: bool = False) -> None:
        try:
            link.read(one=one)
            while link.control:
                kind, body = link.control.popleft()
                self._obey(link, kind, body)
        except IdentityError:
            link.closed = link.ended = True
            self._failure = self._failure or Failure(link.peer, "sent what no party sends")
            self.abort()
            raise

    def _obey(self, link: Link, kind: Kind, body: memoryview) -> None:
        name = self.names[link.peer]
        if kind == Kind.ALIVE:
            self._snapshots[link.peer] = read_alive(body, name, self.parties)
        elif kind == Kind.ABORT:
            failed = read_abort(body, name, self.parties)
            why = "failed and said so" if failed == link.peer else f"failed, as {name!r} reports"
            self._failure = self._failure or Failure(failed, why)
        elif kind == Kind.BYE:
            link.ended = True
        else:
            raise malformed(name, f"a frame of kind {kind.name.lower()} in the middle of a session")

    def _look_for_failures(self, awaited: Link | None = None) -> None:
        if self._failure:
            self._fail(self._failure)
        for link in self._links.values():
            if link.closed and not link.ended:
                self._fail(Failure(link.peer, "closed its connection without a word: its process or its network died"))
        if awaited and (awaited.ended or awaited.closed):
            self._fail(Failure(awaited.peer, "had ended when a message of its was awaited"))

    def _look_for_divergence(self, waits_for: int) -> None:
        """Raise if a circle of parties wait for each other and each has received all that the next has sent to it.

        Counts were taken at different times, but a party that still waits for what has not been sent has not moved on.
        """
        chain, waiting, received = [self.party], waits_for, self._links[waits_for].received
        while waiting not in chain:
            if (snapshot := self._snapshots.get(waiting)) is None or snapshot[2][chain[-1]] != received:
                return
            chain.append(waiting)
            if snapshot[0] is None:
                return
            waiting, received = snapshot[0], snapshot[1][snapshot[0]]
        if waiting == self.party and received == self._links[chain[-1]].sent:
            self._failure = Failure(self.party, "and others wait for each other")
            self.abort()
            refuse_diverged(self.names, [*chain, waiting])

    def _say_alive(self, waits_for: int) -> None:
        links = [self._links.get(party) for party in range(self.parties)]
        received, sent = ([getattr(link, count, 0) for link in links] for count in ("received", "sent"))
        for link in self._links.values():
            if not link.closed:
                link.put(Kind.ALIVE, alive_body(waits_for, received, sent))

    def _fail(self, failure: Failure) -> NoReturn:
        self._failure = failure
        self.abort()
        raise failure.error(self.names)

    def _refuse_use(self) -> NoReturn:
        raise (self._failure or Failure(self.party, "has ended its channel")).error(self.names)

    def abort(self, failed: int | None = None) -> None:
        """Tell the others who failed, and end the channel; see `Channel`."""
        if self._over:
            return
        if failed is None:
            failed = self._failure.party if self._failure else self.party
        self._failure = self._failure or Failure(failed, "failed")
        self._end(Kind.ABORT, abort_body(failed), patience=min(_LAST_WORDS, (1 - _SILENCE) * self._deadline / 2))

    def close(self) -> None:
        """End the channel in good order; waits for the others to end, at most the deadline."""
        if not self._over:
            # The others may be computing still. Data that nobody reads would make the kernel reset the connection, and
            # our last messages be lost, so we read on until they have ended, too.
            self._end(Kind.BYE, b"", patience=self._deadline)

    def _end(self, kind: Kind, body: bytes, patience: float) -> None:
        self._over = True
        links = list(self._links.values())
        for link in links:
            if not link.closed:
                link.put(kind, body)
        until, shut = time.monotonic() + patience, set[int]()
        while open_links := [link for link in links if not (link.closed or link.ended) or link.pending]:
            for link in links:
                if not link.pending and link.peer not in shut:
                    shut.add(link.peer)
                    _shut_down(link)
            left = until - time.monotonic()
            if left <= 0 or all(link.closed for link in open_links):
                break
            self._move_ending(left)
        for link in links:
            _close(link)

    def _move_ending(self, timeout: float) -> None:
        try:
            self._move(timeout)
        except IdentityError:
            return
        for link in self._links.values():
            link.data.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abort()


def _shut_down(link: Link) -> None:
    with contextlib.suppress(OSError):
        # The peer reads everything up to here and then the end; our side stays open for reading.
        socket.socket.shutdown(link.socket, socket.SHUT_WR)


def _close(link: Link) -> None:
    with contextlib.suppress(OSError):
        link.socket.close()
