"""Arrays and tensors as a source: images, series, anything of a fixed shape."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent.data.contract import Contract
from reticent.data.examples import Examples, Labels, as_array
from reticent.errors import DataError, EnvironmentFault, UsageError

__all__ = ["Arrays", "arrays_of"]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Arrays:
    """Features of shape `(n, *shape)`, labels of shape `(n,)`, and a mark of the person of each row, or None."""

    features: NDArray[Any]
    labels: NDArray[Any]
    persons: NDArray[Any] | None

    @classmethod
    def of(cls, source: tuple[Any, ...] | list[Any]) -> Arrays:
        """Return the arrays of `(features, labels)` or `(features, labels, persons)`."""
        features, labels, *rest = (as_array(values) for values in source)
        arrays = cls(features, labels, rest[0] if rest else None)
        lengths = [len(values) if values.ndim else 0 for values in (features, labels, *rest)]
        if len(set(lengths)) > 1 or any(values.ndim != 1 for values in (labels, *rest)):
            raise DataError(
                "tensor-shape",
                f"features, labels and persons have shapes {[values.shape for values in (features, labels, *rest)]}",
                hint="give one label (and one person) for each row: shapes (n, ...), (n,), (n,)",
            )
        return arrays


def arrays_of(contract: Contract, source: Any) -> Arrays:
    """Return the source's arrays, checked against the contract: shape, type, classes and persons.

    Raises:
      DataError: If they do not fit; no value is quoted.
      EnvironmentFault: If a file cannot be read.
      UsageError: If the source is of another kind.
    """
    arrays = _opened(contract, source)
    if contract.person == "row":
        arrays = Arrays(arrays.features, arrays.labels, None)
    elif arrays.persons is None:
        raise DataError(
            "person-column-missing",
            f"person is {contract.person!r} and the source marks no persons",
            hint='give (features, labels, persons), or declare person = "row"',
        )
    if arrays.features.dtype.kind not in "iufb":
        raise DataError(
            "not-a-number",
            f"the features are of type {arrays.features.dtype}",
            hint="convert them to numbers, for example with .astype(numpy.float32)",
        )
    if arrays.features.ndim > 1 and arrays.features[:1].size == contract.n_features:
        # Images come as (28, 28), (1, 28, 28) or (784,): the order of the pixels is the same in all three.
        arrays = Arrays(arrays.features.reshape(-1, *contract.input_shape), arrays.labels, arrays.persons)
    if arrays.features.shape[1:] != contract.input_shape:
        raise DataError(
            "tensor-shape",
            f"one example has shape {arrays.features.shape[1:]} and the contract says {contract.input_shape}",
            hint="reshape the features, or correct `shape` in the contract",
        )
    return Arrays(arrays.features, _labels(contract, arrays.labels), arrays.persons)


def _labels(contract: Contract, labels: NDArray[Any]) -> Labels:
    if not contract.classes:
        if labels.dtype.kind in "iufb":
            return labels.astype(np.float32)
        raise DataError(
            "not-a-number", f"the labels are of type {labels.dtype}", hint="a regression needs labels that are numbers"
        )
    whole = labels.dtype.kind in "iub" or (labels.dtype.kind == "f" and bool(np.all(labels == np.floor(labels))))
    wrong = int(np.count_nonzero((labels < 0) | (labels >= len(contract.classes)))) if whole else len(labels)
    if wrong:
        raise DataError(
            "labels-outside-classes",
            f"{wrong} of {len(labels)} labels are not class numbers 0 to {len(contract.classes) - 1}",
            hint=f"number the classes {', '.join(contract.classes[:12])} from 0, in this order",
        )
    return labels.astype(np.int64)


def _opened(contract: Contract, source: Any) -> Arrays:
    if isinstance(source, Examples) and contract.split_column is None:
        return Arrays(source.features, source.labels, source.units)
    if isinstance(source, str | Path):
        return _loaded(Path(source))
    if isinstance(source, tuple | list) and len(source) in (2, 3):
        return Arrays.of(source)
    raise UsageError(
        "source-kind",
        f"the source is a {type(source).__name__}",
        hint="give arrays (features, labels) or (features, labels, persons), Examples, an .npz file or an idx folder",
    )


def _loaded(path: Path) -> Arrays:
    try:
        # allow_pickle stays off: a data file must not be able to run code.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            held = {name: stored[name] for name in stored.files}
    except OSError as error:
        raise EnvironmentFault(
            "file-unreadable", f"{path}: {error.strerror}", hint="check the path and its rights"
        ) from error
    except (ValueError, AttributeError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            "data-unreadable",
            f"{path} could not be read as arrays ({type(error).__name__})",
            hint="write it with numpy.savez(path, features=..., labels=...), without Python objects",
        ) from None
    if not {"features", "labels"} <= set(held):
        raise DataError(
            "data-unreadable",
            f"{path} holds {', '.join(sorted(held)) or 'nothing'}",
            hint="it needs arrays `features` and `labels`, and may hold `persons`",
        )
    return Arrays.of([held[name] for name in ("features", "labels", "persons") if name in held])
