"""Epsilon against printed references, Opacus' PRV accountant, closed forms, lower bounds; known defects stay out."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp

from reticent import dp
from reticent.dp import accounting
from reticent.errors import UsageError

ADD: dp.Relation = "add_or_remove_one"
REPLACE: dp.Relation = "replace_one"

# sigma, q, steps, delta, PLD, RDP, Opacus' PRV upper bound: measured 2026-11-23 with dp-accounting 0.6.0, Opacus 1.6.0.
PRINTED = [
    (1.3, 250 / 60000, 3600, 1e-5, 0.8530, 0.9422, 0.8630),
    (1.0, 64 / 60000, 9375, 1e-5, 0.4937, 0.8035, 0.5035),
    (4.05, 8192 / 60000, 280, 1e-5, 2.3746, 2.5877, 2.3847),
    (3.0, 4096 / 50000, 2468, 1e-5, 6.5293, 7.0458, 6.5396),
    (0.8, 0.001, 2000, 1e-7, 0.8071, 1.8117, 0.8172),
    (0.6, 1e-5, 100_000, 1e-8, 0.2638, 2.1905, 0.2733),
    (1.0, 1.0, 1, 1e-5, 4.37718, 4.7285, 4.3874),
    (50.0, 1.0, 1000, 1e-6, 2.92161, 3.1311, 2.9317),
    (1.0, 0.01, 1, 1e-6, 0.363948, 1.2121, 0.3740),
    (1.0, 0.5, 1, 1e-5, 3.533998, 3.8936, 3.5442),
    (0.3, 0.01, 100, 1e-5, 26.8347, 32.0888, 26.8465),
    (1.0, 0.01, 1000, 1e-5, 1.8282, 2.1014, 1.8384),
]
EXACT = [  # independent of any accountant
    (1.0, 1.0, 1, 1e-5, 4.377178),
    (50.0, 1.0, 1000, 1e-6, 2.921601),
    (1.0, 0.01, 1, 1e-6, 0.363948),
    (1.0, 0.5, 1, 1e-5, 3.533998),
    (0.3, 1.0, 1, 1e-5, 19.13077),
    (5.0, 1.0, 1, 1e-12, 1.324111),
]


def steps(sigma: float, q: float, count: int) -> dp.Event:
    return dp.Repeated(dp.PoissonSampled(q, dp.Gaussian(sigma)), count)


@pytest.mark.parametrize("row", PRINTED)
def test_printed_references(row: tuple[float, float, int, float, float, float, float]) -> None:
    sigma, q, count, delta, pld, rdp, prv = row
    ours = dp.epsilon(steps(sigma, q, count), delta=delta, relation=ADD)
    assert pld * (1 - 4e-4) <= ours <= pld * 1.005  # theirs is an upper bound, rounded to four digits, too
    assert ours <= min(rdp, prv)


@pytest.mark.parametrize(("sigma", "q", "count", "delta", "exact"), EXACT)
def test_exact_values_are_met_from_above(sigma: float, q: float, count: int, delta: float, exact: float) -> None:
    ours = dp.epsilon(steps(sigma, q, count), delta=delta, relation=ADD)
    assert exact - 5e-6 <= ours <= exact * (1 + 2e-5)


@pytest.mark.parametrize(("sigma", "delta"), [(0.3, 1e-5), (1.0, 1e-6), (5.0, 1e-12), (0.08, 1e-5), (40.0, 1e-3)])
def test_the_closed_form_at_high_precision(sigma: float, delta: float) -> None:
    """Balle and Wang's theorem 8 in 200 bits: our epsilon suffices, and a billionth less would not."""

    def exact_delta(epsilon: float) -> Any:
        with mp.workprec(200):
            a, b = 1 / (2 * mp.mpf(sigma)), mp.mpf(epsilon) * sigma
            return mp.ncdf(a - b) - mp.exp(epsilon) * mp.ncdf(-a - b)

    ours = dp.epsilon(dp.Gaussian(sigma), delta=delta, relation=ADD)
    assert exact_delta(ours) <= delta
    assert exact_delta(ours * (1 - 1e-8)) > delta or ours == 0


