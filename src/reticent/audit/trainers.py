"""Attacks on a trainer, as mechanisms for `one_run` and worlds for `two_world`.

A trainer is any function that trains a model in place on examples: this project's `DPSGD`, or somebody else's loop.
Three attacks look for different faults.

- `GradientCanaries` plants many, each with a gradient of its own and longer than any clip: too little noise, a clip
  that does not clip, samples that are not those of the claim.
- `OpposedCanary` turns one gradient around in a data set of one: a clip of the batch's sum instead of each row.
- `MislabelledCanaries` plants real rows with wrong labels: what an outsider can do who only sees the model.

torch is loaded when an attack is run, not before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reticent.data import Examples

if TYPE_CHECKING:
    from torch import nn

__all__ = ["GradientCanaries", "MislabelledCanaries", "OpposedCanary", "Train"]

Train = Callable[["nn.Module", "nn.Module", Examples], object]
"""`train(model, loss, examples)`: trains the model in place, with an optimiser of its choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientCanaries:
    """Orthogonal gradients, one for each canary; the score is how far its coordinate went against the gradient.

    Attributes:
      train: What is audited. With plain SGD the scores see everything; with other optimisers something is lost.
      model: Makes a model.
      loss: Its loss.
      examples: Ordinary rows beside the canaries; may be empty.
      canaries: How many.
      length: Norm of each canary's gradient: many times the clip, so that a clip that leaks is seen.
    """

    train: Train
    model: Callable[[], nn.Module]
    loss: nn.Module
    examples: Examples
    canaries: int
    length: float

    def __call__(self, coins: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Train once with the canaries whose coin is True, and return one score for each."""
        drawers = np.flatnonzero(coins) + 1
        return _trained_drawer(self, drawers, np.full(len(drawers), self.length))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpposedCanary:
    """One row with a huge gradient, and a canary that pulls twice as hard the other way.

    Clipped one by one, the two cancel; a batch that is clipped as a whole turns around when the canary enters, which is
    twice as far as one unit may move it. Attributes as of `GradientCanaries`.
    """

    train: Train
    model: Callable[[], nn.Module]
    loss: nn.Module
    examples: Examples
    length: float
    canaries: int = 1

    def __call__(self, *, present: bool) -> float:
        """Train once, with the canary or without it."""
        pulls = np.array([-self.length, 2 * self.length])[: 2 if present else 1]
        return float(_trained_drawer(self, np.ones(len(pulls), dtype=np.int64), pulls)[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class MislabelledCanaries:
    """Real rows with a wrong label; the score is how much the loss on it fell.

    Attributes:
      train: What is audited.
      model: Makes a model; each call must return the same weights, or the scores hold noise of their own.
      loss: Its loss, on a batch of one.
      examples: Ordinary rows.
      planted: The canaries, already mislabelled (see `mislabel`).
    """

    train: Train
    model: Callable[[], nn.Module]
    loss: nn.Module
    examples: Examples
    planted: Examples

    @staticmethod
    def mislabel(examples: Examples, classes: int) -> Examples:
        """Return the examples with each class number raised by one, the last becoming the first."""
        return Examples(examples.features, (examples.labels + 1) % classes, examples.units)

    def __call__(self, coins: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Train once with the canaries whose coin is True, and return one score for each."""
        chosen = self.planted.select(coins)
        model = self.model()
        before = self._losses(model)
        self.train(model, self.loss, _joined(self.examples, chosen))
        return before - self._losses(model)

    def _losses(self, model: nn.Module) -> NDArray[np.float64]:
        import torch

        features, labels = torch.from_numpy(self.planted.features), torch.from_numpy(self.planted.labels)
        with torch.no_grad():
            found = [self.loss(model(features[i : i + 1]), labels[i : i + 1]).item() for i in range(len(self.planted))]
        return np.asarray(np.nan_to_num(np.array(found), nan=np.inf), dtype=np.float64)


def _trained_drawer(
    attack: GradientCanaries | OpposedCanary, drawers: NDArray[np.int64], pulls: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Train on the examples and these canaries, and return how far each drawer went against its gradient."""
    from reticent.audit.probe import Probe, probe_loss, with_marks

    shape = attack.examples.features.shape[1:]
    probe = Probe(attack.model(), shape, attack.canaries)
    attack.train(probe, probe_loss(attack.loss), with_marks(attack.examples, drawers, pulls))
    moved = -probe.drawer.detach().double().cpu().numpy()
    return np.asarray(np.nan_to_num(moved, nan=0.0), dtype=np.float64)


def _joined(first: Examples, second: Examples) -> Examples:
    return Examples(
        np.concatenate([first.features, second.features]),
        np.concatenate([first.labels, second.labels]),
        np.concatenate([first.units, first.n_units + second.units]),
    )
