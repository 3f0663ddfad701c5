"""Which pixels each window of a convolution or a pool covers, as tables of public positions (im2col)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reticent.lowering import ops

__all__ = ["convolution_table", "pool_table"]

Indices = NDArray[np.intp]


def _axis(size: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int) -> Indices:
    """Return `(windows, kernel)` positions along one axis; those in the padding lie outside `0 ... size - 1`."""
    span = dilation * (kernel - 1) + 1
    count = (size + sum(padding) - span) // stride + 1
    return np.asarray(np.arange(count)[:, None] * stride + np.arange(kernel) * dilation - padding[0], dtype=np.intp)


def convolution_table(op: ops.Conv2d, channels: int, height: int, width: int) -> Indices:
    """Return `(windows, channels * kernel height * kernel width)` positions in a flattened sample.

    Position `channels * height * width`, one past the sample, stands for a zero of the padding.
    """
    rows = _axis(height, op.weight.shape[2], op.stride[0], op.padding[0], op.dilation[0])
    columns = _axis(width, op.weight.shape[3], op.stride[1], op.padding[1], op.dilation[1])
    y, x = rows[:, None, :, None], columns[None, :, None, :]
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    plane = y * width + x
    offsets = np.arange(channels)[:, None, None] * (height * width)
    table = np.where(inside[:, :, None], plane[:, :, None] + offsets, channels * height * width)
    return table.reshape(len(rows) * len(columns), -1)


def pool_table(op: ops.MaxPool2d | ops.AvgPool2d, height: int, width: int) -> Indices:
    """Return `(windows, kernel height * kernel width)` positions in a flattened channel, `height * width` for padding."""
    rows = _axis(height, op.kernel[0], op.stride[0], op.padding[0], 1)
    columns = _axis(width, op.kernel[1], op.stride[1], op.padding[1], 1)
    if isinstance(op, ops.MaxPool2d):
        # A repeated value changes no maximum, so padding repeats a pixel of its own window: minus infinity is no code.
        rows, columns = _inside(rows, height), _inside(columns, width)
    y, x = rows[:, None, :, None], columns[None, :, None, :]
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    return np.where(inside, y * width + x, height * width).reshape(len(rows) * len(columns), -1)


def _inside(positions: Indices, size: int) -> Indices:
    valid = (positions >= 0) & (positions < size)
    first = positions[np.arange(len(positions)), valid.argmax(axis=1)]
    return np.where(valid, positions, first[:, None])
