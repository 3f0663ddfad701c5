"""Tries a model and a loss on made-up examples before any data are read."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from reticent.errors import UsageError
from reticent.training.mixing import mixing_layers
from reticent.training.per_example import Loss
from reticent.training.synthetic import synthetic_features, synthetic_labels
from reticent.training.vectors import vector_length

__all__ = ["check_model", "probe_model"]


def probe_model(
    factory: Callable[[], nn.Module], input_shape: tuple[int, ...], classes: int, loss: Loss
) -> dict[str, Any]:
    """Make the model once and report what a plan must know of it.

    Args:
      factory: Makes the model, without arguments.
      input_shape: Of one example.
      classes: Number of label classes; 0 for a numeric label.
      loss: Called on the outputs and labels of a batch, and of one example.

    Returns:
      `parameters` (trained values), `vector_length` (values that travel), `outputs` (values for one example) and
      `mixing_layers` (names; empty unless examples are mixed).

    Raises:
      UsageError: If the model or the loss cannot be used; see `check_model`.
    """
    model = factory()
    if not isinstance(model, nn.Module):
        raise UsageError(
            "not-a-model",
            f"the model factory returned {type(model).__name__}",
            hint="return a torch.nn.Module from the function that the study names as model.factory",
        )
    features, labels, outputs = check_model(model, loss, input_shape, classes=classes)
    return {
        "parameters": sum(value.numel() for value in model.parameters() if value.requires_grad),
        "vector_length": vector_length(model),
        "outputs": outputs[0].numel(),
        "mixing_layers": mixing_layers(model, loss, features, labels),
    }


def check_model(
    model: nn.Module, loss: Loss, input_shape: tuple[int, ...], *, classes: int | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Run the model and the loss on four made-up examples, and on one alone.

    Args:
      model: Left as it was, but for its training mode, which is restored.
      loss: Called on the outputs and labels.
      input_shape: Of one example.
      classes: Number of label classes; 0 for a numeric label; None to take what fits the outputs.

    Returns:
      Features, labels and outputs.

    Raises:
      UsageError: `model-rejects-input`, `model-output-shape`, `model-returns-nan`, or `loss-shape`.
    """
    features = synthetic_features(model, input_shape)
    outputs = _outputs(model, features)
    _outputs(model, features[:1])
    width = outputs[0].numel()
    if classes is None:
        classes = max(2, width)
    if classes and width != classes and not (classes == 2 and width == 1):
        raise UsageError(
            "model-output-shape",
            f"the model returns {width} values for one example, and the label has {classes} classes",
            hint=f"make its last layer return {classes} values" + (", or 1" if classes == 2 else ""),
        )
    labels = synthetic_labels(outputs, classes=classes)
    for rows in (len(labels), 1):
        _check_loss(loss, outputs[:rows], labels[:rows])
    return features, labels, outputs


def _outputs(model: nn.Module, features: Tensor) -> Tensor:
    modes = [(layer, layer.training) for layer in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            outputs = model(features)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise UsageError(
            "model-rejects-input",
            f"{type(model).__name__} fails on a batch of shape {tuple(features.shape)}: {_first_line(error)}",
            hint="make the model take (batch, *input_shape), with input_shape as the data contract gives it",
        ) from error
    finally:
        for layer, mode in modes:
            layer.training = mode
    if not isinstance(outputs, Tensor) or outputs.ndim == 0 or len(outputs) != len(features):
        shape = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise UsageError(
            "model-output-shape",
            f"{type(model).__name__} returned {shape} for a batch of shape {tuple(features.shape)}",
            hint="return one tensor whose first dimension is the batch, one row of outputs for each example",
        )
    if not outputs.isfinite().all():
        raise UsageError(
            "model-returns-nan",
            f"{type(model).__name__} returns NaN or infinite values for a batch of made-up numbers in [0, 2)",
            hint="check its initialisation and its logarithms and divisions; in a later round, lower learning_rate",
        )
    return outputs


def _check_loss(loss: Loss, outputs: Tensor, labels: Tensor) -> None:
    shapes = f"outputs {tuple(outputs.shape)} and labels {tuple(labels.shape)} ({labels.dtype})"
    try:
        with torch.no_grad(), warnings.catch_warnings():
            # torch only warns when a loss broadcasts (n, 1) against (n,) and so trains on n * n pairs.
            warnings.filterwarnings("error", message="Using a target size")
            value = loss(outputs, labels)
    except (RuntimeError, ValueError, TypeError, IndexError, UserWarning) as error:
        raise UsageError(
            "loss-shape",
            f"the loss fails on {shapes}: {_first_line(error)}",
            hint="make outputs and loss fit each other; loss_by_name('cross_entropy' | "
            "'binary_cross_entropy_with_logits' | 'mse_loss') reshape labels themselves",
        ) from error
    if not isinstance(value, Tensor) or value.ndim != 0:
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise UsageError(
            "loss-shape",
            f"the loss returned {shape} for {shapes}, not one number",
            hint="reduce it to a scalar, for example with reduction='mean'",
        )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
