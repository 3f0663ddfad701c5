"""Translation of elementwise arithmetic: sums, products, powers, with numbers, parameters and other values."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from reticent.lowering import ops
from reticent.lowering.builder import Builder, Call, Constant, Translation, Value
from reticent.lowering.elementwise import Symbol

__all__ = ["ARITHMETIC", "affine"]

_LARGEST_POWER = 16


def affine(
    build: Builder, x: Value, scale: torch.Tensor | float, shift: torch.Tensor | float, *, public: bool
) -> Symbol:
    """Return `x * scale + shift`, with `scale` and `shift` as torch broadcasts them against a batch."""
    if not isinstance(x, Symbol):
        raise build.refuse()
    scale, shift = torch.as_tensor(scale).double(), torch.as_tensor(shift).double()
    shape = build.shape(x)
    if scale.numel() == 1 and shift.numel() == 1 and max(scale.ndim, shift.ndim) <= len(shape) + 1:
        return x.scaled(float(scale), public=public).shifted(float(shift), public=public)
    arrays = [_for_a_sample(build, tensor, shape) for tensor in (scale, shift)]
    return build.emit(ops.Affine, x, scale=arrays[0], shift=arrays[1], public=public)


def _for_a_sample(build: Builder, tensor: torch.Tensor, shape: tuple[int, ...]) -> Any:
    array = tensor.detach().numpy()
    if array.ndim == len(shape) + 1:
        if array.shape[0] != 1:
            raise build.mixes()
        array = array[0]
    if array.ndim > len(shape) or np.broadcast_shapes(array.shape, shape) != shape:
        raise build.refuse(f"{build.label} with a parameter that widens the value")
    return array


def _add(build: Builder, call: Call) -> Symbol:
    return _sum(build, build.value(call["self"]), build.value(call["other"]), call["alpha"])


def _sum(build: Builder, a: Value, b: Value, alpha: float) -> Symbol:
    if isinstance(b, Constant):
        return affine(build, a, 1.0, b.tensor.double() * alpha, public=b.public)
    if isinstance(a, Constant):
        return affine(build, b, float(alpha), a.tensor, public=a.public)
    if a.base == b.base:
        return a.plus(b.scaled(float(alpha), public=True))
    _require_one_shape(build, a, b)
    if alpha == -1:
        return build.emit(ops.Subtract, a, b)
    return build.emit(ops.Add, a, b if alpha == 1 else b.scaled(float(alpha), public=True))


def _require_one_shape(build: Builder, a: Symbol, b: Symbol) -> None:
    if build.shape(a) != build.shape(b):
        raise build.refuse(f"{build.label} of values of shapes {build.shape(a)} and {build.shape(b)}")


def _subtract(build: Builder, call: Call) -> Symbol:
    return _sum(build, build.value(call["self"]), build.value(call["other"]), -call["alpha"])


def _subtract_reversed(build: Builder, call: Call) -> Symbol:
    return _sum(build, build.value(call["other"]), build.value(call["self"]), -call["alpha"])


def _multiply(build: Builder, call: Call) -> Symbol:
    a, b = build.value(call["self"]), build.value(call["other"])
    if isinstance(b, Constant):
        return affine(build, a, b.tensor, 0.0, public=b.public)
    if isinstance(a, Constant):
        return affine(build, b, a.tensor, 0.0, public=a.public)
    if a.same_as(b):
        return _to_the(build, a, 2)
    if a.base == b.base and a.degree + b.degree <= _LARGEST_POWER:
        return a.times(b)
    _require_one_shape(build, a, b)
    return build.emit(ops.Multiply, a, b)


def _divide(build: Builder, call: Call) -> Symbol:
    divisor = build.value(call["other"])
    if isinstance(divisor, Symbol):
        raise build.refuse("division by a value that depends on the input")
    return affine(build, build.value(call["self"]), 1.0 / divisor.tensor.double(), 0.0, public=divisor.public)


def _negate(build: Builder, call: Call) -> Symbol:
    return affine(build, build.value(call["self"]), -1.0, 0.0, public=True)


def _power(build: Builder, call: Call) -> Symbol:
    value, exponent = build.value(call["self"]), call.get("exponent", 2)
    whole = isinstance(exponent, int | float) and float(exponent).is_integer() and 1 <= exponent <= _LARGEST_POWER
    if not isinstance(value, Symbol) or not whole:
        raise build.refuse(f"power with exponent {exponent}", hint=f"use a whole power from 1 to {_LARGEST_POWER}")
    return _to_the(build, value, int(exponent))


def _to_the(build: Builder, value: Symbol, exponent: int) -> Symbol:
    if exponent > 1 and (value.degree == 1 or value.degree * exponent > _LARGEST_POWER):
        # (2x + 1)^2 as a square of an affine value, which folds into the layer before, costs less than its expansion.
        value = Symbol.of(build.realise(value))
    result = value
    for _ in range(exponent - 1):
        result = result.times(value)
    return result


def _leaky_relu(build: Builder, call: Call) -> Symbol:
    value, slope = build.value(call["self"]), call["negative_slope"]
    if not isinstance(value, Symbol):
        raise build.refuse()
    base = Symbol.of(build.realise(value))
    kept = build.emit(ops.Relu, base)
    return build.emit(ops.Add, kept.scaled(1.0 - slope, public=True), base.scaled(slope, public=True))


def _silu(build: Builder, call: Call) -> Symbol:
    value = build.value(call["self"])
    return build.emit(ops.Multiply, value, build.emit(ops.Sigmoid, value))


ARITHMETIC: dict[str, Translation] = {
    "add.Scalar": _add,
    "add.Tensor": _add,
    "div.Scalar": _divide,
    "div.Tensor": _divide,
    "leaky_relu.default": _leaky_relu,
    "mul.Scalar": _multiply,
    "mul.Tensor": _multiply,
    "neg.default": _negate,
    "pow.Tensor_Scalar": _power,
    "rsub.Scalar": _subtract_reversed,
    "rsub.Tensor": _subtract_reversed,
    "silu.default": _silu,
    "square.default": _power,
    "sub.Scalar": _subtract,
    "sub.Tensor": _subtract,
}
