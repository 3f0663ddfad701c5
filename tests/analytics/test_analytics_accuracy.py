"""Without noise the answers are those of pandas, numpy and scikit-learn; with noise they are near them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.metrics import brier_score_loss, roc_auc_score

from reticent import analytics

TINY = 1e-9
"""Noise multiplier that moves nothing that is compared here."""


def exact(frame: pd.DataFrame, *queries: Any, **how: Any) -> analytics.Answers:
    """Answer with next to no noise."""
    how = {"unit": "record", "relation": "add_or_remove_one", **how}
    person = how.pop("person", None)
    made = analytics.Layout(queries=queries, **how)
    total = made.total(analytics.Rows.of(frame, person=person)) * made.grid
    return made.answers(total, noise_multiplier=TINY)


def bounds_of(values: pd.Series) -> tuple[float, float]:
    return float(np.floor(values.min())), float(np.ceil(values.max()))


@pytest.mark.parametrize("load", [load_breast_cancer, load_wine])
def test_every_column_of_real_tables(load: Any) -> None:
    """Mean, variance, sum and quartiles of all columns at once; the rounding is below a millionth of the bounds."""
    frame = load(as_frame=True).data
    queries: list[Any] = []
    for name in frame:
        bounds = bounds_of(frame[name])
        queries += [
            analytics.mean(name, bounds=bounds),
            analytics.variance(name, bounds=bounds),
            analytics.total(name, bounds=bounds),
            analytics.quantiles(name, [0.25, 0.5, 0.75], bounds=bounds, bins=50),
        ]
    answers = exact(frame, *queries)
    for query in queries:
        values, answer = frame[query.column].to_numpy(), answers[query]
        span = query.bounds[1] - query.bounds[0]
        if query.what == "quantiles":
            for level, low, high, value in zip(query.levels, answer.low, answer.high, answer.value, strict=True):
                true = np.quantile(values, level, method="inverted_cdf")
                assert low - 1e-9 <= true <= high + 1e-9
                assert abs(value - true) <= span / 50 + 1e-9
            continue
        known = {"mean": values.mean(), "variance": values.var(), "sum": values.sum()}[query.what]
        scale = {"mean": span, "variance": span**2, "sum": span * len(values)}[query.what]
        assert abs(answer.value - known) < 2e-6 * scale
        assert answer.low <= known <= answer.high


def test_standardisation_is_what_scikit_learn_would_use(frame: pd.DataFrame) -> None:
    from sklearn.preprocessing import StandardScaler

    query = analytics.standardisation({"area": (0, 2600), "score": (0, 1)})
    found = exact(frame, query)[query]
    scaler = StandardScaler().fit(frame[["area", "score"]])
    assert np.allclose(np.asarray(found.value)[::2], scaler.mean_, rtol=1e-4)
    assert np.allclose(np.asarray(found.value)[1::2], scaler.scale_, rtol=1e-3)


def test_rows_without_a_value_are_in_no_mean(frame: pd.DataFrame) -> None:
    """Mean, variance and median are those of the rows that have the value; the others are counted beside them."""
    query, spread = analytics.mean("radius", bounds=(5, 30)), analytics.variance("radius", bounds=(5, 30))
    gaps, half = analytics.missing("radius"), analytics.quantiles("radius", [0.5], bounds=(5, 30), bins=100)
    answers = exact(frame, query, spread, gaps, half)
    assert answers[query].value == pytest.approx(frame["radius"].mean(), abs=1e-4)
    assert answers[spread].value == pytest.approx(frame["radius"].var(ddof=0), abs=1e-3)
    assert round(float(answers[gaps].value)) == frame["radius"].isna().sum() > 20
    assert float(answers[half].value[0]) == pytest.approx(frame["radius"].median(), abs=0.25)  # type: ignore[index]


def test_counts_and_tables_are_those_of_pandas(frame: pd.DataFrame) -> None:
    size = analytics.histogram("size", categories=["small", "large"])
    target = analytics.histogram("target", categories=[0, 1])
    table = analytics.contingency(size, target)
    gaps = analytics.missing("radius")
    top = analytics.top("size", 2, categories=["huge", "large", "small"])
    shares = analytics.shares(target)
    answers = exact(frame, table, gaps, top, shares, analytics.count(), analytics.count("radius"))
    known = pd.crosstab(frame["size"], frame["target"]).loc[["small", "large"]].to_numpy().ravel()
    assert np.allclose(answers[table].value, known, atol=1e-3)
    assert answers[table].labels == ("small / 0", "small / 1", "large / 0", "large / 1")
    assert round(float(answers[gaps].value)) == frame["radius"].isna().sum()
    assert answers[top].labels == ("small", "large")
    assert np.allclose(answers[shares].value, frame["target"].value_counts(normalize=True).sort_index(), atol=1e-6)
    assert round(float(answers[4].value)) == 569
    assert round(float(answers[5].value)) == frame["radius"].notna().sum()


def test_undeclared_words_count_nowhere_unless_asked(frame: pd.DataFrame) -> None:
    """Neither in another cell nor in a share; with other=True in a cell of their own, gaps in theirs."""
    words = frame.assign(size=np.where(np.arange(569) % 10 == 0, "odd", frame["size"]))
    words.loc[3, "size"] = None
    small, odd = (words["size"] == "small").sum(), (words["size"] == "odd").sum()
    closed = analytics.histogram("size", categories=["small"])
    opened = analytics.histogram("size", categories=["small"], other=True, missing=True)
    answers = exact(words, closed, opened)
    assert np.allclose(answers[closed].value, [small], atol=1e-3)
    assert np.allclose(answers[opened].value, [small, 568 - small, 1], atol=1e-3)
    assert answers[opened].labels == ("small", "other", "missing")
    assert 0 < odd < 568 - small


@pytest.mark.parametrize("bins", [8, 32, 200])
def test_scores_are_within_what_binning_hides(frame: pd.DataFrame, bins: int) -> None:
    area, brier = analytics.auroc("score", "target", bins=bins), analytics.brier("score", "target", bins=bins)
    answers = exact(frame, area, brier)
    known = roc_auc_score(frame["target"], frame["score"]), brier_score_loss(frame["target"], frame["score"])
    for query, true in zip((area, brier), known, strict=True):
        assert answers[query].low - 1e-6 <= true <= answers[query].high + 1e-6
    # The worst that bins can hide: all pairs within a bin.
    cells = np.minimum((frame["score"] * bins).astype(int), bins - 1)
    pairs = sum(
        (cells[frame["target"] == 0] == place).sum() * (cells[frame["target"] == 1] == place).sum()
        for place in range(bins)
    )
    hidden = pairs / ((frame["target"] == 0).sum() * (frame["target"] == 1).sum())
    assert answers[area].high - answers[area].low == pytest.approx(hidden, abs=1e-5)


def test_binning_left_out_is_caught(frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy whose interval knows the noise alone misses the true area, whose pairs within a bin are not half won."""
    from reticent.analytics import scores

    honest = scores._area
    monkeypatch.setattr(
        scores, "_area", lambda wins, *rest: honest(np.tri(len(wins), k=-1) + np.eye(len(wins)) / 2, *rest)
    )
    query = analytics.auroc("score", "target", bins=2)
    answer = exact(frame, query)[query]
    assert not answer.low <= roc_auc_score(frame["target"], frame["score"]) <= answer.high


