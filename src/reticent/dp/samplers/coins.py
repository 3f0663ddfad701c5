"""Coins and uniform whole numbers, exact: the parts of rejection samplers and of selection mechanisms.

A coin compares a uniform real with its probability. The first 64 bits decide nearly always; a draw too close to call is
decided by reading on. Canonne, Kamath, Steinke (NeurIPS 2020, algorithm 1) flip exp(-gamma) by a chain of rational
coins instead, which costs about two coins for each draw and does not lend itself to arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from reticent.dp.samplers.uniform import Uniform, exp_fixed
from reticent.randomness import Keystream

__all__ = ["GUARD", "TAIL", "bernoulli", "bernoulli_exp", "integers"]

GUARD = 2.0**-44
"""Bound on the error of ln U + gamma, over 1 + gamma, for U >= TAIL: the interval of U (2^-49), the logarithm (2^-47)
and gamma, which callers give to within 2^-48 (1 + gamma)."""

TAIL = 2.0**-16
"""Below this U, 64 bits say too little: the exact path reads on."""

_NEVER = 4096.0
_WORD = 1 << 64


def bernoulli(probability: Fraction, size: int, keystream: Keystream) -> NDArray[np.bool_]:
    """Return `size` coins that are True with `probability`, in [0, 1]: bool `(size,)`."""
    if probability >= 1:
        return np.ones(size, dtype=np.bool_)
    words = keystream.words(size)
    threshold = np.uint64(int(probability * _WORD))
    heads = words < threshold

    def fixed(precision: int) -> int:
        return int(probability * (1 << precision))

    for index in np.flatnonzero(words == threshold):
        heads[index] = Uniform(int(words[index]), 64, keystream).below(fixed)
    return heads


def bernoulli_exp(
    gamma: NDArray[np.float64], exact: Callable[[int], Fraction], keystream: Keystream
) -> NDArray[np.bool_]:
    """Return for each gamma >= 0 a coin that is True with probability exp(-gamma): bool of its shape `(n,)`.

    Args:
      gamma: float64 `(n,)`, infinity allowed; within 2^-48 (1 + gamma) of the exact numbers.
      exact: From an index to the exact number, asked for where 64 bits leave a doubt. Exactly 0 always gives True.
      keystream: Secret random words, used by nobody else.
    """
    gamma = np.minimum(gamma, _NEVER)
    words = keystream.words(gamma.size)
    uniform = (words.astype(np.float64) + 0.5) * 2.0**-64
    margin = np.log(uniform) + gamma
    heads = margin < 0
    for index in np.flatnonzero((np.abs(margin) <= GUARD * (1 + gamma)) | (uniform < TAIL)):
        heads[index] = _below_exp(Uniform(int(words[index]), 64, keystream), exact(int(index)))
    return heads


def _below_exp(uniform: Uniform, gamma: Fraction) -> bool:
    return gamma == 0 or uniform.below(lambda precision: exp_fixed(gamma, precision))


def integers(n: int, size: int, keystream: Keystream) -> NDArray[np.int64]:
    """Return `size` whole numbers, uniform on 0 .. n - 1, for n from 1 to 2^62: int64 `(size,)`.

    Words are cut to the bits of n - 1 and rejected from n on: a remainder would prefer small numbers.
    """
    if n == 1:
        return np.zeros(size, dtype=np.int64)
    shift = np.uint64(64 - (n - 1).bit_length())
    drawn = np.empty(size, dtype=np.int64)
    filled = 0
    while filled < size:
        words = keystream.words(size - filled) >> shift
        kept = words[words < np.uint64(n)]
        drawn[filled : filled + len(kept)] = kept.astype(np.int64)
        filled += len(kept)
    return drawn
