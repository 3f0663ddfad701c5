"""The grid on which contributions are summed exactly, and what rounding to it adds to the sensitivity.

Contributions are clipped, rounded to a grid and summed as integers, so the sum has no floating-point error and the
noise can be an exact rounded Gaussian. Rounding moves a point by at most half a grid step in each coordinate, so one
unit's contribution grows by at most `sqrt(d) * grid / 2` in L2; that part is charged, never neglected.
"""

from __future__ import annotations

import math
from fractions import Fraction

from reticent.errors import UsageError

__all__ = ["NORM_MARGIN", "encoded_sensitivity", "grid_for", "is_grid", "scale_for"]

NORM_MARGIN = 1e-4
"""Relative slack for clipping in float32. A norm of d squares summed pairwise or in blocks is off by far less than
800 units in the last place (2^-23 each), the scaled coordinates by one each; together below 1e-4."""

_ROUNDING_SHARE = 0.01


def grid_for(max_grad_norm: float, parameters: int) -> float:
    """Return the largest power of two for which rounding adds at most 1 % to the clip.

    Args:
      max_grad_norm: Largest L2 norm of one unit's contribution.
      parameters: Number of coordinates d.

    Returns:
      The grid: `sqrt(d) * grid / 2 <= 0.01 * max_grad_norm`.

    Raises:
      UsageError: If an argument is out of range.
    """
    _require(max_grad_norm, parameters)
    largest = 2 * _ROUNDING_SHARE * max_grad_norm / math.sqrt(parameters)
    return math.ldexp(1.0, math.floor(math.log2(largest * (1 - 1e-12))))


def encoded_sensitivity(max_grad_norm: float, grid: float, parameters: int) -> float:
    """Return the largest L2 norm of one unit's contribution after clipping in float32 and rounding to the grid.

    This, and not the clip, is what noise multipliers multiply.

    Raises:
      UsageError: If an argument is out of range, or `grid` is not a power of two.
    """
    _require(max_grad_norm, parameters)
    if not is_grid(grid):
        raise UsageError("invalid-grid", f"grid is {grid}", hint="give a power of two, for example 2**-10")
    exact = max_grad_norm * (1 + NORM_MARGIN) + math.sqrt(parameters) * grid / 2
    return math.nextafter(exact * (1 + 2**-50), math.inf)


def is_grid(grid: float) -> bool:
    """Return whether `grid` is a positive power of two, so that grid arithmetic is exact."""
    return math.isfinite(grid) and grid > 0 and math.frexp(grid)[0] == 0.5


def scale_for(steps: int, epsilon: float | Fraction) -> float:
    """Return `steps / epsilon` rounded up, so that `steps / scale` never exceeds epsilon.

    >>> scale_for(1, 3.0) * 3 >= 1
    True
    """
    exact = Fraction(steps) / Fraction(epsilon)
    scale = float(min(exact, Fraction(2) ** 1000))  # far beyond what any sampler takes
    return scale if Fraction(scale) >= exact else math.nextafter(scale, math.inf)


def _require(max_grad_norm: float, parameters: int) -> None:
    if not 2**-200 < max_grad_norm < 2**200:
        raise UsageError(
            "invalid-max-grad-norm", f"max_grad_norm is {max_grad_norm}", hint="give a finite number above 0, e.g. 1.0"
        )
    if parameters < 1:
        raise UsageError(
            "invalid-dimension", f"parameters is {parameters}", hint="give the number of coordinates, 1 or larger"
        )
