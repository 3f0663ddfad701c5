"""The central property: no unit moves the vector by more than what is charged for it.

For random tables (gaps, words where numbers belong, undeclared categories, values far beyond the bounds, persons with
many rows) every unit in turn is removed, or replaced by another, and the exact vectors are compared. Every safeguard
is then taken away in a copy, which the same check must catch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reticent import analytics, dp
from reticent.analytics import bounding, cells, features, layout, prefixes, rows

NUMBERS = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 1e300, -1e300, math.inf, math.nan, 0.5]), st.floats(-2, 2), st.just("word")
)
WORDS = st.sampled_from(["a", "b", "c", "unheard of", None, ""])
PERSONS = st.sampled_from(["ann", "bob", "cem", None])
ROWS = st.lists(st.tuples(NUMBERS, WORDS, PERSONS), max_size=9)
OTHERS = st.lists(st.tuples(NUMBERS, WORDS), max_size=6)

_AXIS = analytics.histogram("c", categories=["a", "b"])
QUESTIONS: list[Any] = [
    analytics.count(),
    analytics.count("c"),
    analytics.missing("x"),
    analytics.total("x", bounds=(-0.5, 1)),
    analytics.mean("x", bounds=(-1, 1)),
    analytics.variance("x", bounds=(-1, 1), weight=3),
    analytics.quantiles("x", [0.5], bounds=(-1, 1), bins=7),
    _AXIS,
    analytics.histogram("c", categories=["a", "b"], other=True, missing=True),
    analytics.histogram("x", edges=[-1, 0, 0.25, 1], missing=True),
    analytics.contingency(_AXIS, analytics.histogram("x", edges=[-1, 0, 1])),
    analytics.auroc("x", "c", classes=("a", "b"), bins=3),
]


def table(lines: list[tuple[Any, ...]]) -> pd.DataFrame:
    padded = [(*line, None)[:3] for line in lines]
    columns = list(zip(*padded, strict=True)) or [(), (), ()]
    return pd.DataFrame({name: pd.Series(column, dtype=object) for name, column in zip("xcp", columns, strict=True)})


def inferred(frame: pd.DataFrame) -> pd.DataFrame:
    """What pandas makes of the same cells when it guesses types: a gap turns whole numbers into floats."""
    return frame.infer_objects()


def distances(made: analytics.Layout, one: pd.DataFrame, other: pd.DataFrame) -> tuple[float, float]:
    """Return L1 and L2 distance of the exact vectors, in units of the vector."""
    person = "p" if made.unit == "person" else None
    vectors = [made.total(analytics.Rows.of(frame, person=person)) for frame in (one, other)]
    assert vectors[0].shape == vectors[1].shape == (made.length,)
    gap = (vectors[0] - vectors[1]) * made.grid
    return float(np.abs(gap).sum()), float(np.linalg.norm(gap))


def check(made: analytics.Layout, one: pd.DataFrame, other: pd.DataFrame) -> None:
    apart = 2.0 if made.relation == "replace_one" else 1.0
    l1, l2 = distances(made, one, other)
    found = l1 if made.kind == "laplace" else l2
    assert found <= apart * made.sensitivity * (1 + 1e-12)


def neighbours(frame: pd.DataFrame, unit: str, others: pd.DataFrame) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Return (without, replaced) for every unit of the table."""
    marks = frame["p"] if unit == "person" else pd.Series(range(len(frame)))
    found = []
    for mark in dict.fromkeys(marks.dropna().tolist()):
        without = frame[marks != mark] if unit == "person" else frame.drop(index=mark)
        newcomer = others.assign(p=mark) if unit == "person" else others.head(1)
        found.append((without, pd.concat([newcomer, without], ignore_index=True)))
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    lines=ROWS,
    others=OTHERS,
    made=st.builds(
        lambda asked, limit, relation, kind: analytics.Layout(
            queries=tuple(asked),
            unit="record" if limit is None else "person",
            relation=relation,
            rows_per_person=limit,
            kind=kind,
        ),
        st.lists(st.sampled_from(QUESTIONS), min_size=1, max_size=5),
        st.one_of(st.none(), st.integers(1, 3)),
        st.sampled_from(["add_or_remove_one", "replace_one"]),
        st.sampled_from(["gaussian", "laplace"]),
    ),
    guess=st.booleans(),
)
def test_no_unit_moves_the_vector_by_more_than_is_charged(
    lines: Any, others: Any, made: analytics.Layout, guess: bool
) -> None:
    unit, relation = made.unit, made.relation
    read = inferred if guess else (lambda frame: frame)
    whole = table(lines)
    for without, replaced in neighbours(whole, unit, table(others)):
        check(made, read(whole), read(without if relation == "add_or_remove_one" else replaced))


