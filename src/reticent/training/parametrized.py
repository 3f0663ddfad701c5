"""Weights that are computed from others and remember something between steps: spectral normalisation.

Its power iteration (Miyato et al., ICLR 2018) goes on in every forward pass and writes into buffers. It looks at the
weights alone, so it tells nothing of the rows; but one pass for each example would advance it as often as rows were
sampled, which is private. It is advanced once for each step, and held while gradients are computed. (The older
`torch.nn.utils.spectral_norm`, a hook, is put back after every step: as private, but its estimate goes stale.)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.utils import parametrizations

__all__ = ["advance_weights", "weights_held"]

_Remembering = parametrizations._SpectralNorm


def advance_weights(model: nn.Module) -> None:
    """Do what a training step does to the weights' own state, once, whatever the batch."""
    with torch.no_grad():
        for layer in model.modules():
            for name, steps in getattr(layer, "parametrizations", {}).items():
                if any(isinstance(step, _Remembering) for step in steps):
                    getattr(layer, name)


@contextmanager
def weights_held(model: nn.Module) -> Iterator[None]:
    """Let no forward pass advance the state of the weights."""
    held = [layer for layer in model.modules() if isinstance(layer, _Remembering) and layer.training]
    for layer in held:
        layer.eval()
    try:
        yield
    finally:
        for layer in held:
            layer.train()
