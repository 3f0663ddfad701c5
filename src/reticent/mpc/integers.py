"""The textbook operations on shared integers, all parties in one process: to learn from, and to try things out.

    shares = mpc.share(5, parties=3)                        # three uniform numbers that add up to 5 modulo 2^64
    mpc.reconstruct(mpc.add(shares, mpc.share(7)))          # 12: everybody adds its own shares
    mpc.reconstruct(mpc.multiply(shares, mpc.share(7), triple=mpc.triple(parties=3)))          # 35

Shares are uniform over the whole ring, the last one included. (Shares drawn from 0 to 99 leave the secret, give or take
a hundred, in the last one.) A product of shares is no share of the product: it takes one of Beaver's triples, and each
triple once, since two products under one mask tell the difference of their operands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reticent.errors import PolicyRefused, UsageError
from reticent.mpc.beaver import Triple, beaver
from reticent.mpc.group import Group
from reticent.mpc.rounds import Words, play
from reticent.mpc.threshold import ThresholdShares, share_with_threshold
from reticent.randomness import Keystream
from reticent.rings import combine_additive, split_additive

__all__ = ["IntegerShares", "IntegerTriple", "add", "multiply", "reconstruct", "share", "triple"]

Integers = int | NDArray[np.int64]


class IntegerShares:
    """Additive shares modulo 2^64 of an integer or an array of integers, one for each party.

    Attributes:
      values: Each party's share, by number.
    """

    def __init__(self, values: Sequence[Words]) -> None:
        self.values = tuple(np.asarray(value, dtype=np.uint64) for value in values)

    @property
    def parties(self) -> int:
        """How many parties hold a share."""
        return len(self.values)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the secret; empty for one integer."""
        return self.values[0].shape

    def __getitem__(self, party: int) -> Words:
        return self.values[party]

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Words]:
        return iter(self.values)

    def __add__(self, other: IntegerShares | Integers) -> IntegerShares:
        return _add(self, other)

    __radd__ = __add__

    def __neg__(self) -> IntegerShares:
        return IntegerShares([np.negative(value) for value in self.values])

    def __sub__(self, other: IntegerShares | Integers) -> IntegerShares:
        return _add(self, -other)

    def __mul__(self, other: IntegerShares | Integers) -> IntegerShares:
        """Return the product with a public number; a product of two secrets is `multiply`, with a triple."""
        return _multiply(self, other, None)

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return f"IntegerShares(parties={self.parties}, shape={self.shape})"


class IntegerTriple:
    """Shares of uniform a and b and of a b, for one product; dealt by somebody who holds no share of the operands.

    Args:
      shares: One triple for each party.
    """

    def __init__(self, shares: Sequence[Triple]) -> None:
        self._shares: Sequence[Triple] | None = shares
        self.parties = len(shares)

    def take(self) -> Sequence[Triple]:
        """Return the shares, and forget them.

        Raises:
          PolicyRefused: If they were taken before.
        """
        if self._shares is None:
            raise PolicyRefused(
                "triple-reused",
                "a triple was to be used for a second product",
                hint="deal a new one with mpc.triple(...) for each product",
            )
        shares, self._shares = self._shares, None
        return shares

    def __repr__(self) -> str:
        return f"IntegerTriple(parties={self.parties}, used={self._shares is None})"


@overload
def share(value: ArrayLike, *, parties: int = 3, threshold: None = None) -> IntegerShares: ...
@overload
def share(value: int, *, parties: int = 3, threshold: int) -> ThresholdShares: ...
def share(value: ArrayLike, *, parties: int = 3, threshold: int | None = None) -> IntegerShares | ThresholdShares:
    """Return shares of `value`: additive, all of which restore it, or Shamir's, `threshold` of which do.

    Args:
      value: An integer, or an array of them: -2^63 to 2^64 - 1 (with a threshold: one, of up to 255 bits).
      parties: How many shares, at least 2.
      threshold: How many restore the value; all if None.

    Raises:
      UsageError: If `parties` or `threshold` makes no sense, or a value is no integer of that size.
    """
    if threshold is not None:
        return share_with_threshold(value, parties=parties, threshold=threshold)
    return IntegerShares(split_additive(_words(value), parties))


