"""One example at a time: what becomes of a row depends on that row alone, also where it is a model's undoing.

A model can fail on some values only: a word number beyond an embedding, a branch that raises. An error in the middle of
a run would tell that such a row was sampled, and take the others' training with it; so the row counts for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import vmap

__all__ = ["each_alone", "unless_memory"]


def each_alone(function: Callable[..., Tensor], *columns: Tensor, shape: tuple[int, ...] = ()) -> Tensor:
    """Return `function` of every example, `(n, *shape)`: all at once by vmap, or else one after another.

    Args:
      function: Of one example, which comes without a first dimension.
      columns: Each `(n, ...)`, the first in floating point.
      shape: Of what `function` returns. Where it raises, the row is NaN.
    """
    try:
        return vmap(function, randomness="different")(*columns)
    except Exception as error:  # whatever a model may raise
        unless_memory(error)
    found = columns[0].new_full((len(columns[0]), *shape), math.nan)
    for row, values in enumerate(zip(*columns, strict=True)):
        try:
            found[row] = function(*values)
        except Exception as error:
            unless_memory(error)
    return found


def unless_memory(error: Exception) -> None:
    """Raise `error` if it says that memory is short, which is no row's doing."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        raise error
