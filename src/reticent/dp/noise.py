"""Rounded Gaussian noise, sampled exactly.

`rounded_gaussian` returns round(X) for X ~ N(0, scale^2). Rounding is post-processing, so the privacy loss of the
continuous Gaussian holds for the integer result, and there are no low-order bits to attack (Mironov, CCS 2012, for
Laplace; Jin et al., S&P 2022, for Gaussians).

One draw is a uniform real U in (0, 1/2), read bit by bit, and a sign. 64 bits are read first and turned around in
floating point, `|X| = -scale * ndtri(U)`. The error of that is bounded (`GUARD`); a draw that lies nearer to a
rounding boundary than its error, and every draw in the far tail, is decided instead by comparing the interval of U
with the exact probability of the boundary (mpmath), reading more bits while the interval straddles it. After
`_MAX_BITS` bits the draw is decided arbitrarily; that changes the distribution by at most `TOTAL_VARIATION` per draw,
which `reticent.dp.epsilon` charges.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from reticent.errors import UsageError
from reticent.randomness import Keystream

__all__ = ["GUARD", "LARGEST_SCALE", "TOTAL_VARIATION", "rounded_gaussian"]

GUARD = 2.0**-40
"""Bound on |computed - exact| / (1 + |x|) of the fast path, in standard deviations.

It covers, with U >= 2^-20: the 64-bit interval of U (relative width 2^-44, times Phi(-x)/phi(x) <= 1.26), the
conversion to float64 (2^-53), the product with the scale (2^-53), and scipy.special.ndtri (Cephes: relative error
below 1e-14; a test measures it against mpmath)."""

TAIL = 2.0**-20
"""Below this U, 64 bits say too little: the exact path reads on."""

LARGEST_SCALE = 2.0**40
_MAX_BITS = 1024

TOTAL_VARIATION = 2.0**-970
"""Per draw: fewer than 2^54 boundaries lie within the reach of 2^-1024, each undecided with probability 2^-1024."""

_FARTHEST = Fraction(64)
"""Beyond 64 standard deviations lies less than 2^-2900, below anything that 1024 bits resolve."""

_CHUNK = 1 << 17
_MAGNITUDE = np.uint64((1 << 63) - 1)


def rounded_gaussian(scale: float, size: int, keystream: Keystream) -> NDArray[np.int64]:
    """Return `size` independent draws of round(N(0, scale^2)).

    Args:
      scale: Standard deviation in grid units, above 0 and at most 2^40.
      size: Number of draws, 0 or larger.
      keystream: Secret random words, used by nobody else.

    Returns:
      int64 `(size,)`; no magnitude exceeds 38 * scale.

    Raises:
      UsageError: If scale or size is out of range.
    """
    if not 0 < scale <= LARGEST_SCALE:
        raise UsageError(
            "invalid-noise-scale",
            f"the noise's standard deviation is {scale} grid steps",
            hint="give a number above 0 and at most 2**40; a coarser grid makes it smaller",
        )
    if size < 0:
        raise UsageError("invalid-count", f"size is {size}", hint="give 0 or a larger whole number")
    drawn = np.empty(size, dtype=np.int64)
    for start in range(0, size, _CHUNK):
        part = drawn[start : start + _CHUNK]
        part[:] = _chunk(float(scale), len(part), keystream)
    return drawn


def _chunk(scale: float, size: int, keystream: Keystream) -> NDArray[np.int64]:
    words = keystream.words(size)
    magnitudes, ambiguous = _fast(words & _MAGNITUDE, scale)
    for index in np.flatnonzero(ambiguous):
        magnitudes[index] = _exact(int(words[index] & _MAGNITUDE), scale, keystream)
    return np.where(words > _MAGNITUDE, -magnitudes, magnitudes)


def _fast(bits: NDArray[np.uint64], scale: float) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return round(|X|) for U in [bits, bits + 1) / 2^64, and which of them must be decided exactly."""
    from scipy.special import ndtri

    uniform = (bits.astype(np.float64) + 0.5) * 2.0**-64
    deviations = -ndtri(uniform)
    scaled = deviations * scale
    nearest = np.rint(scaled)
    # A boundary nearer than the error could put the draw on its wrong side.
    room = 0.5 - np.abs(scaled - nearest)
    ambiguous = (room <= (1 + deviations) * (GUARD * scale)) | (uniform < TAIL)
    return nearest.astype(np.int64), ambiguous


class _Uniform:
    """A uniform real in [0, 1/2) of which only as many bits are read as its comparisons need."""

    def __init__(self, bits: int, keystream: Keystream) -> None:
        self._bits, self._read, self._keystream = bits, 64, keystream

    def exceeds_tail(self, boundary: Fraction) -> bool:
        """Return whether it is larger than P(N(0, 1) > boundary), for boundary > 0."""
        from mpmath import mp

        boundary = min(boundary, _FARTHEST)
        while True:
            with mp.workprec(self._read + 96):
                # Every operation is good to the working precision, so the error of `tail` is far below the margin.
                ratio = mp.mpf(boundary.numerator) / boundary.denominator
                tail = mp.ldexp(mp.erfc(ratio / mp.sqrt(2)), self._read - 1)
                margin = mp.mpf(2) ** -30
                if self._bits >= tail + margin:
                    return True
                if self._bits + 1 <= tail - margin:
                    return False
            if self._read >= _MAX_BITS:
                return bool(self._bits + 1 >= tail)  # arbitrary, but ends every search: tails sink below 1
            self._extend()

    def _extend(self) -> None:
        self._bits = (self._bits << 64) | int(self._keystream.words(1)[0])
        self._read += 64


def _exact(bits: int, scale: float, keystream: Keystream) -> int:
    """Return round(|X|) for U in [bits, bits + 1) / 2^64 by comparisons with exact probabilities only.

    The result is the least n >= 0 with |X| < n + 1/2. The floating-point guess only says where to begin.
    """
    uniform = _Uniform(bits, keystream)
    exact_scale = Fraction(scale)

    def reaches(n: int) -> bool:
        return uniform.exceeds_tail((n + Fraction(1, 2)) / exact_scale)

    high = _guess(bits, scale)
    low, step = -1, 1
    while not reaches(high):
        low, high, step = high, high + step, 2 * step
    step = 1
    while high - step > low and reaches(high - step):
        high, step = high - step, 2 * step
    low = max(low, high - step)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high


def _guess(bits: int, scale: float) -> int:
    from scipy.special import ndtri

    return round(-float(ndtri((bits + 0.5) * 2.0**-64)) * scale)
