"""The sites of a secure computation on this machine: threads, or one process each with mutual TLS between them.

Whoever runs it owns every site's folder and starts all parties; none of them sees more than its own rows, its shares,
and what is opened. With additive shares the coordinator deals triples, as one more party that computes nothing.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from reticent.channels import Channel, connect, threads
from reticent.errors import QuorumLost, ReticentError
from reticent.messages import decode, encode
from reticent.runs import Opened, RunFolder, compute, durable, participants, refusals
from reticent.runs.site import COORDINATOR
from reticent.study import Plan

__all__ = ["DEALT", "OPENED", "PEERS", "as_processes", "as_threads", "connected"]

DEALT = "dealt"
OPENED = "opened.bin"
PEERS = "peers.json"
_LAST_WORDS = 10.0

Rows = Callable[[], Any]


def as_threads(plan: Plan, rows: Mapping[str, Rows], *, deadline: float) -> tuple[Opened, dict[str, int]]:
    """Run all parties in this process and return what was opened, and what each sent in bytes.

    Raises:
      ReticentError: The first that a party raised, and not what followed from it at the others.
    """
    names = participants(plan)
    ends = threads(list(names), deadline=deadline)
    found: dict[str, Opened] = {}
    failures: list[BaseException] = []

    def run(name: str, end: Channel) -> None:
        try:
            with end:
                if name in rows:
                    found[name], _ = compute(plan, rows[name](), end)
                else:
                    from reticent.mpc import run_dealer

                    run_dealer(end)
        except BaseException as error:
            failures.append(error)

    # Daemons, so that Ctrl-C ends the process and not only the thread that waits here.
    running = [threading.Thread(target=run, args=pair, daemon=True) for pair in zip(names, ends, strict=True)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if failures:
        # Others report that a party was lost; the party itself says why.
        raise next((error for error in failures if not isinstance(error, QuorumLost)), failures[0])
    sent = {name: end.bytes_sent for name, end in zip(names, ends, strict=True)}
    return next(iter(found.values())), sent


def as_processes(folder: RunFolder, *, attempt: int, deadline: float) -> tuple[Opened, dict[str, int]]:
    """Run each party as a process of its own, connected by mutual TLS; returns what `as_threads` returns.

    Raises:
      ReticentError: The gravest reason that a site left in its folder, or that a party was lost.
    """
    names = participants(folder.plan)
    meeting = {"attempt": attempt, "ports": dict(zip(names, _free_ports(len(names)), strict=True))}
    durable.write(folder.path / PEERS, json.dumps(meeting).encode())
    seen = {name: len(refusals.kept(folder.site(name))) for name in names if name != COORDINATOR}
    with ExitStack() as stack:
        running = {name: _start(folder, name, stack) for name in names}
        _wait(running, deadline=deadline)
        failed = sorted(name for name, process in running.items() if process.poll() != 0)
    if failed:
        raise _reasons(folder, seen, failed)
    found = {name: _opened(folder.site(name) / OPENED) for name in names if name != COORDINATOR}
    sent = {name: opened.bytes_sent for name, opened in found.items()}
    if COORDINATOR in names:
        sent[COORDINATOR] = int((folder.path / COORDINATOR / DEALT).read_text())
    return next(iter(found.values())), sent


def _start(folder: RunFolder, name: str, stack: ExitStack) -> subprocess.Popen[bytes]:
    home = folder.path / COORDINATOR if name == COORDINATOR else folder.site(name)
    log = stack.enter_context((home / "site.log").open("ab"))
    command = [sys.executable, "-m", "reticent.engines.party_process", str(folder.path), name]
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment, start_new_session=True
    )
    assert process.stdin is not None  # noqa: S101 - asked for above
    stack.enter_context(process.stdin)  # nothing is written; when it closes, whoever started the party is gone
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


def _wait(running: Mapping[str, subprocess.Popen[bytes]], *, deadline: float) -> None:
    """Wait for all parties; once one has failed, the others get a little time to say what they saw."""
    last: float | None = None
    while (codes := [process.poll() for process in running.values()]).count(None):
        if last is None and any(codes):
            last = time.monotonic() + min(deadline, _LAST_WORDS)
        if last is not None and time.monotonic() > last:
            return
        time.sleep(0.02)


def connected(folder: RunFolder, name: str, *, deadline: float) -> Channel:
    """Return the channel of party `name` of a run on this machine, over mutual TLS with the run's pinned keys."""
    meeting = json.loads((folder.path / PEERS).read_text())
    ports: dict[str, int] = meeting["ports"]
    return connect(
        name,
        folder.key(name),
        parties={party: folder.roster[party] for party in ports},
        addresses={party: ("127.0.0.1", port) for party, port in ports.items()},
        session=f"{folder.run}-{meeting['attempt']}",  # shares of a broken attempt fit no other
        facts={"plan": folder.plan.hash},
        deadline=deadline,
    )


def write_opened(path: Path, opened: Opened) -> None:
    """Write what a site opened into its folder."""
    durable.write(path, encode(opened))


def _opened(path: Path) -> Opened:
    data = path.read_bytes()
    return decode(data, Opened, limit=len(data))


def _reasons(folder: RunFolder, seen: Mapping[str, int], failed: list[str]) -> ReticentError:
    reasons = {}
    for name, count in seen.items():
        for line in refusals.kept(folder.site(name), skip=count)[-1:]:
            kind = refusals.kind_of(line["exit_status"])
            reasons[name] = kind(line["code"], line["message"], hint=line["hint"])
    own = {name: error for name, error in reasons.items() if not isinstance(error, QuorumLost)} or reasons
    if own:
        return refusals.together(own)
    return QuorumLost(
        "party-lost",
        f"{', '.join(failed)} ended without a word",
        hint="look at site.log in the folders of these sites, then resume",
    )


def _free_ports(count: int) -> list[int]:
    """Return ports that are free now; all are held until the last is known, so that none comes twice."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
