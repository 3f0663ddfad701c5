"""Replicated shares among three parties without a dealer: at most one of them looks at what it sees.

x = s_0 + s_1 + s_2, and party i holds (s_i, s_{i+1}). Products cost one word for each party (Araki, Furukawa, Lindell,
Nof and Ohara, CCS 2016). For comparison and truncation parties 0 and 1 take additive shares, without a message, and
party 2 deals to them: it never sees what they open. The result is replicated again with one word from each of the two.

Security: semi-honest, honest majority. Nothing is revealed to one party alone; two together know everything.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reticent.mpc.link import Link
from reticent.mpc.operation import Operation
from reticent.mpc.products import PRODUCTS
from reticent.mpc.protocol import Protocol
from reticent.mpc.rounds import Round, Steps, Words
from reticent.mpc.shared import Shared

__all__ = ["Replicated", "local_product"]

_WORD = np.dtype(np.uint64)
_NOTHING: Words = np.empty(0, dtype=np.uint64)


def local_product(kind: str, x: tuple[Words, Words], y: tuple[Words, Words]) -> Words:
    """Return x_i y_i + x_i y_{i+1} + x_{i+1} y_i: the three parties' results add up to the product."""
    product = PRODUCTS[kind]
    out = product(x[0], y[0] + y[1])
    out += product(x[1], y[0])
    return out


class Replicated(Protocol):
    """One party's side of the replicated protocol; see `Protocol`."""

    parts = 2

    def __init__(self, link: Link) -> None:
        super().__init__(link, parties=3, members=(0, 1), helper=2)

    def ask(self, request: bytes) -> None:
        """See `Protocol`: party 2 runs the program and knows what is needed."""

    def _neighbour(self, steps: int) -> int:
        return (self.me + steps) % 3

    def _drawn(self, peer: int, use: str, number: tuple[int, int], shape: tuple[int, ...]) -> Words:
        out = np.empty(shape, dtype=np.uint64)
        self.link.keys.stream(peer, use, number).fill(out)
        return out

    def input(self, operation: Operation, owner: int, words: Words | None, shape: tuple[int, ...]) -> Steps[Shared]:
        """See `Protocol`; one round, in which the owner sends one share to the next party.

        s_owner is drawn by the owner and the previous party, s_{owner+2} by all three, and s_{owner+1} is the rest.
        """
        number = operation.next()
        common = np.empty(shape, dtype=np.uint64)
        self.link.keys.common("input", number).fill(common)
        if words is not None:
            own = self._drawn(self._neighbour(2), "input", number, shape)
            rest = words - own - common
            yield Round({self._neighbour(1): [rest]})
            return Shared((own, np.asarray(rest)))
        if self._neighbour(2) == owner:
            got = yield Round(receive={owner: [(shape, _WORD)]})
            return Shared((got[owner][0], common))
        yield Round()
        return Shared((common, self._drawn(owner, "input", number, shape)))

    def add_public(self, shared: Shared, words: Words) -> Shared:
        """See `Protocol`: added to s_0."""
        parts = []
        for index, part in enumerate(shared.parts):
            shape = np.broadcast_shapes(part.shape, words.shape)
            parts.append(np.asarray(part + words) if self._neighbour(index) == 0 else np.broadcast_to(part, shape))
        return Shared(tuple(parts))

    def product(self, operation: Operation, kind: str, x: Shared, y: Shared) -> Steps[Shared]:
        """See `Protocol`; one round, one word from each party."""
        number = operation.next()
        share = local_product(kind, _pair(x), _pair(y))
        # A share of zero from two common streams hides the sum of cross terms from the party that receives it.
        share += self._drawn(self._neighbour(2), "product", number, share.shape)
        share -= self._drawn(self._neighbour(1), "product", number, share.shape)
        after = self._neighbour(1)
        got = yield Round({self._neighbour(2): [share]}, {after: [(share.shape, _WORD)]})
        return Shared((share, got[after][0]))

    def group_product(self, operation: Operation, kind: str, x: Shared, y: Shared) -> Steps[Words]:
        """See `Protocol`; one round, one word from party 2 to party 1."""
        number = operation.next()
        share = local_product(kind, _pair(x), _pair(y))
        if self.me == 0:
            yield Round()
            return np.asarray(share - self._drawn(2, "product", number, share.shape))
        if self.me == 2:
            yield Round({1: [share + self._drawn(0, "product", number, share.shape)]})
            return _NOTHING
        got = yield Round(receive={2: [(share.shape, _WORD)]})
        return np.asarray(share + got[2][0])

    def to_group(self, shared: Shared) -> Words:
        """See `Protocol`."""
        if self.me == 0:
            return np.asarray(shared.parts[0] + shared.parts[1])
        return shared.parts[1] if self.me == 1 else _NOTHING

    def from_group(
        self, operation: Operation, arrays: Sequence[Words] | None, shapes: Sequence[tuple[int, ...]]
    ) -> Steps[list[Shared]]:
        """See `Protocol`; one round.

        s_0 is drawn by parties 0 and 2, s_2 by parties 1 and 2, and parties 0 and 1 tell each other their parts of
        s_1, each masked by the share that the other does not know.
        """
        number = operation.next()
        if arrays is None:
            seconds = [self._drawn(1, "reshare", number, (sum(int(np.prod(s)) for s in shapes),))]
            firsts = [self._drawn(0, "reshare", number, seconds[0].shape)]
            yield Round()
            return _cut(seconds[0], firsts[0], shapes)
        flat = arrays[0].reshape(-1) if len(arrays) == 1 else np.concatenate([words.reshape(-1) for words in arrays])
        outer = self._drawn(2, "reshare", number, flat.shape)
        part = flat - outer
        peer = 1 - self.me
        got = yield Round({peer: [part]}, {peer: [(flat.shape, _WORD)]})
        middle = part + got[peer][0]
        return _cut(outer, middle, shapes) if self.me == 0 else _cut(middle, outer, shapes)

    def open(
        self,
        operation: Operation,  # noqa: ARG002 - nothing is drawn
        shared: Shared,
        to: int | None,
    ) -> Steps[Words | None]:
        """See `Protocol`; one round: each receiver gets from the next party the one share it lacks."""
        receivers = range(3) if to is None else [to]
        before, after = self._neighbour(2), self._neighbour(1)
        got = yield Round(
            {before: [shared.parts[1]]} if before in receivers else {},
            {after: [(shared.parts[0].shape, _WORD)]} if self.me in receivers else {},
        )
        if self.me not in receivers:
            return None
        return np.asarray(shared.parts[0] + shared.parts[1] + got[after][0])


def _pair(shared: Shared) -> tuple[Words, Words]:
    first, second = shared.parts
    return first, second


def _cut(first: Words, second: Words, shapes: Sequence[tuple[int, ...]]) -> list[Shared]:
    out, start = [], 0
    for shape in shapes:
        end = start + int(np.prod(shape, dtype=np.int64))
        out.append(Shared((first[start:end].reshape(shape), second[start:end].reshape(shape))))
        start = end
    return out
