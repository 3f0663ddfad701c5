"""The measurement as `docs/results/round-overhead.md`."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys

import machine
from round_overhead.environments import HERE, python_of
from round_overhead.measure import FLOWER, PFL, VARIANTS, Sample, samples

Samples = dict[str, list[Sample]]
SETTINGS = """\
Every client trains one epoch of plain SGD (batch 10, learning rate 0.05) on its own rows in every round; nothing is
evaluated, no privacy is claimed. One process for each variant and repeat, variants in turn, one thread for each
training process. Figures are medians over the rounds of a process (without the first), then the median, smallest and
largest over the repeats; ratios are taken within a repeat. **Local training** is the time in which at least one client
trains, measured inside the clients; **overhead** is the rest of the round. A variant that trained fewer times, or learnt
nothing, would have stopped the bench.

What the variants do for their time differs: pfl and Flower's simulation keep everything in memory. `reticent.run`
signs and checks every message, and has every reply, checkpoint and log line on the disk (`fsync`) before it goes on;
its rounds can be killed anywhere and resumed. With secure aggregation one client in five may vanish."""


def write(*, repeats: int, rounds: int) -> None:
    """Measure everything and write the page; the rounds without work need fewer repeats."""
    for variant in VARIANTS:
        python_of(variant.peer)
    load, few_repeats = machine.load(), min(repeats, 3)
    main = samples(model="2nn", clients=10, rounds=rounds, repeats=repeats)
    few = samples(model="one", clients=10, rounds=rounds, repeats=few_repeats)
    many = samples(model="one", clients=100, rounds=rounds, repeats=few_repeats)
    parts = [
        "# Overhead of a federated round beyond local training",
        machine.describe(load),
        f"Versions: {_versions(main)}.",
        f"{SETTINGS}\n\n{rounds} rounds a process; {repeats} repeats with the 2NN, {few_repeats} with one parameter.",
        "## Ten clients, 2NN of McMahan et al. (199,210 parameters), 600 rows of MNIST's shape each",
        _rounds_table(main),
        "## One parameter, one row a client: overhead for each client and round, in ms",
        _clients_table(few, many),
        "## Where reticent's overhead goes (ten clients, 2NN)",
        _causes_table(),
    ]
    machine.RESULTS.mkdir(parents=True, exist_ok=True)
    (machine.RESULTS / "round-overhead.md").write_text("\n\n".join(parts) + "\n")


def _versions(found: Samples) -> str:
    versions = {name: number for many in found.values() for name, number in many[0].versions.items()}
    return ", ".join(f"{name} {number}" for name, number in sorted(versions.items()))


def _ratio(found: Samples, name: str, peer: str) -> str:
    pairs = zip(found[name], found[peer], strict=True)
    return f"{statistics.median(one.overhead / other.overhead for one, other in pairs):.2f}"


def _rounds_table(found: Samples) -> str:
    rows = []
    for variant in VARIANTS:
        taken = found[variant.name]
        seconds = [machine.spread([getattr(one, part) for one in taken]) for part in ("total", "training", "overhead")]
        share = f"{statistics.median(one.overhead / one.total for one in taken):.0%}"
        rows.append(
            [variant.name, *seconds, share, _ratio(found, variant.name, PFL), _ratio(found, variant.name, FLOWER)]
        )
    heads = ["", "round, s", "of it local training, s", "overhead, s", "share", "overhead / pfl", "overhead / Flower"]
    return machine.table(heads, rows)


def _clients_table(few: Samples, many: Samples) -> str:
    rows = []
    for variant in VARIANTS:
        cells = [variant.name]
        for found, clients in ((few, 10), (many, 100)):
            overheads = [one.overhead / clients for one in found[variant.name]]
            cells += [machine.spread(overheads, unit=1e-3), _ratio(found, variant.name, PFL)]
        rows.append(cells)
    return machine.table(["", "10 clients", "/ pfl", "100 clients", "/ pfl"], rows)


def _causes_table() -> str:
    columns = {name: _causes(protocol) for name, protocol in (("plain sum", "plain"), ("secure aggregation", "secagg"))}
    plain = columns["plain sum"]
    causes = sorted({cause for column in columns.values() for cause in column}, key=lambda cause: -plain.get(cause, 0))
    rows = [[cause, *(f"{column.get(cause, 0):.0%}" for column in columns.values())] for cause in causes]
    return machine.table(["share of the overhead", *columns], rows)


def _causes(protocol: str) -> dict[str, float]:
    command = [sys.executable, HERE / "where.py", "--protocol", protocol, "--rounds", "10"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))
