"""The preparation of one row depends on no other row: else neighbouring data would not be neighbours after it.

Each property is also tried on broken copies of the room, with one safeguard removed, which it must catch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reticent.data import Contract, Prepared, prepare


def through_csv(frame: pd.DataFrame, folder: Path) -> Path:
    frame.to_csv(folder / "ward.csv", index=False)
    return folder / "ward.csv"


def through_parquet(frame: pd.DataFrame, folder: Path) -> Path:
    frame.to_parquet(folder / "ward.parquet")
    return folder / "ward.parquet"


WAYS: dict[str, Callable[[pd.DataFrame, Path], pd.DataFrame | Path]] = {
    "frame": lambda frame, _: frame,
    "csv": through_csv,
    "parquet": through_parquet,
}


def placed(prepared: Prepared, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features by row of the source, and which rows are kept for tests."""
    features = np.zeros((rows, prepared.train.features.shape[1]), np.float32)
    features[prepared.train_rows], features[prepared.test_rows] = prepared.train.features, prepared.test.features
    return features, np.isin(np.arange(rows), prepared.test_rows)


def other_rows_change(contract: Contract, frame: pd.DataFrame, source: Callable[..., object]) -> bool:
    """Whether any row changes when row 3 is perturbed in every way, or when row 0 is taken away."""
    before, fold = placed(prepare(contract, source(frame)), len(frame))
    others = np.arange(len(frame)) != 3
    for column, cell in [("age", None), ("age", 99), ("glucose", 19.99), ("ward", None), ("ward", 3), ("sex", "male")]:
        changed = frame.copy()
        changed.loc[3, column] = cell
        after, fold_after = placed(prepare(contract, source(changed)), len(frame))
        same = np.array_equal(before[others], after[others], equal_nan=True)
        if not (same and np.array_equal(fold[others], fold_after[others])):
            return True
    after, fold_after = placed(prepare(contract, source(frame[1:].reset_index(drop=True))), len(frame) - 1)
    return not (np.array_equal(before[1:], after, equal_nan=True) and np.array_equal(fold[1:], fold_after))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("person", ["row", "patient"])
def test_no_other_row_changes(contract, ward, tmp_path, way, person):
    made = contract(test_fraction=0.3, split_key="k", person=person)
    assert not other_rows_change(made, ward(), lambda frame: WAYS[way](frame, tmp_path))


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def split_by_number(*parts, key, fraction):
        from reticent.data.split import held_out

        return held_out(np.arange(len(parts[0])), key=key, fraction=fraction)

    def scale_by_the_data(column, features):
        return features / np.nanmax(features) if column.is_numeric else features

    copies = {
        "split by row number": ("reticent.data.preparation.held_out_rows", split_by_number),
        "scaling from the data": ("reticent.data.table.scale_declared", scale_by_the_data),
        "codes as stored": ("reticent.data.cells.canonical", lambda value: str(value).strip()),
    }
    return lambda name: monkeypatch.setattr(*copies[name])


@pytest.mark.parametrize("copy", ["split by row number", "scaling from the data", "codes as stored"])
def test_broken_copies_are_caught(contract, ward, broken, copy):
    made = contract(test_fraction=0.3, split_key="k")
    columns = [column.model_copy(update={"other": column.name == "ward"}) for column in made.columns]
    made = made.model_copy(update={"columns": tuple(columns)})
    assert not other_rows_change(made, ward(), lambda frame: frame)
    broken(copy)
    assert other_rows_change(made, ward(), lambda frame: frame)


def test_equal_rows_are_interchangeable_in_the_split(contract, ward):
    """Of m equal rows one is taken away: training and test lose one row together, whichever copy it was."""
    made = contract(test_fraction=0.5, split_key="k")
    frame = pd.concat([ward(1)] * 40, ignore_index=True)
    whole = prepare(made, frame)
    for missing in (0, 17, 39):
        less = prepare(made, frame.drop(index=missing).reset_index(drop=True))
        assert len(whole.train) - len(less.train) in (0, 1)
        assert len(whole.train) + len(whole.test) - len(less.train) - len(less.test) == 1
    assert 5 < len(whole.test) < 35  # equal rows do not all fall on one side


def test_no_other_image_changes():
    made = Contract(kind="tensor", shape=(4,), classes=2, range=(0, 1), test_fraction=0.3, split_key="k")
    draw = np.random.default_rng(0)
    images, labels = draw.uniform(0, 1, (60, 4)), draw.integers(0, 2, 60)
    before, fold = placed(prepare(made, (images, labels)), 60)
    changed = images.copy()
    changed[3] = [5, -5, np.nan, 0]
    after, fold_after = placed(prepare(made, (changed, labels)), 60)
    others = np.arange(60) != 3
    assert np.array_equal(before[others], after[others])
    assert np.array_equal(fold[others], fold_after[others])
    less, fold_less = placed(prepare(made, (images[1:], labels[1:])), 59)
    assert np.array_equal(before[1:], less)
    assert np.array_equal(fold[1:], fold_less)


def test_per_site_scaling_does_depend_on_others_which_is_why_no_epsilon_may_be_claimed(contract, ward):
    assert other_rows_change(contract(standardise="per-site"), ward(), lambda frame: frame)
