"""One part at one party: forward, backward and step, with nothing but values going in and out."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reticent.errors import IdentityError
from reticent.split.settings import Optimizer
from reticent.training import optimizer_factory

__all__ = ["Side", "redraw", "to_array", "to_tensor"]


class Side:
    """A part with its own optimiser, and the graph of the batch under way.

    Args:
      module: Trained in place.
      optimizer: None freezes the part: its parameters never change, and it runs in evaluation mode.
      first: Whether rows enter here, for which no gradient is wanted.
    """

    def __init__(self, module: nn.Module, optimizer: Optimizer | None, *, first: bool = False) -> None:
        self.module = module
        self.frozen = optimizer is None
        self._first = first
        trained = [] if optimizer is None else [value for value in module.parameters() if value.requires_grad]
        self.optimizer: torch.optim.Optimizer | None = None
        if optimizer is not None:
            make = optimizer_factory(
                optimizer.name, optimizer.learning_rate, optimizer.momentum, optimizer.weight_decay
            )
            self.optimizer = make(trained) if trained else None
        self._entered: Tensor | None = None
        self._left: Tensor | None = None

    def forward(self, values: Tensor) -> Tensor:
        """Return the part's output with its graph kept here; what other parties get is `to_array` of it."""
        if not self._first and not values.is_floating_point():
            raise _wrong_activations(values)  # whole numbers have no gradient
        self.module.train(not self.frozen)
        # A leaf of our own: what arrived has no history, and its gradient is what goes back.
        self._entered = values.detach().requires_grad_(not self._first)
        with torch.set_grad_enabled(not (self._first and self.frozen)):
            # An operation in place must not change the leaf.
            self._left = self._output(self._entered if self._first else self._entered.clone())
        return self._left

    @property
    def waiting(self) -> Tensor | None:
        """The output whose gradient has not come yet."""
        return self._left

    def backward(self, gradient: Tensor) -> Tensor | None:
        """Take the gradient of the last output, make one step, and return the gradient of the input.

        Raises:
          IdentityError: If the gradient is not one of that output.
        """
        entered, left = self._answered(gradient)
        if left.requires_grad:
            left.backward(gradient)  # type: ignore[no-untyped-call]
        self.step()
        return entered.grad

    def learn_by(self, gradient: Tensor, update: Callable[[Tensor], None]) -> None:
        """Take the gradient of the last output and let `update` learn from it, in place of `backward`.

        Raises:
          IdentityError: If the gradient is not one of that output.
        """
        self._answered(gradient)
        if self.optimizer is not None:
            update(gradient)

    def _answered(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Return what entered and left in the batch under way, which `gradient` must fit; the batch is then over."""
        left, entered = self._left, self._entered
        if left is None or entered is None or gradient.shape != left.shape or gradient.dtype != left.dtype:
            raise IdentityError(
                "wrong-gradient",
                f"a gradient of shape {tuple(gradient.shape)} and type {gradient.dtype} arrived, for "
                f"{'no batch' if left is None else f'a batch of shape {tuple(left.shape)} and type {left.dtype}'}",
                hint="run the same version and the same settings at every party",
            )
        if not bool(gradient.isfinite().all()):
            raise IdentityError(
                "wrong-gradient",
                "a gradient arrived that is not finite",
                hint="lower the learning rate; if it was low enough before, find out which party changed",
            )
        self._left = self._entered = None
        return entered, left

    def step(self) -> None:
        """Make the optimiser's step and forget the gradients."""
        if self.optimizer is not None:
            self.optimizer.step()
        self.module.zero_grad()

    def infer(self, values: Tensor) -> Tensor:
        """Return the output in evaluation mode, without a graph."""
        self.module.eval()
        with torch.no_grad():
            return self._output(values.clone())

    def _output(self, values: Tensor) -> Tensor:
        """Return what the module makes of `values`; what another party sent may fit nothing here."""
        try:
            output: Tensor = self.module(values)
        except (IndexError, RuntimeError, TypeError, ValueError) as error:
            if self._first:
                raise
            raise _wrong_activations(values) from error
        return output

    def drop(self) -> None:
        """Forget the batch under way."""
        self._left = self._entered = None


def _wrong_activations(values: Tensor) -> IdentityError:
    return IdentityError(
        "wrong-activations",
        f"values of shape {tuple(values.shape)} and type {values.dtype} arrived, which this part cannot read",
        hint="run the same version, the same model and the same settings at every party",
    )


def redraw(module: nn.Module) -> None:
    """Draw the initial weights of every layer anew, from entropy of the operating system.

    Layers without `reset_parameters` stay as they are.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(secrets.randbits(63))
        for layer in module.modules():
            reset = getattr(layer, "reset_parameters", None)
            if callable(reset):
                reset()


def to_array(values: Tensor) -> NDArray[Any]:
    """Return a copy as an array: no graph leaves with it."""
    array: NDArray[Any] = values.detach().cpu().numpy().copy()
    return array


def to_tensor(values: NDArray[Any], like: nn.Module) -> Tensor:
    """Return an array from a message as a tensor, on the device of `like`."""
    device = next((value.device for value in like.parameters()), torch.device("cpu"))
    # Memory of torch's own, aligned as all others: matrix products of unaligned memory can end in other last bits.
    return torch.from_numpy(np.ascontiguousarray(values)).clone().to(device)
