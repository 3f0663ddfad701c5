"""300 random settings against dp_accounting 0.6.0 at the finest grid that fits it, one stored value for each.

`accounting_sweep.json` holds (sigma, q, steps, delta, epsilon); `make soak` computes the epsilons again.
"""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest

from reticent import dp

Row = tuple[float, float, int, float, float]
ROWS: list[Row] = [tuple(row) for row in json.loads((Path(__file__).parent / "accounting_sweep.json").read_text())]


def setting(index: int) -> tuple[float, float, int, float]:
    draw = random.Random(index)
    while True:
        sigma = round(math.exp(draw.uniform(math.log(0.5), math.log(8))), 3)
        q = float(f"{math.exp(draw.uniform(math.log(1e-4), math.log(0.5))):.3g}")
        steps = round(math.exp(draw.uniform(0, math.log(1e5))))
        delta = 10.0 ** -draw.randint(4, 10)
        if 3e-3 < q * math.sqrt(math.expm1(1 / sigma**2) * steps) < 8:
            return sigma, q, steps, delta


def reference(sigma: float, q: float, steps: int, delta: float) -> float:
    """dp_accounting's upper bound on a grid of a fiftieth of one step's spread: about 7e-5 above the exact value."""
    from dp_accounting.pld import privacy_loss_distribution as pld

    spread = q * math.sqrt(math.expm1(1 / sigma**2))
    reach = (
        math.log1p(q * math.expm1(10.5 / sigma + 0.5 / sigma**2)) + 14 * spread * math.sqrt(steps) + spread**2 * steps
    )
    grid = min(max(spread / 50, reach / 3e6), 1e-3)
    one = pld.from_gaussian_mechanism(sigma, sampling_prob=q, value_discretization_interval=grid)
    return float(one.self_compose(steps).get_epsilon_for_delta(delta))


@pytest.mark.parametrize("part", range(10))
def test_neither_below_the_finest_grid_nor_half_a_per_cent_above(part: int) -> None:
    for sigma, q, steps, delta, theirs in ROWS[part::10]:
        event = dp.Repeated(dp.PoissonSampled(q, dp.Gaussian(sigma)), steps)
        ours = dp.epsilon(event, delta=delta, relation="add_or_remove_one")
        assert theirs * (1 - 1e-4) <= ours <= theirs * 1.005, (sigma, q, steps, delta)


def test_the_settings_were_drawn_and_not_chosen() -> None:
    assert [row[:4] for row in ROWS] == [setting(index) for index in range(300)]


@pytest.mark.parametrize("index", [0, 37, 112, 250])
def test_stored_values_are_those_of_dp_accounting(index: int) -> None:
    sigma, q, steps, delta, theirs = ROWS[index]
    assert reference(sigma, q, steps, delta) == pytest.approx(theirs, rel=1e-6)


@pytest.mark.soak
@pytest.mark.parametrize("index", range(300))
def test_every_stored_value_is_that_of_dp_accounting(index: int) -> None:
    sigma, q, steps, delta, theirs = ROWS[index]
    assert reference(sigma, q, steps, delta) == pytest.approx(theirs, rel=1e-6, abs=1e-9)
