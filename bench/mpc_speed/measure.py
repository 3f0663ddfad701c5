"""Runs every variant with a process for each party, in turn, A B A B, each in a network namespace of its own.

In a namespace of its own the loopback carries nothing but the parties' traffic, so its counter gives the bytes of all
parties, headers and encryption included, for both systems alike.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpc_speed.crypten_environment import HERE, python_of_crypten
from mpc_speed.tasks import TASKS

from reticent import mpc


@dataclass(frozen=True)
class Variant:
    """A system and a setting.

    Attributes:
      name: For the table.
      parties: Computing parties.
      protocol: Of reticent, or None.
      provider: Of CrypTen, or None.
      owned: Whether each operand is an input that one party knows, as when one has the records and another the
        model; otherwise every operand is shared and nobody knows it. CrypTen makes no difference between the two.
    """

    name: str
    parties: int
    protocol: str | None = None
    provider: str | None = None
    owned: bool = False


OURS_2 = Variant("reticent, additive, 2 parties and a dealer, TLS", 2, protocol="additive")
OWNED_2 = Variant("reticent, additive, each operand an input of one party", 2, protocol="additive", owned=True)
TTP_2 = Variant("CrypTen, 2 parties and a trusted third party", 2, provider="TTP")
TFP_2 = Variant("CrypTen, 2 parties, one of which knows all triples (its default)", 2, provider="TFP")
OURS_3 = Variant("reticent, replicated, 3 parties, TLS", 3, protocol="replicated")
TTP_3 = Variant("CrypTen, 3 parties and a trusted third party", 3, provider="TTP")
TFP_3 = Variant("CrypTen, 3 parties, one of which knows all triples (its default)", 3, provider="TFP")
VARIANTS = (OURS_2, OWNED_2, TTP_2, TFP_2, OURS_3, TTP_3, TFP_3)


@dataclass(frozen=True)
class Sample:
    """One run of a variant: the median over its repetitions of the slowest party's seconds.

    Attributes:
      cpu: CPU seconds of all participants together, per repetition.
      wire: Bytes of all participants over the loopback, per repetition; 0 if they could not be counted.
      error: Largest difference from float64.
    """

    seconds: float
    cpu: float
    wire: float
    rounds: float
    error: float
    versions: dict[str, str]


def lines_of(variant: Variant, *options: str) -> list[list[dict[str, Any]]]:
    """Run `variant` once and return what each participant reported."""
    with tempfile.TemporaryDirectory() as name:
        commands = _ours(variant, Path(name)) if variant.protocol else _crypten(variant)
        return _run([[*command, *options] for command in commands])


def sample(variant: Variant) -> dict[str, Sample]:
    """Run `variant` once with all tasks."""
    lines = lines_of(variant, *(word for task in TASKS for word in ("--task", task)))
    return {task: _sample([line for part in lines for line in part if line.get("task") == task]) for task in TASKS}


def _sample(parties: list[dict[str, Any]]) -> Sample:
    first = parties[0]
    slowest = [max(times) for times in zip(*(line["seconds"] for line in parties), strict=True)]
    worst, rounds = (max(line[what] for line in parties) for what in ("error", "rounds"))
    return Sample(statistics.median(slowest), first["cpu"], first["wire"], rounds, worst, first["versions"])


def _ours(variant: Variant, folder: Path) -> list[list[str]]:
    names = [f"party{number}" for number in range(variant.parties)]
    options = ["--owned"] if variant.owned else []
    files = mpc.party_files(folder, names, protocol=variant.protocol, deadline=120.0)  # type: ignore[arg-type]
    return [[sys.executable, str(HERE / "ours_party.py"), "--party", str(file), *options] for file in files.values()]


def _crypten(variant: Variant) -> list[list[str]]:
    script = [str(python_of_crypten()), str(HERE / "crypten_party.py"), "--parties", str(variant.parties)]
    ranks = range(variant.parties + (variant.provider == "TTP"))
    return [[*script, "--provider", str(variant.provider), "--party", str(rank)] for rank in ranks]


@functools.cache
def isolated() -> list[str]:
    """Return the start of a command that runs the rest in a network namespace of its own; empty if that is refused."""
    alone = ["unshare", "--map-root-user", "--net"]
    if shutil.which("unshare") and shutil.which("ip"):
        allowed = subprocess.run([*alone, "ip", "link", "set", "lo", "up"], capture_output=True, check=False)
        if allowed.returncode == 0:
            return [*alone, "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    return []


def _run(commands: list[list[str]]) -> list[list[dict[str, Any]]]:
    """Start all commands in one namespace and return the lines of each."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    environment["RENDEZVOUS"] = "tcp://127.0.0.1:29500" if isolated() else f"tcp://127.0.0.1:{_free_port()}"
    starter = [*isolated(), sys.executable, "-c", STARTER, json.dumps(commands)]
    done = subprocess.run(starter, env=environment, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode:
        raise SystemExit(f"{commands[0]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return [[dict(json.loads(line)) for line in part.splitlines()] for part in json.loads(done.stdout)]


STARTER = """
import json, subprocess, sys
started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in json.loads(sys.argv[1])]
print(json.dumps([process.communicate()[0] for process in started]))
sys.exit(max(abs(process.returncode) for process in started))
"""


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def samples(repeats: int) -> dict[tuple[str, str], list[Sample]]:
    """Run all variants in turn, `repeats` times."""
    found: dict[tuple[str, str], list[Sample]] = {}
    for repeat in range(repeats):
        for variant in VARIANTS:
            for task, taken in sample(variant).items():
                found.setdefault((variant.name, task), []).append(taken)
                print(
                    f"{repeat + 1}/{repeats} {task}, {variant.name}: {taken.seconds * 1e3:.1f} ms, "
                    f"{taken.cpu * 1e3:.1f} ms CPU, {taken.wire / 1e6:.2f} MB, {taken.rounds:.0f} rounds, "
                    f"error {taken.error:.1e}",
                    flush=True,
                )
    return found
