"""How good a model is on held-out rows: exact figures, which stay at the site, and noised ones, which may leave."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reticent.data import Examples
from reticent.dp import Gaussian, Grant, add_gaussian
from reticent.errors import PolicyRefused
from reticent.training.alone import each_alone, unless_memory
from reticent.training.per_example import Loss
from reticent.training.plain import tensors_of

__all__ = ["METRICS_GRID", "Evaluation", "evaluate", "noised_confusion", "predict_classes", "unit_confusion"]

METRICS_GRID = 2.0**-10
_BATCH = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Exact figures of one model on one site's rows. They are about people and stay where those are.

    Attributes:
      confusion: int64 `(classes, classes)`, rows are the truth, columns the prediction; `(0, 0)` for numeric labels.
      loss_sum: Sum of the losses of all rows.
      rows: How many rows were complete, and so counted.
    """

    confusion: NDArray[np.int64]
    loss_sum: float
    rows: int

    @property
    def accuracy(self) -> float | None:
        """Share of rows that were predicted right; None without classes or rows."""
        total = int(self.confusion.sum())
        return float(np.trace(self.confusion)) / total if total else None


def evaluate(model: nn.Module, loss: Loss, examples: Examples, classes: int) -> Evaluation:
    """Return exact figures, in evaluation mode; rows that are not finite, or on which the model raises, are left out.

    Args:
      model: Left as it was.
      loss: A mean or a sum over the batch; which of the two is found out.
      examples: Possibly none.
      classes: Number of label classes; 0 for a numeric label.
    """
    features, labels = tensors_of(examples, model)
    found = Evaluation(np.zeros((classes, classes), dtype=np.int64), 0.0, 0)
    with _evaluating(model):
        for batch in zip(torch.split(features, _BATCH), torch.split(labels, _BATCH), strict=True):
            if len(batch[1]):
                found = _evaluated(model, loss, *batch, found)
    return found


def _evaluated(model: nn.Module, loss: Loss, x: Tensor, y: Tensor, before: Evaluation) -> Evaluation:
    """Return `before` with one batch more."""
    classes = len(before.confusion)
    try:
        outputs = model(x)
        total = float(loss(outputs, y)) * (1 if _is_sum(loss, outputs, y) else len(y))
    except Exception as error:  # an error would stop a site for some people's rows only
        unless_memory(error)
        if len(y) == 1:
            return before
        for row in range(len(y)):
            before = _evaluated(model, loss, x[row : row + 1], y[row : row + 1], before)
        return before
    confusion = before.confusion
    if classes:
        cells = (y * classes + predict_classes(outputs)).cpu().numpy()
        confusion = confusion + np.bincount(cells, minlength=classes**2).reshape(classes, classes)
    return Evaluation(confusion, before.loss_sum + total, before.rows + len(y))


def unit_confusion(model: nn.Module, examples: Examples, classes: int) -> NDArray[np.float64]:
    """Return each unit's share of the confusion matrix, float64 `(units, classes * classes)`.

    A unit's rows share a weight of 1, each share rounded *down* to `METRICS_GRID`, so that its contribution has an L2
    norm of at most 1 exactly, and sums are exact. Rows that are not finite or on which the model raises, and labels
    outside the classes, count for nothing; they still take their part of their unit's weight. The model is given one
    row at a time: what it makes of a batch is not bounded, should it mix rows that no check thought of.
    """
    shares = np.zeros((examples.n_units, classes**2))
    if not len(examples):
        return shares
    usable = np.flatnonzero(examples.complete & (examples.labels >= 0) & (examples.labels < classes))
    kept = Examples(examples.features[usable], examples.labels[usable], np.arange(len(usable)))
    features, labels = tensors_of(kept, model)
    predicted = np.zeros(len(usable))

    def class_of_one(row: Tensor) -> Tensor:
        return predict_classes(model(row.unsqueeze(0)))[0]

    with _evaluating(model):
        for start in range(0, len(usable), _BATCH):
            part = slice(start, start + _BATCH)
            predicted[part] = each_alone(class_of_one, features[part]).cpu().numpy()
    found = np.isfinite(predicted)
    cells = labels.cpu().numpy()[found] * classes + predicted[found].astype(np.int64)
    np.add.at(shares, (examples.units[usable][found], cells), 1.0)
    shares /= np.bincount(examples.units, minlength=len(shares))[:, None]
    return np.floor(shares / METRICS_GRID) * METRICS_GRID


def noised_confusion(shares: NDArray[np.float64], *, event: Gaussian, grant: Grant) -> NDArray[np.float64]:
    """Return the sum of the units' shares with the noise of `event`, float64 `(classes * classes,)`.

    Args:
      shares: As `unit_confusion` makes them, `(units, classes * classes)`; also with no units at all.
      event: Its noise multiplier is relative to one unit's contribution of norm 1.
      grant: Paid for `event`.

    Raises:
      PolicyRefused: If a unit's share is not a multiple of the grid of norm at most 1, or the event was not paid for.
    """
    steps = np.rint(shares / METRICS_GRID).astype(np.int64)
    if not (np.array_equal(steps * METRICS_GRID, shares) and ((steps**2).sum(axis=1) <= METRICS_GRID**-2).all()):
        raise PolicyRefused(
            "share-not-bounded",
            f"a unit's share of the counts is not a multiple of {METRICS_GRID} with norm at most 1",
            hint="pass what unit_confusion returned, one row for each unit, before any sum",
        )
    return add_gaussian(steps.sum(axis=0), event=event, sensitivity=1.0, grid=METRICS_GRID, grant=grant)


def predict_classes(outputs: Tensor) -> Tensor:
    """Return class numbers, int64 `(n,)`: the largest output, or whether a single output is above 0."""
    flat = outputs.flatten(1) if outputs.ndim > 1 else outputs.unsqueeze(1)
    return flat.argmax(1) if flat.shape[1] > 1 else (flat[:, 0] > 0).long()


def _is_sum(loss: Loss, outputs: Tensor, labels: Tensor) -> bool:
    """Whether one example given twice costs twice as much."""
    once = float(loss(outputs[:1], labels[:1]))
    twice = float(loss(outputs[:1].expand(2, *outputs.shape[1:]), labels[:1].expand(2)))
    return abs(twice - once) > 0.5 * abs(once)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    modes = [(layer, layer.training) for layer in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for layer, mode in modes:
            layer.training = mode
