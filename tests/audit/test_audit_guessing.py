"""The two tests of one run: published values, another implementation, and all mechanisms at once by linear programs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.stats import binom, norm

from reticent.audit import Guesses
from reticent.audit import guessing as module
from reticent.dp import TradeOff

CURVES = {
    "pair": TradeOff.claim(1.0, 1e-2),
    "pure": TradeOff.claim(0.7, 0.0),
    "gaussian": TradeOff.gaussian(1.0).thinned(np.linspace(0, 1, 60)),
}


@pytest.mark.parametrize(
    ("counts", "delta", "published"),
    [((1000, 100, 75), 1e-4, 0.673), ((100_000, 1510, 1439), 1e-5, 2.675)],
)
def test_theorem_5_2_gives_the_published_bounds(counts: Any, delta: float, published: float) -> None:
    """Steinke, Nasr, Jagielski 2023: appendix D (page 46) and section 7 (page 28), at 95 %."""
    seen = Guesses(*counts)
    assert seen.epsilon_at_least(delta, 0.05, pair=True) == pytest.approx(published, abs=1e-3)
    # The test by the curve of the same pair is the stronger one.
    assert seen.epsilon_at_least(delta, 0.05, pair=False) > published


@pytest.mark.parametrize(
    ("counts", "pair", "gaussian"),
    [
        ((1000, 200, 180), 1.7962850707, 2.9012429233),
        ((1000, 1000, 700), 0.7317406385, 1.3719800500),
        ((100_000, 1510, 1439), 2.6758509126, 3.3090835240),
        ((100_000, 1000, 780), 1.0937010147, 1.2540179929),
    ],
)
def test_another_implementation_agrees(counts: Any, pair: float, gaussian: float) -> None:
    """jax_privacy 2.0.0, `_epsilon_one_run` and `_epsilon_one_run_fdp`, delta 1e-5, at 95 %."""
    seen = Guesses(*counts)
    assert seen.epsilon_at_least(1e-5, 0.05, pair=True) == pytest.approx(pair, abs=2e-4)
    mu = seen.mu_at_least(0.05)
    delta = norm.cdf(mu / 2 - gaussian / mu) - math.exp(gaussian) * norm.cdf(-mu / 2 - gaussian / mu)
    slope = math.exp(gaussian) * norm.cdf(-mu / 2 - gaussian / mu)
    assert abs(delta - 1e-5) / slope < 1e-3  # epsilon of this mu at delta 1e-5


def test_published_p_value() -> None:
    """75 of 100 right at e^epsilon = 3: the mean of a binomial (Steinke et al. 2023, appendix D: 0.553)."""
    assert Guesses(100, 100, 75).p_value_of_pair(math.log(3), 0.0) == pytest.approx(0.5535, abs=1e-4)


def _largest_tail(curve: TradeOff, seen: Guesses) -> float:
    """The largest P(W >= correct) over all distributions of W that inequality (1) of `guessing` allows."""
    m, r, v = seen.canaries, seen.guesses, seen.correct
    count = np.arange(r + 1)
    rows, bounds = [], []
    slopes = np.concatenate([curve.slopes, 1 / curve.slopes])
    heights = np.concatenate([curve.heights, 1 - (1 - curve.heights) / curve.slopes])
    for c in range(1, r + 1):
        right, wrong = count * (count >= c) / m, (r - count) * (count >= c - 1) / m
        for slope, height in zip(slopes, heights, strict=True):
            scale = max(1.0, slope)
            rows.append((right - slope * wrong) / scale)
            bounds.append(height / scale)
    solved = linprog(
        -(count >= v).astype(float), A_ub=np.array(rows), b_ub=bounds, A_eq=np.ones((1, r + 1)), b_eq=[1.0]
    )
    assert solved.status == 0
    return float(-solved.fun)


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("counts", [(12, 12, 10), (20, 12, 11), (40, 15, 15), (30, 30, 21), (25, 8, 4)])
def test_the_recursion_is_the_worst_case_over_all_mechanisms(name: str, counts: Any) -> None:
    """The p-value solves a linear program; a smaller one would flag true claims, a larger one would waste power."""
    seen = Guesses(*counts)
    worst = _largest_tail(CURVES[name], seen)
    found = seen.p_value_of_curve(CURVES[name])
    assert worst * (1 - 1e-6) <= found <= worst * 1.011 + 1e-9


@pytest.mark.parametrize("fault", ["counts", "steeper"])
def test_a_broken_copy_is_caught_by_the_linear_program(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guesses counted as canaries (abstentions forgotten), or an inverse of the curve that is 20 % too large."""
    seen, inverse = Guesses(40, 15, 13), module._fewest_false
    worst = _largest_tail(CURVES["pair"], seen)
    if fault == "steeper":
        monkeypatch.setattr(module, "_fewest_false", lambda curve: lambda share: 1.2 * inverse(curve)(share))
    broken = Guesses(15, 15, 13) if fault == "counts" else seen
    assert broken.p_value_of_curve(CURVES["pair"]) < worst * 0.99


@pytest.mark.parametrize("level", [0.05, 1e-3])
@pytest.mark.parametrize("epsilon", [0.5, 1.0, 3.0])
def test_true_claims_are_flagged_no_more_often_than_said(epsilon: float, level: float) -> None:
    """Exactly, no simulation: mechanisms for which the number of right guesses is binomial."""
    m, right = 200, np.arange(201)
    share = math.exp(epsilon) / (1 + math.exp(epsilon))
    mechanisms = {  # the share of right guesses, and the claim that is true of it
        "randomized response": (share, TradeOff.claim(epsilon, 0.0)),
        "with probability delta in the clear": (0.01 + 0.99 * share, TradeOff.claim(epsilon, 0.01)),
        "gaussian": (norm.cdf(epsilon / 2), TradeOff.gaussian(epsilon)),
    }
    for accuracy, claim in mechanisms.values():
        flagged = [Guesses(m, m, int(v)).refute(claim, level) for v in right]
        assert binom.pmf(right, m, accuracy)[flagged].sum() <= level
    pure = [Guesses(m, m, int(v)).p_value_of_pair(epsilon, 0.0) <= level for v in right]
    assert level / 10 < binom.pmf(right, m, share)[pure].sum() <= level


def test_delta_is_paid_for_once_for_each_canary() -> None:
    """One run of (0, delta): with probability m * delta somebody is published. Theorem 5.2 must not flag that."""
    with_delta = Guesses(1000, 20, 20).p_value_of_pair(0.5, 1e-4)
    without = Guesses(1000, 20, 20).p_value_of_pair(0.5, 0.0)
    assert with_delta > 10 * without


def test_more_right_guesses_are_stronger_evidence() -> None:
    values = [Guesses(300, 100, v).p_value_of_curve(CURVES["pair"]) for v in range(60, 101, 5)]
    assert values == sorted(values, reverse=True)
    assert Guesses(300, 100, 0).p_value_of_curve(CURVES["pair"]) == 1.0
    assert Guesses(300, 100, 0).epsilon_at_least(1e-5, 0.05, pair=False) == 0.0
    assert Guesses(300, 100, 0).mu_at_least(0.05) < 1e-3