def worst(made: analytics.Layout) -> float:
    """Return the largest distance that a unit of identical extreme rows reaches, as a share of what is charged."""
    apart = 2.0 if made.relation == "replace_one" else 1.0
    shares = []
    for x in (-9.0, -1.0, 0.0, 1.0, 9.0):
        for word in ("a", "b"):
            one = table([(x, word, "ann")] * (made.rows_per_person or 1))
            for other in (table([]), table([(-x, "b" if word == "a" else "a", "ann")] * (made.rows_per_person or 1))):
                if (len(other) == 0) == (made.relation == "add_or_remove_one"):
                    l1, l2 = distances(made, one, other)
                    shares.append((l1 if made.kind == "laplace" else l2) / (apart * made.sensitivity))
    return max(shares)


@pytest.mark.parametrize("kind", ["gaussian", "laplace"])
@pytest.mark.parametrize("relation", ["add_or_remove_one", "replace_one"])
@pytest.mark.parametrize("limit", [None, 3])
def test_what_is_charged_is_reached(kind: Any, relation: Any, limit: int | None) -> None:
    """An extreme row reaches all of the charged norm: nobody pays for more than can happen."""
    made = analytics.Layout(
        queries=(analytics.variance("x", bounds=(-1, 1)), _AXIS),
        unit="record" if limit is None else "person",
        relation=relation,
        rows_per_person=limit,
        kind=kind,
    )
    assert worst(made) > 0.999


@pytest.mark.parametrize("kind", ["gaussian", "laplace"])
@pytest.mark.parametrize("relation", ["add_or_remove_one", "replace_one"])
@pytest.mark.parametrize("bins", [2, 7, 40])
def test_a_distribution_is_charged_for_its_worst_pair_of_bins(kind: Any, relation: Any, bins: int) -> None:
    """One row in each bin, against none and against every other bin: the charge is reached and never passed."""
    made = analytics.Layout(
        queries=(analytics.quantiles("x", [0.5], bounds=(0, bins), bins=bins),),
        unit="record",
        relation=relation,
        kind=kind,
    )
    rows = [made.total(analytics.Rows.of({"x": [place + 0.5]})) * made.grid for place in range(bins)]
    others = rows if relation == "replace_one" else [np.zeros(made.length)]
    order = 1 if kind == "laplace" else 2
    worst_pair = max(float(np.linalg.norm(one - other, order)) for one in rows for other in others)
    charged = made.sensitivity * (2 if relation == "replace_one" else 1)
    assert worst_pair <= charged * (1 + 1e-12)
    if relation == "add_or_remove_one":
        assert worst_pair > 0.999 * charged


def test_a_column_of_everything_costs_as_much_as_its_mean() -> None:
    """Count, mean, variance and missing values of one column share one weight."""
    alone = analytics.Layout(
        queries=(analytics.mean("x", bounds=(-1, 1)),), unit="record", relation="add_or_remove_one"
    )
    more = analytics.Layout(
        queries=(
            analytics.mean("x", bounds=(-1, 1)),
            analytics.variance("x", bounds=(-1, 1)),
            analytics.count("x"),
            analytics.missing("x"),
        ),
        unit="record",
        relation="add_or_remove_one",
    )
    assert more.sensitivity == alone.sensitivity
    assert more.length == 4


