"""From a site's frame to one numeric table in the contract's columns, and from that to features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reticent.data.cells import codes_of, numbers_of, texts_of
from reticent.data.contract import OTHER, Column, Contract
from reticent.data.mapping import SiteMapping
from reticent.data.scaling import Standardiser
from reticent.data.text import canonical
from reticent.errors import DataError, UsageError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["encode", "features_of", "folds_of", "persons_of", "read_column", "scale_declared"]

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cells:
    """One column in the contract's terms: a number, or a place in its vocabulary; NaN where missing.

    Attributes:
      values: Shape `(n,)`, clipped to the declared range and imputed as declared.
      missing: How many cells were missing, before imputation.
      clipped: How many cells lay beyond the declared range.
    """

    values: Numbers
    missing: int
    clipped: int


def find(frame: pd.DataFrame, name: str, mapping: SiteMapping) -> pd.Series:
    """Return the site's column for the contract's `name`.

    Raises:
      DataError: If the site has no such column.
    """
    theirs = mapping.of(name).column or name
    if theirs not in frame.columns:
        called = f"{name!r}" if theirs == name else f"{name!r} (here {theirs!r})"
        raise DataError(
            "column-missing",
            # The site's names stay unsaid: in a file without a header line they are a record.
            f"column {called} is missing among the site's {frame.shape[1]} columns",
            hint=f'name the site\'s own column in site.toml: columns.{name} = {{ column = "THEIR_NAME" }}; '
            "if the file has no header line, give csv.header there",
        )
    column = frame[theirs]
    if column.ndim > 1:
        raise DataError(
            "column-duplicate",
            f"column {theirs!r} occurs {column.shape[1]} times",
            hint="rename or remove the duplicates",
        )
    return column


def read_column(frame: pd.DataFrame, column: Column, mapping: SiteMapping) -> Cells:
    """Return one column, translated, clipped and imputed; the result for a row depends on that row alone.

    Raises:
      DataError: If the column is missing or holds what the contract does not allow; no cell is quoted.
    """
    cells, site = find(frame, column.name, mapping), mapping.of(column.name)
    if not column.is_numeric:
        values = codes_of(cells, column, site, missing=mapping.missing)
    else:
        values = numbers_of(cells, column, site, missing=mapping.missing, decimal=mapping.csv.decimal)
    missing = int(np.count_nonzero(np.isnan(values)))
    clipped = 0
    if column.range is not None:
        low, high = column.range
        clipped = int(np.count_nonzero((values < low) | (values > high)))
        values = np.clip(values, low, high)
    if missing and column.missing != "refuse":
        values = np.where(np.isnan(values), _fill(column), values)
    return Cells(values, missing, clipped)


def check_range(column: Column, cells: Cells) -> None:
    """Refuse a column that lies mostly outside its declared range: a wrong unit would ruin the model in silence."""
    clipped, present = cells.clipped, len(cells.values) - cells.missing
    if 2 * clipped > present:
        raise DataError(
            "values-outside-range",
            f"column {column.name!r}: {clipped} of {present} values lie outside the declared range "
            f"{list(column.range or ())} {column.unit or ''}".rstrip(),
            hint=f'is it another unit? Name it in site.toml: columns.{column.name} = {{ unit = "..." }}; '
            "else widen the range in the contract",
        )


def _fill(column: Column) -> float:
    if column.is_numeric:
        return float(column.missing)
    return float([*column.values, OTHER].index(canonical(column.missing)))


def encode(column: Column, values: Numbers) -> Numbers:
    """Return the features of one column, shape `(n, len(column.feature_names))`; NaN where the cell is missing."""
    if column.is_numeric:
        return values[:, None]
    places = len(column.values) + column.other
    one_hot = (values[:, None] == np.arange(places)).astype(np.float64)
    one_hot[np.isnan(values)] = np.nan
    encoded: Numbers = one_hot[:, 1:] if column.drop_first else one_hot
    return encoded


def scale_declared(column: Column, features: Numbers) -> Numbers:
    """Map the declared range of a number to [-1, 1]; categories stay 0 and 1."""
    if not column.is_numeric or column.range is None:
        return features
    low, high = column.range
    return (features - low) * (2.0 / (high - low)) - 1.0


def features_of(
    contract: Contract,
    frame: pd.DataFrame,
    mapping: SiteMapping | None = None,
    *,
    standardiser: Standardiser | None = None,
) -> NDArray[np.float32]:
    """Return the features of a table, shape `(n, contract.n_features)`, from the contract alone.

    Args:
      contract: What the model reads.
      frame: The rows; a label is not needed.
      mapping: How the frame keeps the contract's columns.
      standardiser: With `standardise = "per-site"`, the statistics that belong to these rows.

    Raises:
      DataError: If a column is missing or holds what the contract does not allow.
      UsageError: If the scaling is per site and no statistics are given: raw numbers would pass for scaled ones.
    """
    mapping = mapping or SiteMapping()
    if contract.standardise == "per-site" and standardiser is None:
        raise UsageError(
            "standardiser-missing",
            "standardise is 'per-site', and no statistics of a site were given",
            hint="use the `standardiser` that `prepare` returned for the rows' site, or use declared scaling",
        )
    columns = [(column, read_column(frame, column, mapping).values) for column in contract.features]
    features = assemble(contract, columns)
    return features.astype(np.float32) if standardiser is None else standardiser.apply(features)


def assemble(contract: Contract, columns: list[tuple[Column, Numbers]]) -> Numbers:
    """Return the features of translated columns side by side, scaled if the contract's scaling is `declared`."""
    declared = contract.standardise == "declared"
    blocks = [encode(column, values) for column, values in columns]
    if declared:
        blocks = [scale_declared(column, block) for (column, _), block in zip(columns, blocks, strict=True)]
    features: Numbers = np.concatenate(blocks, axis=1)
    # The whole row, so that no model can read past the gap and learn from what is left of the row.
    features[np.isnan(features).any(axis=1)] = np.nan
    return features


