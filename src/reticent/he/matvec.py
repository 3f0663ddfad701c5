"""Encrypted vector times plain matrix, chunk by chunk, with the diagonals of `linear`."""

from __future__ import annotations

from functools import reduce

import numpy as np
from numpy.typing import NDArray

from reticent.errors import DataError
from reticent.he.diagonals import diagonals
from reticent.he.estimate import Estimate
from reticent.he.layout import Layout
from reticent.he.linear import PlainMatrix
from reticent.he.packing import Packing
from reticent.he.vector import Vector

__all__ = ["vector_matrix"]


def vector_matrix(vector: Vector, matrix: NDArray[np.float64]) -> Vector:
    """Return `vector @ matrix` for a matrix of shape `(length, outputs)`, one level down.

    Raises:
      DataError: If the shapes do not fit or a weight is not finite.
      UsageError: If the result could exceed the range, or has more outputs than a ciphertext has slots.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    if matrix.ndim != 2 or len(matrix) != len(vector) or not np.isfinite(matrix).all() or not matrix.size:
        raise DataError(
            "operand-shape",
            f"a matrix of shape {matrix.shape} behind an encrypted vector of length {len(vector)}",
            hint=f"use finite weights in shape ({len(vector)}, outputs)",
        )
    context, layout, level = vector.context, vector.layout, vector.level
    estimate = Estimate(0.0, 0.0)
    products = []
    for index, cipher in enumerate(vector.ciphers):
        rows = matrix[index * layout.slots : (index + 1) * layout.slots]
        one = Packing.repeated(layout.slots, len(rows)) if layout.chunks == 1 else Packing.once(layout.slots, len(rows))
        walked = diagonals(rows.T, one)
        part = context.estimator.matrix(
            vector.estimate, rows, level, babies=len(walked.babies), folds=len(walked.folds)
        )
        estimate = estimate.plus(part)
        products.append((cipher, walked))
    vector.check_range(estimate, level - 1)
    context.ensure_rotations({step for _, walked in products for step in walked.steps})
    parts = [
        PlainMatrix(context.backend, walked, level).apply(cipher, context.evaluation.handle)
        for cipher, walked in products
    ]
    return Vector(context, [reduce(context.backend.add, parts)], Layout(matrix.shape[1], layout.slots), estimate)
