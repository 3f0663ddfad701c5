"""The line that adds the noise: how much, how often, and never without a grant."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2, norm

from reticent import dp
from reticent.dp import mechanisms
from reticent.errors import PolicyRefused, UsageError

FALSE_ALARM = 1e-7
GRID = 2.0**-12


def draw(size: int, *, z: float = 1.7, sensitivity: float = 0.9, event: Any = None) -> Any:
    event = dp.Gaussian(z) if event is None else event
    grant = dp.Grant.without_ledger([event])
    total = np.zeros(size, dtype=np.int64)
    return dp.add_gaussian(total, event=event, sensitivity=sensitivity, grid=GRID, grant=grant)


def spread_is_right(values: Any, sigma: float) -> bool:
    """Two-sided test of the variance about the known mean 0."""
    statistic = float((values**2).sum()) / sigma**2
    tail = min(chi2.cdf(statistic, values.size), chi2.sf(statistic, values.size))
    return bool(2 * tail > FALSE_ALARM)


def test_noise_has_the_charged_size() -> None:
    """Variance within its chi-square interval (2 % at 200 000 draws), mean within 5.4 errors: false alarm 1e-7 each."""
    for event in (dp.Gaussian(1.7), dp.PoissonSampled(0.01, dp.Gaussian(1.7))):
        values = draw(200_000, event=event)
        assert values.dtype == np.float64
        assert spread_is_right(values, 1.7 * 0.9)
        assert abs(values.mean()) < norm.isf(FALSE_ALARM / 2) * 1.7 * 0.9 / math.sqrt(values.size)


@pytest.mark.parametrize("factor", [0.5, 0.97, 1.7])
def test_broken_copies_with_other_noise_are_caught(factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half the noise, 3 % less, or the standard deviation used as a variance."""
    right = mechanisms.rounded_gaussian
    monkeypatch.setattr(mechanisms, "rounded_gaussian", lambda scale, n, key: right(scale * factor, n, key))
    assert not spread_is_right(draw(200_000), 1.7 * 0.9)


def test_noise_is_fresh_and_on_the_grid() -> None:
    first, second = draw(500), draw(500)
    assert not np.array_equal(first, second)
    assert np.array_equal(np.rint(first / GRID) * GRID, first)


def test_the_total_survives() -> None:
    total = np.array([[10**12, -(10**12)], [0, 5]], dtype=np.int64)
    event = dp.Gaussian(1e-3)
    grant = dp.Grant.without_ledger([event])
    values = dp.add_gaussian(total, event=event, sensitivity=1.0, grid=GRID, grant=grant)
    assert values.shape == (2, 2)
    assert np.abs(values - total * GRID).max() < 1e-3 * 38
    nothing = dp.Gaussian(0.0)
    grant = dp.Grant.without_ledger([nothing])
    exact = dp.add_gaussian(total, event=nothing, sensitivity=1.0, grid=GRID, grant=grant)
    assert np.array_equal(exact, total * GRID)


def test_no_grant_no_noise() -> None:
    event = dp.Gaussian(1.0)
    total = np.zeros(3, dtype=np.int64)
    grant = dp.Grant.without_ledger([dp.Repeated(event, 2)])
    for _ in range(2):
        dp.add_gaussian(total, event=event, sensitivity=1.0, grid=GRID, grant=grant)
    for other in (event, dp.Gaussian(1.0 + 1e-9), dp.PoissonSampled(0.5, event)):
        with pytest.raises(PolicyRefused, match="was not paid for"):
            dp.add_gaussian(total, event=other, sensitivity=1.0, grid=GRID, grant=grant)


