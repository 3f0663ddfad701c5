"""Split learning: a model cut in parts that different parties hold, and only the tensors at the cuts travel."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from reticent.split.boundary_port import Boundary, Crossing
from reticent.split.settings import Optimizer, SplitTraining

if TYPE_CHECKING:
    from reticent.split.client import Client
    from reticent.split.cutting import cut
    from reticent.split.rows import epoch_batches, order_digest
    from reticent.split.server import Finished, Metrics, Server
    from reticent.split.simulation import simulate

__all__ = [
    "Boundary",
    "Client",
    "Crossing",
    "Finished",
    "Metrics",
    "Optimizer",
    "Server",
    "SplitTraining",
    "cut",
    "epoch_batches",
    "order_digest",
    "simulate",
]

# The parts need torch; the settings and the traffic do not, and a plan must not load it.
_NEED_TORCH = {
    "Client": "client",
    "Finished": "server",
    "Metrics": "server",
    "Server": "server",
    "cut": "cutting",
    "epoch_batches": "rows",
    "order_digest": "rows",
    "simulate": "simulation",
}


def __getattr__(name: str) -> Any:
    if name not in _NEED_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_NEED_TORCH[name]}"), name)
