"""One party as a process of its own: a party file, mutual TLS to the others, and the program.

session = mpc.connect("party.toml", {"x": x})          # or: with mpc.connect(...) as session
output, cost = mpc.run_party_file(program, {"x": x}, "party.toml")
cost = mpc.run_dealer_file("dealer.toml")              # at the dealer
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from reticent import channels
from reticent.errors import UsageError
from reticent.identity import SigningKey
from reticent.mpc.cost import Cost
from reticent.mpc.dealer import run_dealer
from reticent.mpc.local import Program, close_session, open_session, run_party
from reticent.mpc.party_file import PartyFile, read_party_file
from reticent.mpc.session import Session

__all__ = ["ConnectedSession", "connect", "hash_of", "run_dealer_file", "run_party_file"]


class ConnectedSession(Session):
    """A session over connections of its own; `close` it, or use it as a context manager.

    If the block raises, the other parties are told, and end, too.
    """

    def __init__(self, channel: channels.Channel, session: Session, inputs: Mapping[str, ArrayLike]) -> None:
        super().__init__(
            session.protocol, inputs, fraction_bits=session.fraction_bits, exact=session.exact, cost=session.cost
        )
        self.channel = channel
        self._held = ExitStack()
        # Words wrap on purpose; numpy warns where a sum is a single number.
        self._held.enter_context(np.errstate(over="ignore"))

    def close(self) -> None:
        """Do what is still to be done, let the dealer go, and end the connections."""
        with self._held:
            try:
                close_session(self)
            except BaseException:
                self.channel.abort()
                raise
            self.channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            with self._held:
                self.channel.abort()


def connect(path: str | Path, inputs: Mapping[str, ArrayLike] | None = None, *, program: str = "") -> ConnectedSession:
    """Connect with the other parties and return this party's session.

    *Run by* a computing party. *Requires* that the others are started within the deadline. *Reveals* to the others
    that this party takes part, and nothing of its inputs.

    Args:
      path: The party file.
      inputs: This party's own arrays, by name.
      program: What all parties must state alike, such as the hash of the program; see `hash_of`.

    Raises:
      UsageError: If the file is wrong, is the dealer's, or the parties' settings differ.
      EnvironmentFault: If file, key or address cannot be used.
      IdentityError: If a party is not what the file pins.
      QuorumLost: If a party does not come, or fails; the error names it.
    """
    file = _party(path)
    channel = _channel(file, program)
    try:
        session = open_session(channel, inputs or {}, **_settings(file))
    except BaseException:
        channel.abort()
        raise
    return ConnectedSession(channel, session, inputs or {})


def run_party_file(program: Program, inputs: Mapping[str, ArrayLike], path: str | Path) -> tuple[Any, Cost]:
    """Run `program` as the party of the file at `path`; return its output and this party's cost.

    The hash of the program's text is compared with that of the other parties before anything is shared. For what it
    raises see `connect`.
    """
    file = _party(path)
    with _channel(file, hash_of(program)) as channel:
        return run_party(program, inputs, channel, **_settings(file))


def run_dealer_file(path: str | Path) -> Cost:
    """Be the dealer of the file at `path` until the program has ended; return what that cost.

    Raises:
      UsageError: If the file is not that of a dealer. For the rest see `connect`.
    """
    file = read_party_file(path)
    if not file.is_dealer:
        raise UsageError(
            "not-the-dealer",
            f"{path}: me: {file.me!r} is no dealer",
            hint="start parties with mpc.run_party_file, and the dealer with the file that names it as `me`",
        )
    with _channel(file, channels.ANY) as channel:
        return run_dealer(channel)


def hash_of(program: Program) -> str:
    """Return a hash of the text of `program`, the same at all parties; functions it calls are not part of it."""
    shown = program if inspect.isroutine(program) or inspect.isclass(program) else type(program)
    try:
        text = inspect.getsource(shown)
    except (OSError, TypeError):
        # Typed in, not read from a file: the parties can compare the name only.
        text = getattr(shown, "__qualname__", "")
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _party(path: str | Path) -> PartyFile:
    file = read_party_file(path)
    if file.is_dealer:
        raise UsageError(
            "dealer-file",
            f"{path}: me: {file.me!r} is the dealer, who runs no program",
            hint="start the dealer with mpc.run_dealer_file",
        )
    return file


def _settings(file: PartyFile) -> dict[str, Any]:
    return {"protocol": file.protocol, **file.settings.model_dump()}


def _channel(file: PartyFile, program: str) -> channels.Channel:
    facts = {name: str(value) for name, value in _settings(file).items()}
    return channels.connect(
        file.me,
        SigningKey.load(file.key),
        parties=file.public_keys,
        addresses={name: entry.place for name, entry in file.parties.items()},
        session=file.session,
        facts={**facts, "wire form of reticent.mpc": "1", "program": program},
        deadline=file.deadline,
    )
