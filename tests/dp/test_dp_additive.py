"""Noise to an epsilon: how much, the same support for neighbours, what is charged, and broken copies."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom, chi2

from reticent import dp
from reticent.dp import additive, discrete, mechanisms
from reticent.dp.divergence import gaussian_delta
from reticent.dp.encoding import to_steps
from reticent.errors import PolicyRefused, UsageError
from reticent.randomness import Keystream

FALSE_ALARM = 1e-7
GRID = 2.0**-10
DRAWS = 200_000
RELATIONS: tuple[dp.Relation, dp.Relation] = ("add_or_remove_one", "replace_one")


def laplace_size_is_right(noise: NDArray[np.float64], scale: float) -> bool:
    """Two-sided test of the mean of |noise|, in steps: discrete Laplace has the mean 1 / sinh(1 / scale).

    5.5 standard errors; with 2e5 draws the mean is normal enough for a false alarm below 1e-7.
    """
    size = np.abs(noise)
    p = math.exp(-1 / scale)
    mean = 2 * p / (1 - p * p)
    deviation = math.sqrt(2 * p / (1 - p) ** 2 - mean * mean)
    return bool(abs(size.mean() - mean) < 5.5 * deviation / math.sqrt(size.size))


def gaussian_size_is_right(noise: NDArray[np.float64], sigma: float) -> bool:
    """Two-sided chi-square test of the variance about the known mean 0; false alarm 1e-7."""
    statistic = float((noise**2).sum()) / sigma**2
    return bool(2 * min(chi2.cdf(statistic, noise.size), chi2.sf(statistic, noise.size)) > FALSE_ALARM)


def many_laplace(*, sensitivity: float = 4.0, epsilon: float = 2.0, grid: float = GRID, draws: int = DRAWS) -> Any:
    """Noise of single numbers, in steps, gathered through one event: the scale is that of one coordinate."""
    event = dp.laplace_event(
        sensitivity=sensitivity, epsilon=epsilon, grid=grid, coordinates=1, relation="add_or_remove_one"
    )
    zeros = np.zeros(draws, dtype=np.int64)
    return mechanisms.add_integer_noise(zeros, noise=event, event=event, grant=dp.Grant.without_ledger([event]))


def test_laplace_noise_has_its_size() -> None:
    """Scale (sensitivity / grid + 1, made even) / epsilon in steps: (4096 + 2) / 2."""
    assert laplace_size_is_right(many_laplace(), 2049.0)
    values = dp.laplace(np.full(DRAWS, 0.3), sensitivity=1.0, epsilon=1.0, grid=2.0**-30)
    wanted = 2.0**30 + DRAWS  # both are even
    assert laplace_size_is_right((values - round(0.3 * 2**30) / 2**30) * 2**30, wanted)


@pytest.mark.parametrize("draw", ["inverted", "square", "root", "half", "not widened"])
def test_laplace_of_another_size_is_caught(draw: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken copies: epsilon / sensitivity, the scale taken for a variance either way, half of it, no widening."""
    right = mechanisms.discrete_laplace
    if draw == "inverted":
        monkeypatch.setattr(additive, "scale_for", lambda steps, epsilon: epsilon / steps)
    elif draw == "not widened":
        monkeypatch.setattr(additive, "steps_apart", lambda sensitivity, grid, _: int(sensitivity / grid))
        assert not laplace_size_is_right(many_laplace(sensitivity=4.0, grid=1.0), 6 / 2)
        return
    else:
        change: dict[str, Callable[[float], float]] = {
            "square": lambda scale: scale**2,
            "root": math.sqrt,
            "half": lambda scale: scale / 2,
        }
        monkeypatch.setattr(
            mechanisms, "discrete_laplace", lambda scale, size, key: right(change[draw](scale), size, key)
        )
    assert not laplace_size_is_right(many_laplace(), 2049.0)


def test_geometric_noise_has_its_size() -> None:
    counts = np.arange(DRAWS)
    noise = dp.geometric(counts, sensitivity=3, epsilon=0.5) - counts
    assert noise.dtype == np.int64
    assert laplace_size_is_right(noise, 6.0)
    assert dp.geometric(2**61, sensitivity=1, epsilon=1.0).shape == ()


