"""One party's view of a computation: its inputs, the operations asked for so far, and what they cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reticent.errors import DataError, UsageError
from reticent.mpc.cost import Cost
from reticent.mpc.operation import Operation
from reticent.mpc.protocol import Protocol
from reticent.mpc.rounds import Steps
from reticent.mpc.schedule import Node, Schedule
from reticent.mpc.shared import Shared
from reticent.mpc.tensor import Tensor
from reticent.rings import Ring64

if TYPE_CHECKING:
    from reticent.mpc.nn import Network

__all__ = ["Session"]


class Session:
    """What a program is called with, at each party.

    *Run by* every computing party, all with the same program, which may branch on public values only. *Requires* that
    at most one party (replicated), or not all (additive, with a dealer that colludes with none), pool what they see.
    Semi-honest. *Reveals* what `reveal` and `reveal_together` say, to whom they say, and which operations run on which
    shapes. Every revealed value is a release, for which no differential privacy is claimed here.

    Operations are put off until something is revealed; those that do not wait for each other share their rounds.

    Args:
      protocol: This party's side of the protocol.
      inputs: This party's own arrays, by name.
      fraction_bits: Bits after the point; numbers stay below 2^(62 - 2 fraction_bits) where they are multiplied.
      exact: Whether truncation gives the floor, bit for bit, or the floor or one more in fewer rounds.
      cost: Where costs are written.

    Attributes:
      party: Own number.
      parties: Number of computing parties.
      fraction_bits: Bits after the point.
      cost: Bytes, rounds and seconds of each operation so far.
    """

    def __init__(
        self, protocol: Protocol, inputs: Mapping[str, ArrayLike], *, fraction_bits: int, exact: bool, cost: Cost
    ) -> None:
        self._protocol = protocol
        self._inputs = inputs
        self._ring = Ring64(fraction_bits)
        self._schedule = Schedule(protocol.link, cost)
        self._operations = 0
        self._exact = exact
        self.party = protocol.me
        self.parties = protocol.parties
        self.fraction_bits = fraction_bits
        self.cost = cost

    def input(self, name: str, *, owner: int, shape: tuple[int, ...] | int) -> Tensor:
        """Return the array that party `owner` has under `name`; every party states the same shape.

        Raises:
          UsageError: If there is no such party.
          DataError: If this party owns the input and has not given it, or with another shape, or it is out of range.
        """
        wanted = (shape,) if isinstance(shape, int) else tuple(shape)
        if not 0 <= owner < self.parties:
            raise UsageError(
                "no-such-owner",
                f"input {name!r} has owner {owner}, and parties are 0 to {self.parties - 1}",
                hint="name a computing party as the owner",
            )
        words = self._ring.encode(self._own(name, wanted)) if owner == self.party else None
        return self.defer(
            f"input {name} {wanted}",
            lambda operation: self._protocol.input(operation, owner, words, wanted),
            (),
            shape=wanted,
            fraction=self.fraction_bits,
        )

    def public(self, array: ArrayLike, *, fraction_bits: int | None = None) -> Tensor:
        """Return an array that every party knows, as a tensor; with the session's fraction bits unless others are given."""
        bits = self.fraction_bits if fraction_bits is None else fraction_bits
        words = Ring64(bits).encode(array)
        return Tensor(self, Node(None, (), None, self._protocol.public(words)), words.shape, bits)

    def reveal_together(self, *tensors: Tensor, to: int | str = "all") -> list[NDArray[np.float64] | None]:
        """Reveal several tensors in one round; None for each at parties that are not meant to see them.

        Reveals: the values of `tensors`, to all parties or to party `to`.

        Raises:
          UsageError: If `to` is neither "all" nor the number of a party.
        """
        if to != "all" and not (isinstance(to, int) and 0 <= to < self.parties):
            raise UsageError(
                "no-such-receiver",
                f"a result was to be revealed to {to!r}, and parties are 0 to {self.parties - 1}",
                hint='say to="all", or the number of one party',
            )
        receiver = None if isinstance(to, str) else to
        opened = [self._opening(tensor, receiver) for tensor in tensors]
        self._schedule.run()
        return [
            None if node.value is None else Ring64(tensor.fraction).decode(node.value)
            for tensor, node in zip(tensors, opened, strict=True)
        ]

    def compile(self, module: Any, example: Any = None, *, owner: int) -> Network:
        """Return a torch module or lowered program, with the weights of party `owner`: see `reticent.mpc.nn.compile`."""
        from reticent.mpc.nn import compile as compiled

        return compiled(self, module, example, owner=owner)

    def complete(self) -> None:
        """Do now all that was asked for, instead of at the next reveal."""
        self._schedule.run()

    def _opening(self, tensor: Tensor, receiver: int | None) -> Node:
        operation = self._operation(f"reveal {tensor.shape}")
        node = Node(operation, (tensor.node,), lambda shared: self._protocol.open(operation, shared, receiver))
        self._schedule.add(node)
        return node

    def _own(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        if name not in self._inputs:
            raise DataError(
                "input-missing",
                f"party {self.party} owns input {name!r} and was given {sorted(self._inputs)}",
                hint="give every party the inputs it owns, by name",
            )
        array = np.asarray(self._inputs[name], dtype=np.float64)
        if array.shape != shape:
            raise DataError(
                "input-shape",
                f"input {name!r} has shape {array.shape}, and the program says {shape}",
                hint="state the true shape in session.input, at every party",
            )
        return array

    # What the operations are built from -------------------------------------------------------------------------

    @property
    def protocol(self) -> Protocol:
        """This party's side of the protocol."""
        return self._protocol

    @property
    def exact(self) -> bool:
        """Whether truncation gives the floor bit for bit."""
        return self._exact

    def defer(
        self,
        name: str,
        start: Callable[..., Steps[Any]],
        inputs: Sequence[Tensor],
        *,
        shape: tuple[int, ...],
        fraction: int,
    ) -> Tensor:
        """Return the result of a protocol that runs later: `start(operation, *values of inputs)`."""
        operation = self._operation(name)
        nodes = tuple(tensor.node for tensor in inputs)
        node = Node(operation, nodes, lambda *values: start(operation, *values))
        self._schedule.add(node)
        return Tensor(self, node, shape, fraction)

    def local(
        self, function: Callable[..., Shared], inputs: Sequence[Tensor], *, shape: tuple[int, ...], fraction: int
    ) -> Tensor:
        """Return the result of a function that needs no message; at once, if its inputs are there."""
        nodes = tuple(tensor.node for tensor in inputs)
        if all(node.done for node in nodes):
            return Tensor(self, Node(None, (), None, function(*(node.value for node in nodes))), shape, fraction)
        node = Node(None, nodes, lambda *values: _at_once(function, values))
        self._schedule.add(node)
        return Tensor(self, node, shape, fraction)

    def item(self, tensor: Tensor, index: int, *, shape: tuple[int, ...], fraction: int) -> Tensor:
        """Return one of several results that one deferred protocol gives."""
        return self.local(lambda values: values[index], [tensor], shape=shape, fraction=fraction)

    def _operation(self, name: str) -> Operation:
        self._operations += 1
        return Operation(self._operations, name)


def _at_once(function: Callable[..., Shared], values: tuple[Shared, ...]) -> Steps[Shared]:
    yield from ()
    return function(*values)
