"""A model with a hidden drawer: parameters whose gradient only canaries have, so that each canary has one of its own.

Rows carry two more columns: which drawer they pull (0: none), and how hard. An ordinary row trains the model as it
would without them; a canary's gradient is one coordinate of the drawer, as large as is wanted, and nothing else. Two
canaries are orthogonal, which is what an audit wants and nature never offers. The trainer is not touched: it sees a
model, a loss and rows like any other, and whatever it does to gradients it does to these.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reticent.data import Examples

__all__ = ["Probe", "probe_loss", "with_marks"]


class Probe(nn.Module):
    """`model`, and a drawer of `canaries` parameters; the last two outputs are the mark and the pull.

    Args:
      model: Takes `(n, *shape)`.
      shape: Of one row without its two marks.
      canaries: How many drawers.
    """

    def __init__(self, model: nn.Module, shape: tuple[int, ...], canaries: int) -> None:
        super().__init__()
        self.model = model
        self.drawer = nn.Parameter(torch.zeros(canaries))
        self._shape = shape
        self.register_buffer("numbers", torch.arange(1, canaries + 1, dtype=torch.int64), persistent=False)

    def forward(self, rows: Tensor) -> Tensor:
        """Return the model's outputs with two more columns, for rows `(n, size + 2)`."""
        size = math.prod(self._shape)
        outputs = self.model(rows[:, :size].reshape(-1, *self._shape)).flatten(1)
        mine = torch.eq(rows[:, size : size + 1].round(), self.get_buffer("numbers")).to(
            rows.dtype
        )  # one row each, or none
        pull = (mine * self.drawer).sum(1, keepdim=True) * rows[:, size + 1 :]
        return torch.cat([outputs, mine.sum(1, keepdim=True), pull], 1)


def probe_loss(loss: nn.Module) -> nn.Module:
    """Return a loss for `Probe`: that of an ordinary row by `loss`, that of a canary by its pull alone."""
    return _ProbeLoss(loss)


class _ProbeLoss(nn.Module):
    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self._loss = loss

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        mark, pull = outputs[:, -2], outputs[:, -1]
        if not labels.is_floating_point():  # trainers try made-up labels, up to the number of outputs: two too many
            labels = labels.clamp(max=max(1, outputs.shape[1] - 3))
        alone = [self._loss(outputs[i : i + 1, :-2], labels[i : i + 1]) for i in range(len(labels))]
        return ((1 - mark) * torch.stack(alone) + pull).mean()


def with_marks(examples: Examples, drawers: NDArray[np.int64], pulls: NDArray[np.float64]) -> Examples:
    """Return the examples and, after them, one canary for each drawer (from 1) with its pull; each a unit of its own."""
    rows, size = len(examples), math.prod(examples.features.shape[1:])
    features = np.zeros((rows + len(drawers), size + 2), dtype=np.float32)
    features[:rows, :size] = examples.features.reshape(rows, size)
    features[rows:, size] = drawers
    features[rows:, size + 1] = pulls
    labels = np.concatenate([examples.labels, np.zeros(len(drawers), dtype=examples.labels.dtype)])
    units = np.concatenate([examples.units, examples.n_units + np.arange(len(drawers))])
    return Examples(features, labels, units.astype(np.int64))
