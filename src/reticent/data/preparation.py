"""From a site's data to examples: the local check before a run, and the same preparation for everyone.

Run by a site, on its own machine. What it refuses or warns about is for the site's eyes; nothing of it is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reticent.data.arrays import Arrays, arrays_of
from reticent.data.contract import Contract
from reticent.data.examples import Examples, Labels
from reticent.data.images import read_idx_set
from reticent.data.mapping import SiteMapping
from reticent.data.scaling import Standardiser
from reticent.data.split import held_out, held_out_rows
from reticent.data.table import Cells, assemble, check_range, folds_of, persons_of, read_column
from reticent.data.tables import load_table
from reticent.errors import DataError, UsageError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Prepared", "prepare"]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Prepared:
    """What a site's data became.

    Attributes:
      train: Examples for training.
      test: Examples kept for tests; may be empty.
      warnings: Sentences for the site's own eyes: counts of missing and clipped values, classes that do not occur.
      train_rows: Which row of the source each training example is, int64; of the part "train" if the source has parts.
      test_rows: The same for the test examples.
      standardiser: The statistics of `standardise = "per-site"`, else None.
    """

    train: Examples
    test: Examples
    warnings: tuple[str, ...]
    train_rows: NDArray[np.int64]
    test_rows: NDArray[np.int64]
    standardiser: Standardiser | None = None

    def __repr__(self) -> str:
        return f"Prepared(train={self.train!r}, test={self.test!r}, warnings={len(self.warnings)})"


@dataclass(slots=True)
class _Part:
    """One source before the split: everything that depends on a row alone."""

    features: NDArray[np.floating]
    labels: Labels
    persons: NDArray[Any] | None
    content: NDArray[Any]
    held_out: NDArray[np.bool_] | None = None
    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rows = np.arange(len(self.features))

    def keep(self, chosen: NDArray[np.bool_]) -> None:
        self.features, self.labels, self.rows = self.features[chosen], self.labels[chosen], self.rows[chosen]
        self.content = self.content[chosen]
        self.persons = None if self.persons is None else self.persons[chosen]
        self.held_out = None if self.held_out is None else self.held_out[chosen]

    def examples(self, chosen: NDArray[np.bool_]) -> Examples:
        persons = None if self.persons is None else self.persons[chosen]
        return Examples.of(self.features[chosen], self.labels[chosen], persons)


def prepare(contract: Contract, source: Any, mapping: SiteMapping | None = None) -> Prepared:
    """Check a site's data against the contract and prepare them.

    Args:
      contract: What the study asks for.
      source: A path (CSV, Parquet; for tensors `.npz` or a folder of idx files), a `pandas.DataFrame`, `Examples`, a
        `TensorDataset`, or `(features, labels)` or `(features, labels, persons)` as arrays or tensors; or two of them
        under "train" and "test", which then are the split. None: the data that the mapping names.
      mapping: How the site keeps the contract's columns; None if it keeps them as the contract says.

    Raises:
      DataError: If the data do not fit. The message names columns and counts, never a value of the data.
      EnvironmentFault: If a file cannot be read.
      UsageError: If mapping or source do not fit the contract.
    """
    mapping = mapping or SiteMapping()
    source = _located(source, mapping)
    if contract.kind == "table":
        extra = (contract.person, *((contract.split_column,) if contract.split_column else ()))
        mapping.check_names((*(column.name for column in contract.columns), *extra))
    if isinstance(source, Mapping):
        if set(source) != {"train", "test"}:
            raise UsageError(
                "source-parts",
                f"the source has parts {', '.join(sorted(map(str, source))) or 'none'}",
                hint='give one source, or two under "train" and "test"',
            )
        train, test = (_read(contract, source[name], mapping, part=name) for name in ("train", "test"))
        return _finished(contract, train, test, np.ones(len(train.rows), bool), np.ones(len(test.rows), bool))
    part = _read(contract, source, mapping, part="all")
    kept = part.held_out if part.held_out is not None else _hashed(contract, part)
    return _finished(contract, part, part, ~kept, kept)


def _located(source: Any, mapping: SiteMapping) -> Any:
    """Return the source; the mapping's own data if none was given, and both parts of a folder of images."""
    source = mapping.data if source is None else source
    if source is None:
        raise UsageError(
            "source-kind",
            "there is no source, and the mapping names no data",
            hint='give a source, or name the file in site.toml: data = "ward.csv"',
        )
    if isinstance(source, str | Path) and Path(source).is_dir():
        return {part: read_idx_set(source, part) for part in ("train", "test")}
    # A torch TensorDataset, known by its shape: this room does not import torch.
    return getattr(source, "tensors", source)


