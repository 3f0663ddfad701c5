"""Functions with a stated error over a stated domain, under both protocols; CrypTen's exp is off by 3.2 on N(0, 1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from reticent.errors import UsageError

Run = Callable[..., Any]
Reals = NDArray[np.float64]

few = settings(max_examples=15, deadline=None)
BITS = [8, 16, 20, 24, 30]


def codes(x: Reals, bits: int) -> Reals:
    """Return the nearest numbers with `bits` bits after the point."""
    return np.rint(x * 2.0**bits) * 2.0**-bits


def units(found: Reals, wanted: Reals, bits: int, relative: float = 0.0) -> float:
    """Return the largest error, in units in the last place, beyond the allowed relative one."""
    return float(np.max((np.abs(found - wanted) - relative * np.abs(wanted)) * 2.0**bits))


@pytest.mark.parametrize("bits", BITS)
def test_exp(shared: Run, bits: int) -> None:
    x = codes(np.linspace(-40, (36 - bits) * np.log(2) - 0.01, 2001), bits)
    assert units(shared(lambda a: a.exp(), x, fraction_bits=bits), np.exp(x), bits, 2.0**-21) <= 2


@pytest.mark.parametrize("bits", BITS)
def test_sigmoid_and_tanh(shared: Run, bits: int) -> None:
    x = codes(np.concatenate([np.linspace(-30, 30, 2001), [-1000.0, 1000.0, 0.0]]), bits)
    sigmoid, tanh = shared(lambda a: (a.sigmoid(), a.tanh()), x, fraction_bits=bits)
    with np.errstate(over="ignore"):
        assert units(sigmoid, 1 / (1 + np.exp(-x)), bits) <= 2 + 2.0 ** (bits - 24)
    assert units(tanh, np.tanh(x), bits) <= 4 + 2.0 ** (bits - 23)
    assert sigmoid.min() >= -(2.0**-bits) - 2.0**-27
    assert sigmoid.max() <= 1 + 2.0**-bits + 2.0**-27


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("classes", [1, 2, 10, 100])
def test_softmax(shared: Run, bits: int, classes: int) -> None:
    x = codes(np.random.default_rng(0).normal(size=(20, classes)) * 8, bits)
    weights = np.exp(x - x.max(1, keepdims=True))
    found = shared(lambda a: a.softmax(1), x, fraction_bits=bits)
    assert units(found, weights / weights.sum(1, keepdims=True), bits) <= 2 + (classes + 8) * 2.0 ** (bits - 27)


def test_softmax_along_another_axis_and_of_huge_differences(shared: Run) -> None:
    x = np.array([[1000.0, -1000.0], [0.0, 1000.0]])
    assert np.abs(shared(lambda a: a.softmax(0), x) - np.array([[1, 0], [0, 1]])).max() <= 2.0**-15


@pytest.mark.parametrize("bits", BITS)
def test_reciprocal_and_root(shared: Run, bits: int) -> None:
    low = max(2.0**-10, 2.0**-bits)
    x = codes(np.exp(np.linspace(np.log(low), np.log(2**14 * 0.999), 2001)), bits)
    signed = x * np.where(np.arange(x.size) % 2, 1, -1)
    inverse, root, both = shared(
        lambda a, b: (a.reciprocal(low=low, positive=True), a.sqrt(low=low), b.reciprocal(low=low)),
        x,
        signed,
        fraction_bits=bits,
    )
    assert units(inverse, 1 / x, bits, 2.0**-24) <= 1
    assert units(both, 1 / signed, bits, 2.0**-24) <= 2
    assert units(root, np.sqrt(x), bits, 2.0**-24) <= 1.1


def test_powers_of_two_and_zero(shared: Run) -> None:
    x = 2.0 ** np.arange(-10, 14)
    inverse, root = shared(lambda a: (a.reciprocal(), a.sqrt()), x)
    assert units(inverse, 1 / x, 16) <= 1
    assert units(root, np.sqrt(x), 16) <= 1.1
    assert shared(lambda a: a.sqrt(), np.zeros(3)).tolist() == [0, 0, 0]


@few
@given(
    st.lists(st.tuples(st.integers(-(2**30), 2**30), st.integers(2**6, 2**29)), min_size=1, max_size=9), st.booleans()
)
def test_quotients(shared: Run, both: list[tuple[int, int]], negative: bool) -> None:
    a, b = (np.array(column) * 2.0**-16 for column in zip(*both, strict=True))
    b = -b if negative else b
    found = shared(lambda x, y: x / y, a, b)
    assert np.all(np.abs(found - a / b) * 2**16 <= 2 + np.abs(a))


@few
@given(st.integers(-8, 4), st.integers(1, 12), st.integers(16, 24))
def test_other_domains(shared: Run, low: int, octaves: int, bits: int) -> None:
    high = 2.0 ** (low + octaves)
    x = codes(np.linspace(2.0**low, high * 0.99, 20), bits)
    inverse, root = shared(
        lambda a: (a.reciprocal(low=2.0**low, high=high, positive=True), a.sqrt(low=2.0**low, high=high)),
        x,
        fraction_bits=bits,
    )
    assert units(inverse, 1 / x, bits, 2.0**-22) <= 1.1
    assert units(root, np.sqrt(x), bits, 2.0**-22) <= 1.1


def test_a_number_over_a_secret_one(shared: Run) -> None:
    x = np.array([0.5, -4.0, 100.0])
    assert np.abs(shared(lambda a: 3 / a, x) - 3 / x).max() <= 2.0**-14


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (1.0, 1.0), (2.0, 1.0), (2.0**-16, 2.0**20), (1.0, 2.0**45)])
def test_domains_that_make_no_sense(shared: Run, low: float, high: float) -> None:
    with pytest.raises(UsageError, match="low is"):
        shared(lambda a: a.reciprocal(low=low, high=high), np.ones(2))
