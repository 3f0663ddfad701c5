"""Sites in processes of their own that hang, answer late, or are interrupted: the round ends in time and in order."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reticent.engines import Processes
from reticent.engines import processes as engine
from reticent.identity import Address, seal, unseal
from reticent.messages import decode, encode
from reticent.runs.site import COORDINATOR, READY, Answer, Ready

LARGE = bytes(4 << 20)  # far beyond what a pipe holds
ECHO = """
import struct, sys, time
while header := sys.stdin.buffer.read(4):
    data = sys.stdin.buffer.read(*struct.unpack(">I", header))
    time.sleep(float({delay}))
    sys.stdout.buffer.write(header + data)
    sys.stdout.buffer.flush()
"""


class _Folder:
    """As much of a run folder as the engine looks at."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def site(self, name: str) -> Path:
        return self.path / name


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Processes]:
    """Return an engine whose sites run the given programs in place of ours."""

    def make(**programs: str) -> Processes:
        real = engine._Site

        def site(command: list[str], log: Path) -> Any:
            return real([sys.executable, "-c", programs[command[-1]]], log)

        monkeypatch.setattr(engine, "_Site", site)
        return Processes(_Folder(tmp_path), tuple(programs))  # type: ignore[arg-type]

    return make


def test_a_site_that_does_not_read_holds_up_neither_the_others_nor_the_deadline(
    start: Callable[..., Processes],
) -> None:
    """A request larger than a pipe, to a process that hangs: the write itself must give up at the deadline."""
    with start(deaf="import time; time.sleep(600)", well=ECHO.format(delay=0)) as sites:
        begun = time.monotonic()
        replies = sites.exchange({"deaf": LARGE, "well": LARGE}, deadline=3)
        assert time.monotonic() - begun < 20
        assert {site: len(reply) for site, reply in replies.items()} == {"well": len(LARGE)}


def test_a_late_answer_is_never_taken_for_the_next_one(start: Callable[..., Processes]) -> None:
    with start(slow=ECHO.format(delay="1.0 if data == b'one' else 0")) as sites:
        assert sites.exchange({"slow": b"one"}, deadline=0.5) == {}
        assert sites.exchange({"slow": b"two"}, deadline=30) == {"slow": b"two"}


def test_a_site_that_ends_is_started_again_and_leaves_no_open_files(start: Callable[..., Processes]) -> None:
    with start(brief="import sys; sys.stdin.buffer.read(7); sys.exit(1)") as sites:
        sites.exchange({"brief": b"one"}, deadline=30)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(4):
            assert sites.exchange({"brief": b"one"}, deadline=30) == {}
        assert len(os.listdir("/proc/self/fd")) <= before


def test_an_interrupt_at_the_terminal_reaches_the_coordinator_only(start: Callable[..., Processes]) -> None:
    """Ctrl-C goes to the whole process group; a site that dies of it spoils the round that was to be finished."""
    with start(site=ECHO.format(delay=0)) as sites:
        sites.exchange({"site": b"hello"}, deadline=30)
        assert os.getpgid(sites.pid("site")) != os.getpgrp()


def test_warnings_of_a_site_in_its_own_process_are_in_its_own_log(attack: Callable[..., Any], tmp_path: Path) -> None:
    attacker = attack()
    table = pd.read_csv(tmp_path / "north.csv")
    table.loc[0, "age"] = None
    table.to_csv(tmp_path / "north.csv", index=False)
    folder = attacker.folder
    request = encode(Ready(attacker.plan.hash, 3, 1))
    envelope = seal(request, Address(folder.run, 0, 0, READY, COORDINATOR, "north"), folder.key(COORDINATOR))
    with Processes(folder, ("north",)) as sites:
        reply = sites.exchange({"north": envelope}, deadline=100)["north"]
    answer = decode(unseal(reply, folder.roster, recipient=COORDINATOR, limit=1 << 20)[1], Answer, limit=1 << 20)
    assert (answer.accepted, answer.body, answer.message) == (True, b"", "")
    assert "lack a value" in (folder.site("north") / "site.log").read_text()
