"""Real tables with a person column, a score and gaps, and questions of every kind about them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

from reticent import analytics


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    """569 rows of Breast Cancer Wisconsin; two rows each of most persons, every 20th radius missing."""
    table = load_breast_cancer(as_frame=True).frame[["mean radius", "mean area", "target"]].copy()
    table.columns = ["radius", "area", "target"]
    table["score"] = 1 / (1 + np.exp(1.2 * (table["radius"] - 15)))
    table["size"] = np.where(table["radius"] > 14, "large", "small")
    table["person"] = [f"p{number // 2}" for number in range(len(table))]
    table.loc[::20, "radius"] = np.nan
    return table


def questions() -> list[Any]:
    """One question of each kind."""
    size = analytics.histogram("size", categories=["small", "large"], other=True, missing=True)
    return [
        analytics.count(),
        analytics.count("size"),
        analytics.missing("radius"),
        analytics.total("area", bounds=(0, 2500)),
        analytics.mean("radius", bounds=(5, 30)),
        analytics.variance("radius", bounds=(5, 30)),
        analytics.deviation("radius", bounds=(5, 30)),
        analytics.quantiles("radius", [0.25, 0.5, 0.75], bounds=(5, 30), bins=64),
        size,
        analytics.histogram("area", edges=[0, 500, 1000, 2500]),
        analytics.contingency(size, analytics.histogram("target", categories=[0, 1])),
        analytics.top("size", 1, categories=["small", "large", "huge"]),
        analytics.standardisation({"radius": (5, 30), "area": (0, 2500)}),
        analytics.auroc("score", "target", bins=16),
        analytics.calibration("score", "target", bins=5),
        analytics.brier("score", "target", bins=16),
    ]


@pytest.fixture
def every_question() -> list[Any]:
    """One question of each kind."""
    return questions()
