"""Trade-off curves: against Neyman and Pearson on finite mechanisms, closed forms, and published identities."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm

from reticent import dp
from reticent.dp import TradeOff
from reticent.errors import UsageError

RATES = np.concatenate([np.geomspace(1e-12, 0.01, 60), np.linspace(0.01, 1, 100)])
masses = st.lists(st.floats(0.01, 1.0), min_size=2, max_size=6)


def _attacks(p: NDArray[Any], q: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The best attacks on the pair (p, q), by Neyman and Pearson: outputs by falling likelihood ratio."""
    order = np.argsort(-p / q)
    return np.append(0, np.cumsum(q[order])), np.append(0, np.cumsum(p[order]))


def _profile(p: NDArray[Any], q: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Epsilons at every possible loss of both directions, with the exact delta: sum of (p - e^epsilon q) above 0."""
    losses = np.unique(np.abs(np.append(np.log(p / q), 0.0)))
    one, other = (np.maximum(a - np.exp(losses)[:, None] * b, 0).sum(1) for a, b in ((p, q), (q, p)))
    return losses, np.minimum(np.maximum(one, other), 1.0)


@settings(deadline=None, max_examples=100)
@given(masses, masses)
def test_no_attack_on_a_finite_mechanism_lies_above_the_curve(first: list[float], second: list[float]) -> None:
    size = min(len(first), len(second))
    p, q = np.array(first[:size]) / sum(first[:size]), np.array(second[:size]) / sum(second[:size])
    curve = TradeOff(*_profile(p, q))
    best = [np.interp(RATES, *_attacks(*pair)) for pair in ((p, q), (q, p))]
    bound = curve.true_positives(RATES)
    assert np.all(bound >= np.maximum(*best) - 1e-12)
    # It is also no higher than it must be: it gives back every point that it was drawn from.
    losses, deltas = _profile(p, q)
    assert [curve.delta(loss) for loss in losses] == pytest.approx(deltas, abs=1e-9)
    assert curve.advantage() == pytest.approx(np.abs(p - q).sum() / 2, abs=1e-9)


def test_a_broken_copy_with_one_direction_only_is_caught() -> None:
    """Removal alone (a subsampled mechanism is not symmetric): attacks on the other direction then lie above."""
    p, q = np.array([0.7, 0.29, 0.01]), np.array([0.6, 0.2, 0.2])
    losses, _ = _profile(p, q)
    careless = TradeOff(losses, np.maximum(p - np.exp(losses)[:, None] * q, 0).sum(1))
    assert np.any(careless.true_positives(RATES) < np.interp(RATES, *_attacks(q, p)) - 0.01)


@pytest.mark.parametrize("mu", [0.05, 0.268, 1.0, 3.0, 12.0])
def test_the_gaussian_curve_is_the_closed_form(mu: float) -> None:
    """Dong, Roth, Su 2022, equation 6; advantage of two normals mu apart is 2 Phi(mu / 2) - 1."""
    curve = TradeOff.gaussian(mu)
    exact = norm.cdf(norm.ppf(RATES) + mu)
    drawn = curve.true_positives(RATES)
    assert np.all(drawn >= exact)
    assert np.max(drawn - exact) < 1e-6
    assert curve.advantage() == pytest.approx(2 * norm.cdf(mu / 2) - 1, rel=1e-6)
    assert curve.gaussian_mu(slack=0) == mu
    drawn_alone = TradeOff(np.log(curve.slopes), curve.heights)  # without the closed form behind it
    assert mu <= drawn_alone.gaussian_mu(slack=1e-12) + 1e-9
    assert drawn_alone.gaussian_mu(slack=1e-9) == pytest.approx(mu, rel=2e-4)


@given(st.floats(0.0, 30.0), st.floats(0.0, 0.5), st.floats(0.0, 1.0))
def test_one_pair_gives_both_lines(epsilon: float, delta: float, rate: float) -> None:
    curve = TradeOff.claim(epsilon, delta)
    growth = math.exp(epsilon)
    wanted = min(1.0, growth * rate + delta, 1 - (1 - delta - rate) / growth)
    assert curve.true_positives(rate) == pytest.approx(wanted, abs=1e-11)
    assert curve.delta(epsilon) == pytest.approx(delta, abs=1e-9)
    assert curve.advantage() == pytest.approx((growth - 1 + 2 * delta) / (growth + 1), abs=1e-9)


@given(st.floats(0.01, 8.0), st.floats(1e-9, 0.1), st.floats(1e-6, 1 - 1e-6))
def test_false_positives_are_the_inverse(epsilon: float, delta: float, share: float) -> None:
    curve = TradeOff.claim(epsilon, delta)
    rate = curve.false_positives(share)
    assert float(curve.true_positives(rate)) == pytest.approx(max(share, float(curve.true_positives(0.0))), abs=1e-8)


def test_pure_privacy_has_a_finite_mu_and_a_pair_with_delta_has_none() -> None:
    """Dong, Roth, Su 2022 (after proposition 2.14): epsilon-DP is 2 Phi^-1(e^eps / (1 + e^eps))-Gaussian-DP."""
    for epsilon in (0.1, 1.0, 4.0):
        wanted = 2 * norm.ppf(math.exp(epsilon) / (1 + math.exp(epsilon)))
        assert TradeOff.claim(epsilon, 0.0).gaussian_mu(slack=0) == pytest.approx(wanted, rel=1e-8)
    one = TradeOff.claim(1.0, 1e-5)
    assert one.gaussian_mu(slack=0) == one.gaussian_mu(slack=0.9e-5) == math.inf
    assert one.gaussian_mu(slack=1e-5) < 1.24


@settings(deadline=None, max_examples=25)
@given(st.floats(0.05, 6.0), st.floats(1e-7, 1e-2))
def test_mu_with_slack_holds_at_every_epsilon(epsilon: float, delta: float) -> None:
    mu = TradeOff.claim(epsilon, delta).gaussian_mu(slack=delta)
    losses = np.linspace(0, 12, 200)
    allowed = norm.cdf(mu / 2 - losses / mu) - np.exp(losses) * norm.cdf(-mu / 2 - losses / mu) + delta
    claimed = np.array([TradeOff.claim(epsilon, delta).delta(loss) for loss in losses])
    assert np.all(claimed <= allowed + 1e-9)
    smaller = mu * 0.999
    tight = norm.cdf(smaller / 2 - losses / smaller) - np.exp(losses) * norm.cdf(-smaller / 2 - losses / smaller)
    middle = norm.cdf(norm.ppf((1 - delta) / (1 + math.exp(epsilon))) + smaller) + delta
    assert np.any(claimed > tight + delta) or middle < 1 - (1 - delta) / (1 + math.exp(epsilon))


@pytest.mark.parametrize("prior", [0.01, 0.5, 0.9])
def test_what_one_may_believe_agrees_with_bayes(prior: float) -> None:
    """On a Gaussian release, with scipy: best guesses, alarms that are right, and how often belief grows far."""
    mu, curve = 1.0, TradeOff.gaussian(1.0)
    cuts = np.linspace(-9, 9, 20001)
    rates, found = norm.sf(cuts), norm.sf(cuts - mu)
    assert curve.success(prior=prior) == pytest.approx((prior * found + (1 - prior) * (1 - rates)).max(), abs=1e-6)
    right = prior * norm.sf(norm.isf(0.01) - mu)
    assert curve.belief(prior=prior, at_false_positives=0.01) == pytest.approx(right / (right + (1 - prior) * 0.01))
    sure = 1 - (1 - prior) / 5  # odds above 5 times as large
    loss = math.log(sure / (1 - sure) * (1 - prior) / prior)
    happens = norm.sf(loss / mu - mu / 2)  # the privacy loss of a member is normal, mean mu^2/2, deviation mu
    assert happens <= curve.chance_of_belief(sure, prior=prior) <= min(1.0, 3 * happens + 0.01)


@pytest.mark.parametrize("relation", ["add_or_remove_one", "replace_one"])
def test_the_curve_of_events_is_tighter_than_its_one_point(relation: Any) -> None:
    event = dp.Repeated(dp.PoissonSampled(0.01, dp.Gaussian(1.0)), 200)
    whole = dp.trade_off(event, relation=relation)
    one = TradeOff.claim(dp.epsilon(event, delta=1e-6, relation=relation), 1e-6)
    assert np.all(whole.true_positives(RATES) <= one.true_positives(RATES) + 1e-6)
    assert whole.true_positives(0.01) < 0.8 * one.true_positives(0.01)
    assert whole.gaussian_mu(slack=1e-6) < 0.8 * one.gaussian_mu(slack=1e-6)
    assert whole.advantage() < 0.8 * one.advantage()


def test_gaussians_alone_are_exact_under_both_relations() -> None:
    """Dong, Roth, Su 2022, corollary 3.3: the squares of mu add. Replace-one doubles the distance."""
    events: list[dp.Event] = [dp.Repeated(dp.Gaussian(4.0), 4), dp.PoissonSampled(1.0, dp.Gaussian(2.0))]
    assert dp.trade_off(events, relation="add_or_remove_one").exact_mu == pytest.approx(math.sqrt(0.5))
    assert dp.trade_off(events, relation="replace_one").exact_mu == pytest.approx(2 * math.sqrt(0.5))


def test_a_thinned_curve_is_as_low_where_it_was_asked() -> None:
    curve, rates = TradeOff.gaussian(1.3), np.array([0.0, 1e-4, 0.01, 0.3, 0.8, 1.0])
    thin = curve.thinned(rates)
    assert len(thin.slopes) <= len(rates)
    assert thin.true_positives(rates) == pytest.approx(curve.true_positives(rates), abs=1e-12)
    assert np.all(thin.true_positives(RATES) >= curve.true_positives(RATES) - 1e-12)


def test_no_noise_and_no_events() -> None:
    assert dp.trade_off(dp.Gaussian(0.0), relation="replace_one").true_positives(0.0) == 1.0
    nothing = dp.trade_off([], relation="replace_one")
    assert nothing.advantage() == 0.0
    assert nothing.true_positives(RATES) == pytest.approx(RATES, abs=1e-11)


@pytest.mark.parametrize(
    "make",
    [
        lambda: TradeOff([-0.1], [0.1]),
        lambda: TradeOff([math.nan], [0.1]),
        lambda: TradeOff([0.1], [math.nan]),
        lambda: TradeOff([0.1, 0.2], [0.1]),
        lambda: TradeOff.gaussian(math.nan),
        lambda: TradeOff.gaussian(1.0).success(prior=math.nan),
        lambda: TradeOff.gaussian(1.0).gaussian_mu(slack=-1.0),
    ],
)
def test_values_out_of_range_are_refused(make: Any) -> None:
    with pytest.raises(UsageError):
        make()


def _guarantee(**changed: Any) -> dp.Guarantee:
    fields = {"epsilon": 1.0, "delta": 1e-5, "unit": "person", "relation": "add_or_remove_one"}
    return dp.Guarantee(**{**fields, "holds_against": "everyone", **changed})


def test_the_words_of_a_guarantee_are_true_and_rounded_up() -> None:
    promise, curve = _guarantee(), TradeOff.gaussian(1 / 3.7304)
    text = " ".join(promise.in_words(curve))
    assert "55.4 %" in text  # (1 + advantage) / 2 = Phi(mu / 2) = 0.55331
    assert "at most 2 %" in text  # Phi(Phi^-1(0.01) + mu) = 0.01977
    assert "3.73 times" in text
    wide = " ".join(promise.in_words())
    assert "73.2 %" in wide
    assert "2.8 %" in wide
    assert "tells" in " ".join(_guarantee(relation="replace_one").in_words())


def test_words_survive_an_epsilon_beyond_all_bounds() -> None:
    assert any("100 %" in line for line in _guarantee(epsilon=600.0).in_words())


@pytest.mark.parametrize(("noise", "advantage"), [(1e200, 0.0), (1e-200, 1.0), (5e-324, 1.0)])
def test_noise_whose_square_is_no_float_is_not_an_error(noise: float, advantage: float) -> None:
    for relation in ("add_or_remove_one", "replace_one"):
        assert dp.trade_off(dp.Gaussian(noise), relation=relation).advantage() == pytest.approx(advantage, abs=1e-9)  # type: ignore[arg-type]
