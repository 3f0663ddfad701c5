"""Intervals hold as often as they say, over the noise, at any number of rows; and they are not needlessly wide.

The noise is simulated by numpy (the samplers have tests of their own), 1500 draws for each case. An interval that
misses with probability 0.1 misses more than 231 of 1500 times with probability 4e-11 (binomial), so over all cases and
labels here, fewer than 500, a right interval is reported wrong with probability below 2e-8.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from reticent import analytics
from reticent.analytics.noise import Noise

DRAWS, MISS, MOST = 1500, 0.1, 231
assert stats.binom.sf(MOST, DRAWS, MISS) < 1e-10


def exact_of(query: Any, frame: pd.DataFrame) -> Any:
    """Return the statistic without noise, by pandas, numpy and scikit-learn."""
    score, label = frame["score"].to_numpy(), frame["target"].to_numpy()
    cells = np.minimum((score * getattr(query, "bins", 1)).astype(int), getattr(query, "bins", 1) - 1)
    values = frame["radius"].dropna().clip(5, 30).to_numpy()
    statistics: dict[str, Any] = {
        "AUROC": lambda: roc_auc_score(label, score),
        "brier": lambda: np.mean((score - label) ** 2),
        "calibration": lambda: [
            label[cells == place].mean() if (cells == place).any() else 0.5 for place in range(query.bins)
        ],
        "histogram": lambda: [(frame["size"] == word).sum() for word in ("small", "large")],
        "count": lambda: len(frame),
        "quantiles": lambda: [np.quantile(values, level, method="inverted_cdf") for level in query.levels],
        "mean": values.mean,
        "sum": values.sum,
        "variance": lambda: values.std() if query.root else values.var(),
    }
    return np.asarray(statistics[query.what]())


QUESTIONS = [
    analytics.count(),
    analytics.total("radius", bounds=(5, 30)),
    analytics.mean("radius", bounds=(5, 30)),
    analytics.variance("radius", bounds=(5, 30)),
    analytics.deviation("radius", bounds=(5, 30)),
    analytics.quantiles("radius", [0.1, 0.5, 0.75], bounds=(5, 30), bins=24),
    analytics.histogram("size", categories=["small", "large"]),
    analytics.auroc("score", "target", bins=12),
    analytics.brier("score", "target", bins=12),
    analytics.calibration("score", "target", bins=4),
]


def missed(
    query: Any, frame: pd.DataFrame, kind: Any, multiplier: float, *, draws: int = DRAWS, sites: int = 1, seed: int = 1
) -> tuple[Any, Any]:
    """Return how often the interval of each label misses, and the mean width."""
    made = analytics.Layout(queries=(query,), unit="record", relation="add_or_remove_one", kind=kind)
    total, exact = made.total(analytics.Rows.of(frame)) * made.grid, np.atleast_1d(exact_of(query, frame))
    generator = np.random.default_rng(seed)
    scale = multiplier * made.sensitivity
    misses, width = np.zeros(len(exact), dtype=int), np.zeros(len(exact))
    for _ in range(draws):
        noise = sum(
            generator.normal(0, scale, made.length) if kind == "gaussian" else generator.laplace(0, scale, made.length)
            for _ in range(sites)
        )
        answer = made.answers(total + noise, noise_multiplier=multiplier, sites=sites, confidence=1 - MISS)[query]
        low, high = np.atleast_1d(answer.low), np.atleast_1d(answer.high)
        misses += (exact < low - 1e-9) | (exact > high + 1e-9)
        width += high - low
    return misses, width / draws


@pytest.mark.parametrize("rows", [3, 40, 569])
@pytest.mark.parametrize("query", QUESTIONS, ids=lambda query: query.name.replace(" ", "-"))
def test_an_interval_holds_as_often_as_it_says(query: Any, rows: int, frame: pd.DataFrame) -> None:
    part = frame.dropna().sort_values("score").iloc[:: max(1, 541 // rows)].head(rows)
    draws = DRAWS if query.what in ("count", "sum", "mean", "histogram") else 400
    most = MOST if draws == DRAWS else int(stats.binom.isf(1e-10, draws, MISS))
    misses, _ = missed(query, part, "gaussian", 3.0, draws=draws)
    assert misses.max() <= most


@pytest.mark.parametrize("query", QUESTIONS, ids=lambda query: query.name.replace(" ", "-"))
def test_an_interval_under_laplace_noise_of_three_sites_holds(query: Any, frame: pd.DataFrame) -> None:
    draws = 25 if query.what == "quantiles" else 60
    misses, _ = missed(query, frame.dropna(), "laplace", 2.0, draws=draws, sites=3)
    assert misses.max() <= stats.binom.isf(1e-10, draws, MISS)


@pytest.mark.parametrize(("query", "least"), [(QUESTIONS[0], 0.9), (QUESTIONS[1], 0.9), (QUESTIONS[2], 0.9)])
def test_exact_intervals_are_not_wider_than_they_must_be(query: Any, least: float, frame: pd.DataFrame) -> None:
    """Counts, sums and means miss at least 74 of 1500 times at 10 % (a right one less than that: 3e-13)."""
    assert stats.binom.cdf(73, DRAWS, MISS) < 1e-10
    misses, _ = missed(query, frame, "gaussian", 3.0)
    assert misses.min() >= 74


def test_half_the_width_is_caught(frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy whose noise is twice what its intervals know misses far more often than it says."""
    honest = Noise.reach
    monkeypatch.setattr(Noise, "reach", lambda self, shape, miss: honest(self, shape, miss) / 2)
    for query in (QUESTIONS[0], QUESTIONS[2]):
        misses, _ = missed(query, frame, "gaussian", 3.0, draws=DRAWS)
        assert misses.min() > MOST


