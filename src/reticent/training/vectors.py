"""A model as one flat vector, and back: what travels between sites and coordinator."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reticent.errors import UsageError

__all__ = ["flatten", "load_flat", "vector_length"]


def flatten(model: nn.Module) -> NDArray[Any]:
    """Return the parameters, frozen ones included, then the floating-point buffers; shape `(vector_length,)`.

    Each in the order of `model.parameters()` and `model.buffers()`, tied weights once. float32, or float64 if any of
    them is. The vector is a copy.
    """
    parts = _travelling(model)
    double = any(part.dtype == torch.float64 for part in parts)
    kind = np.float64 if double else np.float32
    vector = np.empty(sum(part.numel() for part in parts), dtype=kind)
    start = 0
    for part in parts:
        stop = start + part.numel()
        vector[start:stop] = part.to(device="cpu", dtype=torch.float64 if double else torch.float32).reshape(-1).numpy()
        start = stop
    return vector


def load_flat(model: nn.Module, vector: NDArray[Any]) -> None:
    """Write a vector of `flatten` into the model, in place.

    Raises:
      UsageError: With code `vector-length`, if its shape is not `(vector_length,)`; the model is then unchanged.
    """
    parts = _travelling(model)
    length = sum(part.numel() for part in parts)
    if vector.shape != (length,):
        raise UsageError(
            "vector-length",
            f"the vector has shape {vector.shape}, and {type(model).__name__} has {length} values",
            hint="use the model that the vector was made from; sites and coordinator must run the same factory",
        )
    values = torch.from_numpy(np.array(vector))
    start = 0
    for part in parts:
        part.copy_(values[start : start + part.numel()].view(part.shape))
        start += part.numel()


def vector_length(model: nn.Module) -> int:
    """Return how many values `flatten` returns."""
    return sum(part.numel() for part in _travelling(model))


def _travelling(model: nn.Module) -> list[Tensor]:
    buffers = [value for value in model.buffers() if value.is_floating_point()]
    return [value.detach() for value in (*model.parameters(), *buffers)]
