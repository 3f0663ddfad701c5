"""Neural networks under sharing: one party's weights, another's inputs, and neither sees the other's.

`compile` lowers a torch module to its operations, lets the weights in as the input of the party that owns them, and
returns a function from shared batches to shared results. The architecture (layers, shapes, constants in the code) is
public and compared between the parties before anything is computed; the weights of anybody but the owner are dropped
the moment the module is lowered.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reticent.errors import UsageError
from reticent.lowering import INPUT, Program, lower
from reticent.mpc.cost import Entry
from reticent.mpc.layers import apply, layout, require_offered
from reticent.mpc.tensor import Tensor
from reticent.rings import Ring64

if TYPE_CHECKING:
    import torch

    from reticent.mpc.session import Session

__all__ = ["Network", "compile"]


@dataclass(frozen=True, eq=False)
class Network:
    """A compiled model at one party.

    Attributes:
      program: The operations; at everybody but the owner without weights.
      owner: The party whose weights they are.
      weights: The shared weights of each operation, by name.
    """

    program: Program
    owner: int
    weights: dict[str, dict[str, Tensor]]

    def __call__(self, x: Tensor) -> Tensor:
        """Return the shared result `(batch, *output_shape)` for a shared batch `(batch, *input_shape)`.

        Reveals: nothing; who may see the result is decided where it is revealed. A result tells its reader about the
        weights, as every prediction does, and about the inputs.

        Raises:
          UsageError: If `x` has another shape.
        """
        if x.shape[1:] != self.program.input_shape or x.ndim == 0:
            raise UsageError(
                "network-input-shape",
                f"the network takes (batch, *{self.program.input_shape}) and was given {x.shape}",
                hint="give a batch, also for one sample, shaped like the example that the module was compiled with",
            )
        values = {INPUT: x}
        for op in self.program.ops:
            values[op.name] = apply(op, self.weights[op.name], *(values[name] for name in op.inputs))
        return values[self.program.output]


def compile(  # noqa: A001 - the public name, as in torch.compile and he.compile
    session: Session, module: torch.nn.Module | Program, example: torch.Tensor | None = None, *, owner: int
) -> Network:
    """Return `module` as a function from shared batches to shared results.

    Run by: every party, at the same place of the program. The owner passes the trained module; the others pass one of
    the same architecture with any weights (those it was made with), or `Program.architecture()`.
    Reveals: the architecture, to all. The weights enter as an input of `owner` and nobody sees them.

    Args:
      session: The party's session.
      module: A torch module in which `reticent.lowering` knows every layer, or a lowered program.
      example: `(batch, *sample)`, for a module; only the shape counts.
      owner: The party whose weights are used.

    Raises:
      UsageError: If a layer is not offered, the parties' architectures differ, or the owner has no weights.
    """
    program = _lowered(session, module, example, owner)
    for op in program.ops:
        require_offered(op)
    _agree(session, program, owner)
    weights = {
        op.name: {key: _weight(session, f"{op.name}.{key}", array, owner) for key, array in sorted(layout(op).items())}
        for op in program.ops
    }
    return Network(program, owner, weights)


def _lowered(session: Session, module: torch.nn.Module | Program, example: torch.Tensor | None, owner: int) -> Program:
    if not 0 <= owner < session.parties:
        raise UsageError(
            "network-owner",
            f"the owner of the weights is {owner}, and parties are 0 to {session.parties - 1}",
            hint="name the computing party that holds the trained model",
        )
    if not isinstance(module, Program):
        if example is None:
            raise UsageError(
                "network-example",
                "a torch module was to be compiled without an example",
                hint="pass a batch of the right shape, for instance torch.zeros(1, 784)",
            )
        module = lower(module, example)
    if session.party != owner:
        return module.architecture()  # from here on, no weight of a party that does not own the model exists
    if not module.has_weights:
        raise UsageError(
            "network-without-weights",
            f"party {owner} owns the weights and passed an architecture without any",
            hint="pass the trained module, or the program that `lower` made of it, at the owner",
        )
    return module


def _agree(session: Session, program: Program, owner: int) -> None:
    """Compare the architecture with all others: other shapes would be multiplied into noise, or wait for ever."""
    began, link = time.perf_counter(), session.protocol.link
    before = link.bytes_sent
    mine = bytes.fromhex(program.fingerprint()) + bytes([owner])
    peers = [peer for peer in range(session.parties) if peer != session.party]
    for peer in peers:
        link.send_bytes(peer, mine)
    others = {peer: bytes(link.receive_bytes(peer)) for peer in peers}
    session.cost.entries.append(
        Entry("agree on an architecture", link.bytes_sent - before, 1, time.perf_counter() - began)
    )
    session.cost.rounds += 1
    if any(theirs != mine for theirs in others.values()):
        raise UsageError(
            "architecture-differs",
            f"the parties mean different models: {_differing(mine, others)}",
            hint="pass the same module, example shape and owner at every party; only the weights may differ",
        )


def _differing(mine: bytes, others: dict[int, bytes]) -> str:
    return ", ".join(
        f"party {peer} another owner" if theirs[:32] == mine[:32] else f"party {peer} another architecture"
        for peer, theirs in others.items()
        if theirs != mine
    )


def _weight(session: Session, name: str, array: NDArray[np.float64], owner: int) -> Tensor:
    words = Ring64(session.fraction_bits).encode(array) if session.party == owner else None

    def start(operation: Any) -> Any:
        return session.protocol.input(operation, owner, words, array.shape)

    return session.defer(f"weights {name} {array.shape}", start, (), shape=array.shape, fraction=session.fraction_bits)