def test_discrete_gaussian_noise_has_its_size() -> None:
    event = dp.discrete_gaussian_event(
        sensitivity=1, epsilon=1.0, delta=1e-6, grid=None, coordinates=1, relation="add_or_remove_one"
    )
    assert isinstance(event, dp.DiscreteGaussian)
    zeros = np.zeros(DRAWS, dtype=np.int64)
    grant = dp.Grant.without_ledger([event])
    noise = mechanisms.add_integer_noise(zeros, noise=event, event=event, grant=grant)
    assert gaussian_size_is_right(noise.astype(float), event.sigma)
    values = dp.discrete_gaussian(np.zeros(40_000), sensitivity=40.0, epsilon=10.0, delta=1e-5, grid=1.0)
    many = dp.discrete_gaussian_event(
        sensitivity=40.0, epsilon=10.0, delta=1e-5, grid=1.0, coordinates=40_000, relation="add_or_remove_one"
    )
    assert isinstance(many, dp.DiscreteGaussian)
    assert many.sensitivity == pytest.approx(240.0)
    assert gaussian_size_is_right(values, many.sigma)
    assert not gaussian_size_is_right(values, many.sigma / 6)


@pytest.mark.parametrize("sensitivity", [1, 2, 5])
def test_the_discrete_gaussian_keeps_its_promise_exactly(sensitivity: int) -> None:
    """Delta summed over the integers (Canonne, Kamath, Steinke 2020, theorem 7), independently; and no more noise than
    needed: 1 part in 1000 less breaks the promise."""
    event = dp.discrete_gaussian_event(
        sensitivity=sensitivity, epsilon=0.7, delta=1e-6, grid=None, coordinates=1, relation="add_or_remove_one"
    )
    assert isinstance(event, dp.DiscreteGaussian)

    def delta(sigma: float) -> float:
        x = np.arange(-400, 401, dtype=np.float64)
        p = np.exp(-(x**2) / (2 * sigma**2))
        p /= p.sum()
        shifted = np.exp(-((x - sensitivity) ** 2) / (2 * sigma**2))
        shifted /= shifted.sum()
        return float(np.maximum(p - math.exp(0.7) * shifted, 0).sum())

    assert delta(event.sigma) <= 1e-6 < delta(event.sigma * 0.999)


# The attack of Mironov (CCS 2012) on Laplace noise in floating point: which outputs are possible at all?


def numpy_copy(value: float, scale: float, draws: int) -> NDArray[np.float64]:
    """Laplace by inversion, in float64, as many libraries draw it."""
    words = Keystream.fresh().words(draws)
    uniform = ((words >> np.uint64(11)) + np.uint64(1)).astype(np.float64) * 2.0**-53
    sign = np.where(words & np.uint64(1), 1.0, -1.0)
    return value + sign * (scale * -np.log(uniform))


