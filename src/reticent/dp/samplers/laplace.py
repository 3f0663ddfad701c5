"""Discrete Laplace and rounded Laplace noise, sampled exactly.

Both have a magnitude whose tail is elementary. With scale t and p = e^(-1/t), for m >= 1:

    discrete Laplace, P(x) proportional to p^|x|      P(|X| >= m) = 2 p^m / (1 + p)
    rounded Laplace, round(X) for X ~ Laplace(t)      P(|X| >= m) = e^(-(m - 1/2) / t)

so |X| is the largest m whose tail exceeds a uniform real U. The first 63 bits of U are turned around in floating point,
whose error is bounded (`GUARD`); a draw nearer to a whole number than that error, and every draw in the far tail, is
decided by comparing the bits of U with the exact tail, reading more of them as needed (`Uniform`). No bit of the result
comes from floating point (Mironov, CCS 2012). The discrete Laplace is that of Canonne, Kamath, Steinke (NeurIPS 2020),
whose algorithm 2 rejects; inversion needs one word and one logarithm for each draw.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reticent.dp.samplers.uniform import Uniform, exp_fixed
from reticent.errors import UsageError
from reticent.randomness import Keystream

__all__ = ["GUARD", "LARGEST_SCALE", "TAIL", "discrete_laplace", "rounded_laplace"]

LARGEST_SCALE = 2.0**40

GUARD = 2.0**-44
"""Bound on |computed - exact| of the magnitude, over the scale, for U >= TAIL, where -ln U is at most 11.1.

It covers the 63-bit interval of U (half of 2^-63, over U: 2^-48), the logarithm (4 units in the last place: 2^-47; a
test measures it), the subtraction of a constant and the product with the scale (2^-49 each)."""

TAIL = 2.0**-16
"""Below this U, 63 bits say too little: the exact path reads on."""

_CHUNK = 1 << 15
_MAGNITUDE = np.uint64((1 << 63) - 1)


class _Shape(Protocol):
    """A distribution on 0, 1, 2, ... by its tail."""

    scale: float

    def real(self, minus_log: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the reals, at least 0, whose floors are the magnitudes, from -ln U."""

    def tail(self, magnitude: int) -> Callable[[int], int]:
        """Return the probability of `magnitude` >= 1 or more, as `Uniform.below` takes it."""


class _Discrete:
    def __init__(self, scale: float) -> None:
        self.scale = scale
        self._exact = Fraction(scale)
        self._lift = math.log(2 / (1 + math.exp(-1 / scale)))

    def real(self, minus_log: NDArray[np.float64]) -> NDArray[np.float64]:
        return (minus_log + self._lift) * self.scale

    def tail(self, magnitude: int) -> Callable[[int], int]:
        def fixed(precision: int) -> int:
            power, one = exp_fixed(magnitude / self._exact, precision), exp_fixed(1 / self._exact, precision)
            return (power << (precision + 1)) // ((1 << precision) + one)

        return fixed


class _Rounded:
    def __init__(self, scale: float) -> None:
        self.scale = scale
        self._exact = Fraction(scale)

    def real(self, minus_log: NDArray[np.float64]) -> NDArray[np.float64]:
        return minus_log * self.scale + 0.5

    def tail(self, magnitude: int) -> Callable[[int], int]:
        return lambda precision: exp_fixed((magnitude - Fraction(1, 2)) / self._exact, precision)


def discrete_laplace(scale: float, size: int, keystream: Keystream) -> NDArray[np.int64]:
    """Return `size` independent draws with P(x) proportional to exp(-|x| / scale), x a whole number.

    Args:
      scale: In grid steps, above 0 and at most 2^40; its exact rational value is meant.
      size: Number of draws, 0 or larger.
      keystream: Secret random words, used by nobody else.

    Returns:
      int64 `(size,)`; no magnitude exceeds 754 * scale + 1.

    Raises:
      UsageError: If scale or size is out of range.
    """
    return _draw(_Discrete(_checked(scale, size)), size, keystream)


def rounded_laplace(scale: float, size: int, keystream: Keystream) -> NDArray[np.int64]:
    """Return `size` independent draws of round(X) for X ~ Laplace(0, scale).

    Rounding is post-processing: the privacy loss of the continuous Laplace holds for the result.

    Args:
      scale: In grid steps, above 0 and at most 2^40; its exact rational value is meant.
      size: Number of draws, 0 or larger.
      keystream: Secret random words, used by nobody else.

    Returns:
      int64 `(size,)`; no magnitude exceeds 754 * scale + 1.

    Raises:
      UsageError: If scale or size is out of range.
    """
    return _draw(_Rounded(_checked(scale, size)), size, keystream)


def _checked(scale: float, size: int) -> float:
    if not 0 < scale <= LARGEST_SCALE:
        raise UsageError(
            "invalid-noise-scale",
            f"the noise's scale is {scale} grid steps",
            hint="give a number above 0 and at most 2**40; a coarser grid makes it smaller",
        )
    if size < 0:
        raise UsageError("invalid-count", f"size is {size}", hint="give 0 or a larger whole number")
    return float(scale)


def _draw(shape: _Shape, size: int, keystream: Keystream) -> NDArray[np.int64]:
    drawn = np.empty(size, dtype=np.int64)
    for start in range(0, size, _CHUNK):
        part = drawn[start : start + _CHUNK]
        words = keystream.words(len(part))
        bits = words & _MAGNITUDE
        magnitudes, ambiguous = _fast(shape, bits)
        for index in np.flatnonzero(ambiguous):
            magnitudes[index] = _exact(shape, int(bits[index]), int(magnitudes[index]), keystream)
        part[:] = np.where(words > _MAGNITUDE, -magnitudes, magnitudes)
    return drawn


def _fast(shape: _Shape, bits: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the magnitudes for U in [bits, bits + 1) / 2^63, and which of them must be decided exactly."""
    uniform = (bits.astype(np.float64) + 0.5) * 2.0**-63
    real = shape.real(-np.log(uniform))
    nearest = np.rint(real)
    # A boundary (a whole number from 1 on) nearer than the error could put the draw on its wrong side.
    ambiguous = (np.abs(real - nearest) <= GUARD * shape.scale) & (nearest >= 1)
    return np.floor(real).astype(np.int64), ambiguous | (uniform < TAIL)


def _exact(shape: _Shape, bits: int, guess: int, keystream: Keystream) -> int:
    """Return the largest m >= 0 with U < tail(m), by comparisons with exact probabilities only.

    `guess` only says where to begin.
    """
    uniform = Uniform(bits, 63, keystream)

    def reaches(m: int) -> bool:
        return m <= 0 or uniform.below(shape.tail(m))

    low, step = max(guess, 0), 1
    while not reaches(low):
        low, step = max(low - step, 0), 2 * step
    high, step = low + 1, 1
    while reaches(high):
        low, high, step = high, high + step, 2 * step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if reaches(middle) else (low, middle)
    return low
