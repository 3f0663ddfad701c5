"""The program under construction: values by the name of their graph node, and the operations emitted so far."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reticent.lowering import ops
from reticent.lowering.elementwise import Symbol
from reticent.lowering.export import place_of
from reticent.lowering.program import INPUT
from reticent.lowering.refusal import mixes_examples, unsupported

__all__ = ["Builder", "Call", "Constant", "Translation", "Value"]


@dataclasses.dataclass(frozen=True, eq=False)
class Constant:
    """A tensor that does not depend on the input; `public` where it stands in the model's code."""

    tensor: torch.Tensor
    public: bool

    @property
    def array(self) -> NDArray[np.float64]:
        """The numbers, float64."""
        return np.asarray(self.tensor.detach().double().numpy(), dtype=np.float64)


Value = Symbol | Constant


class Builder:
    """Emits operations for one node after another."""

    def __init__(self, input_name: str, input_shape: tuple[int, ...]) -> None:
        self.values: dict[str, Value] = {input_name: Symbol.of(INPUT)}
        self.ops: list[ops.Op] = []
        self._shapes = {INPUT: input_shape}
        self._emitted: dict[object, str] = {}
        self._node: torch.fx.Node

    def begin(self, node: torch.fx.Node) -> None:
        """Make `node` the one that the next operations stand for."""
        self._node = node

    @property
    def place(self) -> str:
        """Where in the model the node stands."""
        return place_of(self._node)

    @property
    def label(self) -> str:
        """What the node is called in a message: the layer's operation in ATen."""
        return str(self._node.target).removeprefix("aten.").split(".", maxsplit=1)[0]

    def refuse(self, what: str | None = None, hint: str | None = None) -> Exception:
        """Return the refusal of the node, or of `what` about it."""
        return unsupported(what or self.label, self.place, hint)

    def mixes(self) -> Exception:
        """Return the refusal of a node that mixes examples."""
        return mixes_examples(self.label, self.place)

    def sample_shape(self) -> tuple[int, ...]:
        """Return the shape of one sample of the node's result.

        Raises:
          UsageError: If its first axis is not the batch.
        """
        found = self._node.meta["val"]
        batch, *rest = (found[0] if isinstance(found, tuple | list) else found).shape
        if not isinstance(batch, torch.SymInt) or any(isinstance(size, torch.SymInt) for size in rest):
            raise self.mixes()
        return tuple(int(size) for size in rest)

    def value(self, argument: Any) -> Value:
        """Return the value of an argument of the node: a node, or a number that stands in the code."""
        if isinstance(argument, torch.fx.Node):
            found = self.values.get(argument.name)
            if found is None:
                raise self.refuse()
            return found
        if isinstance(argument, int | float):
            return Constant(torch.tensor(argument, dtype=torch.float64), public=True)
        raise self.refuse()

    def value_named(self, name: str) -> Value:
        """Return the value of the graph's node `name`."""
        return self.values[name]

    def weight(self, argument: Any) -> NDArray[np.float64]:
        """Return an argument that may not depend on the input."""
        value = self.value(argument)
        if isinstance(value, Symbol):
            raise self.refuse(f"{self.label} of two values that depend on the input")
        return value.array

    def shape(self, value: Symbol) -> tuple[int, ...]:
        """Return the shape of one sample."""
        return self._shapes[value.base]

    def emit(self, kind: type[ops.Op], *inputs: Value, shape: tuple[int, ...] | None = None, **fields: Any) -> Symbol:
        """Append an operation; its inputs become numbers first."""
        names = tuple(self.realise(value) for value in inputs)
        shape = self.sample_shape() if shape is None else shape
        name = self._free_name(self._node.name)
        self.ops.append(kind(name=name, inputs=names, shape=shape, place=self.place, **fields))
        self._shapes[name] = shape
        return Symbol.of(name)

    def _free_name(self, wanted: str) -> str:
        taken, count = {op.name for op in self.ops} | {INPUT}, 0
        name = wanted
        while name in taken:
            count += 1
            name = f"{wanted}_{count}x"
        return name

    def realise(self, value: Value) -> str:
        """Return the name of an emitted value equal to `value`."""
        if isinstance(value, Constant):
            raise self.refuse(f"{self.label} of a value that does not depend on the input")
        if value.is_base:
            return value.base
        # Learned coefficients that happen to be equal are two polynomials: the program must not depend on weights.
        key = (value.base, tuple(value.coefficients.tolist())) if value.public else value
        if key not in self._emitted:
            self._emitted[key] = self._emit_polynomial(value)
        return self._emitted[key]

    def _emit_polynomial(self, value: Symbol) -> str:
        base, shape, c = Symbol.of(value.base), self.shape(value), value.coefficients
        if value.degree == 1:
            made = self.emit(ops.Affine, base, shape=shape, scale=c[1], shift=c[0], public=value.public)
        elif value.public and c.tolist() == [0.0, 0.0, 1.0]:
            made = self.emit(ops.Square, base, shape=shape)
        else:
            made = self.emit(ops.Polynomial, base, shape=shape, coefficients=c, public=value.public)
        return made.base


Call = dict[str, Any]  # the arguments of a node by their names in ATen's schema, defaults filled in
Translation = Callable[[Builder, Call], Value]
