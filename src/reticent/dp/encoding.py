"""Values as whole steps of a declared grid: what is rounded before noise, and sums that have no rounding error.

A float carries its history in its low-order bits, so noise added to a float gives the two neighbours different sets of
possible outputs (Mironov, CCS 2012), and a sum of floats depends on the order of its terms: one record may change it by
far more than its bound (Casacuberta, Shoemate, Vadhan, Wagaman, CCS 2022). On the grid, sums are integers: exact, and
the same in every order.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reticent.dp.precision import is_grid
from reticent.errors import UsageError

__all__ = ["LARGEST_TOTAL", "encoded_sum", "exact_numbers", "steps_apart", "to_integers", "to_steps"]

LARGEST_TOTAL = 2**62


def encoded_sum(values: ArrayLike, *, lower: float, upper: float, grid: float) -> NDArray[np.int64]:
    """Return the exact sum of `values`, clipped to [lower, upper] and rounded to the grid, in grid steps.

    One row more or less changes each coordinate by at most `max(|lower|, |upper|) + grid / 2`; another row in the place
    of one by at most `upper - lower + grid`. The order of the rows does not matter, and neither does their number.

    Args:
      values: `(n,)` or `(n, d)`, finite numbers: one row for each unit.
      lower: Declared, never read from the data.
      upper: Declared, not below `lower`.
      grid: Power of two.

    Returns:
      int64 `()` or `(d,)`: for `add_laplace`, `add_gaussian`, or times the grid for `laplace`.

    Raises:
      UsageError: If a bound or the grid is out of range, a value is not a finite number, or the sum could overflow.

    >>> encoded_sum([2.0**53, 1.0, -(2.0**53)], lower=-(2.0**53), upper=2.0**53, grid=1.0)
    array(1)
    """
    _require_grid(grid)
    if not -math.inf < lower <= upper < math.inf:
        raise UsageError("invalid-bounds", f"the bounds are {lower} and {upper}", hint="give finite bounds, in order")
    array = exact_numbers(values)
    if array.dtype == np.float64 and np.isnan(array).any():
        raise _refused()  # a sum must not turn into NaN for everybody; infinities are clipped like other numbers
    rows = len(array) if array.ndim else 1
    if rows * (max(abs(Fraction(lower)), abs(Fraction(upper))) / Fraction(grid) + 1) >= LARGEST_TOTAL:
        raise UsageError(
            "sum-too-long",
            f"{rows} rows within {lower} and {upper} may sum to 2**62 steps of {grid} or more",
            hint="use a coarser grid, or bounds that are closer together",
        )
    return np.asarray(to_steps(np.clip(array, lower, upper), grid).sum(axis=0), dtype=np.int64)


def to_steps(value: ArrayLike, grid: float) -> NDArray[np.int64]:
    """Return `value` rounded to the nearest grid step, as whole numbers of steps: int64 of its shape.

    Raises:
      UsageError: If a value is no finite number or too large for the grid; the text never says the value.
    """
    _require_grid(grid)
    array = exact_numbers(value)
    # A float64 would lose the low bits of a large whole number, and move neighbours up to a thousand apart.
    if array.dtype == np.int64 and grid <= 1:
        per_one = int(1 / Fraction(grid))
        if array.size and max(abs(int(array.min())), abs(int(array.max()))) * per_one >= LARGEST_TOTAL:
            raise _refused()
        return np.asarray(array * np.int64(per_one) if array.any() else array, dtype=np.int64)
    if array.dtype == np.int64 and grid <= LARGEST_TOTAL:
        floors, rest = np.divmod(array, np.int64(grid))
        half = np.int64(grid) // 2
        rounded = np.asarray(floors + ((rest > half) | ((rest == half) & (floors % 2 == 1))), dtype=np.int64)
        if rounded.size and not -LARGEST_TOTAL < int(rounded.min()) <= int(rounded.max()) < LARGEST_TOTAL:
            raise _refused()
        return rounded
    with np.errstate(over="ignore", under="ignore"):
        steps = array.astype(np.float64) / grid
    if not np.all(np.abs(steps) < LARGEST_TOTAL):  # also catches NaN
        raise _refused()
    return np.rint(steps).astype(np.int64)


def to_integers(value: ArrayLike) -> NDArray[np.int64]:
    """Return whole numbers as int64; refuse all others, and floats, which may have lost their low bits.

    Raises:
      UsageError: If the type is not a whole number's, or a value is 2^62 or larger; never saying the value.
    """
    array = exact_numbers(value)
    if array.dtype != np.int64:
        raise UsageError("invalid-total", "value holds numbers that are not integers", hint="give counts as int64")
    return to_steps(array, 1.0)


def steps_apart(sensitivity: float, grid: float, coordinates: int) -> int:
    """Return how many steps apart, in L1, two neighbours may be after rounding each to the grid.

    Each coordinate moves by half a step on either side, and whole numbers are apart by a whole number: the largest is
    floor(sensitivity / grid + coordinates). It is reached: 0.5 and 1.5 round to 0 and 2.

    >>> steps_apart(1.0, 0.25, 1), steps_apart(0.1, 1.0, 3)
    (5, 3)
    """
    return math.floor(Fraction(sensitivity) / Fraction(grid)) + coordinates


def exact_numbers(value: ArrayLike) -> NDArray[np.int64] | NDArray[np.float64]:
    """Return int64 or float64 that holds `value` exactly; other types would be converted with a loss.

    Raises:
      UsageError: For other types, Booleans and objects among them, and whole numbers beyond 64 bits.
    """
    array = np.asarray(value)
    if array.dtype.kind in "iu" and (array.dtype != np.uint64 or not array.size or int(array.max()) < 2**63):
        return array.astype(np.int64)
    if array.dtype.kind == "f" and array.dtype.itemsize <= 8:
        return array.astype(np.float64)
    if array.dtype.kind in "iuO":  # numpy makes objects of whole numbers beyond 64 bits
        raise _refused()
    raise UsageError(
        "invalid-total", f"value has dtype {array.dtype}", hint="give whole numbers or floats of at most 64 bits"
    )


def _require_grid(grid: float) -> None:
    if not is_grid(grid):
        raise UsageError("invalid-grid", f"grid is {grid}", hint="give a power of two, for example 2**-10")


def _refused() -> UsageError:
    return UsageError(
        "invalid-total",
        "value holds a number that is not finite or too large for the grid",
        hint="clip the value to a declared range, or use a coarser grid",
    )
