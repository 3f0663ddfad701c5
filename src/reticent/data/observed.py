"""A site's table in the contract's terms as it was observed: no imputation, no scaling, every row.

Statistics read this. What a model imputes is no observation, and must not enter a mean.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reticent.data.contract import OTHER, Contract
from reticent.data.mapping import SiteMapping
from reticent.data.table import check_range, persons_of, read_column
from reticent.data.tables import load_table
from reticent.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_contract_columns"]


def read_contract_columns(
    contract: Contract, source: Any, mapping: SiteMapping | None = None
) -> tuple[pd.DataFrame, NDArray[Any] | None]:
    """Return the contract's columns and whose row each is.

    Numbers are in the contract's unit and clipped to its range, NaN where missing; categories and labels are words of
    the contract, None where missing. Persons are None if each row is a person.

    Args:
      contract: Of a table.
      source: A path (CSV, Parquet), a `pandas.DataFrame`, or two of them under "train" and "test"; None: the data that
        the mapping names.
      mapping: How the site keeps the contract's columns.

    Raises:
      DataError: If a column is absent or holds what the contract does not allow; no cell is quoted.
      UsageError: If the contract is of tensors, or the source of another kind.
    """
    import pandas as pd

    mapping = mapping or SiteMapping()
    if contract.kind != "table":
        raise UsageError(
            "statistics-of-tensors",
            "the contract describes tensors, which have no named columns",
            hint="ask for statistics of tables only",
        )
    source = mapping.data if source is None else source
    parts = list(source.values()) if isinstance(source, dict) else [source]
    if not all(isinstance(part, str | Path | pd.DataFrame) for part in parts):
        raise UsageError(
            "source-kind",
            f"the source of a table is a {type(source).__name__}",
            hint="give a path or a pandas.DataFrame",
        )
    csv = mapping.csv if "csv" in mapping.model_fields_set else None
    frames = [part if isinstance(part, pd.DataFrame) else load_table(part, csv) for part in parts]
    read = [_observed(contract, frame, mapping) for frame in frames]
    persons = [None if contract.person == "row" else persons_of(frame, contract, mapping) for frame in frames]
    known = [names for names in persons if names is not None]
    return pd.concat(read, ignore_index=True), np.concatenate(known) if known else None


def _observed(contract: Contract, frame: pd.DataFrame, mapping: SiteMapping) -> pd.DataFrame:
    import pandas as pd

    found: dict[str, Any] = {}
    for column in contract.columns:
        unfilled = column.model_copy(update={"missing": "refuse"})
        cells = read_column(frame, unfilled, mapping)
        check_range(column, cells)
        found[column.name] = cells.values
        if not column.is_numeric:
            words = np.array([*column.values, *([OTHER] if column.other else []), None], dtype=object)
            found[column.name] = words[np.where(np.isnan(cells.values), -1, cells.values).astype(np.intp)]
    return pd.DataFrame(found, index=range(len(frame)))
