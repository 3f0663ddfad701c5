"""The messages of a federated statistic. Phases are `statistics/step`, with the steps of a secure sum."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reticent.messages import encode, record

__all__ = ["TASK", "Asked", "Opening", "Vector", "session_of"]

TASK = "statistics"


@record("analytics.opening", version=1)
@dataclass(frozen=True)
class Opening:
    """Coordinator to site, step `keys`: who takes part, and the hash of what is asked; both enter every mask."""

    members: tuple[str, ...]
    settings: bytes


@record("analytics.asked", version=1)
@dataclass(frozen=True)
class Asked:
    """Coordinator to site, step `update`: the hash of what is asked, and the site's shares of its peers."""

    settings: bytes
    shares: bytes


@record("analytics.vector", version=1)
@dataclass(frozen=True)
class Vector:
    """Site to coordinator, step `update` without masks: the noised vector."""

    values: NDArray[np.float64]


def session_of(run: str, attempt: int, opening: Opening) -> bytes:
    """Return what binds all keys and masks to this run, attempt, membership and these settings."""
    return hashlib.sha256(f"{run}\x1f{TASK}\x1f{attempt}\x1f".encode() + encode(opening)).digest()
