"""Products in Z/2^64 of public or locally held words; matrices go to torch's int64 kernel, without a copy.

numpy multiplies integer matrices ten times slower. torch is imported at the first matrix product, not before.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from reticent.mpc.rounds import Words

__all__ = ["PRODUCTS", "matmul", "multiply", "shape_of_product"]

_SMALL = 4096  # multiplications below which the call into torch costs more than it saves


def multiply(a: Words, b: Words) -> Words:
    """Return the elementwise product, with broadcasting."""
    return np.asarray(np.multiply(a, b))


def matmul(a: Words, b: Words) -> Words:
    """Return the matrix product, batched over leading axes: `(..., m, k) @ (..., k, n)`."""
    if a.ndim == 2 and b.ndim == 2 and a.shape[0] * b.size <= _SMALL:
        return np.asarray(np.matmul(a, b))
    import torch

    left = torch.from_numpy(_plain(a).view(np.int64))
    right = torch.from_numpy(_plain(b).view(np.int64))
    return np.asarray(torch.matmul(left, right).numpy().view(np.uint64))


def _plain(words: Words) -> Words:
    """Return words that torch takes: positive strides, and writable as far as torch asks."""
    if words.flags.writeable and all(stride >= 0 for stride in words.strides):
        return words
    return words.copy()


class _Products(dict[str, Callable[[Words, Words], Words]]):
    """The two plain products, and convolutions by the name that states their geometry."""

    def __missing__(self, kind: str) -> Callable[[Words, Words], Words]:
        from reticent.mpc.nn_convolution import Convolution

        return Convolution.parse(kind)


PRODUCTS = _Products(multiply=multiply, matmul=matmul)
"""Bilinear maps by name, as the dealer is told them; KeyError for a name that is none."""


def shape_of_product(kind: str, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a product; raises ValueError if the shapes do not fit."""
    if kind == "multiply":
        return np.broadcast_shapes(a, b)
    if kind.startswith("convolve"):
        from reticent.mpc.nn_convolution import Convolution

        return Convolution.parse(kind).shape(a, b)
    if len(a) < 2 or len(b) < 2 or a[-1] != b[-2]:
        raise ValueError(f"shapes {a} and {b} do not fit a matrix product")
    return (*np.broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-1])
