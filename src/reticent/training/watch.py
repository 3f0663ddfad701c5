"""Notices what reached a model or its optimiser between two private steps, past clip and noise.

Python cannot prevent that somebody who holds the rows also holds the weights. This is against mistakes: a plain
training step in between, an optimiser that is stepped by hand, a layer that is swapped, weights that are unfrozen.
What is noticed is refused before the next step. What is not: attributes of a module that are no tensors, and memory
written behind torch's back (`.data` of an optimiser's state).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reticent.errors import PolicyRefused

__all__ = ["Watch"]


class Watch:
    """Remembers a model and an optimiser as the trainer left them.

    Args:
      model: All its parameters and buffers are compared, bit by bit.
      trained: The parameters that learn, by name.
      optimizer: The versions of its state's tensors are compared.
    """

    def __init__(self, model: nn.Module, trained: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        self._model = model
        self._trained = {name: id(value) for name, value in trained.items()}
        self._optimizer = optimizer
        self._values: list[tuple[str, Tensor]] | None = None
        self._versions: list[tuple[int, int]] = []

    def remember(self) -> None:
        """Take the present values as what the trainer left."""
        self._values = [(name, value.detach().clone()) for name, value in self._named()]
        self._versions = self._state()

    def refuse_changes(self) -> None:
        """Refuse to go on with a model or an optimiser that was changed since `remember`, or with other parameters.

        Raises:
          PolicyRefused: With code `changed-between-steps`.
        """
        now = {name: id(value) for name, value in self._model.named_parameters() if value.requires_grad}
        if now != self._trained:
            other = sorted(set(now.items()) ^ set(self._trained.items()))[0][0]
            _refuse(f"{other}, a parameter of {type(self._model).__name__}, was swapped, frozen or unfrozen")
        if self._values is None:
            return
        found = dict(self._named())
        for name, before in self._values:
            if name not in found or not _same_bits(before, found[name]):
                _refuse(f"{name} of {type(self._model).__name__} was changed between two steps of the trainer")
        if self._versions != self._state():
            _refuse(f"{type(self._optimizer).__name__}'s state was changed between two steps of the trainer")

    def _named(self) -> list[tuple[str, Tensor]]:
        return [*self._model.named_parameters(), *self._model.named_buffers()]

    def _state(self) -> list[tuple[int, int]]:
        """Return identity and version of the tensors in the optimiser's state, which count every write in place."""
        held = [value for state in self._optimizer.state.values() for value in state.values()]
        return [(id(value), value._version) for value in held if isinstance(value, Tensor)]


def _same_bits(first: Tensor, second: Tensor) -> bool:
    if first.shape != second.shape or first.dtype != second.dtype or first.device != second.device:
        return False
    if torch.equal(first, second):
        return True
    # NaN equals nothing, not even itself; training that diverged is not a change from outside.
    return torch.equal(first.contiguous().view(-1).view(torch.uint8), second.contiguous().view(-1).view(torch.uint8))


def _refuse(what: str) -> None:
    raise PolicyRefused(
        "changed-between-steps",
        f"{what}: the stated epsilon holds for weights that only the private trainer has moved",
        hint="train with trainer.step or trainer.fit alone, and change the model before its first step; to go on from "
        "other weights, make a new trainer, which is charged anew",
    )
