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

import math
from typing import Any

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


def _exact(bits: int, scale: float, keystream: Keystream) -> int:
    """Return round(|X|) for U in [bits, bits + 1) / 2^64, reading more bits only while that is undecided."""
    from mpmath import mp

    read = 64
    while True:
        with mp.workprec(read + 96):
            least = _round_upper_quantile(mp.mpf(bits + 1) / mp.mpf(2) ** read, scale, mp)
            most = _round_upper_quantile(mp.mpf(bits) / mp.mpf(2) ** read, scale, mp) if bits else None
        if least == most or read >= _MAX_BITS:
            return least
        bits = (bits << 64) | int(keystream.words(1)[0])
        read += 64


def _round_upper_quantile(probability: Any, scale: float, mp: Any) -> int:
    """Return round(x * scale) for the x >= 0 with P(N(0,1) > x) = probability, in the working precision."""
    root = mp.sqrt(2)
    sought = mp.log(probability)
    start = mp.sqrt(mp.mpf(2) * max(-sought - mp.log(2), mp.mpf(0)))
    x = start
    for _ in range(200):
        tail = mp.erfc(x / root) / 2
        # Newton on the logarithm of the tail, which is concave: it converges from either side.
        step = (mp.log(tail) - sought) * tail * mp.sqrt(2 * mp.pi) * mp.exp(x * x / 2)
        x += step
        if abs(step) < mp.mpf(2) ** (-mp.prec + 24):
            break
    return int(mp.floor(x * scale + mp.mpf("0.5")))
