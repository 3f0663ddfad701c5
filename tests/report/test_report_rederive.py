"""The curve is a true bound, and the odds are those of the promise."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from reticent.dp import Gaussian, Guarantee, TradeOff, epsilon
from reticent.report import Facts, render
from reticent.report.attack_figures import rare, trade_off
from reticent.report.rederive import _DELTAS, _curve, plan_epsilon, worst_case_events

DELTAS = (*_DELTAS, 1e-5)


def _guarantee(value: float) -> Guarantee:
    return Guarantee(epsilon=value, delta=1e-5, unit="person", relation="add_or_remove_one", holds_against="everyone")


@pytest.mark.parametrize("noise", [0.5, 1.0, 3.0])
def test_no_attack_on_a_gaussian_lies_above_the_curve(noise: float) -> None:
    """The best attack on one Gaussian release is known in closed form (Dong, Roth, Su 2022, definition 2.6)."""
    events = [Gaussian(noise)]
    found = {d: epsilon(events, delta=d, relation="add_or_remove_one") for d in DELTAS}
    curve = _curve(_guarantee(found[1e-5]), TradeOff(list(found.values()), list(found)))
    rates = np.linspace(0.001, 0.999, 400)
    best = norm.cdf(norm.ppf(rates) + 1 / noise)
    drawn = np.interp(rates, [p.false_positives for p in curve], [p.derived for p in curve])
    assert np.all(best <= drawn + 1e-9)
    assert np.max(drawn - best) < 0.1, "a bound that is far from the truth would be no use"


def test_a_broken_copy_with_too_small_a_profile_is_caught() -> None:
    """Half the epsilon: the closed form of the best attack must come out above the curve."""
    halves = [epsilon([Gaussian(1.0)], delta=d, relation="add_or_remove_one") / 2 for d in DELTAS]
    curve = _curve(_guarantee(5.0), TradeOff(halves, DELTAS))
    rates = np.linspace(0.001, 0.999, 400)
    drawn = np.interp(rates, [p.false_positives for p in curve], [p.derived for p in curve])
    assert np.any(norm.cdf(norm.ppf(rates) + 1) > drawn + 1e-3)


@settings(max_examples=60, deadline=None)
@given(value=st.floats(0.01, 12.0), rate=st.floats(0.0, 1.0))
def test_straight_lines_between_points_are_exact(value: float, rate: float) -> None:
    guarantee = _guarantee(value)
    curve = _curve(guarantee, TradeOff.claim(value, 1e-5))
    drawn = np.interp(rate, [p.false_positives for p in curve], [p.promised for p in curve])
    assert drawn == pytest.approx(guarantee.true_positives(at_false_positives=rate), abs=1e-9)


def test_the_curve_of_a_run_rises_and_stays_within_the_promise(facts: Facts) -> None:
    assert facts.promise is not None
    curve = facts.promise.curve
    for before, after in itertools.pairwise(curve):
        assert before.false_positives < after.false_positives
        assert before.derived <= after.derived + 1e-12
    assert all(p.false_positives - 1e-12 <= p.derived <= p.promised + 1e-12 <= 1 + 1e-9 for p in curve)
    at_one = next(p for p in curve if p.false_positives == 0.01)
    assert facts.promise.in_a_hundred - 1 < 100 * at_one.promised <= facts.promise.in_a_hundred


def test_a_person_at_two_sites_costs_more(plan: Any) -> None:
    one = plan_epsilon(plan)
    privacy = plan.privacy.model_copy(update={"sites_per_person": 2})
    two = plan.model_copy(update={"privacy": privacy})
    assert len(worst_case_events(two)) == 2 * len(worst_case_events(plan))
    assert one < plan_epsilon(two) < 2.5 * one


def test_the_worst_choice_of_sites_is_taken(plan: Any) -> None:
    quiet = plan.sites[0].model_copy(update={"noise_multiplier": plan.sites[0].noise_multiplier * 2})
    mixed = plan.model_copy(update={"sites": (quiet, *plan.sites[1:])})
    assert plan_epsilon(mixed) == plan_epsilon(plan)


def test_the_numbers_beside_the_curve_are_those_of_the_curve(facts: Facts) -> None:
    promise = facts.promise
    assert promise is not None
    assert promise.advantage is not None
    assert promise.gaussian_mu is not None
    gaps = [p.derived - p.false_positives for p in promise.curve]
    assert promise.advantage == pytest.approx(max(gaps), abs=1e-9)
    rates = np.array([p.false_positives for p in promise.curve])
    allowed = norm.cdf(norm.ppf(rates) + promise.gaussian_mu) + promise.delta
    upper = [p.derived for p in promise.curve]
    steep = rates < norm.cdf(-promise.gaussian_mu / 2)  # beyond the middle the mirror image counts
    assert np.all(np.array(upper)[steep] <= allowed[steep] + 1e-9)
    assert f"mu {math.ceil(promise.gaussian_mu * 1000) / 1000:.3f}" in " ".join(promise.in_words)


def test_what_is_drawn_in_powers_of_ten_is_a_bound_too(facts: Facts) -> None:
    """Straight in powers of ten between the drawn points: never below the exact lines in between."""
    assert facts.promise is not None
    curve = [p for p in facts.promise.curve if p.false_positives >= 1e-4]
    rates = np.geomspace(1e-4, 1, 500)
    corners, heights = [p.false_positives for p in curve], [p.derived for p in curve]
    drawn = np.exp(np.interp(np.log(rates), np.log(corners), np.log(heights)))
    assert np.all(drawn >= np.interp(rates, corners, heights) - 1e-12)


def test_statements_of_older_versions_are_still_read(facts: Facts) -> None:
    stated = facts.model_dump(mode="json")
    for name in ("in_words", "advantage", "gaussian_mu"):
        del stated["promise"][name]
    old = Facts.model_validate(stated)
    assert old.promise is not None
    assert old.promise.gaussian_mu is None
    assert "The whole trade-off" in render(old)


def test_a_promise_about_labels_is_drawn_without_members(facts: Facts) -> None:
    assert facts.promise is not None
    labels = facts.promise.model_copy(update={"protects": "labels", "relation": "replace_one"})
    for drawing in (rare(labels), trade_off(labels)):
        assert "told rightly" in drawing
        assert "took part" not in drawing
