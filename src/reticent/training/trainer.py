"""The private trainer: the only path from rows to weights is clipped, encoded, noised and paid for."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from reticent.data import Examples
from reticent.dp import Grant, add_gaussian, encoded_sensitivity, grid_for
from reticent.errors import PolicyRefused, UsageError
from reticent.training.contributions import Rows, clipped_sum, usable
from reticent.training.mixing import refuse_mixing
from reticent.training.per_example import Loss, PerExampleGradients, unchanged
from reticent.training.plain import add_proximal_pull
from reticent.training.probe import check_model
from reticent.training.synthetic import floating_type, model_device

if TYPE_CHECKING:
    from reticent.training.dpsgd import DPSGD, Batch

__all__ = ["Trainer"]

_CHECKED: WeakKeyDictionary[nn.Module, dict[Hashable, tuple[int, bool]]] = WeakKeyDictionary()
"""For each living model: what `Trainer._check` found, the number of classes and whether vmap can follow."""


class Trainer:
    """Trains one model under one `DPSGD`; see `DPSGD.trainer`, which makes it.

    Attributes:
      grid: Contributions are rounded to multiples of this.
      sensitivity: Largest L2 norm of one unit's encoded contribution.
    """

    def __init__(
        self,
        dpsgd: DPSGD,
        model: nn.Module,
        loss: Loss,
        optimizer: torch.optim.Optimizer,
        *,
        grant: Grant,
        proximal: float,
    ) -> None:
        self._dpsgd = dpsgd
        self._model = model
        self._loss = loss
        self._optimizer = optimizer
        self._grant = grant
        self._proximal = proximal
        self._gradients = PerExampleGradients(model, loss)
        self._trained = list(self._gradients.trained.values())
        self._start = [value.detach().clone() for value in self._trained] if proximal else []
        self._done = 0
        self.grid = grid_for(dpsgd.max_grad_norm, self._gradients.parameters)
        self.sensitivity = encoded_sensitivity(dpsgd.max_grad_norm, self.grid, self._gradients.parameters)
        _refuse_optimizer(optimizer, self._trained)

    def fit(self, examples: Examples) -> None:
        """Do all steps of the mechanism, on samples of `examples`; also where there are none."""
        for batch in self._dpsgd.batches(examples):
            self.step(batch)

    def step(self, batch: Batch) -> None:
        """Train on one Poisson sample. Returns nothing: a loss would be a release.

        Args:
          batch: The next one from `dpsgd.batches`; an empty one must not be left out.

        Raises:
          PolicyRefused: If the batch is not the next sample of this mechanism, the model or loss mixes examples, or
            the noise was not paid for.
          UsageError: If the model or loss cannot be used at all.
        """
        self._refuse_other(batch)
        classes = self._check(tuple(batch.features.shape[1:]), batch.labels.dtype)
        self._model.train()
        rows = usable(self._rows(batch), classes)
        with unchanged(self._model):
            total = clipped_sum(self._gradients, rows, max_norm=self._dpsgd.max_grad_norm, grid=self.grid)
        noised = add_gaussian(
            total.numpy(), event=self._dpsgd.step_event, sensitivity=self.sensitivity, grid=self.grid, grant=self._grant
        )
        self._update(torch.from_numpy(noised / self._dpsgd.expected_batch_size))
        self._done += 1

    def _rows(self, batch: Batch) -> Rows:
        kind, device = floating_type(self._model), model_device(self._model)
        labels = batch.labels.to(device, kind if batch.labels.is_floating_point() else batch.labels.dtype)
        return Rows(batch.features.to(device, kind), labels, batch.counts)

    def _update(self, gradient: Tensor) -> None:
        # Gradients that were left behind, and never noised, must not reach the optimiser.
        self._optimizer.zero_grad(set_to_none=True)
        self._model.zero_grad(set_to_none=True)
        parts = torch.split(gradient, [value.numel() for value in self._trained])
        for value, part in zip(self._trained, parts, strict=True):
            value.grad = part.view(value.shape).to(value.device, value.dtype)
        if self._proximal:
            add_proximal_pull(self._trained, self._start, self._proximal)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def _refuse_other(self, batch: Batch) -> None:
        if getattr(batch, "source", None) is not self._dpsgd or batch.number != self._done:
            raise PolicyRefused(
                "not-the-next-sample",
                f"step {self._done} was given something else than batch {self._done} of this mechanism's own samples",
                hint="write: for batch in dpsgd.batches(examples): trainer.step(batch), leaving no batch out, "
                "also no empty one; or trainer.fit(examples)",
            )

    def _check(self, shape: tuple[int, ...], labels: torch.dtype) -> int:
        """Try model and loss on made-up examples, once; a check on real rows would tell something about them.

        A federated client makes a trainer in every round: what was found for a model is kept with the model, as long
        as its layers are the same.

        Returns:
          The number of classes that the model tells apart; 0 for numeric labels.
        """
        layers = tuple((name, type(layer), id(layer)) for name, layer in self._model.named_modules())
        key = (shape, labels, self._loss, layers)
        known = _CHECKED.setdefault(self._model, {})
        if key not in known:
            classes = 0 if labels.is_floating_point else None
            features, made_up, outputs = check_model(self._model, self._loss, shape, classes=classes)
            refuse_mixing(self._model, self._loss, features, made_up)
            self._gradients.choose_way(features, made_up)
            known[key] = (max(2, outputs[0].numel()) if classes is None else 0, self._gradients.vectorised)
        found, self._gradients.vectorised = known[key]
        return found


def _refuse_optimizer(optimizer: torch.optim.Optimizer, trained: list[nn.Parameter]) -> None:
    if isinstance(optimizer, torch.optim.LBFGS):
        raise UsageError(
            "optimizer-needs-closure",
            "LBFGS evaluates the loss several times in one step, which one noised gradient cannot serve",
            hint="use a first-order optimiser, for example torch.optim.SGD or Adam",
        )
    known = {id(value) for value in trained}
    if not any(id(value) in known for group in optimizer.param_groups for value in group["params"]):
        raise UsageError(
            "optimizer-of-other-model",
            f"{type(optimizer).__name__} holds none of the model's trained parameters",
            hint="make the optimizer from the parameters of the model that is trained",
        )
