"""Which rows count: all of them, or so many of each person as was declared.

The choice among a person's rows looks at that person's rows alone, never at their order, and favours no value: rows are
ranked by a hash of the person's name and the row's content. (The first rows of a file would depend on how it was
sorted; the smallest values would bend every mean.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reticent.analytics.rows import Rows

__all__ = ["chosen_rows", "distinct_persons"]


def chosen_rows(rows: Rows, columns: tuple[str, ...], rows_per_person: int | None) -> NDArray[np.intp]:
    """Return the indices of the rows that count.

    Args:
      rows: The table.
      columns: The columns that are asked about.
      rows_per_person: At most so many rows of a person; None for unit `record`.

    Returns:
      Sorted indices. Rows that name no person do not count under unit `person`: nobody's share would bound them.
    """
    import pandas as pd
    from pandas.util import hash_array

    if rows_per_person is None:
        return np.arange(len(rows))
    codes, names = pd.factorize(rows.persons, use_na_sentinel=True)
    if not len(names):
        return np.zeros(0, dtype=np.intp)
    if np.bincount(codes[codes >= 0]).max() <= rows_per_person:
        return np.flatnonzero(codes >= 0)
    salt = hash_array(np.array([str(name) for name in names], dtype=object), categorize=False)
    rank = rows.fingerprint(columns) ^ salt[codes]
    rank = (rank ^ (rank >> np.uint64(31))) * np.uint64(0xBF58476D1CE4E5B9)
    order = np.lexsort((rank, codes))
    order = order[codes[order] >= 0]
    owners = codes[order]
    first = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]]) if len(order) else np.zeros(0, dtype=np.intp)
    number = np.arange(len(order)) - np.repeat(first, np.diff(np.r_[first, len(order)]))
    return np.sort(order[number < rows_per_person])


def distinct_persons(rows: Rows, chosen: NDArray[np.intp]) -> int:
    """Return how many persons own the chosen rows."""
    return len(set(rows.persons[chosen].tolist()))
