"""From a site's cells to numbers: parsing, missing values, units and codes, each cell by itself.

Nothing here looks at another cell of the column to decide what a cell means, and no error names a cell's content.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reticent.data.contract import OTHER, Column
from reticent.data.mapping import ColumnMapping
from reticent.data.text import canonical
from reticent.data.units import Conversion, conversion
from reticent.errors import DataError, UsageError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["codes_of", "numbers_of", "texts_of"]

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_NUMBER_COMMA = _NUMBER.replace(r"\.", ",")

Numbers = NDArray[np.float64]


def numbers_of(
    cells: pd.Series, column: Column, site: ColumnMapping, *, missing: tuple[str, ...], decimal: str
) -> Numbers:
    """Return a numeric column in the contract's unit, NaN where missing or not finite; shape `(n,)`.

    Raises:
      DataError: If a cell is neither a number nor missing, or the site's unit measures another quantity.
    """
    change = _conversion(column, site)
    if cells.dtype.kind in "iufb" and not site.codes and not site.missing:
        values = cells.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        values = _parsed(cells, column, site, missing=missing, decimal=decimal)
    if change != Conversion():
        values = values * change.factor + change.offset
    return np.where(np.isfinite(values), values, np.nan)


def _conversion(column: Column, site: ColumnMapping) -> Conversion:
    if site.factor is not None or site.offset is not None:
        return Conversion(1.0 if site.factor is None else site.factor, site.offset or 0.0)
    if site.unit is None or site.unit == column.unit:
        return Conversion()
    change = None if column.unit is None else conversion(site.unit, column.unit, analyte=column.analyte)
    if change is None:
        about = "" if column.analyte is None else f" of {column.analyte}"
        raise DataError(
            "column-unit",
            f"column {column.name!r} is in {site.unit!r} at this site and in {column.unit!r}{about} in the contract",
            hint="correct the unit in site.toml, give factor and offset (ours = factor * theirs + offset), "
            "or let the contract name the analyte",
        )
    return change


def _parsed(
    cells: pd.Series, column: Column, site: ColumnMapping, *, missing: tuple[str, ...], decimal: str
) -> Numbers:
    import pyarrow as pa
    import pyarrow.compute as pc

    texts, allowed = _pointed(_trimmed(cells), comma=decimal == "," and cells.dtype.kind not in "iufb")
    if site.codes or site.missing:
        # Codes and marks are found however a file spells them: -9, "-9", -9.0.
        texts = pc.replace_substring_regex(texts, r"^([+-]?\d+)\.0*$", r"\1")
    if site.codes:
        texts, coded = _recoded(texts, site.codes)
        allowed = pc.or_(allowed, coded)
    gone = pc.or_(pc.is_null(texts), pc.is_in(texts, value_set=pa.array([*missing, *site.missing], pa.string())))
    numeric = pc.and_(allowed, _matches(texts, _NUMBER))
    wrong = pc.sum(pc.invert(pc.or_(gone, numeric))).as_py() or 0
    if wrong:
        raise DataError(
            "not-a-number",
            f"column {column.name!r}: {wrong} of {len(texts)} cells are neither a number nor marked as missing",
            hint="correct the cells, name the site's marks for missing values (missing = [...]) or its decimal sign "
            'in site.toml, or give codes such as codes = { "<5" = 2.5 }',
        )
    texts = pc.if_else(pc.and_(numeric, pc.invert(gone)), pc.utf8_ltrim(texts, "+"), pa.scalar(None, pa.string()))
    values: Numbers = pc.cast(texts, pa.float64()).to_numpy(zero_copy_only=False)
    return values


def _matches(texts: pa.StringArray, pattern: str) -> pa.BooleanArray:
    import pyarrow.compute as pc

    return pc.fill_null(pc.match_substring_regex(texts, pattern), False)  # noqa: FBT003


def _pointed(texts: pa.StringArray, *, comma: bool) -> tuple[pa.StringArray, pa.BooleanArray]:
    """Return numbers with a decimal point in place of a comma, and which cells may be numbers at all."""
    import pyarrow as pa
    import pyarrow.compute as pc

    allowed = pa.array(np.ones(len(texts), bool))
    if comma:
        # A point is then no decimal sign: "1.234" may be a thousand and more, and must not pass as one and a bit.
        allowed = _matches(texts, _NUMBER_COMMA)
        texts = pc.if_else(allowed, pc.replace_substring(texts, ",", "."), texts)
    return texts, allowed


def _recoded(texts: pa.StringArray, codes: dict[str, str | float]) -> tuple[pa.StringArray, pa.BooleanArray]:
    """Replace codes by numbers, leave other cells as they are, and say which were replaced."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.index_in(texts, value_set=pa.array([canonical(code) for code in codes], pa.string()))
    meant = pa.array([canonical(value) for value in codes.values()], pa.string())
    return pc.coalesce(pc.take(meant, found), texts), pc.is_valid(found)


