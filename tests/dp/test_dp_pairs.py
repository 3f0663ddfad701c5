"""Dominating pairs against enumeration of the mechanisms they stand for, published values, and copies that are wrong.

The oracle is independent: probabilities of all outputs on two neighbouring data sets, and sup_S P(S) - e^t Q(S) as a
sum of positive parts. Nothing of `reticent.dp.accounting` enters it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reticent import dp
from reticent.dp.accounting import pairs_of
from reticent.dp.accounting.pairs_claims import BoundedRangePair, RenyiPair, joined
from reticent.dp.accounting.pairs_fixed_size import Exchanged
from reticent.dp.accounting.pairs_lattice import DiscreteGaussianPair, smoothed
from reticent.errors import UsageError

ADD: dp.Relation = "add_or_remove_one"
REPLACE: dp.Relation = "replace_one"
LOSSES = np.linspace(-5.0, 5.0, 201)
EVENTS = np.arange(-600, 601)


def divergence(first: Any, second: Any, losses: Any = LOSSES) -> Any:
    """Return sup_S P(S) - e^t Q(S) of two lists of probabilities, at each t."""
    return np.array([np.maximum(first - math.exp(t) * second, 0).sum() for t in losses])


def integers(law: Callable[[Any], Any], shift: int = 0) -> Any:
    weights = law(np.abs(EVENTS - shift).astype(float))
    return weights / law(np.abs(EVENTS).astype(float)).sum()


def discrete_gaussian(sigma: float) -> Callable[[Any], Any]:
    return lambda x: np.exp(-x * x / (2 * sigma * sigma))


def discrete_laplace(scale: float) -> Callable[[Any], Any]:
    return lambda x: np.exp(-x / scale)


def claimed(event: dp.Single, relation: dp.Relation, losses: Any = LOSSES) -> Any:
    """Return the larger of the two directions."""
    return np.max([pair.deltas(losses) for pair in pairs_of(event, relation)], axis=0)


@pytest.mark.parametrize("shift", [1, 2, 7])
@pytest.mark.parametrize("width", [0.4, 1.0, 3.0, 12.0])
@pytest.mark.parametrize(("relation", "apart"), [(ADD, 1), (REPLACE, 2)])
def test_integer_noise_has_exactly_the_divergence_of_its_outputs(
    shift: int, width: float, relation: dp.Relation, apart: int
) -> None:
    """Under replace-one neighbours are twice the norm apart: a copy that forgets it is below the truth."""
    for law, event in (
        (discrete_gaussian(width), dp.DiscreteGaussian(width, shift)),
        (discrete_laplace(width), dp.DiscreteLaplace(width, shift)),
    ):
        exact = divergence(integers(law), integers(law, apart * shift))
        ours = claimed(event, relation)
        assert np.all(ours >= exact - 1e-14)
        assert np.all(ours <= exact + 1e-13)
        if relation == REPLACE and width >= 1:
            assert np.any(claimed(event, ADD) < exact - 1e-3)


@pytest.mark.parametrize("apart", [1, 3])
def test_smaller_contributions_are_covered_by_the_largest(apart: int) -> None:
    for width in (0.5, 2.0):
        for law, event in (
            (discrete_gaussian(width), dp.DiscreteGaussian(width, 4)),
            (discrete_laplace(width), dp.DiscreteLaplace(width, 4)),
        ):
            assert np.all(claimed(event, ADD) >= divergence(integers(law), integers(law, apart)) - 1e-15)


@pytest.mark.parametrize("parts", [(1, 1), (3, 1), (2, 2), (1, 1, 2), (5, 3)])
@pytest.mark.parametrize("scale", [0.5, 1.0, 4.0])
def test_one_coordinate_of_discrete_laplace_dominates_many_of_the_same_l1_norm(
    parts: tuple[int, ...], scale: float
) -> None:
    """The lemma in `pairs_discrete`, by enumerating all outputs in two and three coordinates."""
    reach = {2: 160, 3: 45}[len(parts)] if scale > 1 else 40
    points = np.arange(-reach, reach + 1)
    first, second = np.ones(1), np.ones(1)
    for shift in parts:
        law = np.exp(-np.abs(points) / scale) / np.exp(-np.abs(EVENTS) / scale).sum()
        moved = np.exp(-np.abs(points - shift) / scale) / np.exp(-np.abs(EVENTS) / scale).sum()
        first, second = np.outer(first, law).ravel(), np.outer(second, moved).ravel()
    losses = np.linspace(-sum(parts) / scale, sum(parts) / scale, 23)
    many = divergence(first, second, losses)
    one = claimed(dp.DiscreteLaplace(scale, sum(parts)), ADD, losses)
    assert np.all(one >= many - 1e-14)
    assert np.any(one > many + 1e-3)  # and is not equal to it


@pytest.mark.parametrize("parts", [(1.0, 1.0), (2.0, 0.3), (0.5, 0.25), (3.0, 3.0)])
def test_one_coordinate_of_laplace_dominates_many_of_the_same_l1_norm(parts: tuple[float, float]) -> None:
    """The divergence of two coordinates is E[h(t - loss)] over one of them: quadrature, error below 1e-6."""
    first, second = parts
    total = first + second

    def one(t: Any, shift: float) -> Any:
        inside = -np.expm1(np.minimum(t - shift, 0) / 2)
        return np.where(t < -shift, -np.expm1(np.minimum(t, 0)), inside)

    z = (np.arange(20_000) + 0.5) / 20_000 * second
    for t in np.linspace(-total, total, 21):
        two = 0.5 * one(t - second, first) + math.exp(-second) / 2 * one(t + second, first)
        two += (np.exp(-z) / 2 * one(t - (second - 2 * z), first)).mean() * second
        assert claimed(dp.Laplace(1 / total), ADD, np.array([t]))[0] >= two - 1e-6


def test_the_wide_and_the_many_dimensional_discrete_gaussian() -> None:
    """Smoothing is above the exact divergence, and close to it where both exist."""
    for sigma, shift in ((4.0, 3), (30.0, 20), (40.0, 60)):
        exact = divergence(integers(discrete_gaussian(sigma)), integers(discrete_gaussian(sigma), shift))
        ours = smoothed(sigma, shift, 1).deltas(LOSSES)
        assert np.all(ours >= exact - 1e-14)
        assert np.all(ours <= exact * (1 + 60 / sigma**2) + 20 / sigma**2)
    # Two coordinates, enumerated.
    law = integers(discrete_gaussian(4.0))[560:641]
    moved = integers(discrete_gaussian(4.0), 3)[560:641]
    for other in (integers(discrete_gaussian(4.0), 4)[560:641], law):
        exact = divergence(np.outer(law, law).ravel(), np.outer(moved, other).ravel())
        norm = 5.0 if other is not law else 3.0
        assert np.all(claimed(dp.DiscreteGaussian(4.0, norm, 2), ADD) >= exact - 1e-12)
        assert np.all(claimed(dp.DiscreteGaussian(3.9, norm, 2), ADD) >= exact - 1e-12)  # by its Renyi curve
    assert dp.epsilon(dp.DiscreteGaussian(2.0**20, 2.0**20, 10**7), delta=1e-6, relation=ADD) == pytest.approx(
        dp.epsilon(dp.Gaussian(1.0), delta=1e-6, relation=ADD), rel=1e-6
    )
    summed = DiscreteGaussianPair(4000.0, 4000).deltas(LOSSES)
    assert np.abs(smoothed(4000.0, 4000, 1).deltas(LOSSES) / summed - 1).max() < 1e-4


@pytest.mark.parametrize("categories", [2, 3, 10])
@pytest.mark.parametrize("flip", [0.1, 0.5, 0.9, 1.0])
def test_randomized_response_is_enumerated(categories: int, flip: float) -> None:
    first = np.full(categories, flip / categories)
    second = first.copy()
    first[0] += 1 - flip
    second[1] += 1 - flip
    ours = claimed(dp.RandomizedResponse(flip, categories), REPLACE)
    exact = divergence(first, second)
    assert np.all(ours >= exact - 1e-14)
    assert np.all(ours <= exact + 1e-13)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0.0, 1.0), min_size=2, max_size=6).filter(lambda w: sum(w) > 0),
    st.lists(st.floats(0.01, 1.0), min_size=6, max_size=6),
    st.floats(0.0, 0.2),
)
def test_claims_dominate_every_mechanism_of_which_they_hold(
    weights: list[float], others: list[float], delta: float
) -> None:
    """Random mechanisms of up to six outputs, each claimed at the smallest numbers that are true of it."""
    first = np.array(weights) / sum(weights)
    second = np.array(others[: len(weights)]) / sum(others[: len(weights)])
    pure = first + 0.01
    first, second = pure / pure.sum(), (second + 0.01) / (second + 0.01).sum()
    ratios = np.log(first / second)
    exact = divergence(first, second)
    assert np.all(claimed(dp.PureDP(float(np.abs(ratios).max())), ADD) >= exact - 1e-14)
    assert np.all(claimed(dp.BoundedRange(float(np.ptp(ratios)) + 1e-12), REPLACE) >= exact - 1e-14)
    curve = np.array(dp.RENYI_ORDERS)
    with np.errstate(over="ignore"):
        forth = np.log(np.exp((curve[:, None] - 1) * ratios) @ first) / (curve - 1)
        back = np.log(np.exp((1 - curve[:, None]) * ratios) @ second) / (curve - 1)
    assert np.all(RenyiPair(np.maximum(np.maximum(forth, back), 0) + 1e-13).deltas(LOSSES) >= exact - 1e-13)
    # An outright release with probability delta on top.
    shown = divergence(np.append((1 - delta) * first, [delta, 0]), np.append((1 - delta) * second, [0, delta]))
    assert np.all(claimed(dp.ApproximateDP(float(np.abs(ratios).max()), delta), ADD) >= shown - 1e-14)


def half_range(epsilon: float) -> Any:
    """Broken copy: a range of epsilon taken for losses within epsilon / 2 on both sides."""
    return pairs_of(dp.PureDP(epsilon / 2), ADD)[0].deltas(LOSSES)


def test_a_bounded_range_is_not_half_a_pure_claim() -> None:
    """An exponential mechanism with one good candidate among many has a loss of nearly all of its range."""
    candidates = 1000
    first = np.append(math.e, np.ones(candidates))
    second = np.ones(candidates + 1)
    first, second = first / first.sum(), second / second.sum()
    exact = divergence(first, second)
    assert np.all(claimed(dp.BoundedRange(1.0), ADD) >= exact - 1e-14)
    assert np.any(half_range(1.0) < exact - 1e-6)
    # The supremum over t is attained: every loss has its t.
    for t in (0.3, 0.5, 0.8):
        low = (math.exp(t) - 1) / math.expm1(1.0)
        two_points = divergence(
            np.array([1 - low, low]), np.array([(1 - low) * math.exp(-t), low * math.exp(1 - t)]), np.array([2 * t - 1])
        )
        assert BoundedRangePair(1.0).deltas(np.array([2 * t - 1]))[0] == pytest.approx(two_points[0], rel=1e-9)


def subsets(population: int, size: int | None, q: float | None) -> list[tuple[tuple[int, ...], float]]:
    """Return all samples with their probabilities: of a fixed size, or Poisson."""
    if size is not None:
        chosen = list(itertools.combinations(range(population), size))
        return [(units, 1 / len(chosen)) for units in chosen]
    assert q is not None
    return [
        (units, q ** len(units) * (1 - q) ** (population - len(units)))
        for count in range(population + 1)
        for units in itertools.combinations(range(population), count)
    ]


def sampled_outputs(values: list[int], law: Callable[[Any], Any], size: int | None, q: float | None) -> Any:
    """Return the probabilities of a noised integer sum over a random sample."""
    out = np.zeros(len(EVENTS))
    for units, probability in subsets(len(values), size, q):
        out += probability * integers(law, sum(values[unit] for unit in units))
    return out


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("rest", [[0, 0, 0], [-1, -1, -1], [1, 0, -1]])
def test_samples_of_a_fixed_size_are_enumerated(size: int, rest: list[int]) -> None:
    """All data sets of four contributions in [-1, 1] with these three; one of them reaches the bound's halves."""
    for law, mechanism in (
        (discrete_gaussian(1.0), dp.DiscreteGaussian(1.0)),
        (discrete_laplace(1.5), dp.DiscreteLaplace(1.5)),
    ):
        ours = claimed(dp.SampledWithoutReplacement(4, size, mechanism), REPLACE)
        for one, other in itertools.permutations((-1, 0, 1), 2):
            first = sampled_outputs([one, *rest], law, size, None)
            second = sampled_outputs([other, *rest], law, size, None)
            exact = divergence(first, second)
            assert np.all(ours >= exact - 1e-14)
            if rest == [-1, -1, -1] and (one, other) == (1, -1):
                assert np.abs(ours - exact)[LOSSES >= 0].max() < 1e-12  # tight in this half, by this data set
                single = Exchanged(*pairs_of(mechanism, ADD) * 2, size / 4)
                assert np.any(single.deltas(LOSSES) < exact - 1e-3)  # broken copy: neighbours one norm apart


