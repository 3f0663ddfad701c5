"""The grid: fine enough, a power of two, and the sensitivity covers what rounding does."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reticent import dp
from reticent.dp.precision import NORM_MARGIN
from reticent.errors import UsageError

norms = st.floats(1e-6, 1e6)
dimensions = st.integers(1, 10**9)


@given(norms, dimensions)
def test_rounding_adds_at_most_one_per_cent(norm: float, d: int) -> None:
    grid = dp.grid_for(norm, d)
    assert math.frexp(grid)[0] == 0.5
    assert math.sqrt(d) * grid / 2 <= 0.01 * norm
    assert math.sqrt(d) * (2 * grid) / 2 > 0.01 * norm * (1 - 1e-9)
    sensitivity = dp.encoded_sensitivity(norm, grid, d)
    assert norm * (1 + NORM_MARGIN) + math.sqrt(d) * grid / 2 < sensitivity <= 1.0102 * norm


@pytest.mark.parametrize("d", [1, 7, 1000, 200_000])
def test_contributions_clipped_in_float32_stay_within(d: int) -> None:
    rng = np.random.default_rng(d)
    for norm in (0.1, 1.0, 33.3):
        grid = dp.grid_for(norm, d)
        bound = dp.encoded_sensitivity(norm, grid, d)
        for scale in (1e-3, 1.0, 1e4):
            gradient = (rng.standard_normal(d) * scale).astype(np.float32)
            size = np.float32(np.linalg.norm(gradient))
            clipped = gradient * np.float32(min(1.0, norm / size))
            encoded = np.rint(clipped.astype(np.float64) / grid)
            assert np.linalg.norm(encoded) * grid <= bound


@pytest.mark.parametrize("d", [10, 10_000, 1_000_000])
def test_the_margin_covers_clipping_in_float32(d: int) -> None:
    """Measured overshoot of float32 clipping: above zero, so a margin is needed, and below a hundredth of it."""
    rng = np.random.default_rng(d)
    overshoots = []
    for _ in range(20 if d < 10**6 else 3):
        gradient = rng.standard_normal(d).astype(np.float32)
        clipped = gradient * (np.float32(1.0) / np.sqrt(np.sum(gradient * gradient)))
        overshoots.append(float(np.linalg.norm(clipped.astype(np.float64))) - 1)
    assert max(map(abs, overshoots)) < NORM_MARGIN / 100
    assert max(map(abs, overshoots)) > 0


def test_the_worst_rounding_is_covered_and_without_the_margin_it_is_not() -> None:
    """Every coordinate just above half a step rounds up: the broken copy that charges the clip alone is exceeded."""
    d, grid = 400, 2.0**-6
    worst = np.full(d, grid / 2 * (1 + 1e-9))
    norm = float(np.linalg.norm(worst))
    encoded = float(np.linalg.norm(np.rint(worst / grid) * grid))
    assert encoded > norm * 1.9
    assert encoded <= dp.encoded_sensitivity(norm, grid, d)


@pytest.mark.parametrize("norm", [0.0, -1.0, math.nan, math.inf, 1e-300])
def test_bad_norms_are_refused(norm: float) -> None:
    with pytest.raises(UsageError, match="max_grad_norm is"):
        dp.grid_for(norm, 10)


def test_bad_grids_and_dimensions_are_refused() -> None:
    with pytest.raises(UsageError, match="parameters is 0"):
        dp.grid_for(1.0, 0)
    for grid in (0.1, 0.0, -0.5, math.inf, math.nan):
        with pytest.raises(UsageError, match="grid is"):
            dp.encoded_sensitivity(1.0, grid, 10)
