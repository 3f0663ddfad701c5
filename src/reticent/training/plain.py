"""Training without a claim of privacy: what a site does in FedAvg, and the baselines of a report."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice

import torch
from torch import Tensor, nn

from reticent.data import Examples
from reticent.errors import UsageError
from reticent.training.per_example import Loss
from reticent.training.synthetic import floating_type, model_device

__all__ = ["add_proximal_pull", "fit_plain", "tensors_of"]


def fit_plain(
    model: nn.Module,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    examples: Examples,
    *,
    batch_size: int | None,
    local_epochs: float | None = None,
    local_steps: int | None = None,
    seed: int | None,
    proximal: float = 0.0,
) -> None:
    """Train on shuffled batches; rows with values that are not finite are left out.

    Args:
      model: Trained in place, in training mode.
      loss: Called on the outputs and labels of a batch.
      optimizer: Over the model's parameters.
      examples: If none of them is complete, nothing happens.
      batch_size: None for all rows at once. The last batch of an epoch is smaller.
      local_epochs: Passes over the rows; a fraction is rounded up to whole steps.
      local_steps: Steps in all, reshuffling after each pass. Exactly one of the two.
      seed: Of the shuffling; None for a fresh one.
      proximal: FedProx's mu: adds mu/2 * |w - w_start|^2 to the loss (Li et al., MLSys 2020, equation 2).

    Raises:
      UsageError: If the schedule is incomplete or out of range.
    """
    _require(batch_size, local_epochs, local_steps)
    features, labels = tensors_of(examples, model)
    rows = len(labels)
    if not rows:
        return
    size = min(batch_size or rows, rows)
    per_epoch = -(-rows // size)
    steps = local_steps if local_epochs is None else math.ceil(local_epochs * per_epoch - 1e-9)
    trained = [value for value in model.parameters() if value.requires_grad]
    start = [value.detach().clone() for value in trained]
    pull = partial(add_proximal_pull, trained, start, proximal) if proximal else None
    order = torch.Generator().manual_seed(secrets.randbits(63) if seed is None else seed)
    model.train()
    left = steps or 0
    while left > 0:
        here = min(left, per_epoch)
        shuffled = torch.randperm(rows, generator=order).to(labels.device)
        # One gather for the whole epoch and slices of it: a data loader would cost more than a small model's step.
        batches = zip(torch.split(features[shuffled], size), torch.split(labels[shuffled], size), strict=True)
        _epoch(model, loss, optimizer, islice(batches, here), pull)
        left -= here
    optimizer.zero_grad()


def _epoch(
    model: nn.Module,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[tuple[Tensor, Tensor]],
    pull: Callable[[], None] | None,
) -> None:
    for features, labels in batches:
        optimizer.zero_grad()
        value = loss(model(features), labels)
        value.backward()  # type: ignore[no-untyped-call]
        if pull is not None:
            pull()
        optimizer.step()


def add_proximal_pull(trained: list[nn.Parameter], start: list[Tensor], proximal: float) -> None:
    """Add the gradient of mu/2 * |w - w_start|^2, which depends on no data, to the gradients in place."""
    with torch.no_grad():
        for value, origin in zip(trained, start, strict=True):
            if value.grad is not None:
                value.grad.add_(value - origin, alpha=proximal)


def tensors_of(examples: Examples, model: nn.Module) -> tuple[Tensor, Tensor]:
    """Return features and labels of the complete rows in the model's type and device."""
    kind, device = floating_type(model), model_device(model)
    features = torch.from_numpy(examples.features)
    labels = torch.from_numpy(examples.labels)
    complete = torch.from_numpy(examples.complete)
    if labels.is_floating_point():
        complete &= labels.isfinite()
        labels = labels.to(kind)
    if not complete.all():
        features, labels = features[complete], labels[complete]
    return features.to(device=device, dtype=kind), labels.to(device)


def _require(batch_size: int | None, local_epochs: float | None, local_steps: int | None) -> None:
    if (local_epochs is None) == (local_steps is None):
        raise UsageError(
            "invalid-schedule",
            f"local_epochs is {local_epochs} and local_steps is {local_steps}",
            hint="give exactly one of local_epochs and local_steps",
        )
    for name, value in (("batch_size", batch_size), ("local_epochs", local_epochs), ("local_steps", local_steps)):
        if value is not None and not 0 < value < math.inf:
            raise UsageError("invalid-schedule", f"{name} is {value}", hint=f"give a {name} above 0")
