"""The kernels in numpy: what the compiled ones must equal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reticent.randomness import Keystream

__all__ = ["GUARD", "MAGNITUDE", "TAIL", "Reference"]

GUARD = 2.0**-40
"""Bound on |computed - exact| / (1 + x) of a quantile x, in standard deviations, for U >= `TAIL`.

It covers the interval of U, which is 2^-64 wide (2^-65 / phi(x) <= 2^-43), its conversion to float64 (2^-53 U / phi(x)
<= 2^-52), the product with the scale (2^-53 x), and scipy.special.ndtri (Cephes: relative error below 1e-14; a test
measures it against mpmath)."""

TAIL = 2.0**-24
"""Below this U, 64 bits say too little: the exact path reads on."""

MAGNITUDE = np.uint64((1 << 63) - 1)
"""The bits of a word that are U; the one above them is the sign."""

_CHUNK = 1 << 17


class Reference:
    """The kernels in numpy and scipy.

    Args:
      why: Why it runs in place of the compiled module.
    """

    def __init__(self, why: str) -> None:
        self._why = why

    def describe(self) -> str:
        """Return in a few words what runs, and why."""
        return f"reference (numpy): {self._why}"

    def gaussian(self, key: bytes, scale: float, out: NDArray[np.int64]) -> NDArray[np.int64]:
        """See `Kernels.gaussian`."""
        keystream = Keystream(key)
        doubtful = [np.zeros(0, dtype=np.int64)]
        for start in range(0, len(out), _CHUNK):
            part = out[start : start + _CHUNK]
            words = keystream.words(len(part))
            magnitudes, unsure = _draw(words & MAGNITUDE, scale)
            part[:] = np.where(words > MAGNITUDE, -magnitudes, magnitudes)
            doubtful.append(start + np.flatnonzero(unsure))
        return np.concatenate(doubtful)


def _draw(bits: NDArray[np.uint64], scale: float) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return round(|X|) for U in [bits, bits + 1) / 2^64, and which of them are not proven."""
    from scipy.special import ndtri

    uniform = (bits.astype(np.float64) + 0.5) * 2.0**-64
    deviations = -ndtri(uniform)
    scaled = deviations * scale
    nearest = np.rint(scaled)
    # A boundary nearer than the error could put the draw on its wrong side.
    room = 0.5 - np.abs(scaled - nearest)
    unsure = (room <= (1 + deviations) * (GUARD * scale)) | (uniform < TAIL)
    return nearest.astype(np.int64), unsure
