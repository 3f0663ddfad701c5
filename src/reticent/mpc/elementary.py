"""Exponential, sigmoid and softmax, with stated errors.

exp(x) = 2^i 2^t: the whole part i of x log2(e) indexes a table of powers of two, and 2^t, t in [-1/2, 1/2), is a
polynomial of degree 5. Where a result is only a step on the way, it carries 27 or 28 bits after the point.

Errors, tested over the domain: exp, 2 units in the last place and a relative error of 2^-21; sigmoid, 2 units in the last
place and 2^-24; softmax over n numbers, 2 units and (n + 8) 2^-27: 8 for the polynomial.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from reticent.mpc.arithmetic import product, rescaled
from reticent.mpc.comparison import largest, relu, signs
from reticent.mpc.division import DIGITS, multiply, newton_reciprocal, positive_reciprocal, relabelled
from reticent.mpc.lookup import look_up

if TYPE_CHECKING:
    from reticent.mpc.tensor import Tensor

__all__ = ["exp", "sigmoid", "softmax"]

_TABLE = 64
_DIGITS_OF_POWER = 24
# 2^t on [-1/2, 1/2]: Chebyshev interpolation of degree 5, error 2^-22.
_POWER = np.polynomial.Chebyshev.interpolate(np.exp2, 5, domain=(-0.5, 0.5)).convert(kind=np.polynomial.Polynomial).coef


def exp(x: Tensor) -> Tensor:
    """Return the exponential of x up to (36 - fraction_bits) ln 2; below -(fraction_bits + 1) ln 2 zero or one unit."""
    digits = x.session.fraction_bits
    return _exp_above(_at_least(x, digits), digits)


def _at_least(x: Tensor, digits: int) -> Tensor:
    """Return x, or the number whose exponential is half a unit if that is larger."""
    floor = -(digits + 1) * math.log(2)
    return relu(x - floor) + floor


def _exp_above(x: Tensor, digits: int) -> Tensor:
    """Return the exponential of x, from -(digits + 1) ln 2 to (36 - digits) ln 2, with `digits` bits after the point."""
    x = rescaled(x, fraction=DIGITS, exact=False)  # with more, the product with 28 digits of log2(e) would wrap around
    binary = _times(x, math.log2(math.e), DIGITS)
    # Centred: i = floor(x log2(e) + 1/2), and t is the rest, less 1/2.
    shifted = binary + (digits + 2.5)
    whole = rescaled(shifted, fraction=0, exact=True)
    rest = shifted - whole - 0.5
    powers = np.zeros(_TABLE, dtype=np.uint64)
    for place in range(_TABLE):
        exponent = min(place - (digits + 2), 36 - digits)
        powers[place] = 1 << max(exponent + digits + 1, 0)
    scale = look_up(whole, powers, fraction=digits + 1)
    return product("multiply", _power(rest), scale, fraction=digits, exact=False)


def _power(t: Tensor) -> Tensor:
    """Return 2^t for t in [-1/2, 1/2): a0 + a1 t + t2 (a2 + a3 t + t2 (a4 + a5 t))."""
    a = _POWER
    square = multiply(t, t)
    inner = multiply(square, _times(t, a[5], DIGITS) + a[4])
    outer = multiply(square, inner + _times(t, a[3], DIGITS) + a[2])
    return rescaled(outer + _times(t, a[1], DIGITS) + a[0], fraction=_DIGITS_OF_POWER, exact=False)


def _times(x: Tensor, constant: float, fraction: int) -> Tensor:
    """Return x * constant with `fraction` bits and a constant of 28 digits."""
    words = np.asarray(round(constant * 2.0**28)).astype(np.int64).view(np.uint64)
    raw = x.session.local(lambda s: s.map(lambda p: p * words), [x], shape=x.shape, fraction=x.fraction + 28)
    return rescaled(raw, fraction=fraction, exact=False)


def sigmoid(x: Tensor) -> Tensor:
    """Return 1 / (1 + exp(-x)): 1 / (1 + e) for e = exp(-min(|x|, limit)), reflected for negative x."""
    limit = min(x.session.fraction_bits + 1, DIGITS) * math.log(2)
    negative, folded = signs("sign", x, keep=True, bit=True)
    below = signs("sign", x + limit, keep=True, bit=False)[0]
    above = signs("sign", limit - x, keep=True, bit=False)[0]
    # |x| = x - 2 [x < 0] x; what exceeds the limit on either side is taken off.
    magnitude = x - 2 * folded + below + above
    # The codes of 1 + e, read with one bit more after the point, are those of (1 + e) / 2; of its inverse likewise.
    half = relabelled(1 + _exp_above(-magnitude, DIGITS - 1), DIGITS)
    inverse = newton_reciprocal(half)
    upper = rescaled(relabelled(inverse, inverse.fraction + 1), exact=False)
    return upper + negative * (1 - 2 * upper)


def softmax(x: Tensor, axis: int) -> Tensor:
    """Return exp(x - max) over its sum along `axis`."""
    weights = _exp_above(_at_least(x - largest(x, axis, keepdims=True), DIGITS), DIGITS)
    total = weights.sum(axis, keepdims=True)
    share = positive_reciprocal(total, low=0.5, high=2.0 * x.shape[axis], fraction=DIGITS)
    return product("multiply", weights, share, exact=False)
