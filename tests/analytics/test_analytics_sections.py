"""Questions as a study file writes them: bounds and categories come from the contract."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from reticent import analytics
from reticent.data import Contract, SiteMapping
from reticent.errors import DataError, UsageError

CONTRACT = Contract.model_validate(
    {
        "kind": "table",
        "person": "patient",
        "standardise": "none",
        "columns": [
            {"name": "age", "kind": "number", "range": [0, 120], "missing": 50.0},
            {"name": "height", "kind": "number", "unit": "cm"},
            {"name": "risk", "kind": "number", "range": [0, 1]},
            {"name": "sex", "kind": "category", "values": ["f", "m"], "other": True},
            {"name": "sick", "kind": "label", "values": ["no", "yes"]},
        ],
    }
)
SITE = SiteMapping.model_validate(
    {"columns": {"patient": "ID", "sex": {"codes": {"1": "f", "2": "m"}}, "height": {"unit": "m"}}}
)
FRAME = pd.DataFrame(
    {
        "ID": ["a", "a", "b", "c"],
        "age": [30, 40, None, 200],
        "height": [1.5, 1.6, 1.7, 1.8],
        "risk": [0.1, 0.2, 0.9, 0.4],
        "sex": ["1", "2", "9", None],
        "sick": ["no", "no", "yes", "yes"],
    }
)

ASKS: list[dict[str, Any]] = [
    {"what": "count"},
    {"what": "count", "column": "age"},
    {"what": "persons"},
    {"what": "missing", "column": "age"},
    {"what": "sum", "column": "age"},
    {"what": "mean", "column": "age", "weight": 2},
    {"what": "variance", "column": "age"},
    {"what": "deviation", "column": "age"},
    {"what": "quantiles", "column": "age", "at": [0.25, 0.5], "bins": 40},
    {"what": "histogram", "column": "sex", "missing": True},
    {"what": "histogram", "column": "age", "bins": 6},
    {"what": "shares", "column": "sick"},
    {"what": "table", "columns": ["sex", "sick"]},
    {"what": "top", "column": "sex", "k": 1},
    {"what": "standardise"},
    {"what": "standardise", "columns": ["age"]},
    {"what": "auroc", "score": "risk"},
    {"what": "calibration", "score": "risk", "bins": 5},
    {"what": "brier", "score": "risk"},
    {"what": "describe"},
]


def test_every_question_can_be_written_down() -> None:
    found = analytics.queries(CONTRACT, ASKS)
    assert len(found) == len(ASKS) - 1 + len(analytics.usual_questions(CONTRACT))
    mean = next(query for query in found if query.what == "mean")
    assert mean == analytics.mean("age", bounds=(0, 120), weight=2)
    made = analytics.Layout(queries=found, unit="person", relation="replace_one", rows_per_person=2)
    assert made.length > 0
    assert {query.what for query in found} >= {"count", "mean", "histogram", "AUROC", "top", "shares"}
    # Without what TOML cannot hold, so that a plan can keep it.
    import json

    json.dumps([query.to_plain() for query in found])


@pytest.mark.parametrize(
    ("ask", "code", "says"),
    [
        ({"what": "men"}, "statistics-unknown", "did you mean 'mean'"),
        ({}, "statistics-unknown", "use one of"),
        ({"what": "mean"}, "statistics-unknown-key", "column"),
        ({"what": "mean", "column": "age", "bounds": [0, 1]}, "statistics-unknown-key", "bounds"),
        ({"what": "mean", "column": "agee"}, "statistics-not-in-contract", "did you mean 'age'"),
        ({"what": "mean", "column": "height"}, "statistics-not-in-contract", "declared range"),
        ({"what": "histogram", "column": "height"}, "statistics-not-in-contract", "declared range"),
        ({"what": "mean", "column": "sex"}, "statistics-not-in-contract", "histogram"),
        ({"what": "quantiles", "column": "age", "at": 5}, "statistics-unknown-key", "wrong kind"),
        ({"what": "quantiles", "column": "age", "at": [0.0]}, "statistics-levels", "between 0 and 1"),
        ({"what": "top", "column": "sex", "k": 9}, "statistics-top", "no more than there are"),
    ],
)
def test_a_wrong_question_is_named_with_its_fix(ask: Any, code: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        analytics.queries(CONTRACT, [ask])
    assert caught.value.code == code
    assert says in f"{caught.value.message} {caught.value.hint}"


def test_rows_under_a_contract_are_observed_not_imputed() -> None:
    """Names, units and codes are the contract's; a gap stays a gap, whatever stands in for it in training."""
    rows = analytics.Rows.under(CONTRACT, FRAME, SITE)
    assert np.array_equal(rows.numbers("age"), [30, 40, np.nan, 120], equal_nan=True)
    assert np.allclose(rows.numbers("height"), [150, 160, 170, 180])
    assert rows.places("sex", ("f", "m")).tolist() == [0, 1, 2, -1]
    assert rows.persons.tolist() == ["a", "a", "b", "c"]


def test_rows_that_do_not_fit_the_contract_are_refused_without_a_cell() -> None:
    with pytest.raises(DataError) as caught:
        analytics.Rows.under(CONTRACT, FRAME.assign(sick="perhaps"), SITE)
    assert "perhaps" not in str(caught.value)


def test_training_and_test_rows_take_part() -> None:
    parts = {"train": FRAME.iloc[:1], "test": FRAME.iloc[1:]}
    assert len(analytics.Rows.under(CONTRACT, parts, SITE)) == 4


def test_where_every_row_is_a_person_each_is_one() -> None:
    contract = CONTRACT.model_copy(update={"person": "row"})
    rows = analytics.Rows.under(contract, FRAME, SITE)
    assert len(set(rows.persons.tolist())) == 4
