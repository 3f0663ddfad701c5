"""How a model is refused: always with the layer, where it stands, and what is offered."""

from __future__ import annotations

from reticent.errors import UsageError

__all__ = ["OFFERED", "mixes_examples", "unsupported"]

OFFERED = (
    "Linear, Conv2d, BatchNorm1d/2d, ReLU, LeakyReLU, SiLU, Sigmoid, Tanh, Softmax, LogSoftmax, MaxPool2d, AvgPool2d, "
    "AdaptiveAvgPool2d, Flatten, reshape, Dropout, +, -, * and whole powers, and products and sums with parameters"
)


def unsupported(what: str, place: str, hint: str | None = None) -> UsageError:
    """Return the refusal of `what` (a layer with the setting at fault) at `place` of the model."""
    return UsageError(
        "unsupported-layer",
        f"{what} at {place} is no operation that can be lowered",
        hint=hint or f"replace it; offered are {OFFERED}",
    )


def mixes_examples(what: str, place: str) -> UsageError:
    """Return the refusal of an operation whose result for one sample depends on the others of its batch."""
    return UsageError(
        "lowering-mixes-examples",
        f"{what} at {place} mixes the examples of a batch, or moves the batch away from the first axis",
        hint="let every operation treat each example alone; batch norm needs track_running_stats=True",
    )
