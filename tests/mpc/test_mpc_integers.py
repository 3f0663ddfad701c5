"""The textbook's operations: uniform shares, products by triples that are spent, and Shamir's threshold."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reticent import mpc
from reticent.errors import IdentityError, PolicyRefused, UsageError

words = st.integers(-(2**63), 2**63 - 1)


def wrapped(value: int) -> int:
    """Return the signed integer that `value` is modulo 2^64."""
    return (value + 2**63) % 2**64 - 2**63


@settings(max_examples=60, deadline=None)
@given(words, words, words, st.integers(2, 6))
def test_sums_differences_and_products(a: int, b: int, c: int, parties: int) -> None:
    x, y = mpc.share(a, parties=parties), mpc.share(b, parties=parties)
    assert mpc.reconstruct(x) == a
    assert mpc.reconstruct(mpc.add(x, y)) == wrapped(a + b)
    assert mpc.reconstruct(x - y) == wrapped(a - b)
    assert mpc.reconstruct(mpc.add(x, c)) == wrapped(a + c)
    assert mpc.reconstruct(x * c) == wrapped(a * c)
    assert mpc.reconstruct(c + (-x)) == wrapped(c - a)
    assert mpc.reconstruct(mpc.multiply(x, y, triple=mpc.triple(parties=parties))) == wrapped(a * b)
    assert mpc.reconstruct({party: x[party] for party in range(parties)}) == a


def test_arrays() -> None:
    a, b = np.arange(-6, 6).reshape(3, 4), np.arange(12).reshape(3, 4)
    product = mpc.multiply(mpc.share(a), mpc.share(b), triple=mpc.triple(shape=(3, 4)))
    assert np.array_equal(mpc.reconstruct(product), a * b)
    assert product.shape == (3, 4)
    assert len(product) == 3


def poorest(make: object, parties: int = 3, draws: int = 3000) -> float:
    """Smallest p-value, over parties, of a test that the top octets of shares of 5 are uniform."""
    shares = np.array([[int(s) for s in make()] for _ in range(draws)], dtype=np.uint64)  # type: ignore[operator]
    octets = (shares >> np.uint64(56)).astype(np.int64)
    return min(float(stats.chisquare(np.bincount(octets[:, i], minlength=256)).pvalue) for i in range(parties))


def test_each_share_is_uniform_and_so_are_those_of_a_product() -> None:
    """Chi-square, 256 bins, 3 parties, twice; false alarm 6e-9."""
    assert poorest(lambda: mpc.share(5)) > 1e-9
    assert poorest(lambda: mpc.multiply(mpc.share(5), mpc.share(1), triple=mpc.triple())) > 1e-9


def test_broken_copy_with_shares_from_0_to_99_is_caught() -> None:
    """The guide's version, which adds up as well."""

    def guide() -> mpc.IntegerShares:
        first, second = (int(mpc.share(0)[0]) % 100 for _ in range(2))
        return mpc.IntegerShares([np.uint64(first), np.uint64(second), np.uint64((5 - first - second) % 2**64)])

    assert mpc.reconstruct(guide()) == 5
    assert poorest(guide) < 1e-9


def test_two_secrets_are_not_multiplied_without_a_triple() -> None:
    x, y = mpc.share(5), mpc.share(7)
    for attempt in (lambda: mpc.multiply(x, y), lambda: x * y):
        with pytest.raises(UsageError) as caught:
            attempt()
        assert caught.value.code == "triple-missing"


def test_a_triple_is_spent() -> None:
    triple = mpc.triple()
    mpc.multiply(mpc.share(5), mpc.share(7), triple=triple)
    with pytest.raises(PolicyRefused) as caught:
        mpc.multiply(mpc.share(5), mpc.share(7), triple=triple)
    assert caught.value.code == "triple-reused"
    assert "used=True" in repr(triple)


def test_broken_copy_of_a_triple_that_can_be_used_again_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mpc.IntegerTriple, "take", lambda self: self._shares)
    with pytest.raises(pytest.fail.Exception):
        test_a_triple_is_spent()


def test_triples_are_products_and_neither_zero_nor_constant() -> None:
    """A zero among 3000 uniform words: 2e-16."""
    shares = mpc.triple(shape=(1000,)).take()
    a, b, c = (np.sum([getattr(one, name) for one in shares], axis=0, dtype=np.uint64) for name in "abc")
    assert np.array_equal(a * b, c)
    for column in (a, b, *(getattr(one, name) for one in shares for name in "abc")):
        assert (column != 0).all()
        assert len(set(column.tolist())) == 1000


@settings(max_examples=25, deadline=None)
@given(st.integers(-(2**200), 2**200), st.integers(-(2**40), 2**40), st.integers(2, 5), st.data())
def test_any_threshold_of_shamirs_shares_restores(a: int, b: int, parties: int, data: st.DataObject) -> None:
    threshold = data.draw(st.integers(1, parties))
    x = mpc.share(a, parties=parties, threshold=threshold)
    y = mpc.share(b, parties=parties, threshold=threshold)
    for holders in itertools.combinations(range(parties), threshold):
        assert mpc.reconstruct(x.of(*holders)) == a
        assert mpc.reconstruct(mpc.add(x, y).of(*holders)) == a + b
        assert mpc.reconstruct((mpc.multiply(x, 3) + 7).of(*holders)) == 3 * a + 7
    if threshold > 1:
        with pytest.raises(UsageError) as caught:
            mpc.reconstruct(x.of(*range(threshold - 1)))
        assert caught.value.code == "too-few-shares"


def test_a_wrong_share_among_more_than_needed_is_seen() -> None:
    x = mpc.share(5, parties=4, threshold=2)
    wrong = mpc.ThresholdShares({**x.points, 2: x.points[2] + 1}, 2)
    with pytest.raises(IdentityError):
        mpc.reconstruct(wrong)


def test_shares_are_not_shown() -> None:
    additive, points = mpc.share(5), mpc.share(5, threshold=2)
    assert repr(additive) == "IntegerShares(parties=3, shape=())"
    assert repr(points) == "ThresholdShares(parties=[0, 1, 2], threshold=2)"


@pytest.mark.parametrize("value", [0.5, "5", 2**64, -(2**63) - 1, None])
def test_what_is_no_integer_of_64_bits(value: object) -> None:
    with pytest.raises(UsageError):
        mpc.share(value)  # type: ignore[call-overload]
