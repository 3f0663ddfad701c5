"""Exact simplifications of a program: fewer operations, the same function.

They look at kinds, wiring and shapes only, never at a weight's value: parties with and without the weights rewrite alike.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent.lowering import ops
from reticent.lowering.program import Program

__all__ = ["simplify"]

Array = NDArray[np.float64]


def simplify(program: Program) -> Program:
    """Return the program without dead operations, affine steps folded into linear ones, pooling before activations."""
    program = _without_dead(program)
    for rule in (_affine_after, _affine_before, _pool_first):
        while (changed := _apply(rule, program)) is not None:
            program = _without_dead(changed)
    return program


def _without_dead(program: Program) -> Program:
    needed = {program.output}
    for op in reversed(program.ops):
        if op.name in needed:
            needed.update(op.inputs)
    return dataclasses.replace(program, ops=tuple(op for op in program.ops if op.name in needed))


def _apply(rule: object, program: Program) -> Program | None:
    """Apply `rule` to the first operation that it fits: a pair (earlier, later), later being the only reader."""
    by_name = {op.name: op for op in program.ops}
    for later in program.ops:
        earlier = by_name.get(later.inputs[0]) if len(later.inputs) == 1 else None
        if earlier is None or len(program.readers(earlier.name)) != 1:
            continue
        made: tuple[ops.Op, ...] | None = rule(earlier, later)  # type: ignore[operator]
        if made is not None:
            return _replaced(program, earlier, later, made)
    return None


def _replaced(program: Program, earlier: ops.Op, later: ops.Op, made: tuple[ops.Op, ...]) -> Program:
    """Put `made`, whose last keeps the name of `later`, in the place of both."""
    kept: list[ops.Op] = []
    for op in program.ops:
        if op is later:
            kept.extend(made)
        elif op is not earlier:
            kept.append(op)
    return dataclasses.replace(program, ops=tuple(kept))


def _affine_after(earlier: ops.Op, later: ops.Op) -> tuple[ops.Op, ...] | None:
    """Linear, Conv2d or Affine, then Affine: one operation."""
    if not isinstance(later, ops.Affine):
        return None
    common: dict[str, Any] = {"name": later.name, "shape": later.shape, "place": earlier.place}
    if isinstance(earlier, ops.Affine):
        public = earlier.public and later.public
        factors: dict[str, Any] = {
            "scale": earlier.scale * later.scale,
            "shift": earlier.shift * later.scale + later.shift,
        }
        return (dataclasses.replace(earlier, **common, **factors, public=public),)
    if isinstance(earlier, ops.Linear | ops.Conv2d):
        axis = 0 if isinstance(earlier, ops.Conv2d) else len(earlier.shape) - 1
        scale, shift = (_along(array, earlier.shape, axis) for array in (later.scale, later.shift))
        if scale is not None and shift is not None:
            weight = earlier.weight * scale.reshape(-1, *[1] * (earlier.weight.ndim - 1))
            return (dataclasses.replace(earlier, **common, weight=weight, bias=earlier.bias * scale + shift),)
    return None


def _affine_before(earlier: ops.Op, later: ops.Op) -> tuple[ops.Op, ...] | None:
    """Affine with learned numbers, then Linear or unpadded Conv2d: one operation.

    Public constants stay outside: they cost no protocol message, and a scale of 1/255 in the weights costs precision.
    """
    if not isinstance(earlier, ops.Affine) or earlier.public:
        return None
    common: dict[str, Any] = {"inputs": earlier.inputs}
    if isinstance(later, ops.Linear):
        axis = len(earlier.shape) - 1
        scale, shift = (_along(array, earlier.shape, axis) for array in (earlier.scale, earlier.shift))
        if scale is not None and shift is not None:
            bias = later.bias + later.weight @ shift
            return (dataclasses.replace(later, **common, weight=later.weight * scale, bias=bias),)
    if isinstance(later, ops.Conv2d) and not np.any(later.padding):
        scale, shift = (_along(array, earlier.shape, 0) for array in (earlier.scale, earlier.shift))
        if scale is not None and shift is not None:
            per = later.weight.shape[1]
            group = np.repeat(np.arange(later.groups), len(later.weight) // later.groups)
            channels = group[:, None] * per + np.arange(per)
            weight = later.weight * scale[channels][:, :, None, None]
            bias = later.bias + (later.weight.sum(axis=(2, 3)) * shift[channels]).sum(axis=1)
            return (dataclasses.replace(later, **common, weight=weight, bias=bias),)
    return None


def _along(array: Array, shape: tuple[int, ...], axis: int) -> Array | None:
    """Return `array`, broadcast over a sample, as one number for each place of `axis`; None where it varies otherwise."""
    full = (1,) * (len(shape) - array.ndim) + array.shape
    if any(size != 1 for place, size in enumerate(full) if place != axis):
        return None
    return np.broadcast_to(array.reshape(-1), (shape[axis],))


def _pool_first(earlier: ops.Op, later: ops.Op) -> tuple[ops.Op, ...] | None:
    """Relu, Sigmoid or Tanh, then MaxPool2d: the pool first, since a rising function keeps the largest; fewer values."""
    if not isinstance(earlier, ops.Relu | ops.Sigmoid | ops.Tanh) or not isinstance(later, ops.MaxPool2d):
        return None
    pool = dataclasses.replace(later, name=earlier.name, inputs=earlier.inputs)
    return (pool, dataclasses.replace(earlier, name=later.name, inputs=(pool.name,), shape=later.shape))
