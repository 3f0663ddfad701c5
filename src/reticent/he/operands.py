"""What an encrypted vector may be combined with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent.errors import DataError, UsageError

__all__ = ["numbers_of", "unequal_lengths"]

Array = NDArray[np.float64]


def numbers_of(other: Any) -> Array:
    """Return a number or a one-dimensional array as float64."""
    try:
        numbers = np.asarray(other, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(
            "unsupported-operand",
            f"an encrypted vector with a {type(other).__name__}",
            hint="use a number, a one-dimensional array, or another encrypted vector",
        ) from error
    if numbers.ndim > 1 or numbers.size == 0:
        raise DataError(
            "operand-shape",
            f"an operand of shape {numbers.shape} for an encrypted vector",
            hint="use a number or one dimension; matrices belong behind @",
        )
    if not np.isfinite(numbers).all():
        raise DataError(
            "operand-not-finite", "an operand that is infinite or not a number", hint="replace missing values first"
        )
    return numbers


def unequal_lengths(a: int, b: int) -> UsageError:
    """Return the error for two lengths that do not fit together."""
    return UsageError(
        "length-mismatch",
        f"encrypted vectors of lengths {a} and {b} were combined",
        hint="use equal lengths, or length 1 for one number to all",
    )
