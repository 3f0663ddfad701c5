"""Parties as processes over TLS fit a logistic regression; when one is killed or stopped, the others end and name it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reticent.errors import QuorumLost, UsageError
from reticent.mpc.party_file import party_files

PARTY = """
import json, sys
import numpy as np
from reticent import mpc
from reticent.errors import ReticentError

path, rounds, changed = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "changed"
draw = np.random.default_rng(7)
x = draw.normal(size=(40, 3))
y = (x @ [1.0, -1.0, 0.5] + draw.normal(size=40) > 0).astype(float)
steps = {"batches": mpc.cyclic_batches(40, 10, 6), "learning_rate": 0.5}
held = {"a": slice(0, 25), "b": slice(25, 40)}


def program(session):
    shapes = [(25, 3), (15, 3)] + [None] * (session.parties - 2)
    for _ in range(rounds):
        found = mpc.logistic_regression(session, rows="split", shapes=shapes, **steps).reveal()
        print("round", flush=True)
    return found


def other(session):
    return program(session)


try:
    me = mpc.read_party_file(path).me
    if me == "dealer":
        mpc.run_dealer_file(path)
        print(json.dumps({}))
    else:
        own = {"x": x[held[me]], "y": y[held[me]]} if me in held else {}
        (weights, intercept), cost = mpc.run_party_file(other if changed else program, own, path)
        plain, zero = mpc.plain_logistic_regression(x, y, **steps)
        error = max(float(np.abs(weights - plain).max()), abs(intercept - zero))
        print(json.dumps({"error": error, "bytes": cost.total().bytes_sent}))
except ReticentError as error:
    print(json.dumps({"code": error.code, "message": error.message}))
    sys.exit(error.exit_status)
"""

Start = Callable[..., dict[str, "subprocess.Popen[str]"]]
DEADLINE = 8.0


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts all participants of a protocol, each in a process of its own."""
    started: dict[str, subprocess.Popen[str]] = {}
    (tmp_path / "party.py").write_text(PARTY)

    def begin(protocol: str, *, rounds: int, changed: str = "") -> dict[str, subprocess.Popen[str]]:
        names = ("a", "b", "c") if protocol == "replicated" else ("a", "b")
        files = party_files(tmp_path, names, protocol=protocol, deadline=DEADLINE)  # type: ignore[arg-type]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        for name, path in files.items():
            how = "changed" if name == changed else "same"
            command = [sys.executable, str(tmp_path / "party.py"), str(path), str(rounds), how]
            started[name] = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        return started

    yield begin
    for process in started.values():
        process.kill()
        process.communicate()


def last_line(process: subprocess.Popen[str]) -> dict[str, object]:
    out, _ = process.communicate(timeout=40.0)
    return dict(json.loads(out.splitlines()[-1]))


@pytest.mark.parametrize("protocol", ["replicated", "additive"])
def test_processes_fit_what_one_would_on_all_rows(start: Start, protocol: str) -> None:
    started = start(protocol, rounds=1)
    told = {name: last_line(process) for name, process in started.items()}
    assert all(process.returncode == 0 for process in started.values())
    for name in set(told) - {"dealer"}:
        assert float(str(told[name]["error"])) < 1e-3
        assert int(str(told[name]["bytes"])) > 0


@pytest.mark.parametrize(
    ("protocol", "victim", "how"),
    [
        ("replicated", "b", signal.SIGKILL),
        ("replicated", "c", signal.SIGSTOP),
        ("additive", "dealer", signal.SIGKILL),
    ],
    ids=["killed", "stopped", "dealer-killed"],
)
def test_the_others_end_within_the_deadline_and_name_it(
    start: Start, protocol: str, victim: str, how: signal.Signals
) -> None:
    started = start(protocol, rounds=10**6)
    for name in set(started) - {"dealer"}:
        stdout = started[name].stdout
        assert stdout
        assert stdout.readline() == "round\n"
    os.kill(started[victim].pid, how)
    failed_at = time.monotonic()
    for name in set(started) - {victim}:
        told = last_line(started[name])
        assert time.monotonic() - failed_at < DEADLINE
        assert started[name].returncode == QuorumLost.exit_status
        assert told["code"] == "party-lost"
        assert str(told["message"]).startswith(f"party {victim!r}")


def test_parties_with_different_programs_do_not_start(start: Start) -> None:
    started = start("replicated", rounds=1, changed="c")
    told = {name: last_line(process) for name, process in started.items()}
    assert "facts-differ" in {line["code"] for line in told.values()}
    assert {process.returncode for process in started.values()} <= {UsageError.exit_status, QuorumLost.exit_status}
    assert any("program" in str(line["message"]) for line in told.values())
