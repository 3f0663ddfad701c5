"""Composition by Fourier transforms, with a proven bound on what rounding can do.

The law of a sum of independent losses has as its transform the product of theirs: one power for each distinct step,
one inverse transform for all. On a circle of `length` grid points the sum wraps around. Masses are not negative, so
what wraps only adds to the masses on the circle; what lies above the circle is charged by Chernoff's bound elsewhere.

ROUNDING. A fast transform of length 2^k adds each output up along k butterflies, each with a relative error of
eta <= mu + gamma_4 (sqrt 2 + mu) < 8 units in the last place, mu that of the roots of unity (Higham 2002, theorem 24.2
and its proof). Every output is therefore within k * eta * |t|_1 of the exact one. We allow 16 units, since the libraries'
radices and real-input packing differ from the radix 2 of the theorem, without ever doing more operations on one path.
With |F| <= |computed| + error, a telescoping sum bounds the error of the product (`_Spectrum`), Brent, Percival and
Zimmermann (2007) that of complex multiplication (sqrt 5 units), and Parseval's identity carries both through the
inverse transform: the result is within `error` of the exact one in Euclidean norm.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Circle", "compose"]

_Array = NDArray[np.float64]
_UNIT = 2.0**-53
_NEGLIGIBLE = 1e-60
_VALUES_AT_ONCE = 1 << 20


class Circle(NamedTuple):
    """Masses of a sum of losses, on a circle of grid points.

    Attributes:
      masses: `(length,)`, not negative; grid point i holds what lies at i modulo the length.
      error: Bound on the Euclidean distance to the exact masses.
    """

    masses: _Array
    error: float


def compose(indices: NDArray[np.int64], masses: _Array, counts: _Array, length: int) -> Circle:
    """Return the law of the sum of `counts[r]` independent copies of each row r.

    Args:
      indices: `(rows, n)`, grid points of the atoms.
      masses: `(rows, n)`, not negative, each row of sum 1 up to 1e-12.
      counts: `(rows,)`, whole numbers, 1 or larger.
      length: A power of two.
    """
    spectrum = _Spectrum(length)
    rows = np.arange(len(counts))
    # The largest atom is moved to 0, where its transform is constant and exact: only the others suffer rounding.
    peaks = masses.argmax(axis=1)
    centres = indices[rows, peaks]
    largest, others = masses[rows, peaks], masses.copy()
    others[rows, peaks] = 0.0
    at_once = max(1, _VALUES_AT_ONCE // length)
    for start in range(0, len(counts), at_once):
        some = rows[start : start + at_once]
        here = (indices[some] - centres[some, None]) % length + length * (some - start)[:, None]
        folded = np.bincount(here.ravel(), weights=others[some].ravel(), minlength=length * len(some))
        transforms = np.fft.rfft(folded.reshape(len(some), length), axis=1)
        for row, transform in zip(some, transforms, strict=True):
            spectrum.multiply(transform + largest[row], int(counts[row]), float(others[row].sum()))
    shift = sum(int(count) * int(centre) for count, centre in zip(counts, centres, strict=True)) % length
    return spectrum.inverse(shift)


class _Spectrum:
    """A product of computed transforms, with the largest modulus that the exact one can have and its distance.

    |prod a - prod b| <= sum_i |a_i - b_i| * prod_(j != i) max(|a_j|, |b_j|) <= bound * sum_i error / (|a_i| + error).
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._error = 16 * _UNIT * max(1, length.bit_length() - 1) * (1 + 1e-9)
        self._product: NDArray[np.complex128] | None = None
        self._kept = np.arange(length // 2 + 1)
        self._bound = np.ones(len(self._kept))
        self._relative = np.zeros(len(self._kept))
        self._dropped = 0.0
        self._growth = 0.0

    def multiply(self, transform: NDArray[np.complex128], count: int, transformed: float) -> None:
        """Multiply by a power of the transform of masses of sum 1, of which `transformed` went through the fast one."""
        transform = transform[self._kept]
        error = self._error * transformed + 2 * _UNIT
        size = np.abs(transform) * (1 + 4 * _UNIT) + error
        power = size if count == 1 else np.exp(count * np.log(size)) * (1 + 4 * _UNIT * (count + 64))
        self._bound *= power
        self._relative += count * error / size + (count + 1) * 2.3 * _UNIT
        self._growth += count * 2 * error
        keep = self._bound > _NEGLIGIBLE
        if not keep.all():  # frequencies at which nothing is left are set to 0, and denormal numbers avoided
            self._dropped += 2 * float(np.square(self._bound[~keep]).sum())
            self._kept, transform = self._kept[keep], transform[keep]
            self._bound, self._relative = self._bound[keep], self._relative[keep]
            self._product = None if self._product is None else self._product[keep]
        raised = _power(transform, count)
        self._product = raised if self._product is None else self._product * raised

    def inverse(self, shift: int) -> Circle:
        """Return the masses, turned by `shift`. All frequencies but the first and the last stand for two."""
        assert self._product is not None  # noqa: S101
        whole = np.zeros(self._length // 2 + 1, dtype=np.complex128)
        whole[self._kept] = self._product
        masses = np.fft.irfft(whole, n=self._length)
        dropped = self._dropped * np.exp(min(2 * self._growth, 600.0))
        distance = 2 * float(np.square(self._bound * self._relative).sum()) + float(dropped)
        size = 2 * float(np.square(self._bound).sum())
        error = (np.sqrt(distance) + self._error * np.sqrt(size)) / np.sqrt(self._length)
        return Circle(np.roll(np.maximum(masses, 0.0), shift), float(error) * (1 + 1e-9))


def _power(values: NDArray[np.complex128], exponent: int) -> NDArray[np.complex128]:
    """Return `values` to a power >= 1 by repeated squaring: exponent - 1 relative errors of sqrt 5 units."""
    result: NDArray[np.complex128] | None = None
    while True:
        if exponent & 1:
            result = values if result is None else result * values
        exponent >>= 1
        if not exponent:
            assert result is not None  # noqa: S101
            return result
        values = values * values
