"""What both systems compute, on the same numbers, and how the script of a party reports."""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.float64]]
LAYERS = (784, 128, 128, 10)
BATCH = 128


@dataclass(frozen=True)
class Task:
    """A computation on shared operands whose result stays shared.

    Attributes:
      title: For the table.
      operands: Shapes, by name.
      repeats: How often it is repeated in one process.
      compute: The same expression for tensors of either system and for numpy.
    """

    title: str
    operands: Mapping[str, tuple[int, ...]]
    repeats: int
    compute: Callable[[Mapping[str, Any]], Any]

    def arrays(self) -> Arrays:
        """Return the operands, the same in every process; weights scaled as layers are when training begins."""
        draw = np.random.default_rng(4)
        return {
            name: draw.normal(size=shape) * (np.sqrt(2 / shape[0]) if name.startswith("w") else 1.0)
            for name, shape in self.operands.items()
        }

    def error(self, found: Any) -> float:
        """Return the largest difference from the result in float64."""
        plain = self.compute({name: array.view(Plain) for name, array in self.arrays().items()})
        return float(np.abs(np.asarray(found, dtype=np.float64) - np.asarray(plain)).max())


class Plain(np.ndarray):
    """A numpy array with the one method that tensors have and arrays have not."""

    def relu(self) -> Any:
        return np.maximum(self, 0.0)


def _mlp(x: Mapping[str, Any]) -> Any:
    hidden = (x["x"] @ x["w1"] + x["b1"]).relu()
    hidden = (hidden @ x["w2"] + x["b2"]).relu()
    return hidden @ x["w3"] + x["b3"]


def _mlp_shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"x": (BATCH, LAYERS[0])}
    for layer, (wide, high) in enumerate(itertools.pairwise(LAYERS), start=1):
        shapes |= {f"w{layer}": (wide, high), f"b{layer}": (1, high)}
    return shapes


TASKS = {
    "product": Task("product 128x784x128", {"x": (128, 784), "w": (784, 128)}, 15, lambda x: x["x"] @ x["w"]),
    "relu": Task("ReLU of 100,000", {"x": (100_000,)}, 7, lambda x: x["x"].relu()),
    "mlp": Task("MLP 784-128-128-10, batch 128", _mlp_shapes(), 7, _mlp),
}


def arguments() -> argparse.Namespace:
    """Return what the script of a party was started with."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--task", choices=TASKS, action="append", required=True)
    parser.add_argument("--party", required=True, help="party file, or rank")
    parser.add_argument("--parties", type=int)
    parser.add_argument("--provider")
    parser.add_argument("--owned", action="store_true", help="each operand is the input of one party")
    parser.add_argument("--profile", action="store_true", help="report where time goes instead of how much it is")
    return parser.parse_args()


WARM = 2


def wire_bytes() -> int:
    """Return all bytes that have gone over the loopback of this network namespace, headers and all."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, counters = line.partition(":")
        if name.strip() == "lo":
            return int(counters.split()[0])
    return 0


def cpu_seconds() -> float:
    """Return the CPU seconds so far of all participants: the processes that this one's parent has started."""
    parent = os.getppid()
    total = 0
    for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        total += sum(int(thread.read_text().split()[0]) for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return total * 1e-9


def measured(repeats: int, barrier: Callable[[], None], act: Callable[[], Any]) -> tuple[dict[str, Any], Any]:
    """Warm up, repeat `act`, each time after all parties were ready; return what was found and the last result."""
    result: Any = None
    for _ in range(WARM):
        barrier()
        act()
    barrier()
    wire, cpu, seconds = wire_bytes(), cpu_seconds(), []
    for _ in range(repeats):
        barrier()
        start = time.perf_counter()
        result = act()
        seconds.append(time.perf_counter() - start)
    barrier()
    each = {"wire": (wire_bytes() - wire) / repeats, "cpu": (cpu_seconds() - cpu) / repeats}
    return {"seconds": seconds, **each}, result


def report(*packages: str, **found: Any) -> None:
    """Print what was found as one line."""
    versions = {package: importlib.metadata.version(package) for package in ("torch", "numpy", *packages)}
    print(json.dumps({**found, "versions": versions}), flush=True)
