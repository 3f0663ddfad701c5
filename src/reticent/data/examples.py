"""Prepared examples: what training reads, whatever the data were before."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent.errors import DataError

__all__ = ["Examples"]

Labels = NDArray[np.int64] | NDArray[np.float32]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Examples:
    """Rows of one site, in the shape that a model reads.

    A row with a value that is missing and may not be imputed holds NaN; training gives it a contribution of zero, so
    that such a row neither stops a run nor shows in it.

    Attributes:
      features: float32, shape `(n, *shape)`.
      labels: Class numbers as int64, or targets of a regression as float32; shape `(n,)`.
      units: Whose row it is, dense numbers `0 .. n_units - 1`, int64, shape `(n,)`; `arange(n)` if rows are persons.
    """

    features: NDArray[np.float32]
    labels: Labels
    units: NDArray[np.int64]

    def __post_init__(self) -> None:
        rows = len(self.features)
        if self.labels.shape != (rows,) or self.units.shape != (rows,):
            raise DataError(
                "examples-misaligned",
                f"{rows} rows of features, labels of shape {self.labels.shape}, units of shape {self.units.shape}",
                hint="give one label and one unit for each row of features",
            )
        kinds = {"features": self.features.dtype, "labels": self.labels.dtype, "units": self.units.dtype}
        allowed = {"features": ("float32",), "labels": ("int64", "float32"), "units": ("int64",)}
        for name, kind in kinds.items():
            if kind not in allowed[name]:
                raise DataError(
                    "examples-misaligned",
                    f"{name} are {kind}, not {' or '.join(allowed[name])}",
                    hint=f"convert them: {name}.astype(numpy.{allowed[name][0]}), or use Examples.of(...)",
                )
        if rows and (self.units.min() < 0 or not np.bincount(self.units).all()):
            raise DataError(
                "examples-misaligned",
                "units are not the dense numbers 0 .. n_units - 1",
                hint="use Examples.of(features, labels, persons), which numbers the persons",
            )

    @classmethod
    def of(cls, features: Any, labels: Any, persons: Any = None) -> Examples:
        """Return examples from arrays or tensors of any numeric type.

        Args:
          features: Shape `(n, *shape)`.
          labels: Shape `(n,)`; whole-number types are class numbers, others are targets of a regression.
          persons: Any hashable mark of the person of each row, shape `(n,)`; None if each row is a person.
        """
        values, targets = as_array(features), as_array(labels)
        units = np.arange(len(values)) if persons is None else dense_units(as_array(persons))
        marks: Labels
        if targets.dtype.kind in "iub":
            marks = targets.astype(np.int64, copy=False)
        else:
            marks = targets.astype(np.float32, copy=False)
        return cls(values.astype(np.float32, copy=False), marks, units.astype(np.int64))

    @property
    def n_units(self) -> int:
        """Number of persons (or of rows, if each row is a person)."""
        return int(self.units.max()) + 1 if len(self.units) else 0

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Which rows hold finite features only, shape `(n,)`."""
        flat = self.features.reshape(len(self), math.prod(self.features.shape[1:]))
        finite: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(flat), axis=1)
        return finite

    def __len__(self) -> int:
        return len(self.features)

    def __repr__(self) -> str:
        # Short and without data: a repr ends up in logs and tracebacks.
        return f"Examples(rows={len(self)}, shape={self.features.shape[1:]}, units={self.n_units})"

    def select(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Examples:
        """Return the named rows, their units numbered densely anew."""
        return Examples(self.features[rows], self.labels[rows], dense_units(self.units[rows]))


def as_array(values: Any) -> NDArray[Any]:
    """Return a numpy array of an array, a tensor (by its methods, torch is not imported), a series or a list."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return np.asarray(values)


def dense_units(persons: NDArray[Any]) -> NDArray[np.int64]:
    """Number persons `0 .. k - 1`, shape `(n,)`; the order of the numbers carries no meaning."""
    if persons.ndim != 1:
        raise DataError(
            "examples-misaligned",
            f"persons have shape {persons.shape}",
            hint="give one person for each row, in an array of one dimension",
        )
    return np.unique(persons, return_inverse=True)[1].astype(np.int64)
