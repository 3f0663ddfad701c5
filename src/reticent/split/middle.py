"""What the coordinator computes: with labels it learns, without it passes forward and backward."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reticent.errors import DataError
from reticent.split.labels import LabelSide
from reticent.split.settings import SplitTraining
from reticent.split.sides import Side
from reticent.split.state import pack, unpack

__all__ = ["Middle"]


class Middle:
    """The coordinator's part.

    Attributes:
      top: The part with the loss, where the coordinator has labels (vanilla, vertical without a label site).
      side: The part with its optimiser, in all shapes.
      order: Digest of the ids of the coordinator's labels; empty without.
    """

    def __init__(self, part: nn.Module, settings: SplitTraining, labels: Any, test_labels: Any, order: bytes) -> None:
        self.side = Side(part, settings.server_optimizer)
        self.top = None if settings.head_sites else LabelSide(self.side, settings)
        self.labels = None if labels is None else _labels_of(labels, part)
        self.test_labels = _labels_of(test_labels if test_labels is not None else np.zeros(0, dtype=np.int64), part)
        self.order = order
        if self.labels is not None and settings.classes:
            _require_classes(self.labels, settings.classes)
            _require_classes(self.test_labels, settings.classes)

    def pack(self) -> bytes:
        """Return the part as bytes."""
        return pack({"part": self.side}, generator=True)

    def unpack(self, data: bytes) -> None:
        """Read the part from bytes."""
        self.side.drop()
        unpack({"part": self.side}, data, generator=True)


def _labels_of(values: Any, part: nn.Module) -> Tensor:
    like = next((value for value in part.parameters() if value.is_floating_point()), torch.empty(0))
    labels = torch.from_numpy(np.asarray(values).copy())
    return labels.to(like.device, like.dtype) if labels.is_floating_point() else labels.to(like.device, torch.int64)


def _require_classes(labels: Tensor, classes: int) -> None:
    if labels.is_floating_point() or bool(((labels < 0) | (labels >= classes)).any()):
        raise DataError(
            "label-not-a-class",
            f"labels of the coordinator are not the class numbers 0 to {classes - 1}",
            hint="number the classes from 0, and give the settings their number",
        )
