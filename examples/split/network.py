"""The network that hospitals and coordinator divide; the study names the places by the numbers of its modules."""

from __future__ import annotations

from torch import nn


def three_layer(inputs: int, outputs: int) -> nn.Module:
    """Return two hidden layers: 1 to 2 are the hospitals' bottom, 3 to 4 the coordinator's middle, 5 the head."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(inputs, 16), nn.Tanh(), nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, outputs)
    )