def test_opacus_prv_agrees() -> None:
    """Opacus returns an upper bound with an error of 0.01; we lie below it and above its lower bound."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from opacus.accountants import PRVAccountant

        for sigma, q, count, delta, *_ in (PRINTED[0], PRINTED[2], PRINTED[11]):
            accountant = PRVAccountant()
            accountant.history = [(sigma, q, count)]
            theirs = accountant.get_epsilon(delta, eps_error=0.01)
            ours = dp.epsilon(steps(sigma, q, count), delta=delta, relation=ADD)
            assert theirs - 0.0201 <= ours <= theirs


@pytest.mark.parametrize(("sigma", "q", "count", "delta"), [(1.0, 0.01, 1000, 1e-5), (4.05, 0.1365, 280, 1e-5)])
def test_above_a_rigorous_lower_bound(sigma: float, q: float, count: int, delta: float) -> None:
    """dp_accounting's *optimistic* discretisation of the same events, which shares no code with ours."""
    from dp_accounting.pld import privacy_loss_distribution as pld

    one = pld.from_gaussian_mechanism(sigma, sampling_prob=q, pessimistic_estimate=False, use_connect_dots=False)
    lower = one.self_compose(count).get_epsilon_for_delta(delta)
    ours = dp.epsilon(steps(sigma, q, count), delta=delta, relation=ADD)
    assert lower <= ours <= lower + 2e-4 * count


