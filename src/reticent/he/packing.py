"""Which number lies in which slot: rows interleaved, features repeated so that a matrix needs few rotations.

A ciphertext has S slots. `rows` samples share it, interleaved: slot `u * rows + r` belongs to row r, and rotating by
`d * rows` moves every row by d places at once, cyclically. Within a row the S / rows places repeat with a `period`; place
u of a period holds the feature `feature_of[u]`, or zero where that is -1.

The features may lie in a period more than once. `for_matrix` puts C copies at distances that are congruent to k modulo
the (padded) number of outputs, so that k = outputs / C diagonals meet every weight once: the client's copies, which cost
nothing, replace rotations at the server.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent.errors import UsageError

__all__ = ["Packing", "for_matrix", "next_power"]

Array = NDArray[np.float64]
_MULTIPLY = 0.09  # seconds of one plaintext product and sum over those of one rotation (bench/he.py)


def next_power(n: int) -> int:
    """Return the smallest power of two that is at least n."""
    return 1 << max(n - 1, 0).bit_length()


@dataclass(frozen=True, eq=False)
class Packing:
    """How vectors lie in the slots of one ciphertext.

    Attributes:
      slots: S, a power of two.
      rows: Samples in one ciphertext, a power of two.
      feature_of: Feature at each place of a period, -1 for zero; shape `(period,)`, a power of two, `rows * period <= S`.
    """

    slots: int
    rows: int
    feature_of: NDArray[np.int64]

    def __post_init__(self) -> None:
        sizes = (self.slots, self.rows, len(self.feature_of))
        if any(size < 1 or size & (size - 1) for size in sizes) or self.rows * self.period > self.slots:
            raise UsageError(
                "he-packing",
                f"{self.rows} rows with a period of {self.period} places in {self.slots} slots",
                hint="rows, period and slots are powers of two, and rows * period is at most the number of slots",
            )

    @classmethod
    def repeated(cls, slots: int, width: int, *, rows: int = 1) -> Packing:
        """Return vectors of `width` numbers, padded with zeros to a power of two and repeated through the slots."""
        return cls(slots, rows, _padded(np.arange(width), next_power(width)))

    @classmethod
    def once(cls, slots: int, width: int) -> Packing:
        """Return one vector at the beginning of the slots, zeros behind it."""
        return cls(slots, 1, _padded(np.arange(width), slots))

    @property
    def period(self) -> int:
        """Places after which a row repeats."""
        return len(self.feature_of)

    @property
    def width(self) -> int:
        """Number of features."""
        return int(self.feature_of.max()) + 1

    def spread(self, places: Array) -> Array:
        """Repeat values of the places of one period, shape `(period,)`, over all rows and slots: shape `(S,)`."""
        return np.repeat(np.tile(places, self.slots // (self.rows * len(places))), self.rows)

    def pack(self, samples: Array) -> Array:
        """Return the slots, shape `(S,)`, for `samples` of shape `(n, width)`, n at most `rows`; the rest is zero."""
        padded = np.zeros((self.rows, self.width + 1))  # the last column is what -1 reads
        padded[: len(samples), :-1] = samples
        places = padded[:, self.feature_of].T
        return np.tile(places.reshape(-1), self.slots // (self.rows * self.period))

    def unpack(self, slots: Array, count: int) -> Array:
        """Return the first `count` rows, shape `(count, width)`, each feature from its first place."""
        first = np.array([int(np.flatnonzero(self.feature_of == f)[0]) for f in range(self.width)], dtype=np.int64)
        return np.asarray(slots).reshape(-1, self.rows)[first, :count].T


def _padded(features: Any, length: int) -> NDArray[np.int64]:
    return np.concatenate([features, np.full(length - len(features), -1)]).astype(np.int64)


def for_matrix(slots: int, shape: tuple[int, int], *, rows: int = 1) -> list[Packing]:
    """Return packings for a matrix of `shape` (outputs, inputs), the one of fewest rotations for dense weights first.

    Raises:
      UsageError: If inputs or outputs do not fit into the slots of one row.
    """
    outputs, inputs = next_power(shape[0]), shape[1]
    room = slots // rows
    if max(outputs, inputs) > room:
        raise UsageError(
            "he-too-wide",
            f"a layer of {shape[1]} inputs and {shape[0]} outputs in {room} slots for each of {rows} rows",
            hint="use fewer rows in one ciphertext, a larger ring, or a narrower layer",
        )
    found: dict[tuple[int, int], tuple[float, Packing]] = {}
    for diagonals in {outputs} | {math.ceil(outputs / copies) for copies in range(1, min(outputs, room // inputs) + 1)}:
        copies = math.ceil(outputs / diagonals)
        for residue in (diagonals, -diagonals):
            stride = inputs + (residue - inputs) % outputs
            period = max(next_power((copies - 1) * stride + inputs), outputs)
            if period <= room:
                cost = 2 * math.sqrt(diagonals) - 2 + math.log2(period // outputs) + _MULTIPLY * diagonals
                places = np.full(period, -1, dtype=np.int64)
                for copy in range(copies):
                    places[copy * stride : copy * stride + inputs] = np.arange(inputs)
                found[copies, stride] = (cost, Packing(slots, rows, places))
    return [packing for _, packing in sorted(found.values(), key=lambda pair: pair[0])]
