"""A loss whose rows do not mix: what the defence of labels needs, since it clips the gradient of each row's own loss.

Whether they mix depends on the outputs' shape, which the coordinator chooses: broadcast against outputs of (n, n), every
label is in every row's gradient; and a loss that fails on outputs too narrow fails for some labels and not for others.
So a loss is tried beforehand, and no outputs are used but of shapes that it was tried with.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from reticent.errors import PolicyRefused, UsageError
from reticent.training import Loss, refuse_mixing

__all__ = ["refuse_mixing_loss"]

_ROWS = 6


def refuse_mixing_loss(loss: Loss, classes: int) -> frozenset[tuple[int, ...]]:
    """Refuse a loss in which one row's label changes the gradient of another row, such as a mean by class weights.

    Args:
      loss: A mean or a sum over rows of one term for each.
      classes: Number of label classes; 0 for a numeric label.

    Returns:
      The shapes of one row's outputs with which it takes every label and mixes no rows.

    Raises:
      PolicyRefused: With code `mixes-examples`, if it mixes rows of all shapes that it takes.
      UsageError: With code `loss-shape`, if it takes neither one output for each class nor a single one.
    """
    taken, mixes, problem = set[tuple[int, ...]](), None, ""
    rows = max(_ROWS, classes)  # every class once: a label that the loss cannot take is found here, not during the run
    labels = torch.arange(rows) % classes if classes else torch.linspace(0, 1, rows, dtype=torch.float64)
    for shape in dict.fromkeys(((max(1, classes),), (1,), ())):
        outputs = torch.linspace(-1, 1, rows * math.prod(shape), dtype=torch.float64).reshape(rows, *shape)
        try:
            loss(outputs, labels)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            problem = problem or (str(error).splitlines() or [type(error).__name__])[0][:200]
            continue
        try:
            refuse_mixing(nn.Identity(), loss, outputs, labels)
            taken.add(shape)
        except PolicyRefused as error:
            mixes = mixes or error
    if taken:
        return frozenset(taken)
    if mixes is not None:
        raise mixes
    raise UsageError(
        "loss-shape",
        f"the loss cannot be tried on made-up outputs for {classes} classes: {problem}",
        hint="give a loss that takes one output for each class, or one in all",
    )
