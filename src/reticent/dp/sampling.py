"""Poisson sampling: every unit takes part independently, with the declared probability, and never from a seed.

The accounting of `PoissonSampled` holds for this sampler and for no other: shuffling, dropping the last batch or
skipping an empty sample invalidates it (at one epoch of 1000 steps, sigma 0.5, delta 1e-6: epsilon 4.2 against at
least 11.0 for shuffled batches; Chua et al. 2024).
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from reticent.errors import UsageError
from reticent.randomness import Keystream

__all__ = ["PoissonSampler"]

_CHUNK = 1 << 18


class PoissonSampler:
    """Draws samples that hold each unit independently with `probability`.

    Args:
      probability: Above 0 and at most 1. The realised probability is this number rounded *down* to a multiple of
        2^-64, so the claim made for `probability` holds.

    Raises:
      UsageError: If the probability is out of range.
    """

    def __init__(self, probability: float) -> None:
        if not 0 < probability <= 1:
            raise UsageError(
                "invalid-sampling-probability",
                f"sampling_probability is {probability}",
                hint="give a number above 0 and at most 1",
            )
        self.probability = float(probability)
        self._threshold = int(Fraction(self.probability) * 2**64)

    def sample(self, n_units: int, keystream: Keystream | None = None) -> NDArray[np.intp]:
        """Return the ascending indices of the units that take part; often none, which is a sample like any other.

        Args:
          n_units: Number of units, 0 or larger.
          keystream: Secret bits; fresh ones from the operating system by default. Only known-answer tests give one.
        """
        if n_units < 0:
            raise UsageError("invalid-count", f"n_units is {n_units}", hint="give 0 or a larger whole number")
        if self._threshold >= 2**64:
            return np.arange(n_units, dtype=np.intp)
        source = Keystream.fresh() if keystream is None else keystream
        threshold = np.uint64(self._threshold)
        found = [
            start + np.flatnonzero(source.words(min(_CHUNK, n_units - start)) < threshold)
            for start in range(0, n_units, _CHUNK)
        ]
        return np.concatenate(found).astype(np.intp) if found else np.zeros(0, dtype=np.intp)
