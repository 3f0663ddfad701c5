"""A matrix as diagonals for baby steps and giant steps, in any packing of its input.

Source: Halevi & Shoup, "Algorithms in HElib" (CRYPTO 2014), section 4.3 (diagonals); "Faster homomorphic linear
transformations in HElib" (CRYPTO 2018), section 3 (baby-step giant-step). A rectangular matrix is walked with
min(outputs, inputs) diagonals, and the partial sums that lie one (padded) number of outputs apart are then folded
together; after the fold every place holds a whole output or a zero, never a part of a sum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reticent.errors import InternalError, UsageError
from reticent.he.packing import Packing, for_matrix, next_power

__all__ = ["Diagonals", "best_packing", "diagonals"]

Array = NDArray[np.float64]
_MULTIPLY = 0.09  # as in packing


@dataclass(frozen=True, eq=False)
class Diagonals:
    """A matrix, ready to meet a packed vector.

    With `rot(v, d)[u] = v[u + d]` on the places of a row, the product is the fold of
    `sum over giant g of rot(sum over baby i of terms[g, i] * rot(x, i), g)`.

    Attributes:
      before: Packing of the input.
      after: Packing of the output: period `next_power(outputs)`.
      terms: Coefficients by (giant, baby) step, each of shape `(places,)`; where all are zero there is no entry.
      folds: Steps of the fold, in places.
    """

    before: Packing
    after: Packing
    terms: dict[tuple[int, int], Array]
    folds: tuple[int, ...]

    @property
    def babies(self) -> tuple[int, ...]:
        """Rotations of the input, in places, without the step 0."""
        return tuple(sorted({baby for _, baby in self.terms if baby}))

    @property
    def giants(self) -> tuple[int, ...]:
        """Rotations of partial sums, in places, without the step 0."""
        return tuple(sorted({giant for giant, _ in self.terms if giant}))

    @property
    def rotations(self) -> int:
        """Number of rotations of one product."""
        return len(self.babies) + len(self.giants) + len(self.folds)

    @property
    def steps(self) -> frozenset[int]:
        """Rotation steps in slots: those for which evaluation keys are needed."""
        return frozenset(self.before.rows * step for step in (*self.babies, *self.giants, *self.folds))

    @property
    def cost(self) -> float:
        """Work in units of one rotation."""
        return self.rotations + _MULTIPLY * len(self.terms)

    def coefficients(self, giant: int, baby: int) -> Array:
        """Return one term over all slots, shape `(S,)`."""
        return self.before.spread(self.terms[giant, baby])


def diagonals(matrix: Array, packing: Packing) -> Diagonals:
    """Return the diagonals of `matrix`, shape `(outputs, inputs)`, for inputs in `packing`.

    Raises:
      UsageError: If the packing holds another number of features, the outputs do not fit, or every weight is zero.
    """
    outputs, inputs = matrix.shape
    padded = next_power(outputs)
    if packing.width != inputs:
        raise UsageError(
            "he-packing",
            f"a matrix of {inputs} columns for vectors of {packing.width} numbers",
            hint="multiply a matrix of shape (outputs, inputs) with a vector of as many numbers as it has columns",
        )
    if not matrix.any():
        # SEAL refuses a product with zero: the ciphertext would be zero and readable by anybody.
        raise UsageError(
            "he-constant",
            "all weights of a linear map are zero, so its result does not depend on what is encrypted",
            hint="no encryption is needed for a constant; check that the model was trained and loaded",
        )
    after = Packing(packing.slots, packing.rows, np.where(np.arange(padded) < outputs, np.arange(padded), -1))
    source = np.tile(packing.feature_of, max(1, padded // packing.period))
    offsets = _offsets(matrix, source, padded)
    size = _baby_size(offsets)
    terms = {(d // size * size, d % size): np.roll(values, d // size * size) for d, values in offsets.items()}
    folds = tuple(padded << j for j in range((len(source) // padded).bit_length() - 1))
    return Diagonals(packing, after, terms, folds)


def _offsets(matrix: Array, source: NDArray[np.int64], padded: int) -> dict[int, Array]:
    """Return for each offset d the weights of `x[u + d]` at place u, meeting every weight exactly once."""
    outputs, inputs = matrix.shape
    rows = np.arange(len(source)) % padded
    left, missing, found = np.ones((padded, inputs), bool), padded * inputs, {}
    extended = np.zeros((padded, inputs))
    extended[:outputs] = matrix
    for d in range(len(source)):
        feature = np.roll(source, -d)
        fresh = (feature >= 0) & left[rows, feature]
        if fresh.any():
            left[rows[fresh], feature[fresh]] = False
            missing -= int(fresh.sum())
            values = np.where(fresh, extended[rows, feature], 0.0)
            if values.any():
                found[d] = values
        if missing <= 0:
            break
    if missing != 0 or left.any():
        raise InternalError(
            "he-diagonals", f"a {outputs}x{inputs} matrix was not met exactly once", hint="please report the packing"
        )
    return found


def _baby_size(offsets: dict[int, Array]) -> int:
    """Return the size of a giant step that needs the fewest rotations."""

    def rotations(size: int) -> int:
        return len({d % size for d in offsets} - {0}) + len({d // size for d in offsets} - {0})

    top = max(offsets) + 1
    near = math.isqrt(top)
    return min(range(max(1, near // 4), min(top, 4 * near) + 1), key=rotations)


def best_packing(matrix: Array, slots: int, *, rows: int = 1, tried: int = 3) -> Diagonals:
    """Return the cheapest diagonals of `matrix` over the packings that a client can make.

    Args:
      matrix: Shape `(outputs, inputs)`; its zeros count: a convolution has few diagonals in the plain order.
      slots: Slots of a ciphertext.
      rows: Samples in one ciphertext.
      tried: How many of the packings that are best for dense weights to try, beside the plain one.
    """
    outputs, inputs = matrix.shape
    packings = for_matrix(slots, (outputs, inputs), rows=rows)[:tried]
    plain = next_power(inputs)
    if plain * rows <= slots:
        packings.append(Packing.repeated(slots, inputs, rows=rows))
    return min((diagonals(matrix, packing) for packing in packings), key=lambda found: found.cost)
