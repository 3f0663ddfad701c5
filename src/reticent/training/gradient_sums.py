"""From a sampled batch to the exact sum of its units' clipped gradients: a port, and the ways there are.

A trainer needs of a sample only the clipped, encoded sum; it never asks for a single gradient. So a way may compute
norms and sum without holding any gradient (for one linear layer: `linear`; layer by layer for whole models, "ghost"
or book-keeping: Li et al. 2022, Bu et al. 2023), and takes this port's place without the trainer noticing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from reticent.dp import encoded_sensitivity, grid_for
from reticent.errors import UsageError
from reticent.training.contributions import Rows, Tally, clipped_sum
from reticent.training.linear import LinearModel
from reticent.training.mixing import refuse_mixing
from reticent.training.parametrized import weights_held
from reticent.training.per_example import Loss, PerExampleGradients

__all__ = ["ClippedSums", "EncodedSum", "GradientSums"]


@dataclass(frozen=True, slots=True)
class EncodedSum:
    """The exact sum of the clipped contributions of a sample's units: as private as the rows, until noise is added.

    Attributes:
      total: In grid steps, int64 `(parameters,)`.
      grid: A power of two.
      sensitivity: By how much one unit more or less can move `total * grid`, in L2; twice that if one is exchanged.
      tally: How many units contributed, and how many had a norm within the clip; None unless it was asked for.
    """

    total: NDArray[np.int64]
    grid: float
    sensitivity: float
    tally: Tally | None = None


class ClippedSums(Protocol):
    """How a trainer gets its sums. Whatever a unit's rows are, they move the sum by at most `sensitivity`.

    Attributes:
      trained: The parameters that learn, by name, in the order of the sum's coordinates.
      parameters: Number of their values.
      way: How it computes; found by `check`, and remembered for the model.
      sign: 1 if contributions are gradients, -1 if they are steps in the direction of learning.
    """

    trained: dict[str, nn.Parameter]
    parameters: int
    way: str
    sign: int

    def check(self, features: Tensor, labels: Tensor) -> None:
        """Refuse what cannot be bounded, and choose the way, by made-up examples alone."""
        ...

    def __call__(self, rows: Rows, *, max_norm: float, counting: bool) -> EncodedSum:
        """Return the sum for `rows`, also for none, at the model's present weights."""
        ...


class GradientSums:
    """Sums of the units' gradients: by closed form where there is one, else from gradients held a few at a time.

    Args:
      model, loss: As for `PerExampleGradients`.
      limit: Most rows whose gradients are held at once; None for what fits the cache.
    """

    sign = 1

    def __init__(self, model: nn.Module, loss: Loss, *, limit: int | None = None) -> None:
        if limit is not None and limit < 1:
            raise UsageError(
                "invalid-dpsgd", f"physical_batch_size is {limit}", hint="give a whole number of rows, 1 or larger"
            )
        self._model = model
        self._loss = loss
        self._limit = limit
        self._gradients = PerExampleGradients(model, loss)
        self._linear = LinearModel.of(model, loss)
        self.trained = self._gradients.trained
        self.parameters = self._gradients.parameters
        self.way = "vectorised"

    def check(self, features: Tensor, labels: Tensor) -> None:
        """Refuse models and losses that mix examples, and choose the way.

        Raises:
          PolicyRefused: With code `mixes-examples`.
          UsageError: With code `no-gradient`.
        """
        refuse_mixing(self._model, self._loss, features, labels)
        with weights_held(self._model):
            self._gradients.choose_way(features, labels)
            fits = self._linear is not None and self._linear.fits(features, labels)
        self.way = "linear" if fits else "vectorised" if self._gradients.vectorised else "one by one"

    def __call__(self, rows: Rows, *, max_norm: float, counting: bool) -> EncodedSum:
        """Return the sum; see `ClippedSums`."""
        closed = self._linear if self.way == "linear" and rows.counts is None else None
        if closed is not None and closed.covers(max_norm):
            found = closed.clipped_sum(rows, max_norm=max_norm)
            return EncodedSum(found.total, found.grid, found.sensitivity, Tally(len(rows.labels), found.within))
        self._gradients.vectorised = self.way != "one by one"
        grid = grid_for(max_norm, self.parameters)
        sensitivity = encoded_sensitivity(max_norm, grid, self.parameters)
        tally = Tally() if counting else None
        with weights_held(self._model):
            total = clipped_sum(self._gradients, rows, max_norm=max_norm, grid=grid, limit=self._limit, tally=tally)
        return EncodedSum(total.numpy(), grid, sensitivity, tally)
