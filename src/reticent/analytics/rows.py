"""A table as statistics read it: numbers with gaps, places in a declared vocabulary, and whose row each is.

Every cell is read by itself, so that what one row contributes never depends on another. What cannot be read (a word
where a number belongs, a category that nobody declared) counts as missing: a refusal would depend on the data, and would
tell of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reticent.data import canonical
from reticent.errors import DataError, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from reticent.data import Contract, SiteMapping

__all__ = ["Rows", "word_of"]

Numbers = NDArray[np.float64]
_GONE = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "<NA>", "inf", "-inf")


class Rows:
    """One site's rows.

    Args:
      frame: The columns, by name; numbers, texts, or codes.
      persons: Whose row each is, any text or number; None if nobody asks for unit `person`.
    """

    def __init__(self, frame: pd.DataFrame, persons: Any = None) -> None:
        self._frame = frame
        self._persons = None if persons is None else np.asarray(persons, dtype=object)
        if self._persons is not None and self._persons.shape != (len(frame),):
            raise UsageError(
                "statistics-persons",
                f"persons have shape {self._persons.shape}, the table has {len(frame)} rows",
                hint="give one person for each row",
            )

    @classmethod
    def of(cls, table: Any, *, person: str | None = None) -> Rows:
        """Return the rows of a `pandas.DataFrame`, a mapping of columns, or `Rows` as they are.

        Args:
          table: The columns.
          person: Name of the column that says whose row it is.

        Raises:
          UsageError: If the table is of another kind, or has no such column.
        """
        import pandas as pd

        if isinstance(table, Rows):
            return table
        if isinstance(table, Mapping):
            table = pd.DataFrame(dict(table))
        if not isinstance(table, pd.DataFrame):
            raise UsageError(
                "statistics-table",
                f"the table is a {type(table).__name__}",
                hint="give a pandas.DataFrame, a mapping of columns, or analytics.Rows",
            )
        if person is None:
            return cls(table)
        if person not in table.columns:
            raise UsageError(
                "statistics-persons",
                f"the table has no column {person!r} that says whose row it is",
                hint="name the column of the persons: person = ...",
            )
        return cls(table.drop(columns=person), _named(table[person]))

    @classmethod
    def under(cls, contract: Contract, source: Any, mapping: SiteMapping | None = None) -> Rows:
        """Return a site's rows in the terms of `contract`: its names, units and categories, before any scaling.

        All rows take part, those kept for tests too. Missing values stay missing: what a model imputes is no
        observation.

        Args:
          contract: The public schema of a table.
          source: A path (CSV, Parquet) or a `pandas.DataFrame`; None: the data that the mapping names.
          mapping: How the site keeps the contract's columns.

        Raises:
          DataError: If a column is absent or holds what the contract does not allow; no cell is quoted.
        """
        from reticent.data import read_contract_columns

        frame, persons = read_contract_columns(contract, source, mapping)
        return cls(frame, np.arange(len(frame)) if persons is None else persons)  # else each row is a person

    def __len__(self) -> int:
        return len(self._frame)

    def __repr__(self) -> str:
        return f"Rows(columns={self._frame.shape[1]})"  # not how many: that may be private

    @property
    def persons(self) -> NDArray[Any]:
        """Whose row each is, shape `(n,)`; None for a row that names nobody.

        Raises:
          UsageError: If the rows were made without persons.
        """
        if self._persons is None:
            raise UsageError(
                "statistics-persons",
                "unit is person, and the table does not say whose row each is",
                hint='give person = "COLUMN", or use unit "record" if every row is a person of its own',
            )
        return self._persons

    def numbers(self, name: str) -> Numbers:
        """Return a column of numbers, NaN where a cell holds no finite number; shape `(n,)`."""
        import pandas as pd

        cells = self._column(name)
        if isinstance(cells.dtype, pd.CategoricalDtype):
            cells = cells.astype(object)
        if cells.dtype.kind in "iufb":
            values = cells.to_numpy(dtype=np.float64, na_value=np.nan)
        elif cells.dtype.kind in "mM":
            values = np.full(len(cells), np.nan)
        else:
            values = np.array([_float_of(cell) for cell in cells.tolist()], dtype=np.float64)
        return np.where(np.isfinite(values), values, np.nan)

    def places(self, name: str, categories: tuple[str, ...]) -> NDArray[np.int64]:
        """Return each cell's place in `categories`, `len(categories)` for any other word, -1 for none; shape `(n,)`."""
        codes, words = self._words(name)
        places = {word: place for place, word in enumerate(categories)}
        table = [-1 if word in _GONE and word not in places else places.get(word, len(categories)) for word in words]
        return np.array([*table, -1], dtype=np.int64)[codes]

    def present(self, name: str) -> NDArray[np.bool_]:
        """Return which cells hold anything, shape `(n,)`."""
        cells = self._column(name)
        if cells.dtype.kind in "iufb":
            return np.asarray(np.isfinite(cells.to_numpy(dtype=np.float64, na_value=np.nan)))
        codes, words = self._words(name)
        return np.array([*(word not in _GONE for word in words), False])[codes]

    def fingerprint(self, names: tuple[str, ...]) -> NDArray[np.uint64]:
        """Return a hash of each row's cells in `names`, shape `(n,)`; it depends on that row alone."""
        mixed = np.zeros(len(self), dtype=np.uint64)
        for name in names:
            mixed = (mixed ^ self._hashed(name)) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
        return mixed

    def _hashed(self, name: str) -> NDArray[np.uint64]:
        """Return a hash of each cell, the same for 1, 1.0 and "1": a gap elsewhere turns the one into the other."""
        from pandas.util import hash_array

        cells = self._column(name)
        if cells.dtype.kind in "iuf":  # truth values are words here as there
            return np.asarray(hash_array(_plain_floats(cells.to_numpy(dtype=np.float64, na_value=np.nan))))
        codes, words = self._words(name)
        texts = np.array([*words, "nan"], dtype=object)
        numbers = np.array([_float_of(text) for text in texts])
        table = np.where(
            np.isnan(numbers), hash_array(texts, categorize=False), hash_array(_plain_floats(numbers))
        ).astype(np.uint64)
        table[-1] = hash_array(np.array([np.nan]))[0]
        return np.asarray(table[codes])

    def _words(self, name: str) -> tuple[NDArray[np.intp], list[str]]:
        """Return indices into distinct canonical texts; -1 for an empty cell."""
        import pandas as pd

        cells = self._column(name)
        if cells.dtype.kind in "iuf":
            # A gap elsewhere in the column turns whole numbers into floats: all numbers are read as floats, so that it
            # cannot change what another row's cell is called. Zero has one name.
            codes, numbers = pd.factorize(cells.to_numpy(dtype=np.float64, na_value=np.nan) + 0.0)
            return codes, [word_of(number) for number in numbers]
        # Each cell gets its word before equal ones are sought: True equals 1, -0.0 equals 0.0, and whichever stood
        # first would name them all.
        words = [None if gone else word_of(cell) for cell, gone in zip(cells, cells.isna(), strict=True)]
        codes, distinct = pd.factorize(np.array([*words, ""], dtype=object)[:-1])
        return codes, list(distinct)

    def _column(self, name: str) -> pd.Series:
        if name not in self._frame.columns:
            raise DataError(
                "statistics-column",
                f"the table has no column {name!r}",
                hint="correct the name in the question, or let the site's mapping name its own column",
            )
        column = self._frame[name]
        if column.ndim > 1:
            raise DataError(
                "statistics-column",
                f"the table has {column.shape[1]} columns {name!r}",
                hint="rename or remove the duplicates",
            )
        return column


def word_of(value: object) -> str:
    """Return the canonical text of a cell or of a declared category: 1, 1.0 and "1" are one word."""
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        return canonical(float(value) + 0.0)
    return canonical(value)


def _plain_floats(values: Numbers) -> Numbers:
    """Return numbers with one bit pattern for zero and one for a gap."""
    return np.where(np.isnan(values), np.nan, values + 0.0)


def _float_of(cell: Any) -> float:
    try:
        return float(cell)
    except (TypeError, ValueError):
        return math.nan


def _named(cells: pd.Series) -> NDArray[Any]:
    """Return persons as text, None where the cell names nobody; each cell by itself."""
    texts = [None if gone else canonical(cell) for cell, gone in zip(cells, cells.isna(), strict=True)]
    return np.array([None if text in (None, *_GONE) else text for text in texts], dtype=object)
