"""One cell at a time: numbers, units, codes and marks of missing values."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reticent.data import Column, ColumnMapping
from reticent.data.cells import codes_of, numbers_of
from reticent.data.mapping import MISSING
from reticent.data.text import canonical
from reticent.data.units import conversion
from reticent.errors import DataError

NUMBER = Column(name="x", kind="number")
WARD = Column(name="w", kind="category", values=("1", "2", "other place"))


def numbers(cells, *, decimal=".", **site) -> list[float]:
    return numbers_of(pd.Series(cells), NUMBER, ColumnMapping(**site), missing=MISSING, decimal=decimal).tolist()


def codes(cells, column=WARD, **site) -> list[float]:
    return codes_of(pd.Series(cells), column, ColumnMapping(**site), missing=MISSING).tolist()


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1.", ".5", " +2 ", "-1e3", "1E-2"], [1, 0.5, 2, -1000, 0.01]),
        (["1", "", "NA", "nan", None], [1, None, None, None, None]),
        ([1, 2, 3], [1, 2, 3]),
        ([1.5, None, math.inf, -math.inf], [1.5, None, None, None]),
        (pd.array([1, None], dtype="Int64"), [1, None]),
        (pd.array(["1", None], dtype="string"), [1, None]),
        (pd.Categorical([1, 2, None]), [1, 2, None]),
        ([1, "2", None, 3.5], [1, 2, None, 3.5]),
        ([True, False], [1, 0]),
        (["1e400", "1e-400"], [None, 0]),
        ([None, None], [None, None]),
    ],
)
def test_numbers_are_read(cells, expected):
    np.testing.assert_array_equal(numbers(cells), [math.nan if value is None else value for value in expected])


@pytest.mark.parametrize("cell", ["++1", "0x10", "1_0", "inf", "1 2", "١", "1,5", "abc", "2020-01-01", "-", "."])
def test_text_in_a_number_is_refused_and_not_quoted(cell):
    with pytest.raises(DataError) as refused:
        numbers(["1", cell, "3"])
    assert refused.value.code == "not-a-number"
    assert "1 of 3 cells" in refused.value.message


def test_dates_are_no_numbers():
    with pytest.raises(DataError, match="neither a number"):
        numbers(pd.to_datetime(["2020-01-01"]))


def test_a_decimal_comma_makes_a_point_suspicious():
    assert numbers(["1,5", "-2"], decimal=",") == [1.5, -2.0]
    for cell in ("1.234", "1.234,5"):
        with pytest.raises(DataError, match="1 of 1"):
            numbers([cell], decimal=",")


def test_codes_and_marks_stand_for_numbers_however_the_file_spells_them():
    assert numbers(["<5", "7"], codes={"<5": 2.5}) == [2.5, 7.0]
    assert numbers(["<5,5", "7,5"], codes={"<5,5": 2.5}, decimal=",") == [2.5, 7.5]
    for spelled in ([-9, 1], [-9.0, 1.0], ["-9", "1"], ["-9.0", "1.0"], [" -9 ", 1]):
        np.testing.assert_array_equal(numbers(spelled, missing=[-9]), [math.nan, 1.0])


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_the_text_of_a_number_reads_as_that_number(values):
    assert numbers([repr(value) for value in values]) == values
    assert numbers(values) == values


@pytest.mark.parametrize(
    ("value", "theirs", "ours", "analyte", "expected"),
    [
        (100.0, "mg/dL", "mmol/L", "glucose", 5.551),  # the usual factor 0.0555
        (200.0, "mg/dL", "mmol/L", "cholesterol", 5.172),  # 0.02586
        (150.0, "mg/dL", "mmol/L", "triglycerides", 1.694),  # 0.01129
        (1.0, "mg/dL", "umol/L", "creatinine", 88.40),
        (14.0, "g/dL", "mmol/L", "haemoglobin", 8.688),  # 0.6206
        (5.0, "mmol/L", "mg/dL", "glucose", 90.08),
        (98.6, "F", "C", None, 37.0),
        (310.15, "K", "°C", None, 37.0),
        (120.0, "mmHg", "kPa", None, 16.00),
        (70.0, "in", "cm", None, 177.8),
        (150.0, "lb", "kg", None, 68.04),
        (18.0, "months", "years", None, 1.5),
        (50.0, "%", "1", None, 0.5),
    ],
)
def test_units_convert_to_what_tables_say(value, theirs, ours, analyte, expected):
    change = conversion(theirs, ours, analyte=analyte)
    assert change is not None
    assert change.factor * value + change.offset == pytest.approx(expected, rel=5e-4)


@given(st.sampled_from(["m", "cm", "in", "C", "F", "K", "mg/dL", "mmol/L", "g/L"]), st.floats(-1e3, 1e3))
def test_there_and_back_again_is_the_same_value(unit, value):
    for other in ("cm", "F", "umol/L"):
        there, back = conversion(unit, other, analyte="glucose"), conversion(other, unit, analyte="glucose")
        assert (there is None) == (back is None)
        if there is not None and back is not None:
            moved = there.factor * value + there.offset
            assert back.factor * moved + back.offset == pytest.approx(value, abs=1e-9, rel=1e-9)


@pytest.mark.parametrize(
    ("theirs", "ours", "analyte"),
    [("kg", "cm", None), ("mg/dL", "mmol/L", None), ("mg/dL", "mmol/L", "phlogiston"), ("foo", "cm", None)],
)
def test_other_quantities_are_not_converted(theirs, ours, analyte):
    assert conversion(theirs, ours, analyte=analyte) is None


def test_a_factor_serves_units_that_are_not_built_in():
    column = Column(name="x", kind="number", unit="furlong")
    site = ColumnMapping(factor=2.0, offset=1.0)
    assert numbers_of(pd.Series([3.0]), column, site, missing=MISSING, decimal=".").tolist() == [7.0]
    with pytest.raises(DataError) as refused:
        numbers_of(pd.Series([3.0]), column, ColumnMapping(unit="m"), missing=MISSING, decimal=".")
    assert refused.value.code == "column-unit"


@pytest.mark.parametrize("cells", [[1, 2], [1.0, 2.0], ["1", "2"], [" 1.0", "2."], [1, "2"], pd.Categorical([1, 2])])
def test_a_code_is_the_same_code_however_it_is_stored(cells):
    assert codes(cells) == [0.0, 1.0]


def test_a_gap_does_not_change_the_codes_beside_it():
    np.testing.assert_array_equal(codes([1, None, 2]), [0.0, math.nan, 1.0])


def test_several_codes_may_mean_one_value():
    label = Column(name="y", kind="label", values=("absent", "present"))
    grouped = {"0": "absent", "1": "present", "2": "present", "3": "present", "4": "present"}
    assert codes([0, 3, "4", "0.0"], label, codes=grouped) == [0, 1, 1, 0]


def test_with_codes_nothing_else_is_known():
    with pytest.raises(DataError, match="1 of 2 cells"):
        codes(["2", "1"], codes={"1": "2"})


def test_other_takes_what_is_unknown_but_not_what_is_missing():
    column = Column(name="c", kind="category", values=("a",), other=True)
    np.testing.assert_array_equal(codes(["a", "zzz", "other", "", None], column), [0, 1, 1, math.nan, math.nan])


def test_a_declared_word_is_no_mark_of_a_missing_value():
    country = Column(name="country", kind="category", values=("DE", "NA"))
    np.testing.assert_array_equal(codes(["NA", "DE", "nan"], country), [1, 0, math.nan])


@given(st.one_of(st.integers(), st.floats(allow_nan=False), st.text()))
def test_canonical_text_is_its_own_canonical_text(value):
    assert canonical(canonical(value)) == canonical(value)