def impossible_under(value: float, scale: float, released: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of the released floats could not have come out of `numpy_copy(value, scale)`?

    For each, all uniforms near the one that would give it are tried.
    """
    guess = np.rint(np.exp(-np.abs(released - value) / scale) * 2.0**53)
    found = np.zeros(len(released), dtype=np.bool_)
    sign = np.sign(released - value)
    for offset in range(-24, 25):
        uniform = np.clip(guess + offset, 1, 2**53) * 2.0**-53
        found |= value + sign * (scale * -np.log(uniform)) == released
    return ~found


def test_the_attack_on_the_support_succeeds_on_a_numpy_copy() -> None:
    """Neighbours 0 and 1, epsilon 1: a tenth and more of the copy's outputs rule out the other value for certain.

    An epsilon of 1 allows no output to do that. The true value itself is never ruled out.
    """
    released = numpy_copy(0.0, 1.0, 4000)
    assert not impossible_under(0.0, 1.0, released).any()
    assert impossible_under(1.0, 1.0, released).mean() > 0.1


def support(value: float, draws: int) -> set[float]:
    """The outputs of `laplace` within 20 steps of 0, of many draws of one number."""
    event = dp.laplace_event(sensitivity=1.0, epsilon=1.0, grid=0.25, coordinates=1, relation="add_or_remove_one")
    steps = np.full(draws, to_steps(value, 0.25))
    grant = dp.Grant.without_ledger([event])
    released = mechanisms.add_integer_noise(steps, noise=event, event=event, grant=grant) * 0.25
    return set(released[np.abs(released) <= 5].tolist())


def test_neighbours_have_the_same_support() -> None:
    """Every multiple of the grid, for either value, and nothing else; values between the grid included.

    Scale 6 steps: an output 24 steps away has probability 1.5e-3 and stays out of 3e5 draws with probability e^-450.
    """
    wanted = {step * 0.25 for step in range(-20, 21)}
    assert support(0.0, 300_000) == support(1.0, 300_000) == support(0.9876, 300_000) == wanted


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1 / 3, 12345.678])
def test_outputs_carry_no_low_order_bits(value: float) -> None:
    for release in (
        lambda v: dp.laplace(v, sensitivity=1.0, epsilon=1.0, grid=GRID),
        lambda v: dp.gaussian(v, sensitivity=1.0, epsilon=1.0, delta=1e-6, grid=GRID),
        lambda v: dp.discrete_gaussian(v, sensitivity=1.0, epsilon=1.0, delta=1e-6, grid=GRID),
    ):
        released = release(np.full(200, value))
        assert np.array_equal(np.rint(released / GRID) * GRID, released)


# sigma = sqrt(2 ln(1.25 / delta)) / epsilon, outside its proof (field notes: true deltas 2.27e-5 and 1.5e-3).


def textbook_sigma(*, sensitivity: float, epsilon: float, delta: float) -> float:
    return sensitivity * math.sqrt(2 * math.log(1.25 / delta)) / epsilon


@pytest.mark.parametrize(("epsilon", "true_delta"), [(10.0, 2.27e-5), (20.0, 1.5e-3)])
def test_the_textbook_formula_is_caught(epsilon: float, true_delta: float, monkeypatch: pytest.MonkeyPatch) -> None:
    delta = 1e-5

    def kept(event: dp.Gaussian) -> bool:
        return float(gaussian_delta(epsilon, sigma=event.noise_multiplier)) <= delta

    def noise() -> Any:
        event = dp.gaussian_event(epsilon=epsilon, delta=delta, relation="add_or_remove_one")
        grant = dp.Grant.without_ledger([event])
        zeros = np.zeros(DRAWS, dtype=np.int64)
        return mechanisms.add_gaussian(zeros, event=event, sensitivity=1.0, grid=GRID, grant=grant)

    right = dp.gaussian_sigma(sensitivity=1.0, epsilon=epsilon, delta=delta)
    assert kept(dp.gaussian_event(epsilon=epsilon, delta=delta, relation="add_or_remove_one"))
    assert gaussian_size_is_right(noise(), right)
    monkeypatch.setattr(additive, "gaussian_sigma", textbook_sigma)
    broken = dp.gaussian_event(epsilon=epsilon, delta=delta, relation="add_or_remove_one")
    assert not kept(broken)
    assert float(gaussian_delta(epsilon, sigma=broken.noise_multiplier)) == pytest.approx(true_delta, rel=0.03)
    assert not gaussian_size_is_right(noise(), right)


# Which distance is the sensitivity? Coordinates that are each within 1 lie sqrt(d) apart, not 1.

Release = Callable[[NDArray[np.float64], float], NDArray[np.float64]]


def tells_apart(release: Release, sensitivity: float, epsilon: float, delta: float) -> bool:
    """Whether the sum of 400 coordinates distinguishes all-0 from all-1 better than (epsilon, delta) allows.

    Over 150 releases of each, the share of hits beyond what the promise allows for the false alarms seen: flagged only
    when it is impossible but for a probability of 1e-7, by exact binomial bounds.
    """
    runs, half = 150, 200.0
    alarms = sum(float(release(np.zeros(400), sensitivity).sum()) > half for _ in range(runs))
    hits = sum(float(release(np.ones(400), sensitivity).sum()) > half for _ in range(runs))
    least = next(p for p in np.linspace(1, 0, 2001) if hits == 0 or binom.sf(hits - 1, runs, p) <= 5e-8)
    most = next(p for p in np.linspace(0, 1, 2001) if binom.cdf(alarms, runs, p) <= 5e-8)
    return bool(least > math.exp(epsilon) * most + delta)


@pytest.mark.parametrize("kind", ["laplace", "gaussian", "discrete_gaussian"])
def test_clamped_coordinates_are_not_a_clipped_norm(kind: str) -> None:
    """Broken copy: the clamp of each coordinate given as the sensitivity of all 400."""

    def release(value: NDArray[np.float64], sensitivity: float) -> Any:
        if kind == "laplace":
            return dp.laplace(value, sensitivity=sensitivity, epsilon=1.0, grid=GRID)
        noised = dp.gaussian if kind == "gaussian" else dp.discrete_gaussian
        return noised(value, sensitivity=sensitivity, epsilon=1.0, delta=1e-5, grid=GRID)

    right = 400.0 if kind == "laplace" else 20.0
    assert not tells_apart(release, right, 1.0, 1e-5)
    assert tells_apart(release, 1.0, 1.0, 1e-5)


# What is charged.


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 1 / 3, 7.0])
@pytest.mark.parametrize("coordinates", [1, 2, 7])
def test_events_cost_the_epsilon_that_was_asked_for(epsilon: float, coordinates: int) -> None:
    """Under either relation neighbours are the same number of steps apart, and the loss is that over the scale."""
    distances = set()
    for relation, factor in zip(RELATIONS, (1, 2), strict=True):
        event = dp.laplace_event(
            sensitivity=1.0, epsilon=epsilon, grid=GRID, coordinates=coordinates, relation=relation
        )
        distances.add((event.scale, event.sensitivity * factor))
    ((scale, distance),) = distances
    assert 1024 + coordinates <= distance <= 1025 + coordinates
    assert distance / scale <= epsilon < distance / scale * (1 + 1e-12)


@pytest.mark.parametrize("relation", RELATIONS)
def test_the_relation_changes_the_charge_and_not_the_noise(relation: dp.Relation) -> None:
    """Neighbours' distance was given, so the noise is that of the promise under either relation."""
    zeros = np.zeros(DRAWS, dtype=np.int64)
    fine = 2.0**-30
    event: dp.Event = dp.gaussian_event(epsilon=1.0, delta=1e-6, relation=relation)
    sigma = dp.gaussian_sigma(sensitivity=1.0, epsilon=1.0, delta=1e-6) * (1 + math.sqrt(DRAWS) * fine)
    paid: dict[str, Any] = {"grant": dp.Grant("key", [event]), "relation": relation}
    assert gaussian_size_is_right(
        dp.gaussian(zeros, sensitivity=1.0, epsilon=1.0, delta=1e-6, grid=fine, **paid), sigma
    )
    event = dp.geometric_event(sensitivity=2, epsilon=0.5, relation=relation)
    paid["grant"] = dp.Grant("key", [event])
    assert laplace_size_is_right(dp.geometric(zeros, sensitivity=2, epsilon=0.5, **paid), 4.0)


def test_counts_under_replacement() -> None:
    """A distance of 1 has no half: two losses, plus and minus epsilon, are what `PureDP` describes."""
    assert dp.geometric_event(sensitivity=1, epsilon=0.5, relation="replace_one") == dp.PureDP(0.5)
    assert dp.geometric_event(sensitivity=2, epsilon=0.5, relation="replace_one") == dp.DiscreteLaplace(4.0, 1)
    assert dp.geometric_event(sensitivity=1, epsilon=0.5, relation="add_or_remove_one") == dp.DiscreteLaplace(2.0, 1)
    whole: Any = {"epsilon": 0.5, "delta": 1e-6, "grid": None, "coordinates": 1, "relation": "replace_one"}
    assert dp.discrete_gaussian_event(sensitivity=1, **whole) == dp.ApproximateDP(0.5, 1e-6)
    even = dp.discrete_gaussian_event(sensitivity=2, **whole)
    assert isinstance(even, dp.DiscreteGaussian)
    assert even.sensitivity == 1
    gaussian = dp.gaussian_event(epsilon=1.0, delta=1e-6, relation="replace_one")
    once = dp.gaussian_event(epsilon=1.0, delta=1e-6, relation="add_or_remove_one")
    assert gaussian.noise_multiplier == 2 * once.noise_multiplier


Noised = Callable[..., Any]
CALLS: dict[str, tuple[Noised, Callable[[dp.Relation], dp.Event]]] = {
    "laplace": (
        lambda **more: dp.laplace([1.0, 2.0], sensitivity=1.0, epsilon=1.0, grid=GRID, **more),
        lambda relation: dp.laplace_event(sensitivity=1.0, epsilon=1.0, grid=GRID, coordinates=2, relation=relation),
    ),
    "geometric": (
        lambda **more: dp.geometric([1, 2], sensitivity=1, epsilon=1.0, **more),
        lambda relation: dp.geometric_event(sensitivity=1, epsilon=1.0, relation=relation),
    ),
    "gaussian": (
        lambda **more: dp.gaussian([1.0, 2.0], sensitivity=1.0, epsilon=1.0, delta=1e-6, grid=GRID, **more),
        lambda relation: dp.gaussian_event(epsilon=1.0, delta=1e-6, relation=relation),
    ),
    "discrete_gaussian": (
        lambda **more: dp.discrete_gaussian([1.0, 2.0], sensitivity=1.0, epsilon=1.0, delta=1e-6, grid=1.0, **more),
        lambda relation: dp.discrete_gaussian_event(
            sensitivity=1.0, epsilon=1.0, delta=1e-6, grid=1.0, coordinates=2, relation=relation
        ),
    ),
}


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("name", CALLS)
def test_what_is_drawn_is_what_was_paid_for(name: str, relation: dp.Relation) -> None:
    call, event_of = CALLS[name]
    event = event_of(relation)
    grant = dp.Grant("key", [event])
    assert call(grant=grant, relation=relation).shape == (2,)
    assert not grant.remaining()
    with pytest.raises(PolicyRefused):
        call(grant=grant, relation=relation)
    other = dp.Grant("key", [event, dp.Gaussian(0.1), dp.Laplace(0.1)])
    with pytest.raises(UsageError) as caught:
        call(grant=other)
    assert caught.value.code == "relation-not-declared"
    mismatched = RELATIONS[1 - RELATIONS.index(relation)]
    with pytest.raises(PolicyRefused):
        call(grant=other, relation=mismatched)
    assert other.remaining()[event] == 1


@pytest.mark.parametrize("name", CALLS)
def test_the_grant_is_spent_before_the_noise_exists(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    call, event_of = CALLS[name]
    grant = dp.Grant("key", [event_of("replace_one")])

    def crash(*_: object) -> Any:
        raise MemoryError

    for sampler in ("discrete_laplace", "discrete_gaussian", "rounded_gaussian"):
        monkeypatch.setattr(mechanisms, sampler, crash)
    with pytest.raises(MemoryError):
        call(grant=grant, relation="replace_one")
    assert not grant.remaining()


@pytest.mark.parametrize("name", CALLS)
def test_noise_cannot_be_repeated(name: str) -> None:
    """Broken copies would take a seed or listen to numpy's; equal pairs of 40 tries have probability below 1e-20."""
    call, _ = CALLS[name]
    again = []
    for _ in range(40):
        np.random.seed(7)
        again.append(tuple(call().tolist()))
    assert len(set(again)) > 1
    for function in (getattr(dp, name), getattr(dp, f"{name}_event")):
        names = set(inspect.signature(function).parameters)
        assert not names & {"seed", "rng", "generator", "random_state", "key", "keystream"}


def test_nothing_about_privacy_has_a_default() -> None:
    public = ("laplace", "geometric", "gaussian", "discrete_gaussian")
    for function in (*(getattr(dp, n) for n in public), *(getattr(dp, f"{n}_event") for n in public)):
        for name, parameter in inspect.signature(function).parameters.items():
            if name == "value":
                continue
            assert parameter.kind is inspect.Parameter.KEYWORD_ONLY, name
            assert (parameter.default is inspect.Parameter.empty) == (name not in ("grant", "relation")) or (
                name == "relation" and function.__name__.endswith("_event")
            )


@pytest.mark.parametrize("name", ["laplace", "gaussian", "discrete_gaussian", "geometric"])
def test_bad_arguments_are_refused_and_spend_nothing(name: str) -> None:
    arguments: dict[str, Any] = {"sensitivity": 1, "epsilon": 1.0, "delta": 1e-5, "grid": 1.0}
    for field in ("epsilon", "grid", "sensitivity", "delta"):
        for bad in (0.0, -1.0, math.nan, math.inf):
            used = {**arguments, field: bad}
            if name in ("laplace", "geometric"):
                del used["delta"]
            if name == "geometric":
                del used["grid"]
            if field not in used:
                continue
            grant = dp.Grant("key", [dp.PureDP(1.0)])
            with pytest.raises(UsageError, match=field):
                getattr(dp, name)(3, **used, grant=grant, relation="replace_one")
            assert grant.remaining()
    with pytest.raises(UsageError, match="relation"):
        dp.laplace(1.0, sensitivity=1.0, epsilon=1.0, grid=1.0, relation="swap")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="whole number"):
        dp.geometric(1, sensitivity=1.5, epsilon=1.0)  # type: ignore[arg-type]


def test_noise_beyond_the_samplers_is_refused_before_it_is_paid() -> None:
    event = dp.laplace_event(sensitivity=1.0, epsilon=1e-3, grid=2.0**-40, coordinates=1, relation="replace_one")
    grant = dp.Grant("key", [event])
    with pytest.raises(UsageError, match="coarser grid"):
        dp.laplace(1.0, sensitivity=1.0, epsilon=1e-3, grid=2.0**-40, grant=grant, relation="replace_one")
    assert grant.remaining()


def test_empty_and_shaped_values() -> None:
    assert dp.laplace(np.zeros((0, 3)), sensitivity=1.0, epsilon=1.0, grid=1.0).shape == (0, 3)
    assert dp.geometric(np.zeros((2, 3), dtype=np.int64), sensitivity=1, epsilon=1.0).shape == (2, 3)
    assert dp.discrete_gaussian(5, sensitivity=1, epsilon=1.0, delta=1e-5, grid=None).dtype == np.float64
    assert discrete.discrete_gaussian is dp.discrete_gaussian


@pytest.mark.parametrize("relation", RELATIONS)
def test_the_accountant_finds_the_epsilon_that_was_declared(relation: dp.Relation) -> None:
    """Calibration here and certified accounting there agree to a part in 1000, under either relation."""
    common: dict[str, Any] = {"epsilon": 0.7, "relation": relation}
    events: list[dp.Event] = [
        dp.laplace_event(sensitivity=1.0, grid=GRID, coordinates=1, **common),
        dp.laplace_event(sensitivity=3.0, grid=2.0**-6, coordinates=5, **common),
        dp.geometric_event(sensitivity=1, **common),
        dp.geometric_event(sensitivity=2, **common),
        dp.gaussian_event(delta=1e-6, **common),
        dp.discrete_gaussian_event(sensitivity=1.0, delta=1e-6, grid=2.0**-4, coordinates=1, **common),
        dp.discrete_gaussian_event(sensitivity=1.0, delta=1e-6, grid=2.0**-4, coordinates=3, **common),
        dp.sparse_vector_event(epsilon=0.7, positives=3),
        dp.BoundedRange(0.7),
    ]
    if relation == "replace_one":
        events.append(dp.randomized_response_event(epsilon=0.7, categories=3))
    for event in events:
        found = dp.epsilon(event, delta=1e-6, relation=relation)
        assert found <= 0.7 * (1 + 1e-9), event
        assert found > 0.7 * 0.997, event
