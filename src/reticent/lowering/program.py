"""A lowered model: its operations in order, with or without the weights."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent.errors import UsageError
from reticent.lowering.ops import Op
from reticent.lowering.reference import evaluate

__all__ = ["INPUT", "Program"]

INPUT = "input"
Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """Operations in an order in which every input precedes its reader.

    Attributes:
      input_shape: Shape of one sample of the input, which operations read under the name `"input"`.
      ops: The operations.
      output: Name of the value that is the result.
      has_weights: False for an architecture, whose parameters are NaN: a use by mistake shows.
    """

    input_shape: tuple[int, ...]
    ops: tuple[Op, ...]
    output: str
    has_weights: bool = True

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of one sample of the result."""
        return self.shape_of(self.output)

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape of one sample of the value `name`."""
        return self.input_shape if name == INPUT else next(op.shape for op in self.ops if op.name == name)

    def readers(self, name: str) -> tuple[Op, ...]:
        """Return the operations that read the value `name`."""
        return tuple(op for op in self.ops if name in op.inputs)

    def parameters(self) -> dict[str, Array]:
        """Return every parameter under `"operation.parameter"`, in the order of the operations."""
        return {f"{op.name}.{key}": value for op in self.ops for key, value in op.parameters.items()}

    def architecture(self) -> Program:
        """Return the program without its weights, for parties that may not hold them.

        Every parameter is a read-only view of one NaN: its shape is right, and no value is left. Constants that stand
        in the model's code stay: they are no weights.
        """
        if not self.has_weights:
            return self
        return Program(self.input_shape, tuple(_blank(op) for op in self.ops), self.output, has_weights=False)

    def fingerprint(self) -> str:
        """Return 64 hexadecimal digits that two parties compare to know that they mean the same architecture.

        It depends on operations, shapes, settings and public constants; neither on weights nor on the model's names.
        """
        return hashlib.sha256(json.dumps(self.describe(), sort_keys=True).encode()).hexdigest()

    def describe(self) -> dict[str, Any]:
        """Return the architecture as values for JSON: kinds, wiring, shapes, settings, shapes of the parameters."""
        places = {INPUT: 0} | {op.name: place for place, op in enumerate(self.ops, start=1)}
        return {
            "input": list(self.input_shape),
            "output": places[self.output],
            "ops": [
                {
                    "kind": op.kind,
                    "inputs": [places[name] for name in op.inputs],
                    "shape": list(op.shape),
                    "settings": {key: _plain(value) for key, value in op.settings.items()},
                    "parameters": {
                        key: value.tolist() if getattr(op, "public", False) else list(value.shape)
                        for key, value in op.parameters.items()
                    },
                }
                for op in self.ops
            ],
        }

    def run(self, x: Any) -> Array:
        """Return the result in float64 numpy, `(batch, *output_shape)`.

        Args:
          x: Array `(batch, *input_shape)`.

        Raises:
          UsageError: If the program is an architecture without weights, or `x` has another shape.
        """
        if not self.has_weights:
            raise UsageError(
                "program-without-weights",
                "this program is an architecture: it holds shapes and no weights",
                hint="run the program that `lower` returned at the model's owner",
            )
        values = {INPUT: np.asarray(x, dtype=np.float64)}
        if values[INPUT].shape[1:] != self.input_shape or values[INPUT].ndim == 0:
            raise UsageError(
                "program-input-shape",
                f"the input has shape {values[INPUT].shape}; the program takes (batch, *{self.input_shape})",
                hint="give a batch, also for one sample: x[None]",
            )
        for op in self.ops:
            values[op.name] = evaluate(op, *(values[name] for name in op.inputs))
        return values[self.output]

    def __repr__(self) -> str:
        lines = [f"Program {self.input_shape} -> {self.output_shape}{'' if self.has_weights else ', without weights'}"]
        lines += [f"  {op.name} = {op.kind}({', '.join(op.inputs)}) -> {op.shape}  {op.place}" for op in self.ops]
        return "\n".join(lines)


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _blank(op: Op) -> Op:
    changes: dict[str, Any] = {key: np.broadcast_to(np.nan, value.shape) for key, value in op.parameters.items()}
    return op if getattr(op, "public", False) else dataclasses.replace(op, **changes)
