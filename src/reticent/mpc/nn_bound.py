"""How far fixed point can take a network's result from float64: a bound by forward error analysis, for given inputs.

One unit u is 2^-f. An encoded number is off by u/2 at most, a truncated product by u. A sum of products with encoded
weights w' carries the error e of its inputs on: |w| e + (|x| + e) u/2. Comparisons are exact, so ReLU and maximum carry
errors on unchanged. A sigmoid of the encoded number is off by 2 u + 2^-24, a softmax over n by (n + 4) u + (n + 8) 2^-27
(`elementary`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reticent.errors import UsageError
from reticent.lowering import INPUT, Program, evaluate, ops

__all__ = ["fixed_point_bound"]

Array = NDArray[np.float64]

_SIGMOID = 2.0**-24


def fixed_point_bound(program: Program, x: ArrayLike, *, fraction_bits: int = 16) -> Array:
    """Return a bound of |shared result - `program.run(x)`| for each number of the result.

    Run by: the model's owner (the bound depends on the weights).

    Args:
      program: With weights.
      x: `(batch, *input_shape)`.
      fraction_bits: Of the session.

    Raises:
      UsageError: As `Program.run`; or with code `network-range` if a value leaves the range in which fixed point is
        right, 2^(62 - 2 fraction_bits): beyond it results would be wrong without a sign of it.
    """
    program.run(x)  # refuses wrong shapes and architectures
    unit = 2.0**-fraction_bits
    values = {INPUT: np.asarray(x, dtype=np.float64)}
    errors = {INPUT: np.full(values[INPUT].shape, unit / 2)}
    for op in program.ops:
        inputs = [values[name] for name in op.inputs]
        rule = _RULES[type(op)]
        errors[op.name] = np.asarray(rule(op, unit, *inputs, *(errors[name] for name in op.inputs)))
        values[op.name] = evaluate(op, *inputs)
        _require_range(op, float(np.max(np.abs(values[op.name]) + errors[op.name], initial=0.0)), fraction_bits)
    return errors[program.output]


def _require_range(op: ops.Op, largest: float, fraction_bits: int) -> None:
    limit = 2.0 ** (62 - 2 * fraction_bits)
    if not largest < limit:
        raise UsageError(
            "network-range",
            f"{op.kind} at {op.place or op.name} may exceed {limit:g}, the largest number at {fraction_bits} fraction bits",
            hint="scale inputs or weights down, or run the session with fewer fraction_bits",
        )


def _weighted(op: ops.Linear | ops.Conv2d, unit: float, x: Array, e: Array) -> Array:
    nothing = np.zeros_like(op.bias)
    carried = dataclasses.replace(op, weight=np.abs(op.weight), bias=nothing)
    rounded = dataclasses.replace(op, weight=np.full(op.weight.shape, unit / 2), bias=nothing)
    total: Array = evaluate(carried, e) + evaluate(rounded, np.abs(x) + e) + 1.5 * unit
    return total


def _affine(op: ops.Affine, unit: float, x: Array, e: Array) -> Array:
    return np.abs(op.scale) * e + (np.abs(x) + e) * (unit / 2) + 1.5 * unit


def _average(op: ops.AvgPool2d, unit: float, x: Array, e: Array) -> Array:
    pixels = op.kernel[0] * op.kernel[1]
    return evaluate(op, e) + evaluate(op, np.abs(x) + e) * (pixels * unit / 2) + unit


def _product(unit: float, x: Array, y: Array, e: Array, d: Array) -> Array:
    return np.abs(x) * d + np.abs(y) * e + e * d + unit


def _polynomial(op: ops.Polynomial, unit: float, x: Array, e: Array) -> Array:
    powers, errors = {1: x}, {1: e}
    for degree in range(2, len(op.coefficients)):
        a, b = degree // 2, degree - degree // 2
        powers[degree] = powers[a] * powers[b]
        errors[degree] = _product(unit, powers[a], powers[b], errors[a], errors[b])
    total = np.full_like(x, 1.5 * unit)
    for degree, power in powers.items():
        total += np.abs(op.coefficients[degree]) * errors[degree] + (np.abs(power) + errors[degree]) * (unit / 2)
    return total


_RULES: dict[type[ops.Op], Callable[..., Any]] = {
    ops.Add: lambda _, __, x, y, e, d: e + d,  # noqa: ARG005
    ops.Affine: _affine,
    ops.AvgPool2d: _average,
    ops.Conv2d: _weighted,
    ops.Linear: _weighted,
    ops.MaxPool2d: lambda op, _, __, e: evaluate(op, e),
    ops.Multiply: lambda _, unit, x, y, e, d: _product(unit, x, y, e, d),
    ops.Polynomial: _polynomial,
    ops.Relu: lambda _, __, ___, e: e,
    ops.Reshape: lambda op, _, __, e: evaluate(op, e),
    ops.Sigmoid: lambda _, unit, __, e: e / 4 + 2 * unit + _SIGMOID,
    # A softmax moves by half the largest shift of its inputs at most: p_i sum_j p_j |e_i - e_j| <= 2 p_i (1 - p_i) e.
    ops.Softmax: lambda op, unit, x, e: (
        0.0 * x
        + e.max(axis=op.axis + 1, keepdims=True) / 2
        + (x.shape[op.axis + 1] + 4) * unit
        + (x.shape[op.axis + 1] + 8) * 2.0**-27
    ),
    ops.Square: lambda _, unit, x, e: _product(unit, x, x, e, e),
    ops.Subtract: lambda _, __, x, y, e, d: e + d,  # noqa: ARG005
    ops.Tanh: lambda _, unit, __, e: e + 4 * unit + 2 * _SIGMOID,  # 2 sigmoid(2 x) - 1
}
