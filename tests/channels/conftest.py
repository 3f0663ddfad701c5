"""Parties that meet over TLS within this process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from reticent import channels
from reticent.identity import SigningKey

Program = Callable[[channels.Channel], object]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Cast:
    """The parties of one session; what a test changes for one of them is given by its name."""

    names: tuple[str, ...]
    deadline: float = 5.0
    limit: int = 1 << 20
    keys: dict[str, SigningKey] = field(default_factory=dict)
    addresses: dict[str, tuple[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys = {name: SigningKey.generate() for name in self.names}
        self.addresses = {name: ("127.0.0.1", free_port()) for name in self.names}

    def arguments(self, name: str, **changed: Any) -> dict[str, Any]:
        parties = {each: self.keys[each].public for each in self.names}
        given = {"key": self.keys[name], "parties": parties, "addresses": self.addresses, "session": "session 1"}
        return {**given, "facts": {"program": "p"}, "deadline": self.deadline, "limit": self.limit, **changed}

    def connect(self, name: str, **changed: Any) -> channels.Channel:
        given = self.arguments(name, **changed)
        return channels.connect(name, given.pop("key"), **given)

    def play(self, program: Program, **changed: dict[str, Any]) -> dict[str, Any]:
        """Run `program` at every party in a thread; return its result, or the exception it raised, by name."""
        found: dict[str, Any] = {}

        def party(name: str) -> None:
            try:
                with self.connect(name, **changed.get(name, {})) as channel:
                    found[name] = program(channel)
            except Exception as error:
                found[name] = error

        return run_threads(dict.fromkeys(self.names, party), found)


def run_threads(parts: dict[str, Callable[[str], None]], found: dict[str, Any]) -> dict[str, Any]:
    running = [threading.Thread(target=part, args=(name,)) for name, part in parts.items()]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(timeout=30.0)
        assert not thread.is_alive()
    return found


@pytest.fixture
def cast() -> Callable[..., Cast]:
    """Makes the parties named."""
    return lambda *names, **settings: Cast(names, **settings)


@pytest.fixture(params=["threads", "tls"])
def meet(request: pytest.FixtureRequest) -> Iterator[Callable[..., list[channels.Channel]]]:
    """Returns the connected channels of the parties named, over queues and over TLS."""
    opened: list[channels.Channel] = []

    def connected(*names: str, deadline: float = 5.0) -> list[channels.Channel]:
        if request.param == "threads":
            return channels.threads(names, deadline=deadline)
        cast = Cast(names, deadline=deadline, limit=1 << 25)
        met: dict[str, Any] = {}

        def party(name: str) -> None:
            met[name] = cast.connect(name)

        run_threads(dict.fromkeys(names, party), met)
        opened.extend(met[name] for name in names)
        return [met[name] for name in names]

    yield connected
    for channel in opened:
        channel.abort()
