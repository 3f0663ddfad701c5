"""Losses and optimisers by the names that a study file uses."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reticent.errors import UsageError
from reticent.training.per_example import Loss

__all__ = ["loss_by_name", "optimizer_factory"]

_OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adagrad": torch.optim.Adagrad,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}


def _cross_entropy(outputs: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(outputs, labels)


def _binary_cross_entropy_with_logits(outputs: Tensor, labels: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(_one_each(outputs), labels.to(outputs.dtype))


def _mse_loss(outputs: Tensor, labels: Tensor) -> Tensor:
    outputs = _one_each(outputs)
    if outputs.shape != labels.shape:  # torch would broadcast, with a warning, and put every label into every gradient
        raise ValueError(f"outputs of shape {tuple(outputs.shape)} do not fit labels of shape {tuple(labels.shape)}")
    return F.mse_loss(outputs, labels.to(outputs.dtype))


def _one_each(outputs: Tensor) -> Tensor:
    """Return `(n,)` of `(n, 1)`: a loss would otherwise pair every output with every label."""
    return outputs.squeeze(-1) if outputs.ndim > 1 else outputs


_LOSSES: dict[str, Loss] = {
    "binary_cross_entropy_with_logits": _binary_cross_entropy_with_logits,
    "cross_entropy": _cross_entropy,
    "mse_loss": _mse_loss,
}


def loss_by_name(name: str) -> Loss:
    """Return a loss over a batch: one of the known names, or `module:name` from an installed package.

    What a module names may be a loss (a function or an nn.Module object) or an nn.Module class, made without arguments.

    Raises:
      UsageError: With code `unknown-loss`.
    """
    if name in _LOSSES:
        return _LOSSES[name]
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute) if attribute else None
    except (ImportError, AttributeError, ValueError) as error:
        raise _unknown_loss(name) from error
    if inspect.isclass(found) and issubclass(found, nn.Module):
        return cast("Loss", found())
    if not callable(found):
        raise _unknown_loss(name)
    return cast("Loss", found)


def _unknown_loss(name: str) -> UsageError:
    return UsageError(
        "unknown-loss",
        f"loss is {name!r}",
        hint=f"use one of {', '.join(_LOSSES)}, or module:function from a package that every site installs",
    )


def optimizer_factory(
    name: str, learning_rate: float, momentum: float = 0.0, weight_decay: float = 0.0
) -> Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]:
    """Return a function from parameters to an optimiser.

    Args:
      name: sgd, adam, adamw, adagrad or rmsprop.
      learning_rate: Above 0.
      momentum: In [0, 1); only for sgd and rmsprop.
      weight_decay: 0 or larger.

    Raises:
      UsageError: With code `unknown-optimizer` or `invalid-optimizer`.
    """
    kind = _OPTIMIZERS.get(name.lower())
    if kind is None:
        raise UsageError(
            "unknown-optimizer", f"optimizer is {name!r}", hint=f"use one of {', '.join(sorted(_OPTIMIZERS))}"
        )
    takes_momentum = "momentum" in inspect.signature(kind).parameters
    wrong = {
        "learning_rate": (learning_rate, 0 < learning_rate < float("inf"), "give a finite number above 0"),
        "momentum": (
            momentum,
            0 <= momentum < 1 and (takes_momentum or momentum == 0),
            "give a number in [0, 1)" if takes_momentum else f"leave momentum out: {name} has none",
        ),
        "weight_decay": (weight_decay, 0 <= weight_decay < float("inf"), "give a finite number, 0 or larger"),
    }
    for field, (value, right, hint) in wrong.items():
        if not right:
            raise UsageError("invalid-optimizer", f"{field} of {name} is {value}", hint=hint)
    options = {"lr": learning_rate, "weight_decay": weight_decay} | ({"momentum": momentum} if takes_momentum else {})

    def make(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return kind(parameters, **options)  # type: ignore[arg-type]

    return make
