"""Discrete Gaussian noise, sampled exactly: Canonne, Kamath, Steinke (NeurIPS 2020), algorithm 3, for arrays."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from reticent.dp.samplers.coins import bernoulli_exp
from reticent.dp.samplers.laplace import LARGEST_SCALE, discrete_laplace
from reticent.errors import UsageError
from reticent.randomness import Keystream

__all__ = ["discrete_gaussian"]

_CHUNK = 1 << 15


def discrete_gaussian(sigma: float, size: int, keystream: Keystream) -> NDArray[np.int64]:
    """Return `size` independent draws with P(x) proportional to exp(-x^2 / (2 sigma^2)), x a whole number.

    A discrete Laplace Y of scale t = floor(sigma) + 1 is kept with probability
    exp(-(|Y| - sigma^2 / t)^2 / (2 sigma^2)), which happens about three times out of four.

    Args:
      sigma: In grid steps, above 0 and below 2^40; its exact rational value is meant.
      size: Number of draws, 0 or larger.
      keystream: Secret random words, used by nobody else.

    Returns:
      int64 `(size,)`; no magnitude exceeds 754 * (sigma + 1) + 1.

    Raises:
      UsageError: If sigma or size is out of range.
    """
    if not 0 < sigma < LARGEST_SCALE:
        raise UsageError(
            "invalid-noise-scale",
            f"sigma is {sigma} grid steps",
            hint="give a number above 0 and below 2**40; a coarser grid makes it smaller",
        )
    if size < 0:
        raise UsageError("invalid-count", f"size is {size}", hint="give 0 or a larger whole number")
    drawn = np.empty(size, dtype=np.int64)
    filled = 0
    while filled < size:
        kept = _attempt(float(sigma), min(_CHUNK, (size - filled) * 4 // 3 + 8), keystream)[: size - filled]
        drawn[filled : filled + len(kept)] = kept
        filled += len(kept)
    return drawn


def _attempt(sigma: float, size: int, keystream: Keystream) -> NDArray[np.int64]:
    """Return those of `size` candidates that are kept."""
    scale = math.floor(sigma) + 1
    candidates = discrete_laplace(float(scale), size, keystream)
    exact_sigma = Fraction(sigma)
    center = exact_sigma**2 / scale

    def exact(index: int) -> Fraction:
        return (abs(int(candidates[index])) - center) ** 2 / (2 * exact_sigma**2)

    # In this form the error stays below 2^-50 (1 + gamma), and nothing but gamma itself can overflow.
    with np.errstate(over="ignore"):
        distance = np.abs(candidates) / sigma - sigma / scale
        gamma = distance * distance / 2
    return candidates[bernoulli_exp(gamma, exact, keystream)]
