"""What a cell is called, and which rows of a person count, depends on no cell of anybody else, whatever its type."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from reticent import analytics
from reticent.analytics import Layout, Rows

CELLS = {
    "truth values": [True, False],
    "whole numbers": [0, 1, 2**53, 2**53 + 1],
    "numbers": [0.0, -0.0, 1.0, 0.5],
    "texts": ["a", "1", "1.0", "True"],
    "dates": [pd.Timestamp("2020-01-01"), pd.Timestamp("2021-01-01")],
}
STRANGERS = [None, math.nan, math.inf, "x", True, False, 1, -0.0, 1.5, 2**60, np.int64(1), np.float32(0.1), "-0.0"]
WORDS = ("True", "False", "0", "1", "a", "0.5")


def total(layout, table):
    return layout.total(Rows.of(pd.DataFrame(table), person="person")) * layout.grid


def check_a_stranger_changes_nothing_else(kind):
    """Each stranger first and last; four rows of one person of which two count, and the same with a person a row."""
    questions = (
        analytics.histogram("seen", categories=WORDS, other=True, missing=True),
        analytics.histogram("place", categories=tuple(map(str, range(4)))),
        analytics.mean("seen", bounds=(0, 2)),
        analytics.missing("seen"),
    )
    given = {"queries": questions, "unit": "person", "relation": "add_or_remove_one"}
    one_person, many = Layout(**given, rows_per_person=2), Layout(**given, rows_per_person=1)
    for seen in itertools.combinations_with_replacement(CELLS[kind], 2):
        rows = {"seen": [*seen, *reversed(seen)], "place": [0, 1, 2, 3]}
        for layout, persons in ((one_person, ["A"] * 4), (many, list("ABCD"))):
            alone = total(layout, {**rows, "person": persons})
            for stranger, at in itertools.product(STRANGERS, [0, 4]):
                new = {"seen": stranger, "place": 1, "person": "stranger"}
                grown = {
                    name: [*cells[:at], new[name], *cells[at:]] for name, cells in {**rows, "person": persons}.items()
                }
                moved = float(np.linalg.norm(total(layout, grown) - alone))
                assert moved <= layout.sensitivity / (layout.rows_per_person or 1), (kind, seen, stranger, at)


@pytest.mark.parametrize("kind", CELLS)
def test_a_stranger_changes_nothing_else(kind):
    check_a_stranger_changes_nothing_else(kind)


def equal_first(self, name):
    """The broken copy: equal cells are one before they have words, so the first names them all."""
    codes, distinct = pd.factorize(self._column(name).astype(object), use_na_sentinel=True)
    return codes, [str(value) for value in distinct]


@pytest.mark.parametrize("kind", ["whole numbers", "numbers"])
def test_a_copy_in_which_the_first_of_equal_cells_names_them_all_is_caught(monkeypatch, kind):
    monkeypatch.setattr(Rows, "_words", equal_first)
    with pytest.raises(AssertionError):
        check_a_stranger_changes_nothing_else(kind)


def test_one_negative_zero_does_not_rename_the_zeros_of_all():
    layout = Layout(
        queries=(analytics.histogram("x", categories=("0", "1"), other=True),),
        unit="record",
        relation="add_or_remove_one",
    )
    zeros, more = pd.DataFrame({"x": [0.0] * 50}), pd.DataFrame({"x": [-0.0] + [0.0] * 50})
    counts = [[count * layout.grid for count in layout.total(Rows.of(table)).tolist()] for table in (zeros, more)]
    assert counts == [[50, 0, 0], [51, 0, 0]]
