"""Gaussian noise in samples a second and core: ours beside generators that nobody should use for it, and OpenDP.

Each measurement is a process of its own, with one thread, and the variants take turns (A B A B).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine
from round_overhead.environments import python_of

HERE = Path(__file__).resolve().parent
TARGET = 50e6


@dataclass(frozen=True)
class Variant:
    """One row of the table: what `noise_variants.py` runs, with which kernels, in which environment."""

    name: str
    runs: str
    kernels: str = "auto"
    peer: str | None = None


def variants() -> list[Variant]:
    """Return every variant that this machine can run."""
    from reticent import kernels

    levels = []
    if kernels.describe().startswith("native"):
        from reticent.kernels import _native

        levels = [f"native:{level}" for level in _native.levels()]
    rows = [Variant(f"reticent, `{kind}`", "reticent 1000", kind) for kind in [*levels, "reference"]]
    rows += [Variant(f"reticent, `auto`, scale 2^{n}", f"reticent 2^{n}") for n in (20, 30, 40)]
    rows += [Variant(f"all of `dp.add_gaussian`, `{kind}`", "add_gaussian", kind) for kind in ("auto", "reference")]
    return [
        *rows,
        Variant("torch `normal_`, float32", "torch float32"),
        Variant("torch `normal_`, float64", "torch float64"),
        Variant("numpy `Generator.normal`", "numpy"),
        Variant("OpenDP `make_gaussian`, i64", "opendp", peer="opendp"),
        Variant("`random.SystemRandom().gauss`, rounded", "system random"),
    ]


MADE_OF = {
    "reticent": "AES-128 keyed by the system; exact",
    "all of": "the same, added to exact sums",
    "torch": "Mersenne Twister; floats",
    "numpy": "PCG64; floats",
    "OpenDP": "its cryptographic generator; exact discrete Gaussian",
    "`random.": "system entropy; floats, then rounded",
}


def write(*, repeats: int) -> None:
    """Measure and write `docs/results/noise.md`."""
    chosen = variants()
    for variant in chosen:
        _python(variant)
    load = machine.load()
    found: dict[str, list[dict[str, Any]]] = {variant.name: [] for variant in chosen}
    for _ in range(repeats):
        for variant in chosen:
            found[variant.name].append(_measured(variant))
    parts = [
        "# Gaussian noise for each second and core",
        machine.describe(load),
        "Millions of samples for each second of one core: median, smallest and largest of "
        f"{repeats} processes, the variants in turn. Ten million samples a call (100,000 for OpenDP, the system's "
        "generator, and scale 2^40), always into a new array; standard deviation 1000 grid steps where nothing else "
        "is said. Beside each rate stands what the noise is made of: torch and numpy are here as the speed of noise "
        "that is neither secret nor safe in its last bits. OpenDP's call takes and returns Python lists, which is part of "
        "its time.",
        machine.table(["", "M samples/s", "made of", "version"], [_row(name, runs) for name, runs in found.items()]),
        f"Target: {TARGET / 1e6:.0f} M samples a second and core, native: {_verdict(found)}. All kernels give the same "
        "draws, bit for bit. At large scales more draws lie too near to a rounding boundary for floating point, and "
        "are decided exactly, one by one.",
    ]
    (machine.RESULTS / "noise.md").write_text("\n\n".join(parts) + "\n")


def _python(variant: Variant) -> Path:
    return python_of(variant.peer, folder=HERE)


def _measured(variant: Variant) -> dict[str, Any]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RETICENT_KERNELS": variant.kernels}
    done = subprocess.run(
        [_python(variant), HERE / "noise_variants.py", variant.runs],
        stdout=subprocess.PIPE, text=True, check=True, env=environment,
    )  # fmt: skip
    return dict(json.loads(done.stdout))


def _row(name: str, runs: list[dict[str, Any]]) -> list[str]:
    rates = [run["rate"] for run in runs]
    digits = 0 if statistics.median(rates) > 1e7 else 2
    made_of = next(text for start, text in MADE_OF.items() if name.startswith(start))
    return [name, machine.spread(rates, unit=1e6, digits=digits), made_of, str(runs[0]["runs"])]


def _verdict(found: dict[str, list[dict[str, Any]]]) -> str:
    native = [name for name in found if name.startswith("reticent, `native")]
    if not native:
        return "**not measured**, the compiled module was not built"
    slowest = min(statistics.median(run["rate"] for run in found[name]) for name in native)
    return f"{'met' if slowest >= TARGET else '**missed**'} at every level of this processor"


if __name__ == "__main__":
    write(repeats=int(sys.argv[1]) if len(sys.argv) > 1 else 5)