def add(a: IntegerShares | ThresholdShares, b: object) -> IntegerShares | ThresholdShares:
    """Return shares of the sum of two secrets, or of a secret and a public number; nobody sends anything."""
    if isinstance(a, ThresholdShares):
        return a + b
    if isinstance(b, ThresholdShares):
        return b + a
    return _add(a, b)


def multiply(
    a: IntegerShares | ThresholdShares, b: object, *, triple: IntegerTriple | None = None
) -> IntegerShares | ThresholdShares:
    """Return shares of the product of two secrets (with a triple), or of a secret and a public number.

    Raises:
      UsageError: If two secrets come without a triple or with one for other parties or shapes, or cannot be multiplied.
      PolicyRefused: If the triple was used before.
    """
    return a * b if isinstance(a, ThresholdShares) else _multiply(a, b, triple)


def _multiply(a: IntegerShares, b: object, triple: IntegerTriple | None) -> IntegerShares:
    if not isinstance(b, IntegerShares):
        return IntegerShares([np.multiply(value, _words(b)) for value in a.values])
    if triple is None:
        raise UsageError(
            "triple-missing",
            "two secrets were to be multiplied share by share",
            hint="give a fresh triple: mpc.multiply(a, b, triple=mpc.triple(parties=..., shape=...))",
        )
    if not a.parties == b.parties == triple.parties:
        raise UsageError(
            "triple-does-not-fit",
            f"operands of {a.parties} and {b.parties} parties, and a triple of {triple.parties}",
            hint="share both operands and deal the triple among the same parties",
        )
    taken = triple.take()
    if any(one.a is None or one.a.shape != a.shape or one.c.shape != b.shape for one in taken):
        raise UsageError(
            "triple-does-not-fit",
            f"operands of shapes {a.shape} and {b.shape}, and a triple of shape {taken[0].c.shape}",
            hint="deal the triple with the shape of both operands",
        )
    members = tuple(range(a.parties))
    found = play({i: beaver(Group(i, members), taken[i], a[i], b[i], kind="multiply") for i in members})
    return IntegerShares([found[i] for i in members])


def triple(*, parties: int = 3, shape: tuple[int, ...] = ()) -> IntegerTriple:
    """Return a triple for one product, as a dealer makes it: uniform a and b over the whole ring, and c = a b.

    Run by a dealer who holds no share of the operands: it knows a and b, and with what is opened, the operands.
    """
    stream = Keystream.fresh()
    a, b = (np.empty(shape, dtype=np.uint64) for _ in range(2))
    stream.fill(a)
    stream.fill(b)
    parts = [split_additive(words, parties, stream) for words in (a, b, np.asarray(np.multiply(a, b)))]
    return IntegerTriple([Triple(*one) for one in zip(*parts, strict=True)])


def reconstruct(shares: IntegerShares | ThresholdShares | Mapping[int, object] | Sequence[Words]) -> Integers:
    """Return the secret as a signed integer, or array of them.

    Args:
      shares: All additive shares; or those of at least `threshold` holders, as `shares.of(0, 2)` gives them.

    Raises:
      UsageError: If shares are missing or do not belong together.
    """
    if isinstance(shares, ThresholdShares):
        return shares.restore()
    if isinstance(shares, Mapping):
        shares = [np.asarray(shares[party]) for party in sorted(shares)]
    total = combine_additive(list(shares)).view(np.int64)
    return int(total) if total.ndim == 0 else total


def _add(a: IntegerShares, b: object) -> IntegerShares:
    if isinstance(b, IntegerShares):
        if a.parties != b.parties:
            raise UsageError(
                "parties-differ",
                f"secrets shared among {a.parties} and {b.parties} parties were to be added",
                hint="share both among the same parties",
            )
        return IntegerShares([np.add(x, y) for x, y in zip(a.values, b.values, strict=True)])
    return IntegerShares([np.add(a.values[0], _words(b)), *a.values[1:]])


def _words(value: object) -> Words:
    """Return integers as elements of the ring."""
    array = np.asarray(value)
    if array.dtype.kind == "i":
        return np.asarray(array.astype(np.int64)).view(np.uint64)
    if array.dtype.kind == "u":
        return np.asarray(array.astype(np.uint64))
    if array.dtype.kind == "b":
        return np.asarray(array.astype(np.uint64))
    raise UsageError(
        "not-integers",
        f"a value of type {array.dtype} was to be shared as an integer",
        hint="give integers from -2^63 to 2^64 - 1; for real numbers use a session, whose inputs are fixed point",
    )
