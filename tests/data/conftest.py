"""A small contract, a frame that fits it, and the folder of real data, for all tests of `reticent.data`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reticent.data import Contract, data_folder


@pytest.fixture
def contract() -> Callable[..., Contract]:
    """A function that makes the contract of the small ward, with other settings where given."""

    def make(**settings: Any) -> Contract:
        columns = [
            {"name": "age", "kind": "number", "unit": "year", "range": [0, 100]},
            {"name": "glucose", "kind": "number", "unit": "mmol/L", "analyte": "glucose", "range": [0, 40]},
            {"name": "ward", "kind": "category", "values": [1, 2, 3], "missing": 1},
            {"name": "sex", "kind": "category", "values": ["female", "male"], "drop_first": True},
            {"name": "ill", "kind": "label", "values": ["no", "yes"]},
        ]
        return Contract.model_validate({"kind": "table", "columns": columns, **settings})

    return make


@pytest.fixture
def ward() -> Callable[..., pd.DataFrame]:
    """A function that makes `n` rows of the small ward."""

    def make(n: int = 200, seed: int = 0) -> pd.DataFrame:
        draw = np.random.default_rng(seed)
        return pd.DataFrame(
            {
                "age": draw.integers(0, 100, n),
                "glucose": draw.uniform(2, 20, n).round(2),
                "ward": draw.integers(1, 4, n),
                "sex": draw.choice(["female", "male"], n),
                "patient": draw.integers(0, max(n // 3, 1), n),
                "ill": draw.choice(["no", "yes"], n),
            }
        )

    return make


@pytest.fixture
def real(request: pytest.FixtureRequest) -> Path:
    """The folder of real data sets; without it the test says so and is skipped."""
    folder = data_folder()
    if folder is None:
        pytest.skip("needs the folder of real data sets: set RETICENT_DATA")
    return folder
