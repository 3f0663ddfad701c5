"""The plain run: the same model, rows and steps without any protection. Everything else is measured against it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from reticent import training
from reticent.advise.figures import Outcome
from reticent.advise.trial import Trial

__all__ = ["BATCH", "EPOCHS", "HIDDEN", "RATE", "Baseline", "accuracy_of", "baseline", "make_model"]

EPOCHS = 10
BATCH = 32
RATE = 0.2
HIDDEN = 16
_SEED = 7
_REPEATS = 3


class Square(nn.Module):
    """x * x: the activation that encryption can compute exactly."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the squares."""
        return x * x


def make_model(kind: str, width: int, activation: str = "relu") -> nn.Sequential:
    """Return a model with public initial weights, the same in every technique.

    Args:
      kind: `logistic`, or `mlp` with one hidden layer of `HIDDEN` units.
      width: Number of features.
      activation: `relu`, `tanh` (bounded: for per-example clipping) or `square` (for encryption).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        if kind == "logistic":
            return nn.Sequential(nn.Linear(width, 2))
        middle = {"relu": nn.ReLU, "tanh": nn.Tanh, "square": Square}[activation]()
        return nn.Sequential(nn.Linear(width, HIDDEN), middle, nn.Linear(HIDDEN, 2))


@dataclass(frozen=True, slots=True)
class Baseline:
    """The plain run of one model: trained, and what training and prediction took."""

    kind: str
    model: nn.Sequential
    train: Outcome
    predict: Outcome


def baseline(trial: Trial, kind: str, activation: str = "relu") -> Baseline:
    """Train and predict without protection; the shortest of a few repeats, since it takes milliseconds."""
    spent = []
    for _ in range(_REPEATS):
        model = make_model(kind, trial.width, activation)
        start = time.perf_counter()
        training.fit_plain(
            model,
            nn.functional.cross_entropy,
            torch.optim.SGD(model.parameters(), lr=RATE if activation != "square" else RATE / 10),
            trial.train,
            batch_size=BATCH,
            local_epochs=EPOCHS,
            seed=_SEED,
        )
        spent.append(time.perf_counter() - start)
    answered = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        scores = outputs(model, trial.test.features)
        answered.append(time.perf_counter() - start)
    right = accuracy_of(scores, trial)
    return Baseline(
        kind,
        model,
        Outcome(min(spent), 0, 0, right, len(trial.train), 1),
        Outcome(min(answered), 0, 0, right, len(trial.test), 1),
    )


def outputs(model: nn.Module, features: NDArray[Any]) -> NDArray[np.float32]:
    """Return the model's outputs, shape `(n, 2)`."""
    with torch.no_grad():
        found: NDArray[np.float32] = model(torch.from_numpy(features)).numpy()
    return found


def accuracy_of(scores: NDArray[Any], trial: Trial) -> float:
    """Return the share of the first test rows whose larger score, of shape `(n, 2)`, is that of their label."""
    return float((scores.argmax(axis=1) == trial.test.labels[: len(scores)]).mean())