def test_the_grant_is_spent_before_the_noise_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash in the sampler must not leave an event that can be drawn again."""
    event = dp.Gaussian(1.0)
    grant = dp.Grant.without_ledger([event])

    def crash(*_: object) -> Any:
        raise MemoryError

    monkeypatch.setattr(mechanisms, "rounded_gaussian", crash)
    with pytest.raises(MemoryError):
        dp.add_gaussian(np.zeros(3, dtype=np.int64), event=event, sensitivity=1.0, grid=GRID, grant=grant)
    assert not grant.remaining()


def test_a_refused_call_spends_nothing() -> None:
    event = dp.Gaussian(1.0)
    grant = dp.Grant.without_ledger([event])
    good = np.zeros(3, dtype=np.int64)
    bad: list[tuple[Any, float, float]] = [
        (good.astype(np.float64), 1.0, GRID),
        (good.astype(np.int32), 1.0, GRID),
        (good + 2**62, 1.0, GRID),
        (np.full(3, -(2**63)), 1.0, GRID),
        (good, 0.0, GRID),
        (good, math.nan, GRID),
        (good, math.inf, GRID),
        (good, 1.0, 0.1),
        (good, 1.0, math.nan),
    ]
    for total, sensitivity, grid in bad:
        with pytest.raises(UsageError):
            dp.add_gaussian(total, event=event, sensitivity=sensitivity, grid=grid, grant=grant)
    assert grant.remaining()[event] == 1


def test_gaussian_meets_its_promise() -> None:
    """Standard deviation of the analytic calibration, over the sensitivity widened for rounding."""
    values = dp.gaussian(np.full(100_000, 3.3), sensitivity=2.0, epsilon=10.0, delta=1e-5, grid=2.0**-20)
    sigma = 0.49989 * (2.0 + math.sqrt(100_000) * 2.0**-20)
    noise = values - np.rint(3.3 * 2**20) / 2**20
    assert spread_is_right(noise, sigma)
    single = dp.gaussian(3.3, sensitivity=2.0, epsilon=1.0, delta=1e-5, grid=2.0**-10)
    assert single.shape == ()
    assert float(single) * 2**10 == round(float(single) * 2**10)


def test_gaussian_charges_its_rounding() -> None:
    """A coarse grid: the noise covers sensitivity + sqrt(d) * grid, here six times the sensitivity."""
    values = dp.gaussian(np.zeros(40_000), sensitivity=40.0, epsilon=10.0, delta=1e-5, grid=1.0)
    assert spread_is_right(values, 0.49989 * 240.0)
    assert not spread_is_right(values, 0.49989 * 40.0)


def test_gaussian_rounds_to_the_nearest_before_the_noise() -> None:
    """Noise of 0.01 about 1.0; the grid next below, 0.75, would be 25 standard deviations away."""
    found = float(dp.gaussian(0.9, sensitivity=0.01, epsilon=400.0, delta=1e-5, grid=0.25))
    assert found == 1.0


def test_gaussian_never_says_the_value() -> None:
    for value in (math.nan, math.inf, 1.2345e300):
        with pytest.raises(UsageError) as caught:
            dp.gaussian([1.0, value], sensitivity=1.0, epsilon=1.0, delta=1e-5, grid=2.0**-10)
        assert "1.2345" not in str(caught.value)
        assert caught.value.code == "invalid-total"


@pytest.mark.parametrize("field", ["sensitivity", "epsilon", "delta", "grid"])
def test_gaussian_refuses_bad_arguments(field: str) -> None:
    arguments = {"sensitivity": 1.0, "epsilon": 1.0, "delta": 1e-5, "grid": 2.0**-10}
    for bad in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(UsageError, match=field):
            dp.gaussian(0.0, **{**arguments, field: bad})


def draw_laplace(size: int, event: Any, *, sensitivity: float = 0.75) -> Any:
    grant = dp.Grant.without_ledger([event])
    total = np.zeros(size, dtype=np.int64)
    return dp.add_laplace(total, event=event, sensitivity=sensitivity, grid=GRID, grant=grant)


def laplace_spread_is_right(values: Any, scale: float) -> bool:
    """|X| of a Laplace has mean and deviation `scale`; 5.5 standard errors, false alarm below 1e-7."""
    return bool(abs(np.abs(values).mean() / scale - 1) < 5.5 / math.sqrt(values.size))


LAPLACES: list[tuple[Any, float]] = [
    (dp.Laplace(1.7), 1.7 * 0.75),
    (dp.PoissonSampled(0.01, dp.Laplace(1.7)), 1.7 * 0.75),
    (dp.SampledWithoutReplacement(10, 2, dp.Laplace(1.7)), 1.7 * 0.75),
    (dp.DiscreteLaplace(5000.0, 3072), 5000.0 * GRID),
    (dp.PoissonSampled(0.5, dp.DiscreteLaplace(5000.0, 4000)), 5000.0 * GRID),
]


@pytest.mark.parametrize(("event", "scale"), LAPLACES, ids=str)
def test_laplace_noise_has_the_charged_size(event: Any, scale: float) -> None:
    """At a grid so fine that both kinds are as good as continuous for this test; and always on the grid."""
    values = draw_laplace(200_000, event)
    assert laplace_spread_is_right(values, scale)
    assert np.array_equal(np.rint(values / GRID) * GRID, values)
    assert not np.array_equal(values, draw_laplace(200_000, event))


@pytest.mark.parametrize("factor", [0.5, 0.97, 1 / 1.7])
def test_broken_copies_with_other_laplace_noise_are_caught(factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half, 3 % less, or the sensitivity alone without the multiplier."""
    for name in ("rounded_laplace", "discrete_laplace"):
        right = getattr(mechanisms, name)
        monkeypatch.setattr(mechanisms, name, lambda scale, n, key, right=right: right(scale * factor, n, key))
    for event, scale in LAPLACES:
        assert not laplace_spread_is_right(draw_laplace(200_000, event), scale)


