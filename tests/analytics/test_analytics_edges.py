"""No rows, one row, no values, one person: everything works the same way and is charged the same."""

from __future__ import annotations

import math
import pathlib
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reticent import analytics, dp
from reticent.errors import PolicyRefused, UsageError
from reticent.ledger import Ledger

EDGES = {
    "no rows": lambda frame: frame.iloc[:0],
    "one row": lambda frame: frame.iloc[:1],
    "no values": lambda frame: frame.assign(radius=math.nan, area=math.inf, size=None, score="none", target=7),
    "one person": lambda frame: frame.assign(person="ann"),
    "no persons": lambda frame: frame.assign(person=None),
    "texts": lambda frame: frame.astype(object).astype(str),
}


@pytest.mark.parametrize("kind", ["gaussian", "laplace"])
@pytest.mark.parametrize("unit", ["record", "person"])
@pytest.mark.parametrize("edge", EDGES)
def test_edges_are_answered_and_charged_like_any_table(
    edge: str, unit: Any, kind: Any, frame: pd.DataFrame, every_question: Any
) -> None:
    made = analytics.plan(
        every_question,
        epsilon=1,
        delta=1e-6,
        unit=unit,
        relation="add_or_remove_one",
        rows_per_person=2 if unit == "person" else None,
        noise=kind,
    )
    grant = dp.Grant.without_ledger([made.event])
    answers = made.answer(EDGES[edge](frame), person="person" if unit == "person" else None, grant=grant)
    assert not grant.remaining()
    for row in answers.rows():
        assert all(math.isfinite(row[name]) for name in ("value", "noise", "low")), row
        assert row["low"] <= row["high"], row
        assert row["noise"] >= 0


def test_figures_stay_within_what_is_possible(frame: pd.DataFrame, every_question: Any) -> None:
    """On one row, where noise is everything: means within bounds, shares within 0 and 1, no negative interval."""
    made = analytics.plan(every_question, epsilon=0.1, delta=1e-6, unit="record", relation="add_or_remove_one")
    for _ in range(20):
        answers = made.answer(frame.iloc[:1])
        for query, answer in answers.items():
            low, high = np.min(answer.low), np.max(answer.high)
            if query.what in ("count", "missing", "histogram", "top"):
                assert low >= 0
            if query.what in ("mean", "quantiles"):
                assert query.bounds[0] <= low <= np.min(answer.value) <= np.max(answer.value) <= high <= query.bounds[1]
            if query.what in ("AUROC", "brier", "calibration"):
                assert 0 <= low <= np.min(answer.value) <= np.max(answer.value) <= high <= 1


def test_a_release_is_paid_for_before_it_is_drawn(tmp_path: pathlib.Path, frame: pd.DataFrame) -> None:
    """The ledger's way: release, reserve, commit, answer; a second draw under the same grant is refused."""
    made = analytics.plan(
        [analytics.count(), analytics.mean("radius", bounds=(5, 30))],
        epsilon=0.5,
        delta=1e-6,
        unit="record",
        relation="add_or_remove_one",
    )
    book = Ledger(f"sqlite:///{tmp_path / 'budget.db'}")
    book.grant(
        "ward-7",
        epsilon=0.7,
        delta=1e-5,
        unit="record",
        relation="add_or_remove_one",
        reason="a first look",
        signer="dpo",
    )
    release = made.release(population="ward-7", dataset="1")
    charge = book.reserve(release, delta=1e-6, purpose="look", plan_hash=made.layout.hash, key="1")
    grant = charge.commit("1", release.events)
    made.answer(frame, grant=grant)
    with pytest.raises(PolicyRefused, match="noise-not-granted"):
        made.answer(frame, grant=grant)
    with pytest.raises(PolicyRefused, match="budget-exhausted"):
        book.reserve(release, delta=1e-6, purpose="look", plan_hash=made.layout.hash, key="2")
    other = analytics.plan(analytics.count(), epsilon=0.1, delta=1e-6, unit="record", relation="add_or_remove_one")
    with pytest.raises(PolicyRefused):
        other.answer(frame, grant=dp.Grant.without_ledger([made.event]))


def test_release_says_what_a_plan_costs() -> None:
    found = analytics.release(
        analytics.count(),
        noise_multiplier=4.0,
        unit="record",
        relation="replace_one",
        population="ward-7",
        dataset="1",
    )
    assert found.events == (dp.Gaussian(4.0),)
    assert found.population == "ward-7"


def test_a_question_twice_is_one(frame: pd.DataFrame) -> None:
    made = analytics.Layout(queries=(analytics.count(), analytics.count()), unit="record", relation="add_or_remove_one")
    assert made.length == 1
    assert len(made.queries) == 1


def test_weights_shift_the_noise() -> None:
    light = analytics.Layout(
        queries=(analytics.count(), analytics.count("x", weight=4)), unit="record", relation="add_or_remove_one"
    )
    answers = light.answers(np.zeros(2), noise_multiplier=1.0)
    assert answers[0].noise_scale == pytest.approx(4 * float(answers[1].noise_scale))
    assert answers[0].noise_scale == pytest.approx(17**0.5, rel=1e-6)


def test_questions_that_share_coordinates_take_the_larger_weight() -> None:
    """Mean and variance of one column are one feature: it is as exact as the more exact of the two asks."""
    mean, spread = analytics.mean("x", bounds=(0, 1), weight=8), analytics.variance("x", bounds=(0, 1))
    noise = [
        analytics.Layout(queries=queries, unit="record", relation="add_or_remove_one")
        .answers(np.zeros(4), noise_multiplier=1.0)[analytics.count()]
        .noise_scale
        for queries in ((mean, spread, analytics.count()), (spread, mean, analytics.count()))
    ]
    assert noise == pytest.approx([65**0.5, 65**0.5], rel=1e-6)


def test_rows_never_say_how_many_they_are(frame: pd.DataFrame) -> None:
    assert "569" not in repr(analytics.Rows.of(frame))


def test_what_declares_bounds_by_data_is_refused() -> None:
    for bad in (None, (3, 3), (5, 1), (0, math.inf), "ab"):
        with pytest.raises((UsageError, TypeError)):
            analytics.mean("x", bounds=bad)  # type: ignore[arg-type]
    for words in ([], ["a", "a"], None, "abc"):
        with pytest.raises(UsageError, match="statistics-categories"):
            analytics.histogram("x", categories=words)


def test_no_torch() -> None:
    import subprocess
    import sys

    code = "import sys, reticent.analytics; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