def persons_of(frame: pd.DataFrame, contract: Contract, mapping: SiteMapping) -> NDArray[Any]:
    """Return the person of each row as text, shape `(n,)`.

    Raises:
      DataError: If the person column is absent, or a row names no person.
    """
    if (mapping.of(contract.person).column or contract.person) not in frame.columns:
        raise DataError(
            "person-column-missing",
            f"the person column {contract.person!r} is missing",
            hint=f'name the site\'s own column in site.toml: columns.{contract.person} = {{ column = "THEIR_NAME" }}; '
            'or declare person = "row" in the contract if every row is a person of its own',
        )
    site = mapping.of(contract.person)
    texts = texts_of(find(frame, contract.person, mapping))
    names = np.array([*texts.dictionary.to_pylist(), ""], dtype=object)
    blank = np.isin(names.astype(str), ["", *mapping.missing, *site.missing])
    places = texts.indices.fill_null(len(names) - 1).to_numpy(zero_copy_only=False)
    nobody = int(np.count_nonzero(blank[places]))
    if nobody:
        # Such rows cannot be guarded as one person's: were they given numbers of their own, a person could count twice.
        raise DataError(
            "person-missing",
            f"{nobody} of {len(places)} rows name no person in column {contract.person!r}",
            hint="fill in the person, or remove these rows from the site's data",
        )
    persons: NDArray[Any] = names[places]
    return persons


def folds_of(frame: pd.DataFrame, contract: Contract, mapping: SiteMapping) -> NDArray[np.bool_]:
    """Return which rows are for tests by the contract's split column, shape `(n,)`."""
    name = contract.split_column or ""
    column = Column(name=name, kind="label", values=("train", "test"))
    places = codes_of(find(frame, name, mapping), column, mapping.of(name), missing=mapping.missing)
    if np.isnan(places).any():
        raise DataError(
            "fold-missing",
            f"{int(np.isnan(places).sum())} of {len(places)} rows have no fold in column {name!r}",
            hint='write "train" or "test" in each row, or map the site\'s codes to these in site.toml',
        )
    return np.equal(places, 1.0)
