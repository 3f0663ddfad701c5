"""What each operation means, in float64 numpy: the specification and the oracle of every encrypted evaluation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from reticent.lowering import ops

__all__ = ["evaluate"]

Array = NDArray[np.float64]


def evaluate(op: ops.Op, *inputs: Array) -> Array:
    """Return the result of `op` on batches `(batch, *sample shape)` of its inputs."""
    result: Array = _MEANING[type(op)](op, *inputs)
    return result


def _linear(op: ops.Linear, x: Array) -> Array:
    return x @ op.weight.T + op.bias


def _windows(
    x: Array,
    op: ops.Conv2d | ops.MaxPool2d | ops.AvgPool2d,
    kernel: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
    *,
    fill: float = 0.0,
) -> Array:
    """Return `(batch, channels, rows, columns, kernel height, kernel width)`, a view where nothing was padded."""
    x = np.pad(x, ((0, 0), (0, 0), *op.padding), constant_values=fill) if np.any(op.padding) else x
    spans = tuple(step * (size - 1) + 1 for size, step in zip(kernel, dilation, strict=True))
    views = sliding_window_view(x, spans, axis=(2, 3))
    found: Array = views[:, :, :: op.stride[0], :: op.stride[1], :: dilation[0], :: dilation[1]]
    return found


def _conv2d(op: ops.Conv2d, x: Array) -> Array:
    out, _, height, width = op.weight.shape
    windows = _windows(x, op, (height, width), op.dilation)
    batch, channels, rows, columns = windows.shape[:4]
    grouped = windows.reshape(batch, op.groups, channels // op.groups, rows, columns, height, width)
    weight = op.weight.reshape(op.groups, out // op.groups, channels // op.groups, height, width)
    result: Array = np.einsum("bgcxyhw,gochw->bgoxy", grouped, weight, optimize=True)
    return result.reshape(batch, out, rows, columns) + op.bias[:, None, None]


def _max_pool(op: ops.MaxPool2d, x: Array) -> Array:
    result: Array = _windows(x, op, op.kernel, fill=-np.inf).max(axis=(4, 5))
    return result


def _avg_pool(op: ops.AvgPool2d, x: Array) -> Array:
    result: Array = _windows(x, op, op.kernel).mean(axis=(4, 5))
    return result


def _polynomial(op: ops.Polynomial, x: Array) -> Array:
    result = np.zeros_like(x)
    for coefficient in op.coefficients[::-1]:
        result = result * x + coefficient
    return result


def _sigmoid(_: ops.Op, x: Array) -> Array:
    result: Array = 0.5 * (1.0 + np.tanh(0.5 * x))  # never overflows
    return result


def _softmax(op: ops.Softmax | ops.LogSoftmax, x: Array) -> Array:
    powers: Array = np.exp(x - x.max(axis=op.axis + 1, keepdims=True))
    result: Array = powers / powers.sum(axis=op.axis + 1, keepdims=True)
    return result


def _log_softmax(op: ops.LogSoftmax, x: Array) -> Array:
    shifted: Array = x - x.max(axis=op.axis + 1, keepdims=True)
    result: Array = shifted - np.log(np.exp(shifted).sum(axis=op.axis + 1, keepdims=True))
    return result


_MEANING: dict[type[ops.Op], Callable[..., Any]] = {
    ops.Add: lambda _, x, y: x + y,
    ops.Affine: lambda op, x: x * op.scale + op.shift,
    ops.AvgPool2d: _avg_pool,
    ops.Conv2d: _conv2d,
    ops.Linear: _linear,
    ops.LogSoftmax: _log_softmax,
    ops.MaxPool2d: _max_pool,
    ops.Multiply: lambda _, x, y: x * y,
    ops.Polynomial: _polynomial,
    ops.Relu: lambda _, x: np.maximum(x, 0.0),
    ops.Reshape: lambda op, x: x.reshape(len(x), *op.shape),
    ops.Sigmoid: _sigmoid,
    ops.Softmax: _softmax,
    ops.Square: lambda _, x: x * x,
    ops.Subtract: lambda _, x, y: x - y,
    ops.Tanh: lambda _, x: np.tanh(x),
}