# ---- copies with one safeguard removed: each must be caught by `check` or `distances` -------------------------------


def everybody(found: Any, columns: Any, limit: Any) -> Any:
    return np.arange(len(found))


def bounds_of_the_data(self: Any, found: Any, chosen: Any, steps: int) -> Any:
    values = found.numbers(self.column)[chosen]
    here = values[np.isfinite(values)]
    low, high = (float(here.min()), float(here.max())) if len(here) else (0.0, 1.0)
    u = (here - low) / max(high - low, 1e-9)
    top = np.rint(u * steps).astype(np.int64)
    return np.array([top.sum(), len(here) * steps - top.sum()])


def coordinates_clamped_one_by_one(self: Any, found: Any, chosen: Any, steps: int) -> Any:
    values = found.numbers(self.column)[chosen]
    u = np.clip(values[np.isfinite(values)], -1, 1)
    return np.array([len(u), u.sum(), (u**2).sum()][: self.width]).astype(np.int64) * steps


def unclipped(self: Any, found: Any, chosen: Any, steps: int) -> Any:
    values = found.numbers(self.column)[chosen]
    here = values[np.isfinite(values)]
    u = (here - self.center) / self.half
    return np.array([np.rint((1 + u) / 2 * steps).sum(), np.rint((1 - u) / 2 * steps).sum()]).astype(np.int64)


def categories_of_the_data(self: Any, found: Any, chosen: Any, steps: int) -> Any:
    words = found._frame["c"].dropna().unique()
    return np.array([(found._frame["c"] == word).sum() for word in words], dtype=np.int64) * steps


def ranks_instead_of_hashes(found: Any, columns: Any, limit: Any) -> Any:
    """Every `limit`-th row of the file: whose row counts depends on how many others come first."""
    return np.arange(len(found))[::2]


def imputed_by_the_mean(self: Any, name: str) -> Any:
    values = NUMBERS_OF(self, name)
    return np.where(np.isnan(values), np.nanmean(values) if np.isfinite(values).any() else 0.0, values)


NUMBERS_OF = rows.Rows.numbers
MEAN = (analytics.mean("x", bounds=(-1, 1)),)
SPREAD = (analytics.variance("x", bounds=(-1, 1)),)
BROKEN: list[tuple[str, Callable[[pytest.MonkeyPatch], None], tuple[Any, ...], int | None]] = [
    ("no per-person bounding", lambda m: m.setattr(layout, "chosen_rows", everybody), MEAN, 2),
    (
        "which row counts depends on others",
        lambda m: m.setattr(layout, "chosen_rows", ranks_instead_of_hashes),
        MEAN,
        1,
    ),
    ("bounds from the data", lambda m: m.setattr(features.Moments, "total", bounds_of_the_data), MEAN, None),
    ("no clipping", lambda m: m.setattr(features.Moments, "total", unclipped), MEAN, None),
    (
        "a clamp per coordinate",
        lambda m: m.setattr(features.Moments, "total", coordinates_clamped_one_by_one),
        SPREAD,
        None,
    ),
    ("unknown categories", lambda m: m.setattr(cells.Cells, "total", categories_of_the_data), (_AXIS,), None),
    ("gaps filled from the data", lambda m: m.setattr(rows.Rows, "numbers", imputed_by_the_mean), MEAN, None),
    (
        "a distribution charged as one count",
        lambda m: m.setattr(prefixes.Prefixes, "geometry", lambda self, steps: features.partition(steps)),
        (analytics.quantiles("x", [0.5], bounds=(-1, 1), bins=16),),
        None,
    ),
    (
        "rows of a person charged as one row",
        lambda m: m.setattr(features.Geometry, "times", lambda self, count: self),
        MEAN,
        3,
    ),
    (
        "one charge for all questions",
        lambda m: m.setattr(analytics.Layout, "geometry", property(lambda self: features.partition(2**20))),
        (*MEAN, _AXIS, analytics.count()),
        None,
    ),
]


