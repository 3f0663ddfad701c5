"""The messages of federated learning: what a coordinator asks and what a site answers, phase by phase.

Phases are named `task/step`. Under plain aggregation a task is the one step `update`; under secure aggregation it is
`keys`, `shares`, `update`, `unmask` (Bonawitz et al., CCS 2017). Roster, shares and survivors are messages of
`reticent.secagg` and pass through here unread.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent.messages import encode, record

__all__ = ["EVALUATE", "STATISTICS", "TRAIN", "PlainUpdate", "RoundOpening", "UpdateRequest", "session_of"]

TRAIN = "train"
EVALUATE = "evaluate"
STATISTICS = "statistics"


@record("federated.opening", version=1)
@dataclass(frozen=True)
class RoundOpening:
    """Coordinator to site, step `keys`: who takes part, and the hash of the model that all will receive.

    The hash enters every mask, so that sites that are given different models produce masks that do not cancel
    (Pasquini, Francati, Ateniese, CCS 2022).
    """

    members: tuple[str, ...]
    model_hash: bytes


@record("federated.request", version=1)
@dataclass(frozen=True)
class UpdateRequest:
    """Coordinator to site, step `update`: the model, and under secure aggregation the site's shares of its peers."""

    model: NDArray[Any]
    shares: bytes


@record("federated.update", version=1)
@dataclass(frozen=True)
class PlainUpdate:
    """Site to coordinator, step `update` of plain aggregation: the weighted update or the counts, in the clear."""

    values: NDArray[np.float64]


def session_of(run: str, task: str, number: int, attempt: int, opening: RoundOpening) -> bytes:
    """Return what binds all keys and masks to this task, attempt, membership and model."""
    name = f"{run}\x1f{task}\x1f{number}\x1f{attempt}\x1f".encode()
    return hashlib.sha256(name + encode(opening)).digest()
