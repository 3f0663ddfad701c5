"""Division and square roots: move the number to [1/2, 1) by secret powers of two, then iterate.

Each step of the move compares with several powers of two at once and multiplies by the right one, which is linear in the
outcomes; hence no secret shift is needed. What follows converges quadratically from a straight line.

Errors, tested over the domain: one unit in the last place and a relative error of 2^-24; of a quotient a / b, |a| + 2
units, since 1 / b is rounded before it is multiplied.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from reticent.errors import UsageError
from reticent.mpc.arithmetic import lifted, product, rescaled
from reticent.mpc.comparison import signs

if TYPE_CHECKING:
    from reticent.mpc.tensor import Tensor

__all__ = [
    "DIGITS",
    "divide",
    "multiply",
    "newton_reciprocal",
    "positive_reciprocal",
    "reciprocal",
    "relabelled",
    "sqrt",
]

DIGITS = 28
"""Fraction bits of numbers in [0, 2] during iterations: squares of 4 still fit."""

_WAYS = 4  # thresholds of one step plus one: 3 comparisons side by side, 4 powers of two


def multiply(x: Tensor, y: Tensor, fraction: int = DIGITS) -> Tensor:
    """Return x * y with `fraction` bits, in few rounds: within one unit in the last place."""
    return product("multiply", x, y, fraction=fraction, exact=False)


def normalised(x: Tensor, octaves: int, top: int, *, step: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Return v = x q as a code in [2^(top - step), 2^top), q, and the power of two by which q is short of its largest.

    Args:
      x: Codes in [2^(top - octaves), 2^top).
      octaves: Range of x, a multiple of `step`.
      top: Number of bits of the largest code.
      step: q is a power of 2^step; returned are the `step`-th roots of q and of its complement.

    Returns:
      v; the step-th root of q; the step-th root of 2^octaves-ish / q: their product is public, see `moves`.
    """
    value, up, down = x, None, None
    for ways, span in moves(octaves // step):
        lows = []
        for k in range(1, ways):
            threshold = 2.0 ** (top - step * span * k - x.fraction)
            payloads = [value, *([up, down] if up is not None and down is not None else [])]
            lows.append(signs("normalise", value - threshold, payloads, keep=False, bit=up is None))
        factors = [2 ** (span * k) - 2 ** (span * (k - 1)) for k in range(1, ways)]
        wide = [2 ** (step * span * k) - 2 ** (step * span * (k - 1)) for k in range(1, ways)]
        first = up is None
        value = _sum([value, *(low[1 if first else 0] * w for low, w in zip(lows, wide, strict=True))])
        ups = [low[0 if first else 1] * f for low, f in zip(lows, factors, strict=True)]
        # m_k says that the number is small; 1 - m_k, taken from the other end, moves the complement.
        if up is None or down is None:
            ones = [(1 - low[0]) * f for low, f in zip(reversed(lows), factors, strict=True)]
            up, down = _sum([ups[0] + 1, *ups[1:]]), _sum([ones[0] + 1, *ones[1:]])
        else:
            downs = [(down - low[2]) * f for low, f in zip(reversed(lows), factors, strict=True)]
            up, down = _sum([up, *ups]), _sum([down, *downs])
    if up is None or down is None:
        one = x.session.public(1.0, fraction_bits=0).broadcast_to(x.shape)
        return x, one, one
    return value, up, down


def moves(octaves: int) -> list[tuple[int, int]]:
    """Return (ways, span) of the steps that cover `octaves` positions: spans of the largest step first."""
    steps: list[tuple[int, int]] = []
    span = 1
    while span < octaves:
        ways = min(_WAYS, -(-octaves // span))
        steps.append((ways, span))
        span *= ways
    return steps[::-1]


def covered(octaves: int) -> int:
    """Return how many positions `moves` covers: at least `octaves`."""
    return math.prod(ways for ways, _ in moves(octaves))


def newton_reciprocal(v: Tensor) -> Tensor:
    """Return 1 / v for v in [1/2, 1], both with `DIGITS` fraction bits: relative error below 2^-24."""
    guess = 48 / 17 - lifted_constant(v, 32 / 17)
    error = 1 - multiply(v, guess)  # |error| <= 1 / 17
    second = multiply(error, error)
    guess = guess + multiply(guess, error)
    fourth = multiply(second, second)
    guess = guess + multiply(guess, second)
    return guess + multiply(guess, fourth)


def lifted_constant(x: Tensor, constant: float) -> Tensor:
    """Return x * constant with the fraction bits of x."""
    return product("multiply", x, constant, fraction=x.fraction, exact=False)


def reciprocal(x: Tensor, *, low: float, high: float, positive: bool) -> Tensor:
    """Return 1 / x for low <= |x| < high (for x > 0 only, if `positive`)."""
    if positive:
        return positive_reciprocal(x, low=low, high=high, fraction=x.session.fraction_bits)
    negative, folded = signs("sign", x, keep=True, bit=True)
    found = positive_reciprocal(x - 2 * folded, low=low, high=high, fraction=x.session.fraction_bits)
    return found - 2 * (negative * found)


def positive_reciprocal(x: Tensor, *, low: float, high: float, fraction: int) -> Tensor:
    """Return 1 / x for low <= x < high, with `fraction` bits after the point."""
    octaves, top = _range(x, low, high)
    value, up, _ = normalised(x, octaves, top)
    inverse = newton_reciprocal(_as_unit(value, top))
    # x = v / (q 2^(x.fraction - top)), so 1 / x = q (1 / v) 2^(x.fraction - top).
    raw = product("multiply", inverse, up, fraction=2 * DIGITS, exact=False)
    return _shifted(raw, top - x.fraction, fraction)


def divide(a: Tensor, b: Tensor) -> Tensor:
    """Return a / b for |b| in the domain of `reciprocal`."""
    return product("multiply", a, b.reciprocal())


def sqrt(x: Tensor, *, low: float, high: float) -> Tensor:
    """Return the square root of x for low <= x < high, and 0 for 0."""
    octaves, top = _range(x, low, high, even=True)
    value, _, down = normalised(x, octaves, top, step=2)
    v = _as_unit(value, top)
    # 1 / sqrt(v) on [1/4, 1]: a parabola within 4 %, then three of Newton's steps.
    square = multiply(v, v)
    y = 2.5945 - lifted_constant(v, 3.3036) + lifted_constant(square, 1.7382)
    for _ in range(4):
        half = multiply(multiply(y, y), v)
        y = lifted_constant(multiply(y, 3 - half), 0.5)
    root = multiply(v, y)
    # The roots of q and of its complement multiply to 2^(covered - 1); see `normalised`.
    positions = covered(octaves // 2)
    scaled = product("multiply", root, down, fraction=2 * DIGITS, exact=False)
    return _shifted(scaled, positions - 1 - (top - x.fraction) // 2, x.session.fraction_bits)


def _sum(terms: list[Tensor]) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _as_unit(value: Tensor, top: int) -> Tensor:
    """Return codes below 2^top as numbers below 1 with `DIGITS` fraction bits."""
    return _shifted(relabelled(value, top), 0, DIGITS)


def _shifted(x: Tensor, down: int, fraction: int) -> Tensor:
    """Return x / 2^down with `fraction` bits after the point."""
    moved = relabelled(x, x.fraction + down)
    if moved.fraction < fraction:
        return lifted(moved, fraction)
    return rescaled(moved, fraction=fraction, exact=False)


def relabelled(x: Tensor, fraction: int) -> Tensor:
    """Return the same codes read with another number of fraction bits."""
    return x.session.local(lambda shared: shared, [x], shape=x.shape, fraction=fraction)


def _range(x: Tensor, low: float, high: float, *, even: bool = False) -> tuple[int, int]:
    """Return how many octaves lie between low and high, and the number of bits of the largest code."""
    if not 2.0**-x.fraction <= low < high < 2.0 ** (60 - x.fraction) or high / low > 2.0**30:
        raise UsageError(
            "invalid-domain",
            f"low is {low} and high {high} with {x.fraction} fraction bits",
            hint="give 2^-fraction_bits <= low < high, with high at most 2^30 times low",
        )
    top = x.fraction + math.ceil(math.log2(high))
    bottom = x.fraction + math.floor(math.log2(low))
    if even and (top - x.fraction) % 2:
        top += 1
    octaves = top - bottom
    return octaves + (octaves % 2 if even else 0), top
