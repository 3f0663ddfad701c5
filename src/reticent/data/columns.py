"""A site that holds some columns of rows that other sites hold, too: its part, in an order that all of them share.

Run by a site, on its own machine. Rows are told by the contract's person column. They are put into the order of these
names, and split into training and test rows by the same keyed hash at every site, so that sites which hold the same
people hold them in the same order. A digest of the names lets them check that before anything else is sent.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reticent.data.contract import Contract
from reticent.data.examples import Labels
from reticent.data.mapping import SiteMapping
from reticent.data.scaling import Standardiser
from reticent.data.split import held_out
from reticent.data.table import assemble, check_range, folds_of, persons_of, read_column
from reticent.data.tables import load_table
from reticent.errors import DataError, UsageError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AlignedColumns", "prepare_columns"]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class AlignedColumns:
    """What a site's columns became.

    Attributes:
      names: Names of the features, in order.
      train, test: Features, float32, shapes `(n, len(names))`; row i is the same person at every site.
      train_labels, test_labels: At the site that holds the label, else None.
      order: Keyed digest of the persons in order, 32 bytes: equal at two sites if and only if they hold the same people.
        Whoever knows the key of the split can test guesses of the whole list, and of nothing less.
      warnings: Sentences for the site's own eyes.
    """

    names: tuple[str, ...]
    train: NDArray[np.float32]
    test: NDArray[np.float32]
    train_labels: Labels | None
    test_labels: Labels | None
    order: bytes
    warnings: tuple[str, ...]

    def __repr__(self) -> str:
        return f"AlignedColumns(columns={len(self.names)}, train={len(self.train)}, test={len(self.test)})"


def prepare_columns(
    contract: Contract, held: Collection[str], source: Any, mapping: SiteMapping | None = None
) -> AlignedColumns:
    """Check a site's columns against the contract, prepare them, and put the rows into the common order.

    Args:
      contract: What the study asks of all sites together.
      held: The columns of the contract that this site holds.
      source: A path (CSV, Parquet) or a `pandas.DataFrame`; None: the data that the mapping names.
      mapping: How the site keeps the contract's columns.

    Raises:
      DataError: If the data do not fit, a person occurs twice, or a value is missing that may not be imputed. The
        message names columns and counts, never a value of the data.
      UsageError: If the source is of another kind.
    """
    mapping = mapping or SiteMapping()
    columns = [column for column in contract.columns if column.name in held]
    frame, persons = _ordered(contract, source, mapping)
    mapping.check_names(
        (*(column.name for column in columns), contract.person, contract.split_column or contract.person)
    )
    read = {column.name: read_column(frame, column, mapping) for column in columns}
    for column in columns:
        check_range(column, read[column.name])
        _check_gaps(column.name, read[column.name].values)
    kept = _kept(contract, frame, persons, mapping)
    features = [(column, read[column.name].values) for column in columns if column.kind != "label"]
    values = assemble(contract, features)
    if (
        contract.standardise == "per-site"
    ):  # the columns are whole here: their statistics are those of all sites together
        values = Standardiser.of(values[~kept]).apply(values).astype(np.float64)
    labels = _labels(contract, read[contract.label].values) if contract.label in read else None
    clipped = {name: cells.clipped for name, cells in read.items() if cells.clipped}
    return AlignedColumns(
        names=tuple(name for column, _ in features for name in column.feature_names),
        train=values[~kept].astype(np.float32),
        test=values[kept].astype(np.float32),
        train_labels=None if labels is None else labels[~kept],
        test_labels=None if labels is None else labels[kept],
        order=_digest(contract, persons, kept),
        warnings=tuple(
            f"column {name!r}: {count} of {len(persons)} values lay outside the declared range and were moved to its end"
            for name, count in clipped.items()
        ),
    )


def _ordered(contract: Contract, source: Any, mapping: SiteMapping) -> tuple[pd.DataFrame, NDArray[Any]]:
    """Return the site's rows and their persons, in the order of the persons' names."""
    import pandas as pd

    source = mapping.data if source is None else source
    if not isinstance(source, str | Path | pd.DataFrame):
        raise UsageError(
            "source-kind",
            f"the source of a site with columns is a {type(source).__name__}",
            hint="give a path or a pandas.DataFrame with the person column and the site's own columns",
        )
    csv = mapping.csv if "csv" in mapping.model_fields_set else None
    frame = source if isinstance(source, pd.DataFrame) else load_table(source, csv)
    persons = persons_of(frame, contract, mapping).astype(str)
    _check_rows(contract, persons)
    order = np.argsort(persons, kind="stable")
    return frame.iloc[order], persons[order]


def _kept(contract: Contract, frame: pd.DataFrame, persons: NDArray[Any], mapping: SiteMapping) -> NDArray[np.bool_]:
    if contract.split_column:
        return folds_of(frame, contract, mapping)
    if contract.test_fraction:
        return held_out(persons, key=contract.split_key, fraction=contract.test_fraction)
    return np.zeros(len(persons), bool)


def _labels(contract: Contract, target: NDArray[np.float64]) -> Labels:
    return target.astype(np.int64) if contract.classes else target.astype(np.float32)


def _check_rows(contract: Contract, persons: NDArray[Any]) -> None:
    if len(persons) < max(1, contract.minimum_rows):
        raise DataError(
            "too-few-rows",
            f"the site has {len(persons)} rows and the contract asks for {max(1, contract.minimum_rows)}",
            hint="leave the site out, or agree on a smaller minimum_rows in the contract",
        )
    twice = len(persons) - len(np.unique(persons))
    if twice:
        raise DataError(
            "aligned-person-twice",
            f"{twice} of {len(persons)} rows name a person of an earlier row in column {contract.person!r}",
            hint="keep one row for each person: rows of several sites are joined by the person alone",
        )


def _check_gaps(name: str, values: NDArray[np.float64]) -> None:
    gaps = int(np.isnan(values).sum())
    if gaps:
        raise DataError(
            "aligned-value-missing",
            f"column {name!r}: {gaps} of {len(values)} values are missing, and the other sites have these rows",
            hint="declare in the contract what stands in for a missing value (missing = ...); a label must be there",
        )


def _digest(contract: Contract, persons: NDArray[Any], kept: NDArray[np.bool_]) -> bytes:
    text = "\x1f".join(persons.tolist()) + "\x1e" + "".join("1" if test else "0" for test in kept.tolist())
    return hmac.digest(b"reticent aligned rows " + contract.split_key.encode(), text.encode(), "sha256")
