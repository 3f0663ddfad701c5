"""How large the errors of CKKS are: standard deviations in the slots, from the canonical embedding.

A polynomial with independent coefficients of variance v has, at every root of unity, a real part of variance N v / 2
(Gentry, Halevi, Smart, CRYPTO 2012, appendix A.5; Cheon et al., ASIACRYPT 2017, section 3; Costache, Curtis, Hales,
Murphy, Ogilvie, Player, "On the precision loss in approximate homomorphic encryption", 2022). All values here are in
units of one step of the scale: divided by the scale of the ciphertext they become errors of its numbers. The secret is
ternary, so a rounding of both polynomials has coefficient variance (1 + 2 N / 3) / 12.
"""

from __future__ import annotations

import math

from reticent.he.parameters import Parameters

__all__ = ["FLOAT", "Noise"]

SIGMA = 3.24
"""Standard deviation of the error polynomial: SEAL's centred binomial of 2 x 21 bits, sqrt(10.5)."""

FLOAT = 2.0**-49
"""Relative error of encoding and decoding in float64, of the largest number (Fourier transforms of up to 2^15 terms)."""


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

        The digits of SEAL are not centred. Their mean, half a prime in every coefficient, evaluates to at most
        `N q / pi`, at the root of unity nearest to 1, which is slot 0; over all slots its mean square is `N q^2 / 4`.
        Hence base primes well below the special prime, by which all of this is divided.
        """
        degree = self._parameters.degree
        special = float(self._parameters.primes[-1])
        size = sum((q / special) ** 2 for q in self._parameters.modulus_primes(level))
        mean = min(slots * (degree / math.pi) ** 2, degree / 2 * degree / 4)
        digits = SIGMA**2 * degree / 2 * size * (slots * degree / 12 + mean)
        return math.sqrt(digits + slots * self.rescaling**2)