def test_laplace_noise_on_a_coarse_grid_is_of_its_kind() -> None:
    """Scale 1 step: zero has probability 1 - e^-0.5 when rounded, tanh(0.5) when discrete; 5.5 errors, false 1e-7."""
    for event, zero in ((dp.Laplace(1.0), 1 - math.exp(-0.5)), (dp.DiscreteLaplace(1.0, 1), math.tanh(0.5))):
        values = draw_laplace(100_000, event, sensitivity=GRID)
        assert abs((values == 0).mean() - zero) < 5.5 * math.sqrt(zero * (1 - zero) / 100_000)


def test_laplace_is_refused_without_spending() -> None:
    good = np.zeros(3, dtype=np.int64)
    event, steps = dp.Laplace(1.0), dp.DiscreteLaplace(5.0, 2)
    bad: list[tuple[Any, Any, float, float, str]] = [
        (good.astype(np.float64), event, 1.0, GRID, "invalid-total"),
        (good + 2**62, event, 1.0, GRID, "invalid-total"),
        (good, event, 0.0, GRID, "invalid-sensitivity"),
        (good, event, math.nan, GRID, "invalid-sensitivity"),
        (good, steps, 3 * GRID, GRID, "invalid-sensitivity"),
        (good, event, 1.0, 0.1, "invalid-grid"),
        (good, event, 1.0, 2.0**-45, "invalid-noise-scale"),
        (good, event, 1e300, 2.0**-100, "invalid-noise-scale"),
        (good, dp.Gaussian(1.0), 1.0, GRID, "not-laplace"),
        (good, dp.PoissonSampled(0.5, dp.PureDP(1.0)), 1.0, GRID, "not-laplace"),
    ]
    for total, used, sensitivity, grid, code in bad:
        grant = dp.Grant.without_ledger([used])
        with pytest.raises(UsageError) as caught:
            dp.add_laplace(total, event=used, sensitivity=sensitivity, grid=grid, grant=grant)
        assert caught.value.code == code
        assert grant.remaining()
    grant = dp.Grant.without_ledger([event])
    with pytest.raises(PolicyRefused):
        dp.add_laplace(good, event=dp.Laplace(0.9), sensitivity=1.0, grid=GRID, grant=grant)
    dp.add_laplace(good, event=event, sensitivity=1.0, grid=GRID, grant=grant)
    with pytest.raises(PolicyRefused):
        dp.add_laplace(good, event=event, sensitivity=1.0, grid=GRID, grant=grant)


def test_the_total_survives_laplace() -> None:
    total = np.array([[10**12, -(10**12)], [0, 5]], dtype=np.int64)
    for event in (dp.Laplace(1e-3), dp.DiscreteLaplace(4.0, 5000)):
        grant = dp.Grant.without_ledger([event])
        values = dp.add_laplace(total, event=event, sensitivity=1.0, grid=GRID, grant=grant)
        assert values.shape == (2, 2)
        assert np.abs(values - total * GRID).max() < 1
    for nothing in (dp.Laplace(0.0), dp.DiscreteLaplace(0.0, 5000)):
        grant = dp.Grant.without_ledger([nothing])
        exact = dp.add_laplace(total, event=nothing, sensitivity=1.0, grid=GRID, grant=grant)
        assert np.array_equal(exact, total * GRID)


def test_the_grant_is_spent_before_laplace_noise_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> Any:
        raise MemoryError

    monkeypatch.setattr(mechanisms, "rounded_laplace", crash)
    event = dp.Laplace(1.0)
    grant = dp.Grant.without_ledger([event])
    with pytest.raises(MemoryError):
        dp.add_laplace(np.zeros(3, dtype=np.int64), event=event, sensitivity=1.0, grid=GRID, grant=grant)
    assert not grant.remaining()