def test_persons_weigh_their_declared_rows(frame: pd.DataFrame) -> None:
    """With two rows a person all rows count; with one, as many as there are persons."""
    count, persons = analytics.count(), analytics.persons()
    for limit, rows in ((2, 569), (1, 285)):
        answers = exact(frame, count, persons, unit="person", rows_per_person=limit, person="person")
        assert round(float(answers[count].value)) == rows
        assert round(float(answers[persons].value)) == 285


def test_noise_at_epsilon_one_is_what_is_expected(frame: pd.DataFrame) -> None:
    """One count at epsilon 1: Laplace noise, off by at most 30 (probability of more: e^-30)."""
    query = analytics.count()
    answer = query.of(frame, epsilon=1, delta=1e-6, unit="record", relation="add_or_remove_one")
    assert answer.noise_scale == pytest.approx(2**0.5, rel=1e-3)
    assert abs(float(answer.value) - 569) < 30


@pytest.mark.parametrize("relation", ["add_or_remove_one", "replace_one"])
def test_a_plan_costs_what_was_asked(every_question: Any, relation: Any) -> None:
    from reticent import dp

    for noise in ("gaussian", "laplace"):
        made = analytics.plan(every_question, epsilon=0.7, delta=1e-6, unit="record", relation=relation, noise=noise)
        assert 0.695 < dp.epsilon(made.event, delta=1e-6, relation=relation) <= 0.7
        assert made.epsilon(delta=1e-6) <= 0.7


def test_one_release_is_better_than_one_for_each_question(every_question: Any) -> None:
    """Ten questions together blur a count less than ten separate releases that share the same epsilon."""
    together = analytics.plan(every_question, epsilon=1, delta=1e-6, unit="record", relation="add_or_remove_one")
    apart = analytics.plan(
        every_question[0],
        epsilon=1 / len(every_question),
        delta=1e-6 / len(every_question),
        unit="record",
        relation="add_or_remove_one",
    )
    assert together.count_noise < apart.count_noise


def test_prefix_sums_have_the_noise_of_the_literature() -> None:
    """Square-root factorisation: every prefix at most (ln d + 3.35) / pi counts' worth (Henzinger et al. 2023)."""
    query = analytics.quantiles("x", [0.5], bounds=(0, 1), bins=256)
    made = analytics.Layout(queries=(query,), unit="record", relation="add_or_remove_one")
    (feature, steps) = made.features[0]
    noise = np.linalg.norm(feature.decoder(steps), axis=1) * made.sensitivity / (steps * made.grid)
    assert noise.max() < (np.log(256) + 3.35) / np.pi + 0.01
