"""What every technique is tried on: one small two-class table, the same rows, the same split, the same start."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent.data import Examples
from reticent.errors import DataError, EnvironmentFault

__all__ = ["LARGEST", "PARTIES", "Trial", "example_trial", "table_trial"]

PARTIES = 3
LARGEST = 4.0
"""Standardised values are cut here, so that every technique works on numbers of known size."""
MOST_ROWS = 1000
_SEED = 20_26


@dataclass(frozen=True, slots=True)
class Trial:
    """Rows to train on and rows to judge by; both are public, or belong to whoever runs the measurement.

    Attributes:
      name: Of the data.
      train, test: Standardised by the training rows, within plus and minus `LARGEST`; labels 0 and 1.
    """

    name: str
    train: Examples
    test: Examples

    @property
    def width(self) -> int:
        """Number of features."""
        return int(self.train.features.shape[1])

    def sites(self) -> dict[str, Examples]:
        """Return the training rows dealt out to `PARTIES` parties."""
        return {
            f"site-{number}": self.train.select(np.arange(number, len(self.train), PARTIES))
            for number in range(PARTIES)
        }

    def columns(self) -> tuple[slice, slice]:
        """Return the two halves of the columns, for two parties that know different things about the same people."""
        return slice(0, self.width // 2), slice(self.width // 2, self.width)


def example_trial() -> Trial:
    """Return Breast Cancer Wisconsin (569 rows, 30 columns), which ships inside scikit-learn.

    Raises:
      EnvironmentFault: If scikit-learn is not installed.
    """
    try:
        loaded = importlib.import_module("sklearn.datasets").load_breast_cancer()
    except ModuleNotFoundError:
        raise EnvironmentFault(
            "no-example-data",
            "scikit-learn is not installed, and with it the table that the techniques are tried on",
            hint="run: pip install 'reticent[examples]'   (or give a table of your own: --data TABLE --label COLUMN)",
        ) from None
    return _split("Breast Cancer Wisconsin", loaded.data, loaded.target)


def table_trial(path: str | Path, label: str) -> Trial:
    """Return a table of the user's: number columns, and a label column with two values; other columns are left out.

    The first `MOST_ROWS` rows are used; rows with a missing number are left out.

    Args:
      path: CSV or Parquet.
      label: Name of the label column.

    Raises:
      DataError: If the table cannot be read, has no such label, or too little in it.
    """
    import pandas as pd

    try:
        frame = pd.read_parquet(path) if str(path).endswith((".parquet", ".pq")) else pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError(
            "measure-data",
            f"{path} cannot be read as a table: {type(error).__name__}",
            hint="give a CSV or Parquet file with number columns and one label column",
        ) from None
    columns = [name for name in frame.columns if name != label and pd.api.types.is_numeric_dtype(frame[name])]
    kinds = sorted(frame[label].dropna().unique()) if label in frame.columns else []
    frame = frame.dropna(subset=[*columns, *([label] if kinds else [])]).head(MOST_ROWS)
    if len(kinds) != 2 or len(columns) < 2 or len(frame) < 40:
        raise DataError(
            "measure-data",
            f"{path}: {len(columns)} number columns, {len(kinds)} values in the column {label!r}, "
            f"{len(frame)} complete rows",
            hint="give a table with 2 number columns or more, a label column with 2 values, and 40 rows or more",
        )
    return _split(Path(path).name, frame[columns].to_numpy(), (frame[label] == kinds[1]).to_numpy())


def _split(name: str, features: NDArray[Any], labels: NDArray[Any]) -> Trial:
    order = np.random.default_rng(_SEED).permutation(len(labels))
    values, marks = np.asarray(features, dtype=np.float64)[order], np.asarray(labels).astype(np.int64)[order]
    cut = 3 * len(marks) // 4
    spread = values[:cut].std(axis=0)
    scaled = (values - values[:cut].mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    scaled = np.clip(scaled, -LARGEST, LARGEST).astype(np.float32)
    return Trial(name, Examples.of(scaled[:cut], marks[:cut]), Examples.of(scaled[cut:], marks[cut:]))
