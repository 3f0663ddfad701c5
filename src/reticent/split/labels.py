"""The side of the labels: the last part, the loss, and the counts of an evaluation. At a site, or the coordinator."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reticent.errors import IdentityError
from reticent.split.settings import SplitTraining
from reticent.split.sides import Side
from reticent.training import loss_by_name, predict_classes

__all__ = ["Counted", "LabelSide", "area_under_curve"]


@dataclass
class Counted:
    """What an evaluation found, batch after batch, about one party's held-out rows."""

    classes: int
    truth: list[NDArray[Any]] = field(default_factory=list)
    predicted: list[NDArray[Any]] = field(default_factory=list)
    scores: list[NDArray[Any]] = field(default_factory=list)
    loss_sum: float = 0.0
    rows: int = 0

    def confusion(self) -> NDArray[np.float64]:
        """Return the counts, shape (classes * classes,): the truth times classes plus the prediction."""
        if not self.truth or not self.classes:
            return np.zeros(self.classes**2)
        cells = np.concatenate(self.truth) * self.classes + np.concatenate(self.predicted)
        return np.bincount(cells, minlength=self.classes**2).astype(np.float64)

    def loss(self) -> float | None:
        """Return the mean loss; None without rows, or if it is not finite."""
        return self.loss_sum / self.rows if self.rows and math.isfinite(self.loss_sum) else None

    def auc(self) -> float | None:
        """Return the area under the ROC curve; None unless there are two classes with rows in both."""
        if self.classes != 2 or not self.truth:
            return None
        return area_under_curve(np.concatenate(self.truth), np.concatenate(self.scores))


class LabelSide:
    """The last part with the loss.

    Args:
      side: Head or top.
      settings: Loss and classes.

    Attributes:
      loss: A mean over the rows of a batch, of (outputs, labels).
      shapes: Where labels are defended, the shapes of one row's outputs that are taken; None for any.
    """

    def __init__(self, side: Side, settings: SplitTraining) -> None:
        self.side = side
        self.loss = loss_by_name(settings.loss) if isinstance(settings.loss, str) else settings.loss
        self.shapes: frozenset[tuple[int, ...]] | None = None
        self._classes = settings.classes
        self.counted = Counted(self._classes)

    def learn(self, values: Tensor, labels: Tensor, protect: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Make one step on a batch and return the gradient with respect to `values`.

        Args:
          values: What the part below computed, `(rows, *width)`.
          labels: `(rows,)`.
          protect: From the gradient of each row's own loss with respect to its outputs to what may be used of it.
        """
        outputs = self.side.forward(values)
        inner = outputs.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(self._mean(inner, labels), inner)
        if protect is not None:
            gradient = protect(gradient * len(labels)) / len(labels)
        below = self.side.backward(gradient)
        assert below is not None  # noqa: S101  (a last part is never a first one)
        return below

    def count(self, values: Tensor, labels: Tensor) -> None:
        """Add the rows of one batch to the evaluation."""
        outputs = self.side.infer(values)
        counted = self.counted
        counted.loss_sum += float(self._mean(outputs, labels)) * len(labels)
        counted.rows += len(labels)
        if self._classes:
            counted.truth.append(labels.cpu().numpy().astype(np.int64))
            counted.predicted.append(predict_classes(outputs).cpu().numpy())
        if self._classes == 2:
            flat = outputs.reshape(len(outputs), -1)
            score = flat[:, 1] - flat[:, 0] if flat.shape[1] > 1 else flat[:, 0]
            counted.scores.append(score.cpu().numpy().astype(np.float64))

    def _mean(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return the loss; what another party sent may make outputs that fit no loss.

        Raises:
          IdentityError: With code `wrong-activations`, whatever the labels are where they are defended.
        """
        if self.shapes is not None and (len(outputs) != len(labels) or tuple(outputs.shape[1:]) not in self.shapes):
            raise _wrong_outputs(outputs)
        try:
            return self.loss(outputs, labels)
        except (IndexError, RuntimeError, TypeError, ValueError) as error:
            raise _wrong_outputs(outputs) from error

    def begin_count(self) -> None:
        """Start an evaluation anew."""
        self.counted = Counted(self._classes)


def _wrong_outputs(outputs: Tensor) -> IdentityError:
    return IdentityError(
        "wrong-activations",
        f"what arrived makes outputs of shape {tuple(outputs.shape)} and type {outputs.dtype}, which the loss cannot take",
        hint="run the same version, the same model and the same settings at every party, and a loss that fits the model",
    )


def area_under_curve(truth: NDArray[Any], scores: NDArray[Any]) -> float | None:
    """Return how often a row of class 1 scores above one of class 0, ties counting half (Mann and Whitney 1947)."""
    ones, zeros = scores[truth == 1], scores[truth == 0]
    if not len(ones) or not len(zeros):
        return None
    ordered = np.sort(zeros)
    below = np.searchsorted(ordered, ones, side="left") + np.searchsorted(ordered, ones, side="right")
    return float(below.sum() / (2 * len(ones) * len(zeros)))
