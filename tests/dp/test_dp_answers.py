"""Randomized response: frequencies, the odds that were promised, and broken copies."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from reticent import dp
from reticent.dp import answers
from reticent.errors import PolicyRefused, UsageError

FALSE_ALARM = 1e-7
DRAWS = 100_000


def p_value(categories: int, epsilon: float, answer: int, draws: int = DRAWS) -> float:
    """Chi-square of released answers against Warner's law, for which odds are e^epsilon to 1."""
    released = dp.randomized_response(np.full(draws, answer), categories=categories, epsilon=epsilon)
    seen = np.bincount(released, minlength=categories)
    other = 1 / (math.exp(epsilon) + categories - 1)
    expected = np.full(categories, other * draws)
    expected[answer] = math.exp(epsilon) * other * draws
    return float(chi2.sf(((seen - expected) ** 2 / expected).sum(), categories - 1))


CASES = [(2, 1.0, 0), (2, 0.1, 1), (3, 2.0, 2), (10, 3.0, 4)]


@pytest.mark.parametrize(("categories", "epsilon", "answer"), CASES)
def test_frequencies(categories: int, epsilon: float, answer: int) -> None:
    """Chi-square with 1e5 answers; false alarm 1e-7 each."""
    assert p_value(categories, epsilon, answer) > FALSE_ALARM


@pytest.mark.soak
@pytest.mark.parametrize(("categories", "epsilon", "answer"), CASES)
def test_frequencies_at_length(categories: int, epsilon: float, answer: int) -> None:
    """Chi-square with 1e7 answers; false alarm 1e-7 each."""
    assert p_value(categories, epsilon, answer, draws=10_000_000) > FALSE_ALARM


@pytest.mark.parametrize("broken", ["flips to others only", "never", "half"])
def test_broken_copies_fail_the_frequency_test(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaced by one of the *other* answers, never replaced, or half as often."""
    coins, numbers = answers.bernoulli, answers.integers
    if broken == "flips to others only":
        monkeypatch.setattr(answers, "integers", lambda k, n, key: 1 + numbers(k - 1, n, key))
    else:
        less = 2 if broken == "half" else 10**9
        monkeypatch.setattr(answers, "bernoulli", lambda p, n, key: coins(p / less, n, key))
    assert p_value(3, 1.0, 0) < FALSE_ALARM


@given(st.integers(2, 1000), st.floats(1e-6, 600.0))
def test_the_odds_never_exceed_what_was_promised(categories: int, epsilon: float) -> None:
    """From the very float that is drawn and charged, in fractions; and no more replacing than needed."""
    flip = Fraction(dp.randomized_response_event(categories=categories, epsilon=epsilon).flip_probability)
    odds = (1 - flip + flip / categories) / (flip / categories)
    # e^epsilon in floating point is good to 2^-52; log(odds) is compared, with that much to spare.
    found = math.log1p(float(odds - 1)) if odds < 2**900 else math.inf
    assert found <= epsilon * (1 + 1e-15)
    assert found >= epsilon * (1 - 1e-9) - categories * 1e-14


def test_the_smallest_flip_probability_is_not_zero() -> None:
    assert dp.randomized_response_event(categories=2, epsilon=1e6).flip_probability > 0


def test_shapes_and_kinds() -> None:
    far: dict[str, Any] = {"categories": 4, "epsilon": 200.0}
    given_answers = np.array([[0, 1], [2, 3]], dtype=np.int8)
    released = dp.randomized_response(given_answers, **far)
    assert released.dtype == np.int64
    assert released.tolist() == given_answers.tolist()
    assert int(dp.randomized_response(3, **far)) == 3
    assert dp.randomized_response([True, False], categories=2, epsilon=200.0).tolist() == [1, 0]
    assert dp.randomized_response(np.zeros(0, dtype=np.int64), **far).shape == (0,)
    first, second = (dp.randomized_response(np.zeros(200, dtype=np.int64), categories=2, epsilon=0.1) for _ in "ab")
    assert first.tolist() != second.tolist()


def test_what_is_drawn_is_what_was_paid_for() -> None:
    event = dp.randomized_response_event(categories=3, epsilon=1.0)
    assert isinstance(event, dp.RandomizedResponse)
    grant = dp.Grant("key", [event])
    bad: list[tuple[Any, dict[str, Any]]] = [
        ([0, 3], {}),
        ([-1], {}),
        ([12345], {}),
        ([0.0, 1.0], {}),
        (["12345"], {}),
        ([0], {"categories": 1}),
        ([0], {"categories": 2.5}),
        ([0], {"categories": math.nan}),
        ([0], {"epsilon": 0.0}),
        ([0], {"epsilon": math.nan}),
        ([0], {"epsilon": math.inf}),
    ]
    for value, change in bad:
        with pytest.raises(UsageError) as caught:
            dp.randomized_response(value, **{"categories": 3, "epsilon": 1.0, **change}, grant=grant)
        assert "2345" not in str(caught.value)
    assert grant.remaining()
    dp.randomized_response([0, 1, 2], categories=3, epsilon=1.0, grant=grant)
    for unpaid in (grant, dp.Grant("key", [dp.RandomizedResponse(0.5, 3)])):
        with pytest.raises(PolicyRefused):
            dp.randomized_response([0], categories=3, epsilon=1.0, grant=unpaid)
