"""The ports: what a protocol and an engine must offer each other.

Every protocol is written as roles that do no I/O and know no clock, socket or process. An engine moves the messages.
A *site* is an organisation and runs a Client; the hub or coordinator runs the Server. Absent sites are input, never
exceptions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from reticent.dp.release import Grant, Release

__all__ = ["Client", "Engine", "Exchange", "Reply", "Request", "Server"]


@dataclass(frozen=True, slots=True)
class Request:
    """What the server asks of one site, already authenticated by the site's host.

    `(run, round, attempt, phase)` names the request; a site answers a name once, and a second request under the same
    name is answered with the same bytes or refused.
    """

    run: str
    round: int
    attempt: int
    phase: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """A client's answer: `message` travels; `state` is kept by the host and never holds keys or noise."""

    message: bytes
    state: bytes = b""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One step of a protocol: a request to some sites, to be answered within `deadline` seconds."""

    round: int
    attempt: int
    phase: str
    requests: Mapping[str, bytes]
    deadline: float


class Client(Protocol):
    """The site's side of a protocol."""

    def cost(self, request: Request) -> Release | None:
        """Return what answering would reveal, before anything is drawn; None if it reveals nothing to account."""
        ...

    def handle(self, request: Request, grant: Grant | None) -> Reply:
        """Answer; noise can be drawn only with the grant for `cost(request)`."""
        ...


class Server(Protocol):
    """The coordinator's side of a protocol."""

    def step(self) -> Exchange | None:
        """Return what to send next, or None when the protocol is finished."""
        ...

    def feed(self, replies: Mapping[str, bytes], absent: frozenset[str]) -> bool:
        """Take the answers of one exchange; returns True when a round has just been completed."""
        ...

    def dump(self) -> bytes:
        """Return all that the server must remember between rounds."""
        ...

    def load(self, state: bytes, *, attempt: int) -> None:
        """Go back to `state`; the next round carries the attempt number `attempt`."""
        ...


class Engine(Protocol):
    """Where the sites live: in this process, in processes of their own, on other machines."""

    def exchange(self, requests: Mapping[str, bytes], *, deadline: float) -> Mapping[str, bytes]:
        """Carry signed envelopes to the sites and return the envelopes that came back within `deadline` seconds."""
        ...
