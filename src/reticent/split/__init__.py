"""Split learning: a model cut in parts that different parties hold, and only the tensors at the cuts travel."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from reticent.split.boundary_accounting import (
    BoundaryNoise,
    BoundaryPrivacy,
    boundary_events,
    boundary_noise_multiplier,
)
from reticent.split.boundary_port import Boundary, Crossing
from reticent.split.canaries import Canaries, canary_activations, canary_gradients, make_canaries
from reticent.split.leakage import LeakageReport, distance_correlation, label_auc, leakage
from reticent.split.settings import Optimizer, SplitTraining
from reticent.split.traffic import Traffic, traffic

if TYPE_CHECKING:
    from reticent.split.client import Client
    from reticent.split.cutting import cut
    from reticent.split.defence import GaussianBoundary
    from reticent.split.joined import Joined
    from reticent.split.rows import epoch_batches, order_digest
    from reticent.split.server import Server
    from reticent.split.simulation import simulate
    from reticent.split.state import parts_bytes, state_dicts

__all__ = [
    "Boundary",
    "BoundaryNoise",
    "BoundaryPrivacy",
    "Canaries",
    "Client",
    "Crossing",
    "GaussianBoundary",
    "Joined",
    "LeakageReport",
    "Optimizer",
    "Server",
    "SplitTraining",
    "Traffic",
    "boundary_events",
    "boundary_noise_multiplier",
    "canary_activations",
    "canary_gradients",
    "cut",
    "distance_correlation",
    "epoch_batches",
    "label_auc",
    "leakage",
    "make_canaries",
    "order_digest",
    "parts_bytes",
    "simulate",
    "state_dicts",
    "traffic",
]

# The parts need torch; the settings and the traffic do not, and a plan must not load it.
_NEED_TORCH = {
    "Client": "client",
    "GaussianBoundary": "defence",
    "Joined": "joined",
    "Server": "server",
    "cut": "cutting",
    "epoch_batches": "rows",
    "order_digest": "rows",
    "parts_bytes": "state",
    "simulate": "simulation",
    "state_dicts": "state",
}


def __getattr__(name: str) -> Any:
    if name not in _NEED_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_NEED_TORCH[name]}"), name)