def test_the_winner_of_many_is_not_believed_too_much() -> None:
    """Forty equal categories: the largest of forty noised counts is far off, and its interval knows."""
    words = [f"w{number}" for number in range(40)]
    query = analytics.top("word", 1, categories=words)
    made = analytics.Layout(queries=(query,), unit="record", relation="add_or_remove_one")
    total = made.total(analytics.Rows.of({"word": words * 10})) * made.grid
    generator = np.random.default_rng(2)
    missed, naive = 0, 0
    for _ in range(400):
        answer = made.answers(
            total + generator.normal(0, 3 * made.sensitivity, 40), noise_multiplier=3.0, confidence=1 - MISS
        )[query]
        missed += not float(answer.low[0]) <= 10 <= float(answer.high[0])  # type: ignore[index]
        naive += abs(float(answer.value[0]) - 10) > 1.645 * float(answer.noise_scale[0])  # type: ignore[index]
    assert missed <= stats.binom.isf(1e-10, 400, MISS)
    assert naive > 300


@pytest.mark.parametrize("count", [1, 2, 3, 9])
@pytest.mark.parametrize("miss", [0.3, 0.05, 1e-3])
def test_laplace_sums_reach_no_farther_than_said(count: int, miss: float) -> None:
    """200,000 sums; more misses than 6.5 deviations above the mean have probability 1e-10."""
    generator = np.random.default_rng(count)
    shape = np.linspace(1.0, 0.2, count)
    sums = generator.laplace(0, 2.0, (200_000, count)) @ shape
    reach = Noise("laplace", 2.0).reach(shape, miss)
    share = float((np.abs(sums) > reach).mean())
    assert share <= miss + 6.5 * np.sqrt(miss / 200_000)
    if count <= 3:  # no farther than needed
        assert share >= miss - 6.5 * np.sqrt(miss / 200_000)


def test_noise_scale_is_the_deviation_of_the_value(frame: pd.DataFrame) -> None:
    """300 draws; the deviation of values is within 27 % of what was said (6.6 deviations, 4e-11)."""
    for query in (QUESTIONS[0], QUESTIONS[1], QUESTIONS[2], QUESTIONS[3], QUESTIONS[4], QUESTIONS[8]):
        made = analytics.Layout(queries=(query,), unit="record", relation="add_or_remove_one")
        total = made.total(analytics.Rows.of(frame)) * made.grid
        generator = np.random.default_rng(5)
        values, said = [], 0.0
        for _ in range(300):
            noise = generator.normal(0, 2 * made.sensitivity, made.length)
            answer = made.answers(total + noise, noise_multiplier=2.0)[query]
            values.append(float(answer.value))
            said += float(answer.noise_scale) / 300
        assert abs(np.std(values) / said - 1) < 0.27, query.name
