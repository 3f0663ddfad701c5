"""How large the errors of CKKS are: standard deviations in the slots, from the canonical embedding.

A polynomial with independent coefficients of variance v has, at every root of unity, a real part of variance N v / 2
(Gentry, Halevi, Smart, CRYPTO 2012, appendix A.5; Cheon et al., ASIACRYPT 2017, section 3; Costache, Curtis, Hales,
Murphy, Ogilvie, Player, "On the precision loss in approximate homomorphic encryption", 2022). All values here are in
units of one step of the scale: divided by the scale of the ciphertext they become errors of its numbers. The secret is
ternary, so a rounding of both polynomials has coefficient variance (1 + 2 N / 3) / 12. Given the key, the variance
of such a rounding differs from slot to slot by the factor |s(zeta)|^2 / (2 N / 3), which is exponentially distributed:
over all keys the error of a slot has a Laplace distribution.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from reticent.he.parameters import Parameters

__all__ = ["FLOAT", "Noise"]

SIGMA = 3.24
"""Standard deviation of the error polynomial: SEAL's centred binomial of 2 x 21 bits, sqrt(10.5)."""

FLOAT = 2.0**-53
"""Standard deviation of encoding or decoding in float64, relative to the largest number: measured, for both together,
at up to 2.5 times this with a maximum of 10 for all ring degrees (Fourier transforms of 2^12 to 2^15 terms)."""


class Noise:
    """The errors that operations under `parameters` add, as standard deviations in the slots (in scale steps)."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        degree = parameters.degree
        self.fresh = SIGMA * math.sqrt(degree / 2) + math.sqrt(degree / 24)
        """A symmetric encryption, its encoding included."""
        self.encoding = math.sqrt(degree / 24)
        """Rounding of an encoded vector to whole steps of its scale."""
        self.rescaling = math.sqrt(degree / 2 * (1 + 2 * degree / 3) / 12)
        """Division by a prime, in steps of the scale after it."""

    def key_switching(self, level: int, slots: int = 1) -> float:
        """Sums over `slots` slots of the noise of a rotation or relinearisation at `level`, in steps of the scale.

        For the noisiest slots: a bound for any others. Base primes well below the special prime keep it small.
        """
        degree = self._parameters.degree
        mean = min(slots * (degree / math.pi) ** 2, degree / 2 * degree / 4)
        digits = self._digits(level) * (slots * degree / 12 + mean)
        return math.sqrt(digits + slots * self.rescaling**2)

    def key_switching_by_slot(self, level: int) -> NDArray[np.float64]:
        """The same for each slot: `float64 (slots,)`.

        The digits of SEAL are not centred. Their mean, half a prime in every coefficient, evaluates at the root of
        unity `zeta^k` of a slot to `q / (2 |sin(pi k / 2 N)|)`: at most `N q / pi`, in slot 0, and `sqrt(N) q / 2` in
        root mean square. This part is a constant of the key, alike for all ciphertexts.
        """
        degree = self._parameters.degree
        roots = np.array([pow(3, slot, 2 * degree) for slot in range(degree // 2)])
        mean = 1.0 / (2.0 * np.abs(np.sin(np.pi * roots / (2 * degree))))
        return np.sqrt(self._digits(level) * (degree / 12 + mean**2) + self.rescaling**2)

    def _digits(self, level: int) -> float:
        # Each digit, below its prime, meets an error polynomial, and the sum is divided by the special prime.
        special = float(self._parameters.primes[-1])
        size = sum((q / special) ** 2 for q in self._parameters.modulus_primes(level))
        return SIGMA**2 * self._parameters.degree / 2 * size
