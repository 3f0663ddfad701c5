"""Convolution as one bilinear product, so that masked images are opened once and not once for every window.

Written as a matrix product of windows (im2col), a 5 by 5 convolution would open, and the dealer would mask, every pixel
25 times. Here the mask covers the image; the windows are cut from the opened difference by each party for itself.
"""

from __future__ import annotations

import functools
from dataclasses import astuple, dataclass

import numpy as np

from reticent.lowering import ops
from reticent.mpc.nn_windows import window_table
from reticent.mpc.products import matmul
from reticent.mpc.rounds import Words

__all__ = ["Convolution"]

_LARGEST = 1 << 16


@dataclass(frozen=True)
class Convolution:
    """The geometry, which names the product to the dealer.

    The left operand is `(batch, channels * height * width)`, the right one `(groups, channels / groups * kernel pixels,
    out / groups)`, the result `(batch, windows, out)`.
    """

    channels: int
    height: int
    width: int
    kernel_rows: int
    kernel_columns: int
    stride_rows: int
    stride_columns: int
    top: int
    bottom: int
    left: int
    right: int
    dilation_rows: int
    dilation_columns: int
    groups: int

    @classmethod
    def of(cls, op: ops.Conv2d, shape: tuple[int, int, int]) -> Convolution:
        """Return the geometry of `op` on samples of `shape`, `(channels, height, width)`."""
        rows, columns = op.padding
        kernel = (op.weight.shape[2], op.weight.shape[3])
        return cls(*shape, *kernel, *op.stride, *rows, *columns, *op.dilation, op.groups)

    @property
    def kind(self) -> str:
        """Name of this product: "convolve" and the numbers above."""
        return " ".join(["convolve", *map(str, astuple(self))])

    @classmethod
    @functools.lru_cache(maxsize=64)
    def parse(cls, kind: str) -> Convolution:
        """Return the product that `kind` names.

        Raises:
          KeyError: If it names none, or one of absurd size.
        """
        word, *numbers = kind.split(" ")
        if word != "convolve" or len(numbers) != 14 or not all(part.isdecimal() and len(part) < 6 for part in numbers):
            raise KeyError(kind)
        found = cls(*map(int, numbers))
        padding = (found.top, found.bottom, found.left, found.right)
        positive = (value for value in (*astuple(found)[:7], *astuple(found)[11:]))
        if found.kind != kind or min(positive) < 1 or max(*padding, *astuple(found)) > _LARGEST:
            raise KeyError(kind)
        return found

    @functools.cached_property
    def _rows(self) -> tuple[int, int, int, tuple[int, int], int]:
        return (self.height, self.kernel_rows, self.stride_rows, (self.top, self.bottom), self.dilation_rows)

    @functools.cached_property
    def _columns(self) -> tuple[int, int, int, tuple[int, int], int]:
        return (self.width, self.kernel_columns, self.stride_columns, (self.left, self.right), self.dilation_columns)

    def shape(self, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the product; raises ValueError if the shapes do not fit."""
        pixels = self.kernel_rows * self.kernel_columns
        inner = self.channels // self.groups * pixels
        if (
            len(a) != 2
            or len(b) != 3
            or a[1] != self.channels * self.height * self.width
            or b[:2] != (self.groups, inner)
        ):
            raise ValueError(f"shapes {a} and {b} do not fit a convolution")
        windows = _count(*self._rows) * _count(*self._columns)
        return (a[0], windows, self.groups * b[2])

    def __call__(self, a: Words, b: Words) -> Words:
        """Return the product modulo 2^64."""
        shape = self.shape(a.shape, b.shape)
        table = window_table(self.channels, self._rows, self._columns)
        if table.max(initial=0) == a.shape[1]:
            a = np.concatenate([a, np.zeros((len(a), 1), a.dtype)], axis=1)
        windows = np.take(a, table, axis=1)
        if self.groups == 1:
            return matmul(windows.reshape(-1, table.shape[1]), b[0]).reshape(shape)
        grouped = np.ascontiguousarray(windows.reshape(-1, self.groups, b.shape[1]).transpose(1, 0, 2))
        return np.ascontiguousarray(matmul(grouped, b).transpose(1, 0, 2)).reshape(shape)


def _count(size: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int) -> int:
    return (size + sum(padding) - dilation * (kernel - 1) - 1) // stride + 1
