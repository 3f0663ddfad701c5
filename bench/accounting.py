"""Seconds, memory and epsilon of accountants, beside dp-accounting and Opacus.

    python bench/run.py accounting
    python bench/accounting.py ours thousand      one process: prints seconds, epsilon and peak MiB as JSON

Every figure comes from a process of its own that has imported its library and answered one small question before, and
measures one question. Variants take turns: A B C, A B C, ... The number of threads is 1 for all.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median

DELTA = 1e-5
Steps = list[tuple[float, float, int]]


def _thousand() -> Steps:
    draw = random.Random(0)
    return [(0.8 + 1.2 * draw.random(), 0.002 + 0.018 * draw.random(), 1) for _ in range(1000)]


CASES: dict[str, tuple[str, Callable[[], Steps]]] = {
    "ten-thousand": ("10,000 equal steps (sigma 1.1, q .01)", lambda: [(1.1, 0.01, 10_000)]),
    "million": ("1,000,000 equal steps (sigma .6, q .001)", lambda: [(0.6, 0.001, 1_000_000)]),
    "thousand": ("1,000 distinct steps (sigma .8 to 2, q .002 to .02)", _thousand),
}
WARM: Steps = [(1.0, 0.01, 10)]


def ours(steps: Steps) -> float:
    from reticent import dp

    events = [dp.Repeated(dp.PoissonSampled(q, dp.Gaussian(sigma)), count) for sigma, q, count in steps]
    return dp.epsilon(events, delta=DELTA, relation="add_or_remove_one", method="pld")


def ours_renyi(steps: Steps) -> float:
    from reticent import dp

    events = [dp.Repeated(dp.PoissonSampled(q, dp.Gaussian(sigma)), count) for sigma, q, count in steps]
    return dp.epsilon(events, delta=DELTA, relation="add_or_remove_one", method="rdp")


def google(grid: float | None) -> Callable[[Steps], float]:
    """Return dp-accounting on a grid of losses, or its Renyi accountant."""

    def run(steps: Steps) -> float:
        import dp_accounting
        from dp_accounting import pld, rdp

        accountant = rdp.RdpAccountant() if grid is None else pld.PLDAccountant(value_discretization_interval=grid)
        for sigma, q, count in steps:
            accountant.compose(dp_accounting.PoissonSampledDpEvent(q, dp_accounting.GaussianDpEvent(sigma)), count)
        return float(accountant.get_epsilon(DELTA))

    return run


def opacus(error: float) -> Callable[[Steps], float]:
    """Return Opacus' PRV accountant with this error of epsilon."""

    def run(steps: Steps) -> float:
        from opacus.accountants import PRVAccountant

        accountant = PRVAccountant()
        accountant.history = list(steps)
        return float(accountant.get_epsilon(DELTA, eps_error=error))

    return run


VARIANTS: dict[str, tuple[str, Callable[[Steps], float]]] = {
    "ours": ("reticent", ours),
    "ours-renyi": ("reticent, Renyi", ours_renyi),
    "google-1e-4": ("dp-accounting PLD, grid 1e-4", google(1e-4)),
    "google-1e-3": ("dp-accounting PLD, grid 1e-3", google(1e-3)),
    "google-renyi": ("dp-accounting RDP", google(None)),
    "opacus": ("Opacus PRV, error .01", opacus(0.01)),
}


def measure(variant: str, case: str) -> dict[str, float]:
    """Return what one process needs for one question, its library being loaded and warm."""
    warnings.simplefilter("ignore")
    run = VARIANTS[variant][1]
    run(WARM)
    steps = CASES[case][1]()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin, cpu = time.perf_counter(), time.process_time()
    epsilon = run(steps)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"seconds": seconds, "cpu": cpu, "epsilon": epsilon, "mebibytes": peak}


def _process(variant: str, case: str) -> dict[str, float]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).resolve()), variant, case]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def write(*, repeats: int) -> None:
    """Run every variant on every case in turns, and write docs/results/accounting.md."""
    import machine

    load = machine.load()
    parts = ["# Seconds, memory and epsilon of accountants", machine.describe(load), _about(repeats)]
    for case, (title, _) in CASES.items():
        found: dict[str, list[dict[str, float]]] = {name: [] for name in VARIANTS}
        for turn in range(repeats):
            for name in VARIANTS:
                # Minutes for each of the slow ones: two turns show their spread.
                if turn < 2 or median(run["seconds"] for run in found[name]) < 20:
                    found[name].append(_process(name, case))
        parts += [f"## {title}", machine.table(*_rows(found))]
    (machine.RESULTS / "accounting.md").write_text("\n\n".join(parts) + "\n")


def _rows(found: dict[str, list[dict[str, float]]]) -> tuple[list[str], list[list[str]]]:
    import machine

    mine = median(run["cpu"] for run in found["ours"])
    rows = []
    for name, runs in found.items():
        cpu = [run["cpu"] for run in runs]
        rows.append(
            [
                VARIANTS[name][0],
                machine.spread([run["seconds"] for run in runs]),
                machine.spread(cpu),
                f"{median(cpu) / mine:.1f}",
                f"{runs[0]['epsilon']:.5f}",
                f"{median(run['mebibytes'] for run in runs):.0f}",
            ]
        )
    return ["", "seconds", "CPU seconds", "CPU / reticent", "epsilon", "extra MiB at the peak"], rows


def _about(repeats: int) -> str:
    peers = ", ".join(f"{name} {version(name)}" for name in ("dp-accounting", "opacus", "numpy", "scipy"))
    return (
        f"{peers}. Delta {DELTA:g}, add or remove one, Poisson samples. Median (smallest-largest) of {repeats} "
        "processes for each variant, in turns, one thread, each with its library loaded and one small question asked "
        "before. Every epsilon is an upper bound, but for rounding that the peers do not charge; smaller is tighter."
    )


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], sys.argv[2])))