# Printed in a survey of tools (2026-11-23): events, delta, relation, and the tightest value that any tool or formula gave.
OTHERS: dict[str, tuple[list[dp.Event], float, dp.Relation, float]] = {
    "laplace 100": ([dp.Repeated(dp.Laplace(10.0), 100)], 1e-6, ADD, 4.6927),
    "laplace 1": ([dp.Laplace(1.0)], 1e-6, ADD, 0.999998),
    "discrete gaussian 1": ([dp.DiscreteGaussian(1.0)], 1e-6, ADD, 4.4996),
    "discrete gaussian 3": ([dp.DiscreteGaussian(3.0)], 1e-6, ADD, 1.4549),
    "pure": ([dp.Repeated(dp.PureDP(0.1), 100)], 1e-6, ADD, 4.7746),
    "three kinds of steps": (
        [steps(1.0, 0.01, 1000), steps(2.0, 0.02, 500), steps(0.8, 0.005, 2000)],
        1e-5,
        ADD,
        2.9072,
    ),
    "mixed": ([steps(1.0, 0.01, 500), dp.Gaussian(4.0), dp.Repeated(dp.Laplace(20.0), 10)], 1e-6, ADD, 2.0087),
    "mixed with claims": (
        [
            steps(1.0, 0.01, 500),
            dp.Gaussian(4.0),
            dp.Repeated(dp.Laplace(20.0), 10),
            dp.Repeated(dp.PureDP(0.1), 5),
            dp.ApproximateDP(0.2, 1e-8),
        ],
        1e-6,
        ADD,
        2.3539,
    ),
    "replaced": ([steps(1.0, 0.01, 1000)], 1e-5, REPLACE, 2.8434),
    "apart": ([dp.Gaussian(1.0)], 1e-6, REPLACE, 10.9972),
    "tiny delta": ([steps(1.0, 0.01, 1000)], 1e-15, ADD, 4.8546),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_printed_references(name: str) -> None:
    events, delta, relation, printed = OTHERS[name]
    for order in (events, events[::-1]):
        assert printed * (1 - 1e-4) <= dp.epsilon(order, delta=delta, relation=relation) <= printed * 1.005


def test_bounded_range_is_better_than_what_the_claim_alone_says() -> None:
    """100 exponential mechanisms of 0.1: pure DP 4.7746, zCDP of the claim 5.2215, bounded range 2.4191 or less."""
    assert 2.3 < dp.epsilon(dp.Repeated(dp.BoundedRange(0.1), 100), delta=1e-6, relation=ADD) <= 2.4191 * 1.005


def test_other_references() -> None:
    # Under replace-one neighbours are twice the norm apart.
    assert dp.epsilon(dp.Gaussian(1.0), delta=1e-6, relation=REPLACE) == dp.epsilon(
        dp.Gaussian(0.5), delta=1e-6, relation=ADD
    )
    # Where Opacus says -0.095.
    assert dp.epsilon(steps(10.0, 0.01, 1), delta=0.1, relation=ADD) == 0
    # The sum of two adaptive clipping halves equals the whole (Andrew et al. 2021): 1/z_delta^2 + 1/(2 sigma_b)^2.
    z_delta = 1 / math.sqrt(1 - 1 / 20**2)
    assert dp.epsilon([dp.Gaussian(z_delta), dp.Gaussian(20.0)], delta=1e-5, relation=ADD) == pytest.approx(4.377178)


def test_special_cases() -> None:
    for relation in (ADD, REPLACE):
        assert dp.epsilon([], delta=1e-5, relation=relation) == 0
        assert dp.epsilon(dp.Repeated(dp.Gaussian(1.0), 0), delta=1e-5, relation=relation) == 0
        assert dp.epsilon(dp.Gaussian(0.0), delta=1e-5, relation=relation) == math.inf
        assert dp.epsilon(steps(0.0, 0.01, 1), delta=1e-5, relation=relation) == math.inf
        assert dp.epsilon([dp.Gaussian(0.0), dp.Gaussian(1.0)], delta=1e-5, relation=relation) == math.inf
        assert dp.epsilon(dp.Gaussian(1e-3), delta=1e-5, relation=relation) == math.inf
        assert dp.epsilon(steps(0.02, 1e-4, 1), delta=1e-5, relation=relation) == math.inf
        assert dp.epsilon(dp.Gaussian(1.0), delta=1e-300, relation=relation) == math.inf


@pytest.mark.parametrize("delta", [0.0, 1.0, -1e-5, math.nan, math.inf])
def test_bad_deltas_are_refused(delta: float) -> None:
    with pytest.raises(UsageError, match="delta is"):
        dp.epsilon(dp.Gaussian(1.0), delta=delta, relation=ADD)


def test_unknown_things_are_refused() -> None:
    unknown: Any = "gaussian"
    with pytest.raises(UsageError, match="relation is"):
        dp.epsilon(dp.Gaussian(1.0), delta=1e-5, relation=unknown)
    with pytest.raises(UsageError, match="not an event"):
        dp.epsilon([unknown], delta=1e-5, relation=ADD)


def test_counts_are_not_ignored() -> None:
    """dp_accounting 0.6 drops `count` for one mechanism: ours must grow like the list written out."""
    for single in (dp.Gaussian(9.0), dp.PoissonSampled(0.05, dp.Gaussian(1.0))):
        written_out = dp.epsilon([single] * 40, delta=1e-5, relation=ADD)
        assert dp.epsilon(dp.Repeated(single, 40), delta=1e-5, relation=ADD) == written_out
        assert written_out > 1.5 * dp.epsilon(single, delta=1e-5, relation=ADD)


def test_nesting_and_order_do_not_matter() -> None:
    a, b = dp.PoissonSampled(0.05, dp.Gaussian(1.2)), dp.Gaussian(6.0)
    nested = dp.Composed((dp.Repeated(dp.Composed((a, dp.Repeated(b, 2))), 5), a))
    flat = [*[b] * 10, *[a] * 6]
    assert dp.epsilon(nested, delta=1e-5, relation=ADD) == dp.epsilon(flat, delta=1e-5, relation=ADD)


def test_sampling_with_probability_one_is_no_sampling() -> None:
    for relation in (ADD, REPLACE):
        assert dp.epsilon(steps(2.0, 1.0, 3), delta=1e-5, relation=relation) == dp.epsilon(
            [dp.Gaussian(2.0)] * 3, delta=1e-5, relation=relation
        )


def test_equal_events_written_differently_are_counted_together() -> None:
    both = [dp.Gaussian(2.0), dp.PoissonSampled(1.0, dp.Gaussian(2.0))]
    assert dp.epsilon(both, delta=1e-5, relation=ADD) == dp.epsilon([dp.Gaussian(2.0)] * 2, delta=1e-5, relation=ADD)


@settings(max_examples=8, deadline=None)
@given(
    sigma=st.floats(0.6, 8.0),
    q=st.floats(0.005, 0.9),
    count=st.integers(1, 300),
    delta=st.sampled_from([1e-4, 1e-6, 1e-9]),
    relation=st.sampled_from([ADD, REPLACE]),
)
def test_epsilon_moves_the_right_way(sigma: float, q: float, count: int, delta: float, relation: dp.Relation) -> None:
    base = dp.epsilon(steps(sigma, q, count), delta=delta, relation=relation)
    slack = 1 + 1e-3
    assert 0 <= base < math.inf
    assert dp.epsilon(steps(sigma * 1.1, q, count), delta=delta, relation=relation) <= base * slack
    assert dp.epsilon(steps(sigma, q * 0.9, count), delta=delta, relation=relation) <= base * slack
    assert dp.epsilon(steps(sigma, q, count + 1), delta=delta, relation=relation) * slack >= base
    assert dp.epsilon(steps(sigma, q, count), delta=delta * 2, relation=relation) <= base * slack
    assert base <= dp.epsilon(steps(sigma, 1.0, count), delta=delta, relation=relation) * slack
    assert base <= dp.epsilon(steps(sigma, q, count), delta=delta, relation=REPLACE) * slack


def test_repeated_questions_are_cached() -> None:
    event = steps(1.1, 0.013, 700)
    dp.epsilon(event, delta=1e-5, relation=ADD)
    hits = accounting.bound.cache_info().hits
    dp.epsilon([event], delta=1e-5, relation=ADD)
    assert accounting.bound.cache_info().hits == hits + 1
