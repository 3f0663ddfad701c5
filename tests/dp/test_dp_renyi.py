"""Renyi curves against integration and enumeration, against dp-accounting, and against copies that are wrong."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reticent import dp
from reticent.dp.accounting import LARGEST_EPSILON
from reticent.dp.accounting.moments import mechanism_moments
from reticent.dp.accounting.renyi import ORDERS_VERSION
from reticent.errors import UsageError

ADD: dp.Relation = "add_or_remove_one"
REPLACE: dp.Relation = "replace_one"
ORDERS = dp.RENYI_ORDERS
SOME = np.searchsorted(ORDERS, [1.03, 1.5, 2.0, 3.3, 8.0, 20.0, 60.0])


def log_sum(exponents: Any) -> float:
    top = float(np.max(exponents))
    return top + math.log(math.fsum(np.exp(exponents - top)))


def renyi(first: Any, second: Any, order: float) -> float:
    """Return the Renyi divergence of two lists of log-probabilities."""
    return log_sum(order * first + (1 - order) * second) / (order - 1)


def both_ways(first: Any, second: Any, order: float) -> float:
    return max(renyi(first, second, order), renyi(second, first, order))


def spent(events: Any, delta: float, relation: dp.Relation = ADD) -> float:
    return dp.renyi_epsilon(dp.renyi_curve(events, relation=relation), delta=delta)


def test_the_orders_are_frozen() -> None:
    """Ledgers hold curves at these orders: whoever changes them gives them a new name."""
    text = ",".join(f"{order:.12g}" for order in ORDERS)
    assert (ORDERS_VERSION, len(ORDERS)) == ("1", 233)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "64063a066a5f30ec"
    assert np.all(np.diff(ORDERS) > 0)
    with pytest.raises(ValueError, match="read-only"):
        ORDERS[0] = 2.0


POINTS = np.arange(-900, 901)


def noise(width: float, kind: str, shift: int = 0) -> Any:
    """Return log-probabilities of integer noise around `shift`."""

    def law(x: Any) -> Any:
        return -np.abs(x) / width if kind == "laplace" else -x * x / (2 * width * width)

    return law(POINTS - float(shift)) - log_sum(law(POINTS.astype(float)))


def mixed(q: float, one: Any, other: Any) -> Any:
    return np.logaddexp(math.log1p(-q) + one, math.log(q) + other)


@pytest.mark.parametrize(("relation", "apart"), [(ADD, 1), (REPLACE, 2)])
@pytest.mark.parametrize("shift", [1, 3])
def test_curves_of_noise(relation: dp.Relation, apart: int, shift: int) -> None:
    """Exact for discrete Laplace, above and close for discrete Gaussians; half the distance is below the truth."""
    for width in (1.0, 5.0):
        exact = np.array(
            [both_ways(noise(width, "laplace"), noise(width, "laplace", apart * shift), a) for a in ORDERS[SOME]]
        )
        ours = dp.renyi_curve(dp.DiscreteLaplace(width, shift), relation=relation)[SOME]
        assert np.all(ours >= exact * (1 - 1e-9))
        assert ours == pytest.approx(exact, rel=1e-8)
        exact = np.array(
            [both_ways(noise(width, "gauss"), noise(width, "gauss", apart * shift), a) for a in ORDERS[SOME]]
        )
        ours = dp.renyi_curve(dp.DiscreteGaussian(width, shift), relation=relation)[SOME]
        assert np.all(ours >= exact * (1 - 1e-9))
        assert ours == pytest.approx(exact, rel=1e-3)
        if relation == REPLACE:
            assert np.all(dp.renyi_curve(dp.DiscreteGaussian(width, shift), relation=ADD)[SOME] < 0.3 * exact)
    gaussian = dp.renyi_curve(dp.Gaussian(2.0), relation=relation)
    assert gaussian == pytest.approx(ORDERS * apart**2 / 8, rel=1e-11)


def test_laplace_by_quadrature() -> None:
    """Midpoint sums of 4e5 cells for a shift of 2; relative error below 1e-8."""
    x = np.linspace(-40, 42, 400_001)
    middle, width = (x[1:] + x[:-1]) / 2, x[1] - x[0]
    for order in (1.5, 3.0, 6.0):
        loss = np.abs(middle - 2) - np.abs(middle)
        exact = math.log(float((np.exp(-np.abs(middle) + (order - 1) * loss) / 2).sum() * width)) / (order - 1)
        ours = mechanism_moments(dp.Laplace(0.5), ADD, np.array([order]))[0] / (order - 1)
        assert ours == pytest.approx(exact, rel=1e-7)


@pytest.mark.parametrize("categories", [2, 7])
@pytest.mark.parametrize("flip", [0.2, 0.9])
def test_randomized_response_is_enumerated(categories: int, flip: float) -> None:
    first = np.full(categories, flip / categories)
    second = first.copy()
    first[0] += 1 - flip
    second[1] += 1 - flip
    first, second = np.log(first), np.log(second)
    curve = dp.renyi_curve(dp.RandomizedResponse(flip, categories), relation=REPLACE)
    assert curve[SOME] == pytest.approx([renyi(first, second, a) for a in ORDERS[SOME]], rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0.001, 1.0), min_size=2, max_size=6),
    st.lists(st.floats(0.001, 1.0), min_size=6, max_size=6),
)
def test_claims_cover_every_mechanism_of_which_they_hold(weights: list[float], others: list[float]) -> None:
    first = np.array(weights) / sum(weights)
    second = np.array(others[: len(weights)]) / sum(others[: len(weights)])
    first, second = np.log(first), np.log(second)
    ratios = first - second
    exact = np.array([both_ways(first, second, a) for a in ORDERS[SOME]])
    pure = dp.renyi_curve(dp.PureDP(float(np.abs(ratios).max())), relation=ADD)
    ranged = dp.renyi_curve(dp.BoundedRange(float(np.ptp(ratios))), relation=ADD)
    assert np.all(pure[SOME] >= exact - 1e-12)
    assert np.all(ranged[SOME] >= exact - 1e-12)


def test_claims_are_tight_and_below_their_concentrated_bounds() -> None:
    """epsilon^2 / 2 for pure claims, epsilon^2 / 8 for bounded ranges (Cesar and Rogers 2021), times the order."""
    for epsilon in (0.01, 0.5, 3.0, 20.0):
        pure = dp.renyi_curve(dp.PureDP(epsilon), relation=ADD)
        ranged = dp.renyi_curve(dp.BoundedRange(epsilon), relation=ADD)
        assert np.all(pure <= ORDERS * epsilon**2 / 2 * (1 + 1e-9) + 1e-15)
        assert np.all(ranged <= ORDERS * epsilon**2 / 8 * (1 + 1e-9) + 1e-15)
        assert np.all(ranged <= pure * (1 + 1e-9))
        assert np.all(np.maximum(pure, ranged) <= epsilon * (1 + 1e-9))
        # Each is reached by a mechanism of two outputs.
        answer = np.array([epsilon, 0.0]) - np.logaddexp(0.0, epsilon)
        assert pure[SOME] == pytest.approx([renyi(answer, answer[::-1], a) for a in ORDERS[SOME]], rel=1e-7)
        for index in SOME:
            t = np.linspace(0, epsilon, 2001)[1:-1]
            low = np.log(np.expm1(t) / math.expm1(epsilon))
            high = np.log1p(-np.exp(low))
            moments = np.logaddexp(high + (ORDERS[index] - 1) * t, low + (ORDERS[index] - 1) * (t - epsilon))
            exact = float(moments.max()) / (ORDERS[index] - 1)
            assert ranged[index] == pytest.approx(exact, rel=2e-3)
            assert ranged[index] >= exact * (1 - 1e-9)


def test_a_pure_claim_is_not_a_bounded_range() -> None:
    """Broken copy: epsilon^2 / 8 for a pure claim. Randomized response spends four times as much."""
    event = dp.Repeated(dp.PureDP(0.1), 100)
    answers = dp.epsilon(event, delta=1e-6, relation=ADD)
    assert answers == pytest.approx(4.7746, rel=1e-4)
    assert spent(dp.Repeated(dp.BoundedRange(0.1), 100), 1e-6) < 0.51 * answers
    assert answers <= spent(event, 1e-6) <= 5.2215  # generic concentrated privacy, published
    assert 2.2 < spent(dp.Repeated(dp.BoundedRange(0.1), 100), 1e-6) <= 2.4191


def mixture(sigma: float, q: float, order: float, *, removing: bool) -> float:
    """Return the divergence of the sampled Gaussian by a fine midpoint sum, in logarithms."""
    width = (order + 28 * sigma) / 20_000
    x = -14 * sigma + width * (np.arange(20_000) + 0.5)
    base = -x * x / (2 * sigma**2) - math.log(sigma * math.sqrt(2 * math.pi)) + math.log(width)
    ratio = np.logaddexp(math.log1p(-q), math.log(q) + (x - 0.5) / sigma**2)
    return log_sum(base + (order if removing else 1 - order) * ratio) / (order - 1)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("q", [1e-3, 0.1, 0.7])
def test_sampled_gaussians_by_quadrature(sigma: float, q: float) -> None:
    curve = dp.renyi_curve(dp.PoissonSampled(q, dp.Gaussian(sigma)), relation=ADD)
    for index in SOME:
        exact = mixture(sigma, q, ORDERS[index], removing=True)
        assert exact * (1 - 1e-7) - 1e-14 <= curve[index] <= exact * (1 + 1e-6) + 1e-13 / (ORDERS[index] - 1) + 1e-11
        assert curve[index] >= mixture(sigma, q, ORDERS[index], removing=False) * (1 - 1e-7) - 1e-14
    if sigma <= 1:  # broken copy: adding a unit only
        assert mixture(sigma, q, ORDERS[SOME[-1]], removing=False) < 0.99 * curve[SOME[-1]]


@pytest.mark.parametrize("q", [0.05, 0.5])
@pytest.mark.parametrize(("event", "kind"), [(dp.DiscreteLaplace(1.5), "laplace"), (dp.DiscreteGaussian(1.5), "gauss")])
def test_sampled_integer_noise_is_enumerated(event: Any, kind: str, q: float) -> None:
    """Under both relations, Poisson and of a fixed size; the curve of the wrong relation is below the truth."""
    base, up, down = (noise(1.5, kind, shift) for shift in (0, 1, -1))
    adding = dp.renyi_curve(dp.PoissonSampled(q, event), relation=ADD)
    replacing = dp.renyi_curve(dp.PoissonSampled(q, event), relation=REPLACE)
    fixed = dp.renyi_curve(dp.SampledWithoutReplacement(20, round(20 * q), event), relation=REPLACE)
    twice = noise(1.5, kind, 2)
    for index in SOME[:6]:
        order = ORDERS[index]
        exact = both_ways(mixed(q, base, up), base, order)
        assert exact * (1 - 1e-9) <= adding[index]
        if order >= 2:
            assert adding[index] <= exact * 1.2 + 1e-9
        exact = both_ways(mixed(q, base, up), mixed(q, base, down), order)
        assert adding[index] < exact * (1 - 1e-9) <= replacing[index] <= exact * 2.5 + 1e-9
        exact = both_ways(mixed(q, base, twice), base, order)  # all others at the other end
        assert exact * (1 - 1e-9) <= fixed[index] <= exact * 1.7 + 1e-9


def test_sampled_and_replaced_gaussians_by_quadrature() -> None:
    for sigma, q in ((1.0, 0.01), (2.0, 0.3)):
        curve = dp.renyi_curve(dp.PoissonSampled(q, dp.Gaussian(sigma)), relation=REPLACE)
        for index in SOME[:5]:
            order = ORDERS[index]
            width = (order + 14 * sigma) / 20_000
            x = width * (np.arange(-20_000, 20_000) + 0.5)
            base = -x * x / (2 * sigma**2) - math.log(sigma * math.sqrt(2 * math.pi)) + math.log(width)
            one, other = (np.logaddexp(math.log1p(-q), math.log(q) + (s * x - 0.5) / sigma**2) for s in (1, -1))
            exact = log_sum(base + order * one + (1 - order) * other) / (order - 1)
            assert exact * (1 - 1e-7) <= curve[index] <= exact * 1.01 + 1e-11


def test_sampling_never_costs_more_than_no_sampling() -> None:
    for mechanism in (
        dp.Gaussian(1.0),
        dp.Laplace(1.0),
        dp.DiscreteGaussian(2.0, 2.0, 3),
        dp.PureDP(0.5),
        dp.BoundedRange(1.0),
    ):
        for relation in (ADD, REPLACE):
            whole = dp.renyi_curve(mechanism, relation=relation)
            last = np.zeros(len(ORDERS))
            for q in (1e-4, 0.01, 0.5, 0.999, 1.0):
                curve = dp.renyi_curve(dp.PoissonSampled(q, mechanism), relation=relation)
                if not isinstance(mechanism, dp.BoundedRange):
                    assert np.all(curve <= whole * (1 + 1e-9) + 1e-12)
                assert np.all(curve >= last * 0.98 - 1e-12)  # where cells are wide, bounds are not quite monotone
                last = curve


# sigma, q, steps, delta, dp-accounting 0.6's Renyi answer: field notes, section 3.
PRINTED = [
    (1.3, 250 / 60_000, 3600, 1e-5, 0.9422),
    (4.05, 8192 / 60_000, 280, 1e-5, 2.5877),
    (3.0, 4096 / 50_000, 2468, 1e-5, 7.0458),
    (0.8, 0.001, 2000, 1e-7, 1.8117),
    (1.0, 1.0, 1, 1e-5, 4.7285),
    (50.0, 1.0, 1000, 1e-6, 3.1311),
    (1.0, 0.01, 1, 1e-6, 1.2121),
    (0.3, 0.01, 100, 1e-5, 32.0888),
    (1.0, 0.01, 1000, 1e-5, 2.1014),
    (1.0, 0.01, 1000, 1e-15, 5.2841),
]


@pytest.mark.parametrize(("sigma", "q", "steps", "delta", "theirs"), PRINTED)
def test_printed_values(sigma: float, q: float, steps: int, delta: float, theirs: float) -> None:
    event = dp.Repeated(dp.PoissonSampled(q, dp.Gaussian(sigma)), steps)
    ours = spent(event, delta)
    assert dp.epsilon(event, delta=delta, relation=ADD) <= ours <= theirs * 1.01


def test_a_mixture_of_events_adds_up() -> None:
    events = [
        dp.Repeated(dp.PoissonSampled(0.01, dp.Gaussian(1.0)), 500),
        dp.Gaussian(4.0),
        dp.Repeated(dp.Laplace(20.0), 10),
    ]
    assert spent(events, 1e-6) == pytest.approx(2.3274, rel=5e-3)
    parts = sum(dp.renyi_curve(event, relation=ADD) for event in events)
    assert dp.renyi_curve(dp.Composed(tuple(events)), relation=ADD) == pytest.approx(parts, rel=1e-9)


def test_a_fixed_size_is_between_a_real_leak_and_the_published_bound() -> None:
    """dp-accounting (Wang, Balle, Kasiviswanathan 2019): 5.2433 at 1.1 of the distance under replacing, 2.2 here."""
    fixed = dp.Repeated(dp.SampledWithoutReplacement(60_000, 256, dp.Gaussian(2.2)), 14_062)
    leak = dp.Repeated(dp.PoissonSampled(256 / 60_000, dp.Gaussian(1.1)), 14_062)
    assert dp.epsilon(leak, delta=1e-5, relation=ADD) <= spent(fixed, 1e-5, REPLACE) < 5.2433
    # Broken copy: neighbours one norm apart claim less than what leaks.
    forgetful = dp.Repeated(dp.SampledWithoutReplacement(60_000, 256, dp.Gaussian(4.4)), 14_062)
    assert spent(forgetful, 1e-5, REPLACE) < dp.epsilon(leak, delta=1e-5, relation=ADD)


def test_no_bound_is_infinite_never_small() -> None:
    for event in (
        dp.Gaussian(0.0),
        dp.Laplace(0.0),
        dp.DiscreteGaussian(0.0),
        dp.DiscreteLaplace(0.0),
        dp.ApproximateDP(0.1, 1e-9),
        dp.PoissonSampled(0.5, dp.Gaussian(0.0)),
        dp.PoissonSampled(0.5, dp.ApproximateDP(0.1, 1e-9)),
    ):
        for relation in (ADD, REPLACE):
            curve = dp.renyi_curve(event, relation=relation)
            assert np.all(np.isinf(curve)), event
            assert dp.renyi_epsilon(curve, delta=1e-5) == math.inf
    assert np.all(np.isinf(dp.renyi_curve(dp.RandomizedResponse(0.0), relation=REPLACE)))
    assert np.all(dp.renyi_curve([], relation=ADD) == 0)
    assert dp.renyi_epsilon(np.zeros(len(ORDERS)), delta=1e-5) == 0
    for wrong in (np.zeros(3), -np.ones(len(ORDERS)), np.full(len(ORDERS), math.nan)):
        with pytest.raises(UsageError, match="a Renyi curve"):
            dp.renyi_epsilon(wrong, delta=1e-5)


@settings(max_examples=10, deadline=None)
@given(
    sigma=st.floats(0.5, 5.0), q=st.floats(0.001, 0.5), steps=st.integers(1, 2000), delta=st.sampled_from([1e-4, 1e-8])
)
def test_it_is_above_the_loss_distribution(sigma: float, q: float, steps: int, delta: float) -> None:
    event = dp.Repeated(dp.PoissonSampled(q, dp.Gaussian(sigma)), steps)
    tight = dp.epsilon(event, delta=delta, relation=ADD)
    assert spent(event, delta) >= min(tight, LARGEST_EPSILON) * (1 - 1e-6)
