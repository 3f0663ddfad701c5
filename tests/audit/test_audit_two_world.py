"""Many runs in two worlds: Clopper and Pearson against binomials, Gaussian releases, and broken copies."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, binomtest, norm

from reticent import audit, dp
from reticent.audit import Rates
from reticent.dp import TradeOff
from reticent.errors import UsageError

CLAIM = audit.Claim.of(dp.Gaussian(1.0), relation="add_or_remove_one", delta=1e-5)
PAIR = audit.Claim(1.0, 1e-5)


def world(noise: float, *, signal: int = 1024) -> Any:
    """One number, noised by `dp.add_gaussian`, with the canary or without it."""
    event = dp.Gaussian(noise)

    def release(*, present: bool) -> float:
        total = np.array([signal if present else 0], dtype=np.int64)
        grant = dp.Grant.without_ledger([event])
        return dp.add_gaussian(total, event=event, sensitivity=1.0, grid=2.0**-10, grant=grant).item()

    return release


@pytest.mark.parametrize(("found", "alarms"), [(0, 0), (50, 0), (31, 7), (50, 50), (1, 49)])
@pytest.mark.parametrize("level", [0.05, 1e-6])
def test_bounds_are_those_of_scipy(found: int, alarms: int, level: float) -> None:
    """`binomtest` solves for the interval by itself: two-sided at `level` has level / 2 on each side."""
    most, least = Rates(50, found, alarms).bounds(level)
    exact = [binomtest(k, 50).proportion_ci(1 - level, method="exact") for k in (alarms, found)]
    assert most == pytest.approx(exact[0].high, abs=1e-9)
    assert least == pytest.approx(exact[1].low, abs=1e-9)


def test_ten_of_ten_is_the_textbook_bound() -> None:
    """With no failure in n tries the bound is level^(1/n) (Clopper and Pearson 1934)."""
    most, least = Rates(10, 10, 0).bounds(0.1)
    assert least == pytest.approx(0.05**0.1)
    assert most == pytest.approx(1 - 0.05**0.1)
    rates = Rates(10, 10, 0)
    assert rates.epsilon_at_least(0.0, 0.1) == pytest.approx(math.log(least / most))
    assert rates.epsilon_at_least(1e-3, 0.1) < rates.epsilon_at_least(0.0, 0.1)
    assert rates.mu_at_least(0.1) == pytest.approx(norm.ppf(least) - norm.ppf(most))


@pytest.mark.parametrize("level", [0.1, 0.01])
@pytest.mark.parametrize("cut", [0.0, 0.5, 1.5])
def test_true_claims_are_flagged_no_more_often_than_said(cut: float, level: float) -> None:
    """Exactly, over all counts of 40 runs in each world of a Gaussian release with mu 1."""
    runs, curve = 40, TradeOff.gaussian(1.0)
    found, alarms = (binom.pmf(np.arange(runs + 1), runs, norm.sf(cut - mean)) for mean in (1.0, 0.0))
    chance = sum(
        found[f] * alarms[a]
        for f in range(runs + 1)
        for a in range(runs + 1)
        if found[f] * alarms[a] > 1e-9 and Rates(runs, f, a).refute(curve, level)
    )
    assert chance <= level


def test_half_the_noise_is_flagged_and_the_right_noise_is_not() -> None:
    """False alarm at most 1e-6 by the theorem. Half the noise: log10(p) of simulated audits falls on average five and a
    half of its standard deviations below the limit of -1: misses below 1e-7.
    """
    right = audit.two_world(world(1.0), runs=800, claim=CLAIM, confidence=1 - 1e-6)
    assert not right.flagged
    assert right.epsilon_at_least < CLAIM.epsilon
    assert audit.two_world(world(0.5), runs=1200, claim=CLAIM, confidence=0.9).flagged


def test_a_gaussian_lower_bound_comes_close_and_stays_below() -> None:
    """Nasr et al. 2023: with the Gaussian assumption 2000 runs show most of epsilon 4.377; without it, a third."""
    rates = Rates(2000, round(2000 * norm.sf(-0.5)), round(2000 * norm.sf(0.5)))
    with_it = rates.epsilon_if_gaussian(1e-5, 0.05)
    without = rates.epsilon_at_least(1e-5, 0.05)
    assert 0.8 * 4.377 < with_it < 4.377
    assert without < 0.4 * 4.377
    assert Rates(10, 5, 5).epsilon_if_gaussian(1e-5, 0.05) == 0.0


def test_a_clip_that_lets_six_times_as_much_through_is_flagged() -> None:
    """Misses below 1e-8: log10(p) of simulated audits is -4.4 with a standard deviation of 0.2, the limit -2."""
    assert audit.two_world(world(1.0, signal=6 * 1024), runs=60, claim=CLAIM, confidence=0.99).flagged


def test_an_audit_without_intervals_is_a_broken_copy() -> None:
    """Pure noise, and a claim of epsilon 0: rates taken as they are, at the best of all thresholds, refute it always.

    Seeded: fixed scores, no chance. Half to choose, half to count, and intervals keep to the level.
    """
    level, rng = 0.25, np.random.default_rng(5)
    careless = honest = 0
    for _ in range(60):
        without, present = rng.normal(size=40), rng.normal(size=40)
        careless += any((present >= cut).mean() > (without >= cut).mean() + 1e-9 for cut in present)
        scores = {False: iter(without), True: iter(present)}

        def replay(*, present: bool, left: Any = scores) -> float:
            return float(next(left[present]))

        honest += audit.two_world(replay, runs=40, claim=audit.Claim(0.0, 1e-9), confidence=1 - level).flagged
    assert careless > 50
    assert honest <= level * 60


def test_one_canary_of_a_one_run_attack_makes_two_worlds() -> None:
    both = audit.alone(lambda coins: np.where(coins, 1.0, -1.0))
    assert (both(present=True), both(present=False)) == (1.0, -1.0)


@pytest.mark.parametrize(("runs", "confidence"), [(3, 0.9), (10, 0.0), (10, 1.0), (10, math.nan)])
def test_settings_out_of_range_are_refused(runs: int, confidence: float) -> None:
    with pytest.raises(UsageError):
        audit.two_world(world(1.0), runs=runs, claim=PAIR, confidence=confidence)


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(UsageError):
        audit.two_world(lambda *, present: math.nan, runs=4, claim=PAIR, confidence=0.9)
