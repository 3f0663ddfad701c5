"""One variant of `bench/noise.py`: run as a script by the interpreter that has the library; prints samples a second.

Every call returns a new array. Seconds are of the processor, on one thread: the median of several calls after one that
is not counted.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

MANY, FEW = 10_000_000, 100_000


def rate(draw: Callable[[], Any], size: int, repeats: int = 5) -> float:
    draw()
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        draw()
        seconds.append(time.process_time() - start)
    return size / statistics.median(seconds)


def reticent(scale: float) -> dict[str, Any]:
    """The implementation is that of RETICENT_KERNELS."""
    from reticent import kernels
    from reticent.dp.noise import rounded_gaussian
    from reticent.randomness import Keystream

    size = MANY if scale <= 2**30 else FEW
    return {
        "runs": kernels.describe(),
        "rate": rate(lambda: rounded_gaussian(scale, size, Keystream.fresh()), size),
    }


def add_gaussian() -> dict[str, Any]:
    """The whole of `dp.add_gaussian`: checks, grant, key, noise, sum, conversion to real units."""
    import numpy as np

    from reticent import dp, kernels

    total, event = np.arange(MANY, dtype=np.int64), dp.Gaussian(1.0)
    grid = dp.grid_for(1.0, MANY)

    def draw() -> Any:
        return dp.add_gaussian(total, event=event, sensitivity=1.0, grid=grid, grant=dp.Grant.without_ledger([event]))

    return {"runs": kernels.describe(), "rate": rate(draw, MANY)}


def torch_normal(bits: int) -> dict[str, Any]:
    import torch

    torch.set_num_threads(1)
    kind = {32: torch.float32, 64: torch.float64}[bits]
    return {"runs": torch.__version__, "rate": rate(lambda: torch.empty(MANY, dtype=kind).normal_(0, 1000), MANY)}


def numpy_normal() -> dict[str, Any]:
    import numpy as np

    generator = np.random.default_rng()
    return {"runs": np.__version__, "rate": rate(lambda: generator.normal(0, 1000, MANY), MANY)}


def opendp(scale: float) -> dict[str, Any]:
    from importlib.metadata import version

    import opendp.prelude as odp

    odp.enable_features("contrib")
    space = odp.vector_domain(odp.atom_domain(T="i64")), odp.l2_distance(T="f64")
    mechanism, zeros = odp.m.make_gaussian(*space, scale=scale), [0] * FEW
    return {"runs": version("opendp"), "rate": rate(lambda: mechanism(zeros), FEW, repeats=3)}


def system_random() -> dict[str, Any]:
    import platform
    import random

    source = random.SystemRandom()
    draw = lambda: [round(source.gauss(0, 1000)) for _ in range(FEW)]  # noqa: E731
    return {"runs": f"Python {platform.python_version()}", "rate": rate(draw, FEW, repeats=3)}


VARIANTS: dict[str, Callable[[], dict[str, Any]]] = {
    "reticent 1000": lambda: reticent(1000.0),
    "reticent 2^20": lambda: reticent(2.0**20),
    "reticent 2^30": lambda: reticent(2.0**30),
    "reticent 2^40": lambda: reticent(2.0**40),
    "add_gaussian": add_gaussian,
    "torch float32": lambda: torch_normal(32),
    "torch float64": lambda: torch_normal(64),
    "numpy": numpy_normal,
    "opendp": lambda: opendp(1000.0),
    "system random": system_random,
}

if __name__ == "__main__":
    print(json.dumps(VARIANTS[sys.argv[1]]()))
