"""What every variant does: each client trains one epoch of plain SGD on its own rows, and the server averages.

Needs torch and numpy only, because it is imported in the environments of reticent and of the peers alike. The rows are
random arrays of MNIST's shape with a faint pattern for each class, so that one sees whether a variant has learnt.
"""

from __future__ import annotations

import argparse
import functools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

BATCH = 10
LEARNING_RATE = 0.05
CLASSES = 10
SHAPE = (1, 28, 28)
ROWS = {"2nn": 600, "one": 1}


class OneParameter(nn.Module):
    """Ten pixels times one weight: a model without work, so that a round is overhead alone."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)[:, :CLASSES] * self.scale


def two_nn() -> nn.Module:
    """Return the 2NN of McMahan et al. (AISTATS 2017, section 3), 199,210 parameters."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, CLASSES)
    )


@dataclass(frozen=True)
class Workload:
    model: str
    clients: int
    rounds: int

    @property
    def rows(self) -> int:
        return ROWS[self.model]

    @property
    def make_model(self) -> Callable[[], nn.Module]:
        return two_nn if self.model == "2nn" else OneParameter

    def initial_model(self) -> nn.Module:
        torch.manual_seed(0)
        return self.make_model()

    @property
    def data(self) -> list[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        """Every client's images (rows, 1, 28, 28), in 0 to 1, and labels (rows,); made once in a process."""
        return _data(self.clients, self.rows)

    def final_loss(self, model: nn.Module) -> float:
        """Return the mean loss of `model` over everybody's rows."""
        images, labels = (torch.from_numpy(np.concatenate(part)) for part in zip(*self.data, strict=True))
        with torch.no_grad():
            return float(nn.functional.cross_entropy(model(images), labels))


@functools.cache
def _data(clients: int, rows: int) -> list[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    generator = np.random.default_rng(0)
    patterns = generator.random((CLASSES, *SHAPE), dtype=np.float32)
    made = []
    for _ in range(clients):
        labels = generator.integers(0, CLASSES, rows)
        images = 0.8 * generator.random((rows, *SHAPE), dtype=np.float32) + 0.2 * patterns[labels]
        made.append((images.astype(np.float32), labels))
    return made


def local_sgd(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Train one epoch as one would without a framework; for the variants whose users write this loop themselves."""
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)
    order = torch.randperm(len(labels))
    for batch in torch.split(order, BATCH):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
        optimizer.step()


class Clock:
    """When rounds ended, and when clients were training, on the one monotonic clock of the machine."""

    def __init__(self) -> None:
        self.rounds: list[float] = []
        self.training: list[tuple[float, float]] = []

    def timing(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function`, the local training of one client, with its time recorded."""

        @functools.wraps(function)
        def timed(*arguments: Any, **named: Any) -> Any:
            start = time.perf_counter()
            result = function(*arguments, **named)
            self.training.append((start, time.perf_counter()))
            return result

        return timed

    def round_ended(self) -> None:
        self.rounds.append(time.perf_counter())

    def report(self, workload: Workload, model: nn.Module, *packages: str) -> None:
        """Print the measurement as the last line of this process."""
        result = {
            "rounds": self.rounds,
            "training": self.training,
            "loss": workload.final_loss(model),
            "versions": {name: version(name) for name in (*packages, "torch", "numpy")},
        }
        print(json.dumps(result))


def arguments(**choices: tuple[str, ...]) -> tuple[Workload, argparse.Namespace]:
    """Read the workload from the command line; `choices` are a variant's own options."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=tuple(ROWS), default="2nn")
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    for name, values in choices.items():
        parser.add_argument(f"--{name}", choices=values, default=values[0])
    given = parser.parse_args()
    return Workload(given.model, given.clients, given.rounds), given
