"""The operations that a lowered program is made of: frozen values that name their inputs, their shape and their weights.

Every shape is the shape of *one sample*: the batch is the first axis of every array and appears nowhere in a program, so
the same program runs any batch. Parameters are read-only float64 arrays.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Add",
    "Affine",
    "AvgPool2d",
    "Conv2d",
    "Linear",
    "LogSoftmax",
    "MaxPool2d",
    "Multiply",
    "Op",
    "Padding",
    "Polynomial",
    "Relu",
    "Reshape",
    "Sigmoid",
    "Softmax",
    "Square",
    "Subtract",
    "Tanh",
]

Array = NDArray[np.float64]
Padding = tuple[tuple[int, int], tuple[int, int]]  # ((top, bottom), (left, right)) in pixels


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Op:
    """One step of a program.

    Attributes:
      name: Unique in the program; other operations name it as their input.
      inputs: Names of the values that it reads; `"input"` is the program's input.
      shape: Shape of one sample of its result.
      place: Where it stands in the model, for messages: `"features.0 (Conv2d)"`.
    """

    name: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    place: str = ""

    parameter_names: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for name in self.parameter_names:
            array = np.asarray(getattr(self, name), dtype=np.float64)
            if array.flags.writeable:
                array = array.copy()
                array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def kind(self) -> str:
        """The name of the operation: "Linear", "Relu"."""
        return type(self).__name__

    @property
    def parameters(self) -> dict[str, Array]:
        """The arrays that the model's owner may want to keep secret, by name."""
        return {name: getattr(self, name) for name in self.parameter_names}

    @property
    def settings(self) -> dict[str, Any]:
        """What everybody who knows the architecture knows, by name: strides, public constants."""
        common = {"name", "inputs", "shape", "place", *self.parameter_names}
        return {item.name: getattr(self, item.name) for item in dataclasses.fields(self) if item.name not in common}


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Linear(Op):
    """`x @ weight.T + bias` over the last axis; weight `(out, in)`, bias `(out,)` (zeros where the layer has none)."""

    weight: Array
    bias: Array

    parameter_names: ClassVar[tuple[str, ...]] = ("weight", "bias")


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Conv2d(Op):
    """Cross-correlation as torch's: weight `(out, in / groups, height, width)`, bias `(out,)`; zero padding."""

    weight: Array
    bias: Array
    stride: tuple[int, int]
    padding: Padding
    dilation: tuple[int, int]
    groups: int

    parameter_names: ClassVar[tuple[str, ...]] = ("weight", "bias")


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Affine(Op):
    """`x * scale + shift`, both broadcast over a sample: `(channels, 1, 1)`, `(features,)` or `()`.

    Made from batch norm (evaluation mode) that follows no linear layer, and from products and sums with parameters.
    With `public` the two come from constants in the model's code, not from its weights.
    """

    scale: Array
    shift: Array
    public: bool = False

    parameter_names: ClassVar[tuple[str, ...]] = ("scale", "shift")


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Polynomial(Op):
    """`c[0] + c[1] x + c[2] x^2 + ...` for each element; `coefficients` ascending, degree 2 or more.

    With `public` they come from constants in the model's code, not from its weights.
    """

    coefficients: Array
    public: bool = True

    parameter_names: ClassVar[tuple[str, ...]] = ("coefficients",)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Relu(Op):
    """`max(x, 0)`."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Square(Op):
    """`x * x`."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Sigmoid(Op):
    """`1 / (1 + exp(-x))`."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Tanh(Op):
    """The hyperbolic tangent."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Softmax(Op):
    """`exp(x) / sum(exp(x))` along `axis` of a sample (0 is the first axis after the batch)."""

    axis: int


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class LogSoftmax(Op):
    """The logarithm of `Softmax`."""

    axis: int


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class MaxPool2d(Op):
    """Largest value of each window of a `(channels, height, width)` sample; padding counts as minus infinity."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class AvgPool2d(Op):
    """Sum of each window over `kernel[0] * kernel[1]`; padding counts as zeros (torch's count_include_pad=True)."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Reshape(Op):
    """The same numbers, row-major, in the shape `shape`: flatten, view, reshape, squeeze."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Add(Op):
    """Sum of two values of one shape, as in a residual connection."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Subtract(Op):
    """First value minus the second, of one shape."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Multiply(Op):
    """Element product of two values of one shape."""