def _read(contract: Contract, source: Any, mapping: SiteMapping, *, part: str) -> _Part:
    """Return one source, checked and encoded."""
    minimum = 0 if part == "test" else contract.minimum_rows
    if contract.kind == "table" and not isinstance(source, Examples):
        frame = _frame(contract, source, mapping)
        _check_size(minimum, len(frame))
        read = _table(contract, frame, mapping, split=part == "all")
    else:
        arrays = arrays_of(contract, source)
        _check_size(minimum, len(arrays.features))
        read = _tensor(contract, arrays)
    _mind_gaps(contract, read)
    return read


def _mind_gaps(contract: Contract, part: _Part) -> None:
    """Note rows that lack a value, and leave them out if the contract says so."""
    incomplete = ~np.isfinite(part.features.reshape(len(part.features), contract.n_features)).all(axis=1)
    if incomplete.any():
        leave = contract.incomplete_rows == "leave-out"
        fate = "are left out" if leave else "will contribute nothing to training"
        part.warnings.append(
            f"{int(incomplete.sum())} of {len(incomplete)} rows lack a value that may not be imputed and {fate}"
        )
        if leave:
            part.keep(~incomplete)


def _frame(contract: Contract, source: Any, mapping: SiteMapping) -> pd.DataFrame:
    import pandas as pd

    if isinstance(source, str | Path):
        csv = mapping.csv if "csv" in mapping.model_fields_set else None
        return load_table(source, csv)
    if isinstance(source, pd.DataFrame):
        return source
    if isinstance(source, tuple | list) and len(source) in (2, 3):
        arrays = Arrays.of(source)
        names = [column.name for column in contract.features]
        flat = arrays.features.reshape(len(arrays.features), -1)
        if flat.shape[1] == len(names):
            frame = pd.DataFrame(dict(zip(names, flat.T, strict=True)) | {contract.label: arrays.labels})
            return frame if arrays.persons is None else frame.assign(**{contract.person: arrays.persons})
        raise DataError(
            "tensor-shape",
            f"the features have {flat.shape[1]} columns and the contract {len(names)}",
            hint=f"give the columns {', '.join(names)}, in this order",
        )
    raise UsageError(
        "source-kind",
        f"the source is a {type(source).__name__}",
        hint="give a path, a pandas.DataFrame, or arrays (features, labels)",
    )


def _check_size(minimum: int, rows: int) -> None:
    if rows == 0 and minimum > 0:
        raise DataError("site-empty", "the site has no rows", hint="check the site's data, or leave the site out")
    if rows < minimum:
        raise DataError(
            "too-few-rows",
            f"the site has {rows} rows and the contract asks for {minimum}",
            hint="leave the site out, or agree on a smaller minimum_rows in the contract",
        )


