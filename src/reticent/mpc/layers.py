"""What each operation of a lowered program is under sharing.

A layer is a function of shared values and shared weights. Weights come in the layout in which they are multiplied, so
that their owner brings them there in clear text and nobody moves them afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent.errors import UsageError
from reticent.lowering import Op, ops
from reticent.mpc.arithmetic import product, stack
from reticent.mpc.nn_convolution import Convolution
from reticent.mpc.nn_windows import pool_table
from reticent.mpc.tensor import Tensor

__all__ = ["apply", "layout", "require_offered"]

Array = NDArray[np.float64]
Weights = Mapping[str, Tensor]


def require_offered(op: Op) -> None:
    """Refuse an operation that has no protocol here.

    Raises:
      UsageError: With code `layer-not-shared`, naming it and what to do.
    """
    if type(op) not in _LAYERS:
        raise UsageError(
            "layer-not-shared",
            f"{op.kind} at {op.place or op.name} is not offered under sharing",
            hint="leave a final log-softmax out: the order of the classes stays; apply it once the result is open",
        )


def layout(op: Op) -> dict[str, Array]:
    """Return the parameters of `op` that its owner keeps secret, as they are multiplied.

    A `Linear` becomes `(in, out)`, a `Conv2d` `(groups, in / groups * height * width, out / groups)`. Public constants
    of the model's code are no secret and not among them.
    """
    if getattr(op, "public", False):
        return {}
    parameters = dict(op.parameters)
    if isinstance(op, ops.Linear):
        parameters["weight"] = op.weight.T
    if isinstance(op, ops.Conv2d):
        out = len(op.weight)
        grouped = op.weight.reshape(op.groups, out // op.groups, -1)
        parameters["weight"] = grouped.transpose(0, 2, 1)
    return parameters


def apply(op: Op, weights: Weights, *inputs: Tensor) -> Tensor:
    """Return the shared result of `op` for shared batches `(batch, *sample)`."""
    return _LAYERS[type(op)](op, weights, *inputs)


def _linear(_: ops.Linear, weights: Weights, x: Tensor) -> Tensor:
    *leading, features = x.shape
    outcome = x.reshape(-1, features) @ weights["weight"] + weights["bias"]
    return outcome if len(leading) == 1 else outcome.reshape(*leading, outcome.shape[-1])


def _conv2d(op: ops.Conv2d, weights: Weights, x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    geometry = Convolution.of(op, (channels, height, width))
    outcome = product(geometry.kind, x.reshape(batch, channels * height * width), weights["weight"])
    return (outcome + weights["bias"]).transpose(0, 2, 1).reshape(batch, *op.shape)


def _gather(flat: Tensor, table: NDArray[np.intp]) -> Tensor:
    """Return `flat[..., table]`; the position one past the end of `flat` is a zero. No message."""
    size = flat.shape[-1]
    padded = bool(table.max(initial=0) == size)

    def gather(words: NDArray[Any]) -> NDArray[Any]:
        if padded:
            words = np.concatenate([words, np.zeros((*words.shape[:-1], 1), words.dtype)], axis=-1)
        return np.take(words, table, axis=-1)

    shape = (*flat.shape[:-1], *table.shape)
    return flat.session.local(lambda shared: shared.map(gather), [flat], shape=shape, fraction=flat.fraction)


def _max_pool(op: ops.MaxPool2d, _: Weights, x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    windows = _gather(x.reshape(batch, channels, height * width), pool_table(op, height, width))
    return windows.max(axis=-1).reshape(batch, *op.shape)


def _avg_pool(op: ops.AvgPool2d, _: Weights, x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    windows = _gather(x.reshape(batch, channels, height * width), pool_table(op, height, width))
    return (windows.sum(axis=-1) * (1.0 / (op.kernel[0] * op.kernel[1]))).reshape(batch, *op.shape)


def _affine(op: ops.Affine, weights: Weights, x: Tensor) -> Tensor:
    if op.public:
        scaled = x if np.all(op.scale == 1.0) else x * op.scale
        return scaled if not np.any(op.shift) else scaled + op.shift
    return x * weights["scale"] + weights["shift"]


def _polynomial(op: ops.Polynomial, weights: Weights, x: Tensor) -> Tensor:
    """All powers by products of two lower ones, in few rounds; then one inner product with the coefficients."""
    powers = {1: x}
    for degree in range(2, len(op.coefficients)):
        half = degree // 2
        lower, upper = powers[half], powers[degree - half]
        powers[degree] = lower.square() if half * 2 == degree else lower * upper
    stacked = stack(list(powers.values()), axis=-1)
    coefficients: Any = op.coefficients if op.public else weights["coefficients"]
    inner = stacked.reshape(-1, len(powers)) @ coefficients[1:].reshape(-1, 1)
    result: Tensor = inner.reshape(*x.shape) + coefficients[0]
    return result


def _softmax(op: ops.Softmax, _: Weights, x: Tensor) -> Tensor:
    return x.softmax(axis=op.axis + 1)


_LAYERS: dict[type[Op], Callable[..., Tensor]] = {
    ops.Add: lambda _, __, x, y: x + y,
    ops.Affine: _affine,
    ops.AvgPool2d: _avg_pool,
    ops.Conv2d: _conv2d,
    ops.Linear: _linear,
    ops.MaxPool2d: _max_pool,
    ops.Multiply: lambda _, __, x, y: x * y,
    ops.Polynomial: _polynomial,
    ops.Relu: lambda _, __, x: x.relu(),
    ops.Reshape: lambda op, _, x: x.reshape(x.shape[0], *op.shape),
    ops.Sigmoid: lambda _, __, x: x.sigmoid(),
    ops.Softmax: _softmax,
    ops.Square: lambda _, __, x: x.square(),
    ops.Subtract: lambda _, __, x, y: x - y,
    ops.Tanh: lambda _, __, x: x.tanh(),
}
