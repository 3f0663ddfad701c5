"""What a computing party sees of the others: a place to send to, and a place to receive from."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import NoReturn, Protocol, Self

from reticent.errors import QuorumLost, UsageError

__all__ = ["Channel", "Data", "Failure", "parts_of"]

Data = bytes | bytearray | memoryview


class Channel(Protocol):
    """One party's end of the channels to all the others.

    Parties are numbered from 0 in the order of `names`; further participants, such as a dealer, are parties of higher
    number. Used by one thread. As a context manager it ends the channel: quietly with `close`, or with `abort` if the
    block raised, so that nobody waits for a party that has failed.

    Attributes:
      names: Name of each party, by number.
      party: Own number.
      bytes_sent: Bytes of all messages sent so far, without framing and encryption.
      messages_sent: Number of messages sent so far.
    """

    names: tuple[str, ...]
    party: int
    bytes_sent: int
    messages_sent: int

    @property
    def parties(self) -> int:
        """Number of parties, oneself and any dealer included."""
        ...

    def send(self, to: int, data: Data | Sequence[Data]) -> None:
        """Send one message; never waits for the recipient, so all parties may send first and receive then.

        A sequence is sent as one message, its parts one after the other. All may be changed as soon as this returns.

        Raises:
          UsageError: If `to` is not the number of another party.
          QuorumLost: If a party is known to have failed; the error names it.
        """
        ...

    def receive(self, sender: int) -> memoryview:
        """Return the next message of `sender`, whole and in the order it was sent.

        Raises:
          UsageError: If `sender` is not the number of another party, or all wait for each other.
          QuorumLost: If a party, `sender` or another, failed or was silent beyond the deadline; the error names it.
        """
        ...

    def abort(self, failed: int | None = None) -> None:
        """Tell the others that party `failed` (None: oneself) has failed, and end the channel."""
        ...

    def close(self) -> None:
        """End the channel after everything sent has been handed over; the others may still read it."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def parts_of(data: Data | Sequence[Data]) -> Sequence[Data]:
    """Return the parts of a message."""
    return (data,) if isinstance(data, bytes | bytearray | memoryview) else data


class Failure:
    """Who failed and how it was noticed; every later use of the channel raises it again.

    Args:
      party: Number of the party that failed.
      why: What was seen, to follow its name in a sentence.
    """

    def __init__(self, party: int, why: str) -> None:
        self.party = party
        self.why = why

    def error(self, names: tuple[str, ...]) -> QuorumLost:
        """Return the error that names the party."""
        return QuorumLost(
            "party-lost",
            f"party {names[self.party]!r} {self.why}",
            hint=f"look at the log of {names[self.party]!r}, then start all parties again with fresh shares",
        )


def other_party(number: int, *, own: int, parties: int) -> int:
    """Return `number` if it is that of another party."""
    if number == own or not 0 <= number < parties:
        raise UsageError(
            "no-such-party",
            f"party {number} as the other end of a channel of party {own}",
            hint=f"parties are numbered 0 to {parties - 1}, and a party has no channel to itself",
        )
    return number


def refuse_diverged(names: tuple[str, ...], cycle: list[int]) -> NoReturn:
    """Raise because parties wait for each other and no message is on its way."""
    raise UsageError(
        "programs-diverged",
        f"{' waits for '.join(names[party] for party in cycle)}: nobody has anything to send",
        hint="every party must run the same program and take the same branches; only public values may decide branches",
    )
