"""The compiled module, which is absent where no compiler was there. Arrays are C-contiguous and never converted."""

import numpy as np
from numpy.typing import NDArray

interface: int
"""Number of the signatures below; one that `reticent.kernels.compiled` does not expect is a module of other sources."""

def levels() -> list[str]:
    """Return the levels that this processor has, fastest first, of avx512, avx2, plain."""

def inverse_normal() -> NDArray[np.float64]:
    """Return the compiled polynomials, `(368, 8)`, read-only: rows are pieces, columns powers."""

def gaussian_of_key(
    level: str,
    key: bytes,
    block: int,
    scale: float,
    guard: float,
    table: NDArray[np.float64],
    out: NDArray[np.int64],
    doubtful: NDArray[np.int64],
) -> int:
    """Fill `out` from the keystream of `key`, from counter `block` on; return how many doubtful indices were written."""

def gaussian_of_words(
    level: str,
    words: NDArray[np.uint64],
    scale: float,
    guard: float,
    table: NDArray[np.float64],
    out: NDArray[np.int64],
    doubtful: NDArray[np.int64],
) -> int:
    """Fill `out` from one word each; return how many doubtful indices were written."""

def keystream(level: str, key: bytes, block: int, out: NDArray[np.uint64]) -> None:
    """Fill `out` with the keystream of `key`, from counter `block` on."""