def codes_of(cells: pd.Series, column: Column, site: ColumnMapping, *, missing: tuple[str, ...]) -> Numbers:
    """Return the place of each cell in the column's `values` (`len(values)`: other), NaN where missing; shape `(n,)`.

    Raises:
      DataError: If a cell is not in the vocabulary, and the column has no `other`.
      UsageError: If the site's codes lead to values that the contract does not have.
    """
    places = _vocabulary(column, site)
    texts = texts_of(cells)
    distinct = texts.dictionary.to_pylist()
    # The site's own words for "missing" count only where the vocabulary has no such word ("NA" may be a country).
    gone = set(missing) | set(site.missing)
    unknown = float(len(column.values)) if column.other else -1.0
    table = [places.get(text, np.nan if text in gone else unknown) for text in distinct]
    indices = texts.indices.fill_null(len(table)).to_numpy(zero_copy_only=False)
    values: Numbers = np.array([*table, np.nan], dtype=np.float64)[indices]
    wrong = int(np.count_nonzero(values < 0))
    if wrong:
        raise DataError(
            "unknown-category",
            f"column {column.name!r}: {wrong} of {len(values)} cells are in none of the declared values",
            hint=f"the contract knows {', '.join(column.values)}; map the site's codes to these in site.toml, "
            f'columns.{column.name}.codes = {{ theirs = "ours" }}, or declare other = true in the contract',
        )
    return values


def _vocabulary(column: Column, site: ColumnMapping) -> dict[str, float]:
    places = {value: float(place) for place, value in enumerate(column.values)}
    if column.other:
        places[OTHER] = float(len(column.values))
    if not site.codes:
        return places
    strangers = sorted({canonical(ours) for ours in site.codes.values()} - set(places))
    if strangers:
        raise UsageError(
            "mapping-unknown-value",
            f"codes of column {column.name!r} lead to {strangers[0]!r}, which the contract does not have",
            hint=f"the contract knows {', '.join(places)}",
        )
    return {canonical(theirs): places[canonical(ours)] for theirs, ours in site.codes.items()}


def texts_of(cells: pd.Series) -> pa.DictionaryArray:
    """Return the canonical text of every cell as indices into the distinct texts; null where missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    encoded = pc.dictionary_encode(_trimmed(cells))
    # Two spellings may share a canonical text; later steps look texts up, so duplicates in the dictionary do no harm.
    spelled = [canonical(text) for text in encoded.dictionary.to_pylist()]
    return pa.DictionaryArray.from_arrays(encoded.indices, pa.array(spelled, pa.string()))


def _trimmed(cells: pd.Series) -> pa.StringArray:
    """Return cells as text without surrounding blanks, null where the cell holds no value."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(cells.dtype, pd.CategoricalDtype):
        cells = cells.astype(object)
    if isinstance(cells.dtype, pd.StringDtype):
        texts = pa.array(cells.array, pa.string(), from_pandas=True)
    elif cells.dtype.kind == "O":
        absent = cells.isna().to_numpy()
        # Half a surrogate pair cannot be written as UTF-8, and the encoder's own error would quote the cell.
        spelled = [
            None if gone else str(cell).encode(errors="replace").decode()
            for gone, cell in zip(absent, cells, strict=True)
        ]
        texts = pa.array(spelled, pa.string())
    elif cells.dtype.kind == "f":
        # Not Arrow's text of a float: Python's has the same digits on every platform and version.
        texts = pa.array([None if math.isnan(cell) else repr(float(cell)) for cell in cells.tolist()], pa.string())
    else:
        texts = pa.array(cells.astype("str"), pa.string(), from_pandas=True)
    texts = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    return pc.utf8_trim_whitespace(texts)
