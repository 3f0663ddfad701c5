"""The messages of split learning. Phases are named `task/step`, a step of a batch with the batch's number.

    train/open       to every site: an epoch begins                     rows, digest of their order, key for hand-overs
    train/take       to one site: the parts that another handed on      nothing
    train/batch-17   gradient at the cut of batch 16                    activations of batch 17, in vanilla its labels
    train/head-17    output of the middle                               gradient at the upper cut
    train/close      gradient of the last batch                         the parts, sealed for the next site
    train/keep       to every site: the epoch is done                   nothing; the site keeps a checkpoint
    evaluate/...     open, batch-N, head-N, close, without gradients; close answers with counts where the labels are

No label is in any message of the shapes with a head. Tensors travel as arrays: no graph, no pickle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent.messages import record

__all__ = [
    "EVALUATE",
    "TRAIN",
    "Activations",
    "BatchRequest",
    "CloseRequest",
    "Counts",
    "Handed",
    "HeadGradient",
    "HeadRequest",
    "HeldParts",
    "Nothing",
    "Open",
    "Opened",
]

TRAIN = "train"
EVALUATE = "evaluate"


@record("split.open", version=1)
@dataclass(frozen=True)
class Open:
    """Coordinator to site: a task begins, under these settings."""

    settings: bytes


@record("split.opened", version=1)
@dataclass(frozen=True)
class Opened:
    """Site to coordinator: how many rows, the digest of their ids in order (vertical), a key to seal parts for it."""

    rows: int
    order: bytes
    key: bytes
    signature: bytes


@record("split.batch", version=1)
@dataclass(frozen=True)
class BatchRequest:
    """Coordinator to site: the gradient of the batch before (None for the first), which asks for the next batch."""

    gradient: NDArray[Any] | None


@record("split.activations", version=1)
@dataclass(frozen=True)
class Activations:
    """Site to coordinator: `values` of shape (rows, *width); `labels` (rows,) in the shape vanilla, else None."""

    values: NDArray[Any]
    labels: NDArray[Any] | None


@record("split.head", version=1)
@dataclass(frozen=True)
class HeadRequest:
    """Coordinator to the site with the labels: what the middle computed."""

    values: NDArray[Any]


@record("split.head-gradient", version=1)
@dataclass(frozen=True)
class HeadGradient:
    """Site with the labels to coordinator: the gradient of the loss with respect to what the middle computed."""

    gradient: NDArray[Any]


@record("split.close", version=1)
@dataclass(frozen=True)
class CloseRequest:
    """Coordinator to site: the last gradient, and the keys of the sites that take over."""

    gradient: NDArray[Any] | None
    keys: Mapping[str, bytes]
    signatures: Mapping[str, bytes]


@record("split.handed", version=1)
@dataclass(frozen=True)
class Handed:
    """Site to coordinator: its parts, sealed for each recipient; the coordinator passes them on unread."""

    sealed: Mapping[str, bytes]


@record("split.held", version=1)
@dataclass(frozen=True)
class HeldParts:
    """Coordinator to site: parts from `sender`, sealed for this site; empty where it needs none."""

    sender: str
    sealed: bytes


@record("split.nothing", version=1)
@dataclass(frozen=True)
class Nothing:
    """Site to coordinator: done."""


@record("split.counts", version=1)
@dataclass(frozen=True)
class Counts:
    """Site with labels to coordinator: confusion counts (classes * classes,), and without noise also loss and AUC."""

    confusion: NDArray[np.float64]
    loss_sum: float | None
    rows: int | None
    auc: float | None
