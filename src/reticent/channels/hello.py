"""The first words on a connection: who, to whom, in which session, with which settings.

TLS has proved the identity; the hello binds the connection to one session and to one understanding of it. Each party
adds a number drawn for this meeting; a hash over all of them names the meeting, and the parties compare it before the
first share is sent, so that two processes with one identity cannot be part of different halves of a computation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from reticent.channels.certificates import session_of
from reticent.errors import IdentityError, UsageError
from reticent.messages import decode, encode, record

__all__ = ["ANY", "HELLO_BYTES", "Hello", "check_hello", "check_meeting_name", "meeting_of"]

HELLO_BYTES = 1 << 16
ANY = "*"
"""The value of a fact that its party does not hold, and that it accepts of others: a dealer knows no program."""
NONCE_BYTES = 32


@record("channels.hello", version=1)
@dataclass(frozen=True, slots=True)
class Hello:
    """What a party says first.

    Attributes:
      session: Name of the session.
      sender: Own number.
      recipient: Number of the party that is spoken to.
      names: Names of all parties, by number.
      facts: What all must agree on, public: protocol, settings, hash of the program.
      nonce: Drawn for this meeting, 32 bytes.
    """

    session: str
    sender: int
    recipient: int
    names: tuple[str, ...]
    facts: Mapping[str, str]
    nonce: bytes


def check_hello(data: bytes, own: Hello, certificate: bytes) -> Hello:
    """Return the hello of party `own.recipient`, which has shown `certificate`, if it fits our `own`.

    Raises:
      IdentityError: If it is malformed, of another session, or for another party.
      UsageError: If the other party has other settings; the error names them.
    """
    hello = decode(data, Hello, limit=HELLO_BYTES)
    here, there = own.names[own.sender], own.names[own.recipient]
    # A certificate made for another session, even by the right key, is worth nothing here: no replay of its connection.
    if hello.session != own.session or not session_of(certificate, own.session):
        raise IdentityError(
            "other-session",
            f"party {there!r} is in session {hello.session[:80]!r}, and {here!r} in {own.session!r}",
            hint="give all parties the party file of the same session",
        )
    if (hello.sender, hello.recipient) != (own.recipient, own.sender) or len(hello.nonce) != NONCE_BYTES:
        raise IdentityError(
            "other-party",
            f"party {there!r} speaks as number {hello.sender} to number {hello.recipient}; here it is {own.recipient}",
            hint="the party files must list the same parties in the same order",
        )
    if differing := _differences(own, hello):
        raise UsageError(
            "facts-differ",
            f"between {here!r} and {there!r} differ: {'; '.join(differing)}",
            hint="give all parties the same program and the same settings, and start them again",
        )
    return hello


def _differences(own: Hello, other: Hello) -> list[str]:
    found = [] if own.names == other.names else [f"parties ({', '.join(own.names)} | {', '.join(other.names)[:200]})"]
    for fact in sorted({*own.facts, *other.facts}):
        here, there = own.facts.get(fact, "(none)"), other.facts.get(fact, "(none)")
        if here != there and ANY not in (here, there):
            found.append(f"{fact[:80]} ({here} | {there[:200]})")
    return found


def meeting_of(own: Hello, nonces: Mapping[int, bytes]) -> bytes:
    """Return the 32 bytes that name this meeting of these processes."""
    agreed = encode(Hello(own.session, 0, 0, own.names, {}, b""))
    drawn = b"".join(nonces[party] for party in range(len(own.names)))
    return hashlib.sha256(b"reticent channel meeting 1\0" + hashlib.sha256(agreed).digest() + drawn).digest()


def check_meeting_name(told: bytes, own: bytes, name: str) -> None:
    """Return if party `name` is in the same meeting.

    Raises:
      IdentityError: If it met other processes.
    """
    if told != own:
        raise IdentityError(
            "different-meeting",
            f"party {name!r} is connected with other processes than this one",
            hint="a party was started twice, or its key is used elsewhere: stop all processes, start each once",
        )
