"""Channels between threads of one process: queues of bytes."""

from __future__ import annotations

import queue
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from reticent.channels.port import Channel, Data, Failure, other_party, parts_of, refuse_diverged
from reticent.errors import UsageError

__all__ = ["threads"]

_FINISHED = None
_Item = memoryview | Failure | None


class _Meeting:
    """What the threads share: a queue for every ordered pair, and who waits for whom."""

    def __init__(self, names: tuple[str, ...], deadline: float) -> None:
        self.names = names
        self.deadline = deadline
        everyone = range(len(names))
        # A SimpleQueue is the fastest hand-over between threads that CPython has: one lock, written in C.
        self.queues: dict[tuple[int, int], queue.SimpleQueue[_Item]] = {
            (sender, to): queue.SimpleQueue() for sender in everyone for to in everyone if sender != to
        }
        self.waits_for: list[int | None] = [None] * len(names)

    def blame(self, own: int) -> int:
        """Return the party at the end of the chain of waiting that starts at `own`."""
        chain = [own]
        while (following := self.waits_for[chain[-1]]) is not None:
            if following in chain:
                refuse_diverged(self.names, [*chain[chain.index(following) :], following])
            chain.append(following)
        return chain[-1]


class _ThreadChannel:
    """One thread's end."""

    def __init__(self, meeting: _Meeting, party: int) -> None:
        self._meeting = meeting
        self._failure: Failure | None = None
        self._over = False
        self._finished: set[int] = set()
        self.names = meeting.names
        self.party = party
        self.bytes_sent = 0
        self.messages_sent = 0

    @property
    def parties(self) -> int:
        return len(self.names)

    def send(self, to: int, data: Data | Sequence[Data]) -> None:
        other_party(to, own=self.party, parties=self.parties)
        if self._failure:
            raise self._failure.error(self.names)
        # Bytes cannot change, so they pass uncopied; anything else the caller may write to again.
        message = memoryview(data if isinstance(data, bytes) else b"".join(parts_of(data)))
        self._meeting.queues[self.party, to].put(message)
        self.bytes_sent += message.nbytes
        self.messages_sent += 1

    def receive(self, sender: int) -> memoryview:
        other_party(sender, own=self.party, parties=self.parties)
        if self._failure is None and sender not in self._finished:
            item = self._next(sender)
            if isinstance(item, memoryview):
                return item
            if isinstance(item, Failure):
                self._failure = item
            else:
                self._finished.add(sender)
        failure = self._failure or Failure(sender, "had ended when a message of its was awaited")
        raise failure.error(self.names)

    def _next(self, sender: int) -> _Item:
        inbox = self._meeting.queues[sender, self.party]
        try:
            return inbox.get_nowait()
        except queue.Empty:
            pass
        self._meeting.waits_for[self.party] = sender
        try:
            item = inbox.get(timeout=self._meeting.deadline)
        except queue.Empty:
            # Still marked as waiting, so that others who follow the chain through here reach the same end.
            failed = self._meeting.blame(self.party)
            return Failure(failed, f"sent nothing for {self._meeting.deadline:g} s")
        self._meeting.waits_for[self.party] = None
        return item

    def abort(self, failed: int | None = None) -> None:
        if failed is None:
            failed = self._failure.party if self._failure else self.party
        self._tell(Failure(failed, "failed"))

    def close(self) -> None:
        self._tell(_FINISHED)

    def _tell(self, item: _Item) -> None:
        if self._over:
            return
        self._over = True
        for (sender, to), inbox in self._meeting.queues.items():
            # A failure ends the computation: it is put into every queue of the others, whomever they wait for.
            if sender == self.party or (item is not _FINISHED and to != self.party):
                inbox.put(item)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abort()


def threads(names: Sequence[str], deadline: float = 30.0) -> list[Channel]:
    """Return the channels of parties that are threads of this process, by number.

    Args:
      names: A name for each party; a dealer comes last.
      deadline: Seconds after which a party that says nothing counts as failed; time spent in computing counts.

    Raises:
      UsageError: If there are fewer than two names, two alike, or the deadline is not positive.
    """
    named = tuple(names)
    check_meeting(named, deadline)
    meeting = _Meeting(named, deadline)
    return [_ThreadChannel(meeting, party) for party in range(len(named))]


def check_meeting(names: tuple[str, ...], deadline: float) -> None:
    """Refuse parties that cannot be told apart, and deadlines that are none."""
    if len(names) < 2 or len(set(names)) < len(names) or not all(names):
        raise UsageError(
            "invalid-parties",
            f"parties {', '.join(map(repr, names)) or '(none)'}",
            hint="name two parties or more, each with a name of its own",
        )
    if not 0 < deadline < float("inf"):
        raise UsageError(
            "invalid-deadline", f"deadline {deadline} s", hint="give a positive number of seconds, such as 30"
        )
