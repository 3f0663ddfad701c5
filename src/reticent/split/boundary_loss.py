"""A loss whose rows do not mix: what the defence of labels needs, since it clips the gradient of each row's own loss."""

from __future__ import annotations

import torch
from torch import nn

from reticent.errors import UsageError
from reticent.training import Loss, refuse_mixing

__all__ = ["refuse_mixing_loss"]


def refuse_mixing_loss(loss: Loss, classes: int) -> None:
    """Refuse a loss in which one row's label changes the gradient of another row, such as a mean by class weights.

    Args:
      loss: A mean or a sum over rows of one term for each.
      classes: Number of label classes; 0 for a numeric label.

    Raises:
      PolicyRefused: With code `mixes-examples`.
      UsageError: With code `loss-shape`, if it takes neither one output for each class nor a single one.
    """
    problem = ""
    for width in dict.fromkeys((max(1, classes), 1)):
        outputs = torch.linspace(-1, 1, 6 * width, dtype=torch.float64).reshape(6, width)
        labels = torch.arange(6) % classes if classes else torch.linspace(0, 1, 6, dtype=torch.float64)
        try:
            loss(outputs, labels)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            problem = (str(error).splitlines() or [type(error).__name__])[0][:200]
            continue
        refuse_mixing(nn.Identity(), loss, outputs, labels)
        return
    raise UsageError(
        "loss-shape",
        f"the loss cannot be tried on made-up outputs for {classes} classes: {problem}",
        hint="give a loss that takes one output for each class, or one in all",
    )