@pytest.mark.parametrize("q", [0.1, 0.5, 0.9])
def test_poisson_samples_are_enumerated(q: float) -> None:
    rest = [1, -1]
    for law, mechanism in (
        (discrete_gaussian(1.0), dp.DiscreteGaussian(1.0)),
        (discrete_laplace(1.5), dp.DiscreteLaplace(1.5)),
    ):
        without = sampled_outputs(rest, law, None, q)
        outputs = {value: sampled_outputs([value, *rest], law, None, q) for value in (-1, 0, 1)}
        removing, adding = pairs_of(dp.PoissonSampled(q, mechanism), ADD)
        for output in outputs.values():
            assert np.all(removing.deltas(LOSSES) >= divergence(output, without) - 1e-14)
            assert np.all(adding.deltas(LOSSES) >= divergence(without, output) - 1e-14)
        bare = sampled_outputs([], law, None, q), sampled_outputs([1], law, None, q)
        assert np.any(adding.deltas(LOSSES) < divergence(bare[1], bare[0]) - 1e-3)  # the wrong direction is too low
        ours = claimed(dp.PoissonSampled(q, mechanism), REPLACE)
        for one, other in itertools.permutations(outputs, 2):
            assert np.all(ours >= divergence(outputs[one], outputs[other]) - 1e-14)
        assert np.any(np.maximum(removing.deltas(LOSSES), adding.deltas(LOSSES)) < ours - 1e-3)  # the wrong relation