@pytest.mark.parametrize(("name", "breaking", "asked", "limit"), BROKEN, ids=[row[0] for row in BROKEN])
def test_a_copy_without_a_safeguard_is_caught(
    name: str, breaking: Any, asked: Any, limit: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = analytics.Layout(
        queries=asked,
        unit="record" if limit is None else "person",
        relation="add_or_remove_one",
        rows_per_person=limit,
    )
    lines = [(1.0, "a", "ann"), (9.0, "b", "bob"), (-9.0, "c", "bob"), (0.3, "a", "bob"), (math.nan, "a", "cem")]
    lines += [(0.9, "a", "bob"), (0.9, "a", "dan"), (0.8, "a", "bob"), (-9.0, "b", "eva"), (math.nan, "b", "dan")]
    whole = table(lines)
    pairs = neighbours(whole, made.unit, table([]))
    for without, _ in pairs:
        check(made, whole, without)
    breaking(monkeypatch)
    broken = analytics.Layout(
        queries=asked, unit=made.unit, relation=made.relation, rows_per_person=limit
    )  # compiled anew
    assert any(is_caught(broken, whole, without) for without, _ in pairs)


def is_caught(made: analytics.Layout, one: pd.DataFrame, other: pd.DataFrame) -> bool:
    try:
        check(made, one, other)
    except AssertionError:
        return True
    return False


def fixed_noise(total: Any, *, grant: dp.Grant, event: Any, **_: Any) -> Any:
    grant.draw(event)
    return np.full(total.shape, 7.5)


def test_answers_depend_on_the_noised_vector_alone(
    every_question: Any, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two tables, one vector: every figure is the same, so no true count or size slipped into one."""
    from reticent.analytics import basic

    plan = analytics.plan(
        every_question, epsilon=1, delta=1e-6, unit="record", relation="add_or_remove_one", noise="gaussian"
    )
    monkeypatch.setattr(dp, "add_gaussian", fixed_noise)
    tables = (frame, frame.iloc[:1])
    one, other = (plan.answer(part).to_plain() for part in tables)
    assert one == other

    # A copy that divides by the true number of rows.
    sizes = iter([len(part) for part in tables])
    honest = basic.Mean.answer

    def by_true_count(self: Any, noised: Any, miss: float) -> Any:
        found = honest(self, noised, miss)
        return analytics.Answer(self.name, found.value / next(sizes), found.noise_scale, found.low, found.high, 0.95)

    monkeypatch.setattr(basic.Mean, "answer", by_true_count)
    mean = analytics.plan(
        MEAN_OF_RADIUS, epsilon=1, delta=1e-6, unit="record", relation="add_or_remove_one", noise="gaussian"
    )
    one, other = (mean.answer(part).to_plain() for part in tables)
    assert one != other


MEAN_OF_RADIUS = analytics.mean("radius", bounds=(5, 30))


def test_the_chosen_rows_do_not_depend_on_their_order(frame: pd.DataFrame) -> None:
    """A file sorted otherwise gives the same vector, bit for bit."""
    made = analytics.Layout(queries=(MEAN_OF_RADIUS,), unit="person", relation="add_or_remove_one", rows_per_person=1)
    shuffled = frame.sample(frac=1, random_state=3)
    totals = [made.total(analytics.Rows.of(part, person="person")) for part in (frame, shuffled, frame[::-1])]
    assert (totals[0] == totals[1]).all()
    assert (totals[0] == totals[2]).all()


def test_the_chosen_rows_favour_no_value() -> None:
    """4000 persons with the rows 0 and 1 each, one row counts: the sum is binomial(4000, 1/2), +- 6 deviations = 190.

    Persons are told apart by name, so this is fixed; were the hash random, a miss would have probability 2e-9.
    """
    count = 4000
    frame = pd.DataFrame({"x": [0.0, 1.0] * count, "p": np.repeat(np.arange(count), 2)})
    chosen = bounding.chosen_rows(analytics.Rows.of(frame, person="p"), ("x",), 1)
    assert len(chosen) == count
    assert abs(frame["x"].to_numpy()[chosen].sum() - count / 2) < 190
