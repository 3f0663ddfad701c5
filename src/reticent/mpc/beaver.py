"""Products of additive shares with Beaver triples: uniform a and b, and their product, dealt by somebody else.

x y = (D + a)(E + b) with D = x - a and E = y - b, which are opened and tell nothing since a and b are uniform and used
once (D. Beaver, "Efficient multiparty protocols using circuit randomization", CRYPTO 1991). Any bilinear product will
do: elementwise, matrices, batches of matrices. Where one party holds an operand in full, it alone knows the mask and
it alone sends: half of the traffic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from reticent.mpc.group import Group, Masked
from reticent.mpc.material import Source
from reticent.mpc.products import PRODUCTS, shape_of_product
from reticent.mpc.rounds import Array, Steps, Words

__all__ = ["Triple", "beaver", "deal_triple"]


@dataclass(frozen=True, slots=True)
class Triple:
    """Shares (at the dealer: values) of a, b and their product c."""

    a: Array | None
    b: Array | None
    c: Array


def deal_triple(
    source: Source,
    *,
    kind: str,
    left: tuple[int, ...],
    right: tuple[int, ...],
    left_holder: int | None = None,
    right_holder: int | None = None,
) -> Triple:
    """Return a triple for a product of operands of shapes `left` and `right`; a recipe."""
    a = source.held(left, left_holder)
    b = source.held(right, right_holder)

    c = source.fixed(lambda: PRODUCTS[kind](cast("Array", a), cast("Array", b)), shape_of_product(kind, left, right))
    return Triple(a, b, c)


def beaver(
    group: Group,
    triple: Triple,
    x: Words,
    y: Words,
    *,
    kind: str,
    left_holder: int | None = None,
    right_holder: int | None = None,
) -> Steps[Words]:
    """Return this party's share of the product of `x` and `y`; one round.

    Reveals: x - a and y - b to all members, both uniform.
    """
    product = PRODUCTS[kind]
    masked = [
        Masked(None if triple.a is None else x - triple.a, x.shape, holder=left_holder),
        Masked(None if triple.b is None else y - triple.b, y.shape, holder=right_holder),
    ]
    d, e = yield from group.opened(masked)
    share = triple.c
    if group.first:
        share = share + product(d, e if triple.b is None else e + triple.b)
    elif triple.b is not None:
        share = share + product(d, triple.b)
    if triple.a is not None:
        share = share + product(triple.a, e)
    return group.reduce(share)
