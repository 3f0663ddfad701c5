"""The kernels in C++ (`native/`): the compiled module at one level of the processor's instructions."""

from __future__ import annotations

from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from reticent.randomness import Keystream

__all__ = ["GUARD", "INTERFACE", "Compiled"]

INTERFACE = 1
"""Of the compiled module: one that was built from other sources is not used."""

GUARD = 2.0**-45
"""Bound on |computed - exact| / (1 + x) of a quantile x, in standard deviations, for U >= 2^-24.

Proven piece by piece in tests/kernels/test_kernels_guard.py, from the coefficients that were compiled: the interval of
U is the largest part, 2^-65 / phi(x) <= 2^-46 (1 + x); the interpolation has 2^-52, rounding 2^-50."""

_CHUNK = 1 << 20  # even: a chunk begins with a whole block
_WORDS = 1 << 15  # in the second-level cache


class Compiled:
    """The compiled module.

    Args:
      module: `reticent.kernels._native`.
      level: One of `module.levels()`.
    """

    def __init__(self, module: ModuleType, level: str) -> None:
        self._module, self.level = module, level
        self._polynomials = module.inverse_normal()

    def describe(self) -> str:
        """Return in a few words what runs."""
        aes = {"avx512": "AVX-512, VAES", "avx2": "AVX2, AES-NI", "plain": "plain C++"}[self.level]
        return f"native ({aes})"

    def gaussian(self, key: bytes, scale: float, out: NDArray[np.int64]) -> NDArray[np.int64]:
        """See `Kernels.gaussian`."""
        if self.level == "plain":
            return self._from_words(Keystream(key), scale, out)
        doubtful = [np.zeros(0, dtype=np.int64)]
        found = np.empty(min(len(out), _CHUNK), dtype=np.int64)
        for start in range(0, len(out), _CHUNK):
            part = out[start : start + _CHUNK]
            count = self._module.gaussian_of_key(
                self.level, key, start // 2, scale, GUARD, self._polynomials, part, found
            )
            doubtful.append(start + found[:count])
        return np.concatenate(doubtful)

    def _from_words(self, keystream: Keystream, scale: float, out: NDArray[np.int64]) -> NDArray[np.int64]:
        """Without the processor's AES instructions: no tables in memory stand in for them."""
        doubtful = [np.zeros(0, dtype=np.int64)]
        found = np.empty(min(len(out), _WORDS), dtype=np.int64)
        for start in range(0, len(out), _WORDS):
            part = out[start : start + _WORDS]
            words = keystream.words(len(part))
            count = self._module.gaussian_of_words(self.level, words, scale, GUARD, self._polynomials, part, found)
            doubtful.append(start + found[:count])
        return np.concatenate(doubtful)
