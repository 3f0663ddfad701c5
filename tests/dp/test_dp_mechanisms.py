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
