"""What a contract says about features and classes, and that it survives being written and read."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest
from pydantic import ValidationError

from reticent.data import Column, Contract
from reticent.errors import UsageError


def test_features_stand_in_the_contracts_order(contract):
    made = contract()
    assert made.feature_names == ("age", "glucose", "ward=1", "ward=2", "ward=3", "sex=male")
    assert (made.label, made.classes, made.input_shape, made.n_features, made.n_outputs_hint) == (
        "ill",
        ("no", "yes"),
        (6,),
        6,
        2,
    )


def test_a_place_for_other_comes_last():
    column = Column(name="c", kind="category", values=("a", "b"), other=True, drop_first=True)
    assert column.feature_names == ("c=b", "c=other")


def test_a_contract_is_the_same_after_json_and_after_toml(contract):
    made = contract(test_fraction=0.25, split_key="k", person="patient", minimum_rows=5)
    assert Contract.model_validate_json(made.model_dump_json()) == made
    text = """
        kind = "table"
        label = "y"
        columns = [
          { name = "x", kind = "number", range = [0, 1], missing = 0 },
          { name = "y", kind = "label", values = [0, 1] },
        ]
    """
    read = Contract.model_validate(tomllib.loads(text))
    assert read.classes == ("0", "1")
    assert read.columns[0].missing == 0.0
    assert Contract.model_validate(read.model_dump()) == read


def test_tensors_name_their_classes_by_number():
    made = Contract(kind="tensor", shape=(1, 28, 28), classes=10, range=(0, 1))
    assert made.classes == tuple("0123456789")
    assert (made.input_shape, made.n_features, made.feature_names) == ((1, 28, 28), 784, ())


def test_a_range_makes_a_label_a_regression():
    columns = [{"name": "x", "kind": "number", "range": [0, 1]}, {"name": "y", "kind": "label", "range": [0, 9]}]
    made = Contract.model_validate({"kind": "table", "columns": columns})
    assert (made.classes, made.n_outputs_hint) == ((), 1)


def test_unknown_keys_and_changes_are_refused(contract):
    with pytest.raises(ValidationError):
        contract(colums=[])
    with pytest.raises(ValidationError):
        contract().label = "age"


@pytest.mark.parametrize(
    ("code", "settings"),
    [
        ("contract-columns", {"person": "age"}),
        ("contract-columns", {"split_column": "sex"}),
        ("contract-label", {"label": "age"}),
        ("contract-label", {"classes": ["a", "b"]}),
        ("contract-kind", {"range": [0, 1]}),
        ("contract-split", {"test_fraction": 0.1}),
        ("contract-split", {"test_fraction": 0.1, "split_key": "k", "split_column": "fold"}),
    ],
)
def test_contradictions_are_refused(contract, code, settings):
    with pytest.raises(UsageError) as refused:
        contract(**settings)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("code", "settings"),
    [
        ("contract-kind", {"shape": []}),
        ("contract-kind", {"person": "patient"}),
        ("contract-one-class", {"classes": 1}),
        ("contract-one-class", {"classes": ["a", "a"]}),
        ("contract-range", {"range": None}),
        ("contract-range", {"range": [1, 1]}),
    ],
)
def test_contradictions_of_tensors_are_refused(code, settings):
    with pytest.raises(UsageError) as refused:
        Contract.model_validate({"kind": "tensor", "shape": [2], "classes": 2, "range": [0, 1], **settings})
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("code", "column"),
    [
        ("contract-values", {"kind": "category"}),
        ("contract-values", {"kind": "number", "values": ["a"]}),
        ("contract-values", {"kind": "category", "values": ["a", "a"]}),
        ("contract-values", {"kind": "category", "values": ["1", 1.0]}),
        ("contract-values", {"kind": "category", "values": ["a", "other"], "other": True}),
        ("contract-values", {"kind": "category", "values": ["a"], "drop_first": True}),
        ("contract-values", {"kind": "number", "other": True}),
        ("contract-one-class", {"kind": "label", "values": ["a"]}),
        ("contract-range", {"kind": "label"}),
        ("contract-range", {"kind": "number", "range": [5, 5]}),
        ("contract-range", {"kind": "category", "values": ["a", "b"], "range": [0, 1]}),
        ("contract-missing", {"kind": "number", "range": [0, 1], "missing": 2.0}),
        ("contract-missing", {"kind": "number", "missing": "zero"}),
        ("contract-missing", {"kind": "category", "values": ["a"], "missing": "b"}),
        ("contract-missing", {"kind": "category", "values": ["a"], "missing": "other"}),
        ("contract-missing", {"kind": "label", "values": ["a", "b"], "missing": "a"}),
        ("contract-unit", {"kind": "number", "unit": "mg/dL", "analyte": "phlogiston"}),
    ],
)
def test_columns_that_cannot_be_meant_are_refused(code, column):
    with pytest.raises(UsageError) as refused:
        Column.model_validate({"name": "c", **column})
    assert refused.value.code == code


@pytest.mark.parametrize("bound", [float("nan"), float("inf")])
def test_a_range_is_finite(bound):
    with pytest.raises((UsageError, ValidationError)):
        Column.model_validate({"name": "c", "kind": "number", "range": [0.0, bound]})


def test_importing_the_room_loads_neither_torch_nor_pandas():
    script = (
        "import sys, reticent.data; print([m for m in ('torch', 'pandas', 'pyarrow', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_are_sorted_and_present():
    import reticent.data as room

    assert room.__all__ == sorted(room.__all__)
    assert all(hasattr(room, name) for name in room.__all__)
