"""A lowered model as alternating maps and activations: the form in which it can be evaluated encrypted.

Everything linear between two activations (layers, convolutions, average pools, batch norm, skips inside) becomes one
matrix and one bias: neighbours cost one level together. A quadratic activation c2 x^2 + c1 x + c0 is a square whose shift
and factor are absorbed by the maps around it. What the client can do after decryption (softmax, sigmoid) is left to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from reticent.errors import UsageError
from reticent.lowering import INPUT, Op, Program, ops

__all__ = ["FINISHES", "Map", "Power", "Stage", "Stages", "stages_of"]

Array = NDArray[np.float64]
_LINEAR = (ops.Linear, ops.Conv2d, ops.Affine, ops.AvgPool2d, ops.Reshape, ops.Add, ops.Subtract)
FINISHES: dict[type[Op], str] = {
    ops.Sigmoid: "sigmoid",
    ops.Softmax: "softmax",
    ops.LogSoftmax: "log-softmax",
    ops.Tanh: "tanh",
}
_MAX_DEGREE = 8
_BLOCK = 128  # unit vectors at a time
_FAR = 32.0  # a square completed at a shift this many times larger than its factor would cancel digits


@dataclass(frozen=True, eq=False)
class Map:
    """`matrix @ x + bias`: one level.

    Attributes:
      name: The layers it stands for, for messages.
      matrix: Shape `(outputs, inputs)`, of flattened samples.
      bias: Shape `(outputs,)`.
    """

    name: str
    matrix: Array
    bias: Array
    levels: ClassVar[int] = 1

    def run(self, x: Array) -> Array:
        """Return the result in float64 for samples `(n, inputs)`."""
        return x @ self.matrix.T + self.bias


@dataclass(frozen=True, eq=False)
class Power:
    """A polynomial of each number; `coefficients` ascending. `(0, 0, 1)` is a square and costs one level."""

    name: str
    coefficients: tuple[float, ...]

    @property
    def square(self) -> bool:
        """Whether it is x^2 and nothing else."""
        return self.coefficients == (0.0, 0.0, 1.0)

    @property
    def degree(self) -> int:
        """Largest power."""
        return len(self.coefficients) - 1

    @property
    def levels(self) -> int:
        """Levels that it consumes: one for each doubling of the power, and one for the coefficients."""
        return 1 if self.square else (self.degree - 1).bit_length() + 1

    def run(self, x: Array) -> Array:
        """Return the result in float64."""
        return np.asarray(np.polynomial.polynomial.polyval(x, self.coefficients), dtype=np.float64)


Stage = Map | Power


@dataclass(frozen=True, eq=False)
class Stages:
    """A model as maps and powers.

    Attributes:
      stages: In order.
      input_shape: Of one sample.
      output_shape: Of one result.
      finish: What the client does after decryption: "", "sigmoid", "softmax", "log-softmax" or "tanh".
      axis: Axis of a softmax in one result.
    """

    stages: tuple[Stage, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    finish: str = ""
    axis: int = 0

    @property
    def depth(self) -> int:
        """Levels from input to output."""
        return sum(stage.levels for stage in self.stages)

    def run(self, x: Array) -> Array:
        """Return what the server computes, in float64, flattened: `(n, outputs)` for samples `(n, *input_shape)`."""
        value = np.asarray(x, dtype=np.float64).reshape(len(x), -1)
        for stage in self.stages:
            value = stage.run(value)
        return value


def stages_of(program: Program) -> Stages:
    """Return the stages of a lowered model.

    Raises:
      UsageError: If a layer cannot be evaluated encrypted, or a skip connection leads around an activation.
    """
    body, output, finish, axis = list(program.ops), program.output, "", 0
    while body and body[-1].name == output and isinstance(body[-1], tuple(FINISHES)):
        if finish:
            raise _refused(body[-1], "two activations at the end")
        last = body.pop()
        finish, output, axis = FINISHES[type(last)], last.inputs[0], getattr(last, "axis", 0)
    stages: list[Stage] = []
    base, segment = INPUT, list[Op]()
    for op in body:
        if isinstance(op, _LINEAR):
            segment.append(op)
        else:
            power = _power(op, f"activation {1 + sum(isinstance(stage, Power) for stage in stages)}")
            stages += _map(program, base, segment, op.inputs[0])
            stages.append(power)
            base, segment = op.name, []
    stages += _map(program, base, segment, output)
    if not stages:
        raise _refused(None, "no layer")
    return Stages(
        _absorb(stages, int(np.prod(program.input_shape))), program.input_shape, program.shape_of(output), finish, axis
    )


def _power(op: Op, name: str) -> Power:
    if isinstance(op, ops.Square) or (isinstance(op, ops.Multiply) and op.inputs[0] == op.inputs[1]):
        return Power(name, (0.0, 0.0, 1.0))
    if isinstance(op, ops.Polynomial):
        coefficients = tuple(map(float, np.trim_zeros(op.coefficients, "b")))
        if 2 < len(coefficients) <= _MAX_DEGREE + 1:
            return Power(name, coefficients)
        raise _refused(op, f"a polynomial of degree {len(coefficients) - 1}; offered are 2 to {_MAX_DEGREE}")
    raise _refused(op, op.kind)


def _refused(op: Op | None, what: str) -> UsageError:
    place = "" if op is None else f" at {op.place or op.name}"
    hint = (
        "use a square or a polynomial activation (x * x, or a polynomial fitted on the range of the layer) and average "
        "pooling, and train the model with them; sigmoid, tanh and softmax may stand at the very end, where the client "
        "applies them after decryption"
    )
    return UsageError("he-unsupported-layer", f"{what}{place} cannot be evaluated on encrypted numbers", hint=hint)


def _map(program: Program, base: str, segment: Sequence[Op], wanted: str) -> list[Stage]:
    """Return what leads from `base` to `wanted` as one map, or nothing if they are the same."""
    needed, names = [], {wanted}
    for op in reversed(segment):
        if op.name in names:
            needed.append(op)
            names.update(op.inputs)
    needed.reverse()
    if names - {op.name for op in needed} != {base}:
        raise UsageError(
            "he-skip-connection",
            f"the value {wanted!r} of the model also needs one from before an activation",
            hint="let each activation take all that follows from its result; skips between activations are fine",
        )
    if not needed:
        return []
    if all(isinstance(op, ops.Reshape) for op in needed):
        return []
    matrix, bias = _images(Program(program.shape_of(base), tuple(_renamed(op, base) for op in needed), wanted))
    return [Map(", ".join(op.place or op.name for op in needed if not isinstance(op, ops.Reshape)), matrix, bias)]


def _images(linear: Program) -> tuple[Array, Array]:
    """Return matrix and bias of a program of linear operations: the images of unit vectors are the columns."""
    size = int(np.prod(linear.input_shape))
    bias = linear.run(np.zeros((1, *linear.input_shape))).reshape(-1)
    matrix = np.empty((len(bias), size))
    for start in range(0, size, _BLOCK):
        units = np.eye(min(_BLOCK, size - start), size, start)
        matrix[:, start : start + len(units)] = (
            (linear.run(units.reshape(-1, *linear.input_shape)) - bias.reshape(linear.output_shape))
            .reshape(len(units), -1)
            .T
        )
    matrix[np.abs(matrix) < 1e-14 * np.abs(matrix).max(initial=0.0)] = 0.0
    return matrix, bias


def _renamed(op: Op, base: str) -> Op:
    return replace(op, inputs=tuple(INPUT if name == base else name for name in op.inputs))


def _absorb(stages: list[Stage], width: int) -> tuple[Stage, ...]:
    """Turn quadratics into squares whose shift and factor the neighbouring maps take over."""
    found: list[Stage] = []
    factor, shift = 1.0, 0.0  # still to be applied to the value at hand

    def settle() -> None:
        if (factor, shift) != (1.0, 0.0):
            found.append(Map(f"the factor of {found[-1].name}", np.eye(width) * factor, np.full(width, shift)))

    for stage in stages:
        if isinstance(stage, Map):
            found.append(Map(stage.name, stage.matrix * factor, stage.bias + shift * stage.matrix.sum(axis=1)))
            factor, shift, width = 1.0, 0.0, len(stage.bias)
            continue
        settle()
        factor, shift = 1.0, 0.0
        previous, c = found[-1] if found else None, stage.coefficients
        centre = c[1] / (2 * c[2]) if stage.degree == 2 else 0.0
        if stage.degree == 2 and isinstance(previous, Map) and abs(centre) <= _FAR:
            found[-1] = Map(previous.name, previous.matrix, previous.bias + centre)
            found.append(Power(stage.name, (0.0, 0.0, 1.0)))
            factor, shift = c[2], c[0] - c[2] * centre**2
        else:
            found.append(stage)
    settle()
    return tuple(found)