def test_a_claim_about_replacing_is_not_amplified_like_one_about_adding() -> None:
    """A mechanism that publishes how many units were sampled is (0, 0)-private under replacing."""
    q = 0.3
    # Two units of different value; the release is the sampled values with one bit each flipped at odds of e.
    keep = math.e / (1 + math.e)
    first = np.array([1 - q, q * keep, q * (1 - keep)])  # not sampled, answers 0 and 1
    second = np.array([1 - q, q * (1 - keep), q * keep])
    exact = divergence(first, second)
    assert np.abs(claimed(dp.PoissonSampled(q, dp.PureDP(1.0)), REPLACE) - exact).max() < 1e-12
    base = pairs_of(dp.PureDP(1.0), REPLACE)[0]
    assert np.any(Exchanged(base, base, q).deltas(LOSSES) < exact - 1e-2)  # broken copy: as if it were noise


@pytest.mark.parametrize(
    ("event", "relation"),
    [
        (dp.RandomizedResponse(0.5), ADD),
        (dp.PoissonSampled(0.1, dp.RandomizedResponse(0.5)), ADD),
        (dp.PoissonSampled(0.1, dp.RandomizedResponse(0.5)), REPLACE),
        (dp.SampledWithoutReplacement(10, 2, dp.RandomizedResponse(0.5)), REPLACE),
        (dp.SampledWithoutReplacement(10, 2, dp.Gaussian(1.0)), ADD),
    ],
)
def test_what_is_not_proven_is_refused_by_name(event: dp.Single, relation: dp.Relation) -> None:
    for refused in (
        lambda: dp.epsilon(event, delta=1e-5, relation=relation),
        lambda: dp.renyi_curve(event, relation=relation),
    ):
        with pytest.raises(UsageError, match=rf"no bound is proven for .*(Response|Without).*{relation}"):
            refused()


