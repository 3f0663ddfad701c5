"""Parties as processes: one is killed or stopped, one floods, one speaks nonsense after a good start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reticent.channels.frames import Kind, header
from reticent.errors import IdentityError, QuorumLost

PARTY = """
import json, sys, time
from reticent import channels
from reticent.errors import ReticentError
from reticent.identity import SigningKey

told = json.loads(sys.argv[1])
parties = {name: bytes.fromhex(key) for name, key in told["parties"].items()}
addresses = {name: tuple(address) for name, address in told["addresses"].items()}
channel = channels.connect(
    told["me"], SigningKey.load(told["key"]), parties=parties, addresses=addresses, session="s", facts={},
    deadline=told["deadline"],
)
print("met", flush=True)
try:
    with channel:
        others = [party for party in range(channel.parties) if party != channel.party]
        while True:
            for to in others:
                channel.send(to, bytes(told["size"]))
            for sender in others if told["me"] != "a" else reversed(others):
                channel.receive(sender)
except ReticentError as error:
    print(json.dumps({"code": error.code, "message": error.message}), flush=True)
    sys.exit(error.exit_status)
"""


@pytest.fixture
def running(cast: Callable[..., Any], tmp_path: Path) -> Any:
    """Three processes that exchange messages for ever; returned once they all have met."""
    parties = cast("a", "b", "c")
    for name, key in parties.keys.items():
        key.save(tmp_path / f"{name}.key")
    told = {"parties": {name: key.public.hex() for name, key in parties.keys.items()}, "addresses": parties.addresses}
    started: dict[str, subprocess.Popen[str]] = {}

    def start(deadline: float, size: int) -> dict[str, subprocess.Popen[str]]:
        for name in parties.names:
            own = {"me": name, "key": str(tmp_path / f"{name}.key"), "deadline": deadline, "size": size}
            command = [sys.executable, "-c", PARTY, json.dumps({**told, **own})]
            started[name] = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for process in started.values():
            assert process.stdout
            assert process.stdout.readline() == "met\n"
        return started

    yield start
    for process in started.values():
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("how", "size"),
    [(signal.SIGKILL, 100), (signal.SIGKILL, 300_000), (signal.SIGSTOP, 100), (signal.SIGSTOP, 300_000)],
    ids=["killed", "killed-large", "stopped", "stopped-large"],
)
def test_the_others_end_within_the_deadline_and_name_the_party(running: Any, how: signal.Signals, size: int) -> None:
    deadline = 4.0
    started = running(deadline, size)
    time.sleep(0.3)
    os.kill(started["b"].pid, how)
    failed_at = time.monotonic()
    for name in ("a", "c"):
        out, _ = started[name].communicate(timeout=20.0)
        assert time.monotonic() - failed_at < (deadline if how == signal.SIGSTOP else 2.0)
        assert started[name].returncode == QuorumLost.exit_status
        told = json.loads(out)
        assert told["code"] == "party-lost"
        assert told["message"].startswith("party 'b'")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (header(Kind.DATA, 1 << 40), "frame-too-long"),
        (b"\x09" + bytes(8), "malformed-frame"),
        (header(Kind.ABORT, 4) + b"\xff\xff\xff\xff", "malformed-frame"),
        (header(Kind.ALIVE, 3) + b"abc", "malformed-frame"),
        (header(Kind.HELLO, 0), "malformed-frame"),
    ],
    ids=["too-long", "kind", "abort", "alive", "hello"],
)
def test_nonsense_from_a_party_ends_the_session_and_names_it(cast: Callable[..., Any], words: bytes, code: str) -> None:
    parties = cast("a", "b", "c", deadline=5.0)

    def program(channel: Any) -> None:
        if channel.party == 2:
            channel._links[0].socket.setblocking(True)
            channel._links[0].socket.sendall(words)
        channel.receive((channel.party + 1) % 3)

    found = parties.play(program)
    assert isinstance(found["a"], IdentityError)
    assert found["a"].code == code
    assert "'c'" in found["a"].message
    assert isinstance(found["b"], QuorumLost)
    assert "'c'" in found["b"].message
