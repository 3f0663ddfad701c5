"""Made-up examples to try a model on: checks never look at a site's rows.

A refusal that depended on data would tell the data. Features are uniform in [0, 2), which is also a valid token
number, rounded down, for a model that looks its inputs up in an embedding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["floating_type", "model_device", "synthetic_features", "synthetic_labels"]


def synthetic_features(model: nn.Module, shape: tuple[int, ...], rows: int = 4) -> Tensor:
    """Return `(rows, *shape)` in the model's type and device; always the same values."""
    source = torch.Generator().manual_seed(0)
    values = torch.rand((rows, *shape), generator=source, dtype=torch.float64) * 2
    return values.to(device=model_device(model), dtype=floating_type(model))


def synthetic_labels(outputs: Tensor, *, classes: int) -> Tensor:
    """Return labels for `outputs`, shape `(rows,)`: class numbers below `classes`, or floats where it is 0."""
    rows = torch.arange(len(outputs), device=outputs.device)
    return rows % classes if classes else (rows / 7).to(outputs.dtype)


def floating_type(model: nn.Module) -> torch.dtype:
    """Return the type that inputs must have: that of the model's first floating-point parameter or buffer."""
    for value in (*model.parameters(), *model.buffers()):
        if value.is_floating_point():
            return value.dtype
    return torch.float32


def model_device(model: nn.Module) -> torch.device:
    """Return the device of the model's first parameter or buffer."""
    for value in (*model.parameters(), *model.buffers()):
        return value.device
    return torch.device("cpu")