# Measured 2026-11-23 with dp-accounting 0.6.0 at its finest grid, or exact: field notes, section 3.
PUBLISHED: list[tuple[Any, float, dp.Relation, float]] = [
    (dp.Repeated(dp.Laplace(10.0), 100), 1e-6, ADD, 4.6927),
    (dp.Laplace(1.0), 1e-6, ADD, 0.999998),
    (dp.DiscreteGaussian(1.0), 1e-6, ADD, 4.4996),
    (dp.DiscreteGaussian(3.0), 1e-6, ADD, 1.4549),
    (dp.Repeated(dp.PureDP(0.1), 100), 1e-6, ADD, 4.7746),
    (
        [
            dp.Repeated(dp.PoissonSampled(0.01, dp.Gaussian(1.0)), 500),
            dp.Gaussian(4.0),
            dp.Repeated(dp.Laplace(20.0), 10),
        ],
        1e-6,
        ADD,
        2.0087,
    ),
    (
        [
            dp.Repeated(dp.PoissonSampled(0.01, dp.Gaussian(1.0)), 500),
            dp.Gaussian(4.0),
            dp.Repeated(dp.Laplace(20.0), 10),
            dp.Repeated(dp.PureDP(0.1), 5),
            dp.ApproximateDP(0.2, 1e-8),
        ],
        1e-6,
        ADD,
        2.3539,
    ),
]


