"""Values on the grid: exact sums, rounding that is paid for, and values that are never told."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from reticent import dp
from reticent.dp.encoding import encoded_sum, steps_apart, to_integers, to_steps
from reticent.errors import UsageError

LARGE = 2.0**53


def numpy_copy(values: NDArray[np.float64]) -> float:
    """What others sum: floats, one after the other, each within [0, 2^53]."""
    return float(np.cumsum(np.clip(values, 0.0, LARGE))[-1])


def exact(values: NDArray[np.float64]) -> float:
    return float(encoded_sum(values, lower=0.0, upper=LARGE, grid=1.0))


ROWS = 400


def moved_by_one_row(total: Any) -> float:
    """How much one row of size 400 moves the sum: beyond 2^53 every other row is rounded up to 2 (section 5 there)."""
    without = np.concatenate([[LARGE - ROWS], np.full(ROWS, 1 + 2.0**-50)])
    return abs(float(total(np.concatenate([[float(ROWS)], without]))) - float(total(without)))


def orders() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    ones = np.full(ROWS, 1.0)
    return np.concatenate([ones, [LARGE]]), np.concatenate([[LARGE], ones])


def test_one_row_moves_the_sum_by_no_more_than_its_bound() -> None:
    """Float sums move by twice the row, and by 400 when two rows change places: no declared bound covers that."""
    assert moved_by_one_row(exact) == ROWS
    assert moved_by_one_row(numpy_copy) == 2 * ROWS
    first, last = orders()
    assert exact(first) == exact(last)
    assert abs(numpy_copy(first) - numpy_copy(last)) == ROWS


def test_the_attack_succeeds_through_the_noise_of_a_numpy_copy() -> None:
    """Same rows, another order: float sums with Laplace noise of scale 1 are told apart in every one of 200 tries.

    A guess is wrong with probability e^-200 / 2 on the copy; here it is a fair coin, and 200 right guesses of 200 have
    probability 2^-200.
    """
    both = orders()

    def right(total: Any) -> int:
        found = 0
        for attempt in range(200):
            truth = attempt % 2
            released = total(both[truth]) + float(dp.geometric(0, sensitivity=1, epsilon=1.0))
            found += (released < LARGE + ROWS / 2) == bool(truth)
        return found

    assert right(numpy_copy) == 200
    assert right(exact) < 200


@given(
    st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=30), st.permutations(range(30)), st.sampled_from([-10, 0, 4])
)
def test_sums_equal_the_exact_sums_of_rounded_rows(values: list[float], order: list[int], power: int) -> None:
    grid = 2.0**power
    clipped = [min(max(value, -5e8), 7e8) for value in values]
    wanted = sum(round(Fraction(value) / Fraction(grid)) for value in clipped)
    assert int(encoded_sum(values, lower=-5e8, upper=7e8, grid=grid)) == wanted
    shuffled = [values[i] for i in order if i < len(values)]
    assert int(encoded_sum(shuffled, lower=-5e8, upper=7e8, grid=grid)) == wanted


def test_sums_by_column_and_of_nobody() -> None:
    total = encoded_sum([[1.0, -9.0], [0.5, 2.0]], lower=-4.0, upper=4.0, grid=0.5)
    assert total.tolist() == [3, -4]
    assert total.dtype == np.int64
    assert int(encoded_sum(np.zeros(0), lower=0.0, upper=1.0, grid=0.5)) == 0
    assert encoded_sum(np.zeros((0, 3)), lower=0.0, upper=1.0, grid=0.5).tolist() == [0, 0, 0]


def test_a_row_of_nothing_does_not_turn_the_sum_into_nothing() -> None:
    with pytest.raises(UsageError, match="not finite"):
        encoded_sum([1.0, math.nan], lower=0.0, upper=1.0, grid=0.5)
    assert int(encoded_sum([math.inf, -math.inf], lower=-1.0, upper=3.0, grid=1.0)) == 2


def test_sums_that_could_wrap_are_refused_whatever_the_values_are() -> None:
    for values in ([0.0, 0.0], [2.0**40, 2.0**40]):
        with pytest.raises(UsageError) as caught:
            encoded_sum(values, lower=0.0, upper=2.0**40, grid=2.0**-21)
        assert caught.value.code == "sum-too-long"
    for lower, upper in ((1.0, 0.0), (math.nan, 1.0), (0.0, math.inf)):
        with pytest.raises(UsageError, match="bounds"):
            encoded_sum([0.0], lower=lower, upper=upper, grid=1.0)


@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-3.0, 3.0)), min_size=1, max_size=6),
    st.integers(-6, 3),
)
def test_rounding_moves_neighbours_apart_by_no_more_than_is_charged(
    pairs: list[tuple[float, float]], power: int
) -> None:
    grid = 2.0**power
    a = np.array([value for value, _ in pairs])
    b = np.array([value + change for value, change in pairs])
    distance = sum(abs(Fraction(x) - Fraction(y)) for x, y in zip(a.tolist(), b.tolist(), strict=True))
    sensitivity = max(float(distance) * (1 + 2**-50), 1e-9)
    moved = int(np.abs(to_steps(a, grid) - to_steps(b, grid)).sum())
    assert moved <= steps_apart(sensitivity, grid, len(a))


def test_the_widening_is_reached() -> None:
    """Broken copy without it: 0.5 and 1.5 lie 1 apart, and 2 after rounding to even."""
    steps = to_steps([0.5, 1.5], 1.0)
    assert steps.tolist() == [0, 2]
    assert steps_apart(1.0, 1.0, 1) == 2 > math.floor(1.0 / 1.0)


def test_whole_numbers_keep_their_low_bits() -> None:
    """2^53 + 1 is no float64: through floats, two counts that differ by 1 would come out equal, or 2 apart."""
    counts = np.array([2**53, 2**53 + 1, 2**60 + 1])
    assert to_steps(counts, 1.0).tolist() == counts.tolist()
    assert to_integers(counts.astype(np.uint64)).tolist() == counts.tolist()
    assert to_steps(np.array([3, -5], dtype=np.int8), 0.25).tolist() == [12, -20]
    assert to_steps(np.array([0]), 2.0**-300).tolist() == [0]
    assert to_steps(np.array([7, 9]), 4.0).tolist() == [2, 2]


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        1.2345e300,
        10**30 + 12345,
        2**63 + 12345,
        [1.0, -math.inf],
        "12345",
        ["12345"],
        True,
        1.0 + 12345j,
        None,
        np.array([12345], dtype=object),
        np.array("2026-01-01", dtype="datetime64[D]"),
        np.longdouble(12345),
        2**62,
    ],
    ids=str,
)
def test_other_values_are_refused_and_never_told(value: Any) -> None:
    for call in (
        lambda: to_steps(value, 1.0),
        lambda: dp.laplace(value, sensitivity=1.0, epsilon=1.0, grid=1.0),
        lambda: dp.gaussian(value, sensitivity=1.0, epsilon=1.0, delta=1e-6, grid=1.0),
        lambda: dp.discrete_gaussian(value, sensitivity=1.0, epsilon=1.0, delta=1e-6, grid=1.0),
        lambda: dp.geometric(value, sensitivity=1, epsilon=1.0),
    ):
        with pytest.raises(UsageError) as caught:
            call()
        assert caught.value.code == "invalid-total"
        assert "2345" not in str(caught.value)
        assert "2026" not in str(caught.value)


def test_integers_are_not_floats() -> None:
    with pytest.raises(UsageError, match="not integers"):
        to_integers([1.0, 2.0])


@pytest.mark.parametrize("grid", [2.0, 2.0**11, 2.0**40, 2.0**62])
def test_whole_numbers_beyond_floats_stay_as_near_as_they_were(grid: float) -> None:
    """2^60 + 128 and its successor are 2^60 and 2^60 + 256 as floats: 128 steps of 2 apart, where 1 is charged."""
    edges = [2**60 + 128, 2**60 + 129, 3 * 2**61 + 512, 3 * 2**61 + 513, -(2**60) - 129, 2**61 + 1, 2**63 - 2, 1]
    edges += [int(grid // 2) + move for move in (-1, 0, 1)] + [3 * int(grid // 2) + move for move in (-1, 0)]
    below = np.array([edge for edge in edges if abs(edge) < 2**63 - 1], dtype=np.int64)
    limit = below if grid > 2 else below[np.abs(below) < 2**62]
    apart = to_steps(limit + 1, grid) - to_steps(limit, grid)
    assert apart.min() >= 0
    assert apart.max() <= steps_apart(1, grid, 1)
    for value, step in zip(limit.tolist(), to_steps(limit, grid).tolist(), strict=True):
        assert abs(Fraction(value) / Fraction(grid) - step) <= Fraction(1, 2)
    through_floats = np.rint(np.array([2**60 + 129, 2**60 + 128], dtype=np.int64).astype(np.float64) / 2)  # broken copy
    assert through_floats[0] - through_floats[1] == 128 > steps_apart(1, 2.0, 1)
