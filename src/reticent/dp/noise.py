"""Rounded Gaussian noise, sampled exactly.

`rounded_gaussian` returns round(X) for X ~ N(0, scale^2). Rounding is post-processing, so the privacy loss of the
continuous Gaussian holds for the integer result, and there are no low-order bits to attack (Mironov, CCS 2012, for
Laplace; Jin et al., S&P 2022, for Gaussians).

**The definition.** A key of 16 secret bytes gives every draw its own bits, by AES-128 in counter mode (counters are
128-bit and big-endian, words little-endian): draw i has word i of the stream that begins at counter 0, and after it the
words of the stream that begins at counter (i + 1) * 2^64. No two of these streams meet. The top bit of the first word
is the sign; its other 63 bits, then all bits of the following words, are the binary digits of a real U, uniform on
(0, 1/2), behind the point and one zero. The draw's magnitude is the least n >= 0 with U > P(N(0, 1) > (n + 1/2) / scale):
that is round(|X|) for the X whose upper tail is U. Nothing in this depends on how it is computed.

**The computation.** A kernel (`reticent.kernels`: C++ or numpy) turns the first word around in floating point. The error
of that is bounded by the kernel's guard; where a rounding boundary lies nearer than the error, and in the far tail, the
kernel does not decide. These draws, about one in a million, are decided here, by comparing the interval of U with the
exact probability of the boundary (mpmath), reading more words while the interval straddles it. So any kernel with a
sound guard gives the same draws, bit for bit. After `_MAX_BITS` bits a draw is decided arbitrarily; that changes the
distribution by at most `TOTAL_VARIATION` per draw, which `reticent.dp.epsilon` charges.

How long a call takes depends on how many draws were doubtful, so on the noise, a little: it is not for answers whose
time a stranger can measure to the microsecond.
"""

from __future__ import annotations

import threading
from fractions import Fraction
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent import kernels
from reticent.errors import UsageError
from reticent.randomness import Keystream

__all__ = ["LARGEST_SCALE", "TOTAL_VARIATION", "rounded_gaussian"]

LARGEST_SCALE = 2.0**40
_MAX_BITS = 1024

TOTAL_VARIATION = 2.0**-970
"""Per draw: fewer than 2^54 boundaries lie within the reach of 2^-1024, each undecided with probability 2^-1024."""

_FARTHEST = Fraction(64)
"""Beyond 64 standard deviations lies less than 2^-2900, below anything that 1024 bits resolve."""

_MAGNITUDE = (1 << 63) - 1

_of_this_thread = threading.local()


def rounded_gaussian(scale: float, size: int, keystream: Keystream) -> NDArray[np.int64]:
    """Return `size` independent draws of round(N(0, scale^2)).

    Args:
      scale: Standard deviation in grid units, above 0 and at most 2^40.
      size: Number of draws, 0 or larger.
      keystream: Secret random bytes, used by nobody else. Its next 16 are the key of these draws.

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
    return _draws(keystream.subkey(), float(scale), size, kernels.active())


def _draws(key: bytes, scale: float, size: int, kernel: kernels.Kernels) -> NDArray[np.int64]:
    """Return the draws that `key` defines; the kernel has no say in what they are."""
    drawn = np.empty(size, dtype=np.int64)
    for index in kernel.gaussian(key, scale, drawn).tolist():
        drawn[index] = _exact(key, index, scale)
    return drawn


class _Uniform:
    """The real U of one draw, in (0, 1/2), of which only as many bits are read as its comparisons need.

    Args:
      bits: 2^64 U, rounded down.
      more: The words that follow.
    """

    def __init__(self, bits: int, more: Keystream) -> None:
        self._bits, self._read, self._more = bits, 64, more

    def exceeds_tail(self, boundary: Fraction) -> bool:
        """Return whether it is larger than P(N(0, 1) > boundary), for boundary > 0."""
        boundary = min(boundary, _FARTHEST)
        while True:
            above = self._decide(boundary)
            if above is not None:
                return above
            self._bits = (self._bits << 64) | int(self._more.words(1)[0])
            self._read += 64

    def _decide(self, boundary: Fraction) -> bool | None:
        """Return the answer that the bits read so far give; None if the interval of U straddles the probability."""
        mp = _arithmetic()
        mp.prec = self._read + 96
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
        return None


def _arithmetic() -> Any:
    """Return mpmath with a precision of this thread's own.

    The precision of `mpmath.mp` belongs to the whole process: another thread that lowers it would have draws decided
    wrongly. The constants in mpmath's cache are not safe against threads while they grow, so they are computed first,
    to more digits than any comparison asks for.
    """
    if not hasattr(_of_this_thread, "arithmetic"):
        from mpmath.ctx_mp import MPContext

        own = MPContext()
        own.prec = 2 * (_MAX_BITS + 96)
        for constant in (own.pi, own.ln2, own.e):
            _ = +constant
        _of_this_thread.arithmetic = own
    return _of_this_thread.arithmetic


def _exact(key: bytes, index: int, scale: float) -> int:
    """Return draw number `index` by comparisons with exact probabilities only."""
    word = int(Keystream(key, block=index // 2).words(2)[index % 2])
    bits = word & _MAGNITUDE
    magnitude = _magnitude(_Uniform(bits, Keystream(key, block=(index + 1) << 64)), scale, guess=_guess(bits, scale))
    return -magnitude if word > _MAGNITUDE else magnitude


def _magnitude(uniform: _Uniform, scale: float, *, guess: int) -> int:
    """Return the least n >= 0 with U > P(N(0, 1) > (n + 1/2) / scale). The guess only says where to begin."""
    exact_scale = Fraction(scale)

    def reaches(n: int) -> bool:
        return uniform.exceeds_tail((n + Fraction(1, 2)) / exact_scale)

    high = guess
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
    return round(abs(NormalDist().inv_cdf((bits + 0.5) * 2.0**-64)) * scale)
