"""Comparison, ReLU, selection, maximum and its index: all from one sign gate and products with its outcome."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from reticent.errors import UsageError
from reticent.mpc.arithmetic import concat
from reticent.mpc.lookup import one_hot
from reticent.mpc.operation import Operation
from reticent.mpc.rounds import Steps
from reticent.mpc.shared import Shared
from reticent.mpc.sign import rounds_of, sign

if TYPE_CHECKING:
    from reticent.mpc.tensor import Tensor

__all__ = ["absolute", "argmax", "largest", "less_than", "negative", "relu", "select"]


def signs(name: str, x: Tensor, payloads: Sequence[Tensor] = (), *, keep: bool, bit: bool) -> list[Tensor]:
    """Return [x < 0] if `bit`, its product with x if `keep`, and with each of `payloads` (of the shape of x)."""
    session, protocol, shape = x.session, x.session.protocol, x.shape
    skip = 0 if bit else 1
    results = [shape] * (int(bit) + int(keep) + len(payloads))
    arguments = {"count": x.size, "payloads": len(payloads), "keep": keep}

    def start(operation: Operation, *values: Shared) -> Steps[list[Shared]]:
        flat = [protocol.to_group(value).reshape(-1) for value in values]
        found = yield from protocol.gate(
            operation,
            "sign",
            arguments,
            lambda material: sign(protocol.group, material, flat[0], flat[1:], keep=keep),
            rounds=rounds_of(),
        )
        return (yield from protocol.from_group(operation, None if found is None else found[skip:], results))

    together = session.defer(f"{name} {shape}", start, [x, *payloads], shape=shape, fraction=0)
    fractions = [*([0] if bit else []), *([x.fraction] if keep else []), *(p.fraction for p in payloads)]
    return [session.item(together, i, shape=shape, fraction=fraction) for i, fraction in enumerate(fractions)]


def negative(x: Tensor) -> Tensor:
    """Return 1 where x < 0, else 0."""
    return signs("compare", x, keep=False, bit=True)[0]


def less_than(x: Tensor, y: Tensor | ArrayLike) -> Tensor:
    """Return 1 where x < y, else 0."""
    return negative(x - y)


def relu(x: Tensor) -> Tensor:
    """Return x where x > 0, else 0."""
    return x - signs("relu", x, keep=True, bit=False)[0]


def absolute(x: Tensor) -> Tensor:
    """Return |x|."""
    return x - 2 * signs("abs", x, keep=True, bit=False)[0]


def select(condition: Tensor, a: Tensor | ArrayLike, b: Tensor | ArrayLike) -> Tensor:
    """Return a where `condition` is 1 and b where it is 0, elementwise; it must be the outcome of a comparison."""
    if condition.fraction:
        raise UsageError(
            "condition-not-a-bit",
            "select was given a condition that is no outcome of a comparison",
            hint="compare first: (x > 0).select(a, b)",
        )
    from reticent.mpc.tensor import Tensor

    difference = a - b if isinstance(a, Tensor) else -(b - a) if isinstance(b, Tensor) else np.subtract(a, b)
    return condition * difference + b


def largest(x: Tensor, axis: int, *, keepdims: bool = False) -> Tensor:
    """Return the maximum over `axis`, by a tree of comparisons: log2 of its length times the rounds of one."""
    x = _last(x, axis)
    while x.shape[-1] > 1:
        left, right, rest = _pairs(x)
        x = concat([left + relu(right - left), rest], axis=-1)
    return _back(x, axis) if keepdims else x[..., 0]


def argmax(x: Tensor, axis: int, *, hot: bool = False) -> Tensor:
    """Return the index of the first maximum over `axis` as whole numbers, or as a one among zeros along it."""
    x = _last(x, axis)
    count = x.shape[-1]
    label = x.session.public(np.broadcast_to(np.arange(count, dtype=np.float64), x.shape), fraction_bits=0)
    while x.shape[-1] > 1:
        # Neighbours, and the left one unless it is smaller: that is how the first of equal ones wins.
        left, right, rest = _pairs(x)
        name, other, others = _pairs(label)
        gain, step = signs("argmax", left - right, [name - other], keep=True, bit=False)
        x = concat([left - gain, rest], axis=-1)
        label = concat([name - step, others], axis=-1)
    return _back(one_hot(label[..., 0], count), axis) if hot else label[..., 0]


def _pairs(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return neighbours along the last axis, left and right, and the odd one out (or nothing)."""
    even = x.shape[-1] // 2 * 2
    return x[..., 0:even:2], x[..., 1:even:2], x[..., even:]


def _last(x: Tensor, axis: int) -> Tensor:
    if not -x.ndim <= axis < x.ndim or x.shape[axis] == 0:
        raise UsageError(
            "no-such-axis", f"axis is {axis} for a tensor of shape {x.shape}", hint="name an axis that has elements"
        )
    axes = [number for number in range(x.ndim) if number != axis % x.ndim]
    return x.transpose(*axes, axis % x.ndim)


def _back(x: Tensor, axis: int) -> Tensor:
    place = axis % x.ndim
    axes = list(range(x.ndim - 1))
    axes.insert(place, x.ndim - 1)
    return x.transpose(*axes)