@pytest.mark.parametrize(("events", "delta", "relation", "value"), PUBLISHED)
def test_published_values(events: Any, delta: float, relation: dp.Relation, value: float) -> None:
    assert value * (1 - 1e-4) <= dp.epsilon(events, delta=delta, relation=relation) <= value * (1 + 5e-3)


def test_counts_of_randomized_response_are_not_ignored() -> None:
    """dp-accounting 0.6 composed one by one gives 35.46; its `count=50` ignores the count and says 1.25."""
    once = dp.RandomizedResponse(0.8, 10)
    assert dp.epsilon(once, delta=1e-6, relation=REPLACE) == pytest.approx(1.2528, abs=1e-4)
    assert dp.epsilon(dp.Repeated(once, 50), delta=1e-6, relation=REPLACE) == pytest.approx(35.46, abs=5e-3)


def test_bounded_range_is_a_quarter_of_pure() -> None:
    """The tightest published bound is 2.4191 (epsilon^2 / 8 as concentrated privacy); pure composition gives 4.7746."""
    event = dp.Repeated(dp.BoundedRange(0.1), 100)
    assert 2.2 < dp.epsilon(event, delta=1e-6, relation=ADD) <= 2.4191
    # A mechanism of this kind: the worst fixed t. Its exact composition is binomial.
    t = 0.05
    high = 1 - math.expm1(t) / math.expm1(0.1)
    counts = np.arange(101)
    losses = counts * t + (100 - counts) * (t - 0.1)
    masses = np.array([math.comb(100, k) * high**k * (1 - high) ** (100 - k) for k in range(101)])

    def delta(epsilon: float) -> float:
        return float((masses * np.maximum(-np.expm1(epsilon - losses), 0)).sum())

    assert delta(dp.epsilon(event, delta=1e-6, relation=ADD)) <= 1e-6
    assert delta(1.9) > 1e-6


