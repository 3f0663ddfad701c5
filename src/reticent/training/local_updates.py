"""What one unit contributes to an aggregation of DP-FedAvg: the result of training on its own rows alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from reticent.data import Examples
from reticent.dp import encoded_sensitivity, grid_for
from reticent.errors import UsageError
from reticent.training.alone import unless_memory
from reticent.training.contributions import Rows, Tally, add_clipped
from reticent.training.gradient_sums import EncodedSum
from reticent.training.mixing import refuse_remembering
from reticent.training.per_example import Loss, trained_parameters, unchanged
from reticent.training.plain import fit_plain

__all__ = ["LocalSteps", "UpdateSums"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSteps:
    """What a unit does with the model it is given; the same for all units, and nothing of it is private.

    Attributes:
      optimizer: From parameters to a fresh optimiser, as `optimizer_factory` makes it.
      epochs: Passes over the unit's rows; give this or `steps`.
      steps: Optimiser steps.
      batch_size: Rows in a step; None for all of the unit's.
      mu: FedProx's pull towards the model that was given.

    Raises:
      UsageError: With code `invalid-schedule`.
    """

    optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
    epochs: float | None = None
    steps: int | None = None
    batch_size: int | None = None
    mu: float = 0.0

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise UsageError(
                "invalid-schedule",
                f"epochs is {self.epochs} and steps is {self.steps}",
                hint="give exactly one of epochs and steps",
            )
        for name in ("epochs", "steps", "batch_size"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise UsageError("invalid-schedule", f"{name} is {value}", hint=f"give {name} above 0")


class UpdateSums:
    """Sums of the units' clipped updates, one unit after another; a `ClippedSums`.

    What mixes the rows of one unit mixes nobody else's and is allowed. Layers that keep running statistics are not,
    since these leave without clip and noise; nor are models that fail on one row, since some unit has no more.
    """

    sign = -1
    way = "one unit after another"

    def __init__(self, model: nn.Module, loss: Loss, local: LocalSteps) -> None:
        self._model = model
        self._loss = loss
        self._local = local
        self.trained = trained_parameters(model)
        self.parameters = sum(value.numel() for value in self.trained.values())

    def check(self, features: Tensor, labels: Tensor) -> None:
        """Refuse what carries one unit's rows to the next: models and losses that remember, an optimiser for all.

        Raises:
          PolicyRefused: With code `mixes-examples`.
          UsageError: With code `optimizer-not-fresh`.
        """
        refuse_remembering(self._model, self._loss, features, labels)
        first, second = (self._local.optimizer(list(self.trained.values())) for _ in range(2))
        if first is second or first.state:
            raise UsageError(
                "optimizer-not-fresh",
                f"LocalSteps.optimizer returned a {type(first).__name__} that was used before: its state would carry "
                "one unit's gradients into the updates of the next",
                hint="make a new one in each call: optimizer=lambda values: torch.optim.Adam(values, lr=0.001)",
            )

    def __call__(self, rows: Rows, *, max_norm: float, counting: bool) -> EncodedSum:
        """Return the sum for `rows`; see `ClippedSums`."""
        grid = grid_for(max_norm, self.parameters)
        sensitivity = encoded_sensitivity(max_norm, grid, self.parameters)
        tally = Tally() if counting else None
        total = torch.zeros(self.parameters, dtype=torch.int64, device=rows.features.device)
        add_clipped(total, self._updates(rows), max_norm=max_norm, grid=grid, tally=tally)
        return EncodedSum(total.cpu().numpy(), grid, sensitivity, tally)

    def _updates(self, rows: Rows) -> Iterator[list[Tensor]]:
        """Yield each unit's update, before the clip, as tensors `(1, *parameter.shape)`."""
        stops = np.cumsum(rows.counts or [])
        for stop, count in zip(stops.tolist(), rows.counts or [], strict=True):
            mine = slice(stop - count, stop)
            yield self._update(rows.features[mine], rows.labels[mine])

    def _update(self, features: Tensor, labels: Tensor) -> list[Tensor]:
        examples = Examples.of(features.float(), labels)
        with unchanged(self._model):  # every unit starts from the same model
            start = [value.detach().clone() for value in self.trained.values()]
            try:
                self._train(examples)
                ends = [value.detach() for value in self.trained.values()]
            except Exception as error:  # a unit on whose rows the model fails contributes nothing
                unless_memory(error)
                ends = start
            wide = [_wide(end) - _wide(begin) for end, begin in zip(ends, start, strict=True)]
        return [update.unsqueeze(0) for update in wide]

    def _train(self, examples: Examples) -> None:
        fit_plain(
            self._model,
            self._loss,
            self._local.optimizer(list(self.trained.values())),
            examples,
            batch_size=self._local.batch_size,
            local_epochs=self._local.epochs,
            local_steps=self._local.steps,
            seed=None,
            proximal=self._local.mu,
        )


def _wide(value: Tensor) -> Tensor:
    return value.to(torch.promote_types(value.dtype, torch.float32))
