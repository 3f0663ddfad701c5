"""A plaintext matrix times an encrypted vector, one level down.

The diagonals are encoded once, at the level where they will be used, and kept: a product is then rotations, sums of
products, one rescaling and the fold (see `diagonals`). Which rotations it needs is known before any key is made.
"""

from __future__ import annotations

from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from reticent.he.diagonals import Diagonals
from reticent.he.port import Backend, Cipher, Evaluation

__all__ = ["PlainMatrix"]

Array = NDArray[np.float64]


class PlainMatrix:
    """`matrix @ v + bias` on ciphertexts at rest at `level`, in the packing of `diagonals`; the result is at rest.

    Args:
      backend: Where the plaintexts live.
      diagonals: The matrix, and how its input lies in the slots; `diagonals.after` says how its output lies.
      level: Level of the ciphertexts, at least 1; the result is at `level - 1`.
      bias: Shape `(outputs,)`.
    """

    def __init__(self, backend: Backend, diagonals: Diagonals, level: int, bias: Array | None = None) -> None:
        self.diagonals = diagonals
        self._backend = backend
        ordered = sorted(diagonals.terms)
        self._groups = [
            (
                giant,
                [baby for _, baby in pairs],
                [backend.encode(diagonals.coefficients(*p), level=level) for p in pairs],
            )
            for giant, pairs in ((giant, list(found)) for giant, found in groupby(ordered, key=lambda term: term[0]))
        ]
        self._bias = None
        if bias is not None and bias.any():
            places = np.zeros(diagonals.after.period)
            places[: len(bias)] = bias
            self._bias = backend.encode(diagonals.after.spread(places), level=level - 1)

    def apply(self, vector: Cipher, evaluation: Evaluation) -> Cipher:
        """Return the product. Run by the server: it needs rotation keys for `diagonals.steps`, and no secret."""
        backend, rows = self._backend, self.diagonals.before.rows
        moved = {0: vector} | {
            step: backend.rotate(vector, step * rows, evaluation) for step in self.diagonals.babies
        }  # fmt: skip
        parts = []
        for giant, babies, plains in self._groups:
            part = backend.dot_plain([moved[baby] for baby in babies], plains)
            parts.append(backend.rotate(part, giant * rows, evaluation))
        total = parts[0]
        for part in parts[1:]:
            total = backend.add(total, part)
        result = backend.rescale(total)
        for step in self.diagonals.folds:
            result = backend.add(result, backend.rotate(result, step * rows, evaluation))
        return result if self._bias is None else backend.add_plain(result, self._bias)
