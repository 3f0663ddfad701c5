"""The gradient of every example by itself, by `torch.func`.

`vmap(grad(loss of one))` runs the model on batches of one, all at once. Whatever the model does, one example's
gradient is then computed from that example and the weights alone; dropout draws a mask of its own for each. Where
vmap cannot follow a model (nn.GRU, branches on values, autograd functions of the old kind), one backward pass after
another gives the same, more slowly.

What remains shared is floating point: a matrix product may round differently when a batch has another size, by about
1e-7 of a gradient, which can move a coordinate to the next step of the grid. The plan lists this as not covered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from reticent.errors import UsageError
from reticent.training.alone import unless_memory

__all__ = ["Loss", "PerExampleGradients", "physical_rows", "trained_parameters", "unchanged"]

Loss = Callable[[Tensor, Tensor], Tensor]
"""Any torch loss, module or function: `loss(outputs, labels)` is a scalar."""

_CACHE_BYTES = 2**24
_MEMORY_BYTES = 2**30
_MOST_ROWS = 512


def physical_rows(parameters: int, bytes_per_value: int = 4) -> int:
    """Return how many per-example gradients to hold at once.

    About 16 MiB of them: larger blocks leave the cache and come from freshly mapped memory, which is 2 to 5 times
    slower. At least 8 where they fit into 1 GiB, since each call costs about a millisecond.
    """
    size = max(1, parameters * bytes_per_value)
    return min(_MOST_ROWS, max(1, _CACHE_BYTES // size, min(8, _MEMORY_BYTES // size)))


class PerExampleGradients:
    """Computes one gradient for each example, at the model's present weights.

    Frozen parameters (`requires_grad` False) and buffers are constants; tied weights count once.

    Args:
      model: Takes `(1, *shape)` and returns outputs whose first dimension is 1.
      loss: Called on the outputs and labels of one example.

    Attributes:
      trained: The parameters that learn, by name.
      parameters: Number of their values.
      vectorised: Whether all examples are differentiated at once; `choose_way` decides.
    """

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        self._model = model
        self._loss = loss
        self.vectorised = True
        self.trained = trained_parameters(model)
        self.parameters = sum(value.numel() for value in self.trained.values())

        def loss_of_one(weights: dict[str, Tensor], features: Tensor, label: Tensor) -> Tensor:
            outputs = functional_call(model, weights, (features.unsqueeze(0),))
            return loss(outputs, label.unsqueeze(0))

        self._gradients = vmap(grad(loss_of_one), in_dims=(None, 0, 0), randomness="different")

    def __call__(self, features: Tensor, labels: Tensor) -> list[Tensor]:
        """Return a tensor `(n, *parameter.shape)` for each trained parameter, n >= 1; at least float32.

        A row on which model or loss raise has a gradient of zero.
        """
        if self.vectorised:
            try:
                return self._at_once(features, labels)
            except Exception as error:  # one row's undoing must not be everybody's
                unless_memory(error)
        return self._one_by_one(features, labels, spare=True)

    def _at_once(self, features: Tensor, labels: Tensor) -> list[Tensor]:
        weights = {name: value.detach() for name, value in self.trained.items()}
        found = self._gradients(weights, features, labels)
        return [_wide(found[name]) for name in self.trained]

    def _one_by_one(self, features: Tensor, labels: Tensor, *, spare: bool) -> list[Tensor]:
        values = list(self.trained.values())
        found: list[list[Tensor]] = [[] for _ in values]
        for row in range(len(labels)):
            gradients: Sequence[Tensor | None] = [None] * len(values)
            with unchanged(self._model):
                try:
                    loss = self._loss(self._model(features[row : row + 1]), labels[row : row + 1])
                    gradients = torch.autograd.grad(loss, values, allow_unused=True)
                except Exception as error:
                    if not spare:
                        raise
                    unless_memory(error)
            for column, gradient, value in zip(found, gradients, values, strict=True):
                column.append(torch.zeros_like(value) if gradient is None else gradient.to_dense())
        return [_wide(torch.stack(column)) for column in found]

    def choose_way(self, features: Tensor, labels: Tensor) -> None:
        """Find out on made-up examples whether vmap can follow the model; real rows never decide it.

        Raises:
          UsageError: With code `no-gradient`, if neither way gives gradients.
        """
        self.vectorised = True
        try:
            self._at_once(features[:2], labels[:2])
        except (RuntimeError, NotImplementedError, ValueError):
            self.vectorised = False
            self._require_gradients(features[:2], labels[:2])

    def _require_gradients(self, features: Tensor, labels: Tensor) -> None:
        try:
            self._one_by_one(features, labels, spare=False)
        except (RuntimeError, NotImplementedError, ValueError) as error:
            reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            raise UsageError(
                "no-gradient",
                f"the loss of {type(self._model).__name__} cannot be differentiated: {reason}",
                hint="keep detach(), no_grad() and conversions to numbers out of the model's forward and the loss",
            ) from error


def trained_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that learn, by name; tied weights once.

    Raises:
      UsageError: With code `nothing-to-train` or `uninitialized-model`.
    """
    trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
    if not trained:
        raise UsageError(
            "nothing-to-train",
            f"{type(model).__name__} has no parameter with requires_grad",
            hint="set requires_grad to True for the parameters that should learn",
        )
    lazy = [name for name, value in trained.items() if isinstance(value, nn.parameter.UninitializedParameter)]
    if lazy:
        raise UsageError(
            "uninitialized-model",
            f"{', '.join(lazy)} of {type(model).__name__} have no shape yet, and the clip depends on all of them",
            hint="run the model once on made-up rows, then make its optimizer and the trainer",
        )
    return trained


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Put back what a forward pass writes into weights and buffers.

    A running maximum or a renormalised row would carry its example around clipping and noise, and into the gradients
    of the examples after it.
    """
    kept = [(value, value.detach().clone()) for value in (*model.parameters(), *model.buffers())]
    try:
        yield
    finally:
        with torch.no_grad():
            for value, before in kept:
                value.copy_(before)


def _wide(gradient: Tensor) -> Tensor:
    return gradient.to(torch.promote_types(gradient.dtype, torch.float32)).contiguous()