def _table(contract: Contract, frame: pd.DataFrame, mapping: SiteMapping, *, split: bool) -> _Part:
    read = {column.name: read_column(frame, column, mapping) for column in contract.columns}
    for column in contract.columns:
        check_range(column, read[column.name])
    target = read[contract.label].values
    features = assemble(contract, [(column, read[column.name].values) for column in contract.features])
    # A row without a label cannot be learned from; it is kept, as an incomplete row.
    features[np.isnan(target)] = np.nan
    labels: Labels = np.nan_to_num(target).astype(np.int64)
    if not contract.classes:
        labels = np.nan_to_num(target).astype(np.float32)
    persons = None if contract.person == "row" else persons_of(frame, contract, mapping)
    part = _Part(features, labels, persons, _content(read))
    if split and contract.split_column:
        part.held_out = folds_of(frame, contract, mapping)
    for name, cells in read.items():
        part.warnings.extend(_notes(name, cells, contract))
    return part


def _content(read: dict[str, Cells]) -> NDArray[np.float64]:
    """Return all cells side by side, equal values with equal bits: one NaN, and no negative zero."""
    cells = np.column_stack([column.values for column in read.values()]) + 0.0
    cells[np.isnan(cells)] = np.nan
    return cells


def _notes(name: str, cells: Cells, contract: Contract) -> list[str]:
    column = next(column for column in contract.columns if column.name == name)
    notes = []
    if cells.missing:
        fate = "" if column.missing == "refuse" else f", set to the declared {column.missing!r}"
        notes.append(f"column {name!r}: {cells.missing} of {len(cells.values)} values are missing{fate}")
    if cells.clipped:
        notes.append(
            f"column {name!r}: {cells.clipped} of {len(cells.values)} values lay outside {list(column.range or ())} "
            "and were moved to its nearer end"
        )
    return notes


def _tensor(contract: Contract, arrays: Arrays) -> _Part:
    features, warnings = arrays.features, []
    if contract.range is not None:
        low, high = contract.range
        outside = int(np.count_nonzero((features < low) | (features > high)))
        if 20 * outside > features.size:
            raise DataError(
                "values-outside-range",
                f"{outside} of {features.size} values lie outside the declared range {list(contract.range)}",
                hint="scale the features before, or correct `range` in the contract (pixels are often [0.0, 255.0])",
            )
        if outside:
            warnings.append(f"{outside} values lay outside {list(contract.range)} and were moved to its nearer end")
            features = np.clip(features, low, high)
        if contract.standardise == "declared":
            features = (features.astype(np.float32) - np.float32(low)) * np.float32(2 / (high - low)) - np.float32(1)
    part = _Part(features.astype(np.float32, copy=False), arrays.labels, arrays.persons, arrays.features)
    part.warnings = warnings
    return part


def _hashed(contract: Contract, part: _Part) -> NDArray[np.bool_]:
    if contract.test_fraction == 0:
        return np.zeros(len(part.rows), bool)
    if part.persons is not None:
        return held_out(part.persons, key=contract.split_key, fraction=contract.test_fraction)
    return held_out_rows(part.content, part.labels, key=contract.split_key, fraction=contract.test_fraction)


def _finished(
    contract: Contract, first: _Part, second: _Part, train: NDArray[np.bool_], test: NDArray[np.bool_]
) -> Prepared:
    """Return the examples of the `train` rows of the first part and the `test` rows of the second."""
    warnings = list(dict.fromkeys([*first.warnings, *second.warnings]))
    if not train.any():
        raise DataError(
            "training-empty",
            f"no row is left for training, of {len(train)}",
            hint="lower test_fraction, change split_key, or check the site's split column and missing values",
        )
    standardiser = None
    if contract.standardise == "per-site":
        standardiser = Standardiser.of(first.features[train])
        first.features = standardiser.apply(first.features)
        if second is not first:
            second.features = standardiser.apply(second.features)
    labels = first.labels[train]
    if contract.classes and (absent := len(contract.classes) - len(np.unique(labels))):
        warnings.append(f"{absent} of the {len(contract.classes)} classes do not occur in the training rows")
    return Prepared(
        first.examples(train),
        second.examples(test),
        tuple(warnings),
        first.rows[train],
        second.rows[test],
        standardiser,
    )
