"""Additive shares among two or more parties, with Beaver triples from a dealer who computes nothing else.

Security: semi-honest. Nothing is revealed to up to n - 1 parties together, as long as the dealer colludes with none of
them. The dealer sees which operations run on which shapes, and no value and no share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, cast

import numpy as np

from reticent.errors import PolicyRefused
from reticent.mpc.beaver import beaver
from reticent.mpc.link import Link
from reticent.mpc.material import PartySource
from reticent.mpc.operation import Operation
from reticent.mpc.products import PRODUCTS, shape_of_product
from reticent.mpc.protocol import Protocol
from reticent.mpc.rounds import Received, Round, Steps, Words
from reticent.mpc.shared import Shared

__all__ = ["Additive", "check_dealer"]

_WORD = np.dtype(np.uint64)
T = TypeVar("T")


def check_dealer(dealer: int, *, parties: int) -> None:
    """Refuse a dealer who is a computing party: it knows every triple, and hence every masked value.

    Raises:
      PolicyRefused: If `dealer` is below `parties`.
    """
    if dealer < parties:
        raise PolicyRefused(
            "dealer-computes",
            f"participant {dealer} of {parties} computing parties was to deal the triples",
            hint="let somebody else deal, who holds no share; or use protocol 'replicated', which needs no dealer",
        )


class Additive(Protocol):
    """One party's side of the additive protocol; see `Protocol`."""

    parts = 1

    def __init__(self, link: Link, *, parties: int, dealer: int) -> None:
        check_dealer(dealer, parties=parties)
        super().__init__(link, parties=parties, members=tuple(range(parties)), helper=dealer)

    def ask(self, request: bytes) -> None:
        """See `Protocol`: the first party asks for all."""
        if self.group.first:
            self.link.send_bytes(self.helper, request)

    def follow(self, source: PartySource, steps: Steps[T]) -> Steps[T]:
        """See `Protocol`: the first values are opened while the dealer is still at work.

        Its messages come over a channel of their own, and gates that begin first are served first.
        """
        received: Received | None = None
        waiting = True
        while True:
            try:
                step = next(steps) if received is None else steps.send(received)
            except StopIteration as end:
                return cast("T", end.value)
            received = yield step
            if waiting:
                source.finish(self.corrections())
                waiting = False

    def input(
        self,
        operation: Operation,  # noqa: ARG002 - nothing is drawn
        owner: int,
        words: Words | None,
        shape: tuple[int, ...],
    ) -> Steps[Shared]:
        """See `Protocol`. Nothing travels: the owner's share is the value until a gate masks it."""
        yield from ()
        mine = np.zeros(shape, dtype=np.uint64) if words is None else words
        return Shared((mine,), owner)

    def add_public(self, shared: Shared, words: Words) -> Shared:
        """See `Protocol`."""
        adder = self.group.members[0] if shared.holder is None else shared.holder
        return shared.map(lambda part: part + words if self.me == adder else np.broadcast_to(part, _joint(part, words)))

    def product(self, operation: Operation, kind: str, x: Shared, y: Shared) -> Steps[Shared]:
        """See `Protocol`; one round, or none if one party holds both operands."""
        shape = shape_of_product(kind, x.parts[0].shape, y.parts[0].shape)
        if x.holder is not None and x.holder == y.holder:
            if self.me == x.holder:
                return Shared((PRODUCTS[kind](x.parts[0], y.parts[0]),), x.holder)
            return Shared((np.zeros(shape, dtype=np.uint64),), x.holder)
        holders = {"left_holder": x.holder, "right_holder": y.holder}
        shapes = {"left": x.parts[0].shape, "right": y.parts[0].shape}
        share = yield from self.gate(
            operation,
            "triple",
            {"kind": kind, **shapes, **holders},
            lambda triple: beaver(self.group, triple, x.parts[0], y.parts[0], kind=kind, **holders),
            rounds=1,
        )
        return Shared((cast("Words", share),))

    def group_product(self, operation: Operation, kind: str, x: Shared, y: Shared) -> Steps[Words]:
        """See `Protocol`."""
        shared = yield from self.product(operation, kind, x, y)
        return shared.parts[0]

    def to_group(self, shared: Shared) -> Words:
        """See `Protocol`."""
        return shared.parts[0]

    def from_group(
        self,
        operation: Operation,  # noqa: ARG002 - nothing is drawn
        arrays: Sequence[Words] | None,
        shapes: Sequence[tuple[int, ...]],
    ) -> Steps[list[Shared]]:
        """See `Protocol`; no round."""
        yield from ()
        return [Shared((words.reshape(shape),)) for words, shape in zip(arrays or (), shapes, strict=True)]

    def open(self, operation: Operation, shared: Shared, to: int | None) -> Steps[Words | None]:
        """See `Protocol`; one round."""
        senders = range(self.parties) if shared.holder is None else [shared.holder]
        receivers = range(self.parties) if to is None else [to]
        share = shared.parts[0] if shared.holder is not None else shared.parts[0] + self._zero(operation, shared)
        specification = (share.shape, _WORD)
        got = yield Round(
            {r: [share] for r in receivers if r != self.me and self.me in senders},
            {s: [specification] for s in senders if s != self.me and self.me in receivers},
        )
        if self.me not in receivers:
            return None
        total = share if self.me in senders else np.zeros(share.shape, dtype=np.uint64)
        for (words,) in got.values():
            total = total + words
        return np.asarray(total)

    def _zero(self, operation: Operation, shared: Shared) -> Words:
        # Shares may follow from inputs that were never split; fresh shares of zero make all sums of them uniform.
        number = operation.next()
        total, part = (np.zeros(shared.parts[0].shape, dtype=np.uint64) for _ in range(2))
        for peer in range(self.parties):
            if peer != self.me:
                self.link.keys.stream(peer, "zero", number).fill(part)
                total = total + part if peer > self.me else total - part
        return np.asarray(total)


def _joint(part: Words, words: Words) -> tuple[int, ...]:
    return np.broadcast_shapes(part.shape, words.shape)