def test_a_group_composes_with_the_others() -> None:
    """The joined pair beside other events is above both the group alone and the sum of simple parts."""
    mixed = [dp.Repeated(dp.BoundedRange(0.1), 100), dp.Gaussian(4.0)]
    alone = dp.epsilon(mixed[0], delta=1e-6, relation=ADD)
    gaussian = dp.epsilon(mixed[1], delta=1e-6, relation=ADD)
    together = dp.epsilon(mixed, delta=2e-6, relation=ADD)
    assert max(alone, gaussian) < together < alone + gaussian
    group = joined({dp.BoundedRange(0.1): 3}, ADD)
    assert group.loss_range()[1] <= 0.3 * (1 + 1e-9)
    for t in np.linspace(0.005, 0.095, 19):  # the worst laws of one range each, three times
        low = math.expm1(t) / math.expm1(0.1)
        once = np.array([1 - low, low]), np.array([(1 - low) * math.exp(-t), low * math.exp(0.1 - t)])
        first, second = (np.einsum("i,j,k->ijk", law, law, law).ravel() for law in once)
        losses = np.linspace(-0.35, 0.35, 71)
        assert np.all(group.deltas(losses) >= divergence(first, second, losses) - 1e-15)


def test_fixed_size_at_the_scale_of_training() -> None:
    """Between what one pair of data sets really leaks and the Renyi bound of dp-accounting, whose noise is relative
    to the distance under replacing (5.2433 at 1.1 there is 2.2 here)."""

    def spent(multiplier: float) -> float:
        event = dp.SampledWithoutReplacement(60_000, 256, dp.Gaussian(multiplier))
        return dp.epsilon(dp.Repeated(event, 14_062), delta=1e-5, relation=REPLACE)

    # All others at -1: the exchanged unit moves the sum by 2 whenever it is drawn, as adding does at half the noise.
    leaks = dp.epsilon(dp.Repeated(dp.PoissonSampled(256 / 60_000, dp.Gaussian(1.1)), 14_062), delta=1e-5, relation=ADD)
    assert leaks <= spent(2.2) < 5.2433
    assert spent(1.1) > 5.2433


@pytest.mark.parametrize("sigma", [1e-8, 1e-3, 6e-3, 0.01])
@pytest.mark.parametrize("relation", [ADD, REPLACE])
def test_noise_so_narrow_that_tails_vanish_shows_everything(sigma: float, relation: dp.Relation) -> None:
    """Probabilities of 0 on both sides made the losses unordered, and a sample of everything cost epsilon 0."""
    whole, sampled = dp.DiscreteGaussian(sigma), dp.PoissonSampled(0.1, dp.DiscreteGaussian(sigma))
    for event, shown in ((whole, 1.0), (sampled, 0.1), (dp.Repeated(sampled, 3), 0.271)):
        assert dp.epsilon(event, delta=1e-5, relation=relation) == math.inf
        for epsilon in (0.0, 1.0, 100.0, 600.0):
            assert dp.delta(event, epsilon=epsilon, relation=relation) >= shown


@pytest.mark.parametrize("relation", [ADD, REPLACE])
def test_losses_beyond_the_reach_of_exponentials_are_no_smaller_for_it(relation: dp.Relation) -> None:
    """The loss of one draw is 500,000 here; e^20000 overflows, and 0 times infinity hid it."""
    assert dp.delta(dp.DiscreteGaussian(1e-3), epsilon=20_000.0, relation=relation) == 1.0


def test_more_noise_than_floats_can_square_costs_nothing() -> None:
    for relation in (ADD, REPLACE):
        assert dp.epsilon(dp.Gaussian(1e200), delta=1e-5, relation=relation) == 0.0
