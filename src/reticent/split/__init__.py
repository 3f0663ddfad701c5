"""Split learning: a model cut in parts that different parties hold, and only the tensors at the cuts travel."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from reticent.split.boundary_port import Boundary, Crossing

if TYPE_CHECKING:
    from reticent.split.cutting import cut

__all__ = ["Boundary", "Crossing", "cut"]

# The parts need torch; the settings and the traffic do not, and a plan must not load it.
_NEED_TORCH = {"cut": "reticent.split.cutting"}


def __getattr__(name: str) -> Any:
    if name not in _NEED_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_NEED_TORCH[name]), name)
