"""Which pixels each window of a convolution or a pool covers, as tables of public positions (im2col)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reticent.lowering import ops

__all__ = ["Axis", "pool_table", "window_table"]

Indices = NDArray[np.intp]
Axis = tuple[int, int, int, tuple[int, int], int]


def _axis(size: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int) -> Indices:
    """Return `(windows, kernel)` positions along one axis; those in the padding lie outside `0 ... size - 1`."""
    span = dilation * (kernel - 1) + 1
    count = (size + sum(padding) - span) // stride + 1
    return np.asarray(np.arange(count)[:, None] * stride + np.arange(kernel) * dilation - padding[0], dtype=np.intp)


def window_table(channels: int, rows: Axis, columns: Axis) -> Indices:
    """Return `(windows, channels * kernel height * kernel width)` positions in a flattened sample.

    Position `channels * height * width`, one past the sample, stands for a zero of the padding.

    Args:
      channels: Of the sample.
      rows: Height of the sample, and kernel, stride, padding and dilation along it.
      columns: The same for its width.
    """
    height, width = rows[0], columns[0]
    y, x = _axis(*rows)[:, None, :, None], _axis(*columns)[None, :, None, :]
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    plane = y * width + x
    offsets = np.arange(channels)[:, None, None] * (height * width)
    table = np.where(inside[:, :, None], plane[:, :, None] + offsets, channels * height * width)
    return table.reshape(table.shape[0] * table.shape[1], -1)


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
