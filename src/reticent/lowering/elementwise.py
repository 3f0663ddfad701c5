"""Polynomials of one earlier value with scalar coefficients, kept symbolic until another operation needs the numbers.

`0.1 * x**2 + x`, `x * x`, `torch.square(x)` or `1 - 2 * x` arrive as several additions and products; written as
coefficients over the same base they become one `Polynomial`, `Square` or `Affine`. The length of the coefficients
follows from the code alone, never from a weight's value, so that parties with other weights get the same program.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

__all__ = ["Symbol"]


@dataclasses.dataclass(frozen=True, eq=False)
class Symbol:
    """`sum_k coefficients[k] * base**k`.

    Attributes:
      base: Name of an emitted value.
      coefficients: Ascending, at least two.
      public: Whether every coefficient stands in the code of the model.
    """

    base: str
    coefficients: NDArray[np.float64]
    public: bool = True

    @classmethod
    def of(cls, base: str) -> Symbol:
        """Return the value `base` itself."""
        return cls(base, np.array([0.0, 1.0]))

    @property
    def degree(self) -> int:
        """Degree as written; the leading coefficient may be zero."""
        return len(self.coefficients) - 1

    @property
    def is_base(self) -> bool:
        """Whether this is just the value `base`."""
        return self.public and self.coefficients.tolist() == [0.0, 1.0]

    def scaled(self, factor: float, *, public: bool) -> Symbol:
        """Return `factor` times this."""
        return Symbol(self.base, self.coefficients * factor, self.public and public)

    def shifted(self, term: float, *, public: bool) -> Symbol:
        """Return this plus `term`."""
        changed = self.coefficients.copy()
        changed[0] += term
        return Symbol(self.base, changed, self.public and public)

    def plus(self, other: Symbol) -> Symbol:
        """Return the sum with a polynomial of the same base."""
        total = np.zeros(max(len(self.coefficients), len(other.coefficients)))
        total[: len(self.coefficients)] += self.coefficients
        total[: len(other.coefficients)] += other.coefficients
        return Symbol(self.base, total, self.public and other.public)

    def times(self, other: Symbol) -> Symbol:
        """Return the product with a polynomial of the same base."""
        product = np.convolve(self.coefficients, other.coefficients)
        return Symbol(self.base, product, self.public and other.public)

    def same_as(self, other: Symbol) -> bool:
        """Whether both are the same polynomial of the same base, as far as the code alone can tell."""
        if self is other:
            return True
        both_public = self.public and other.public
        return self.base == other.base and both_public and np.array_equal(self.coefficients, other.coefficients)
