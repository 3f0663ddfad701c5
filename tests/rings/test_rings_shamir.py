"""Shamir's sharing: every subset restores, fewer know nothing, lies are seen."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reticent.errors import IdentityError, InternalError, UsageError
from reticent.randomness import secret
from reticent.rings import SHARE_BYTES, Interpolation, combine, shamir, split


def test_the_modulus_is_prime() -> None:
    """Miller-Rabin with 40 bases: a composite passes with probability below 4^-40."""
    p = shamir.PRIME
    odd, twos = p - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in range(2, 42):
        x = pow(base, odd, p)
        assert x in (1, p - 1) or any(pow(x, 2**k, p) == p - 1 for k in range(twos))


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=32), st.integers(1, 6), st.data())
def test_any_threshold_of_shares_restores(value: bytes, n: int, data: st.DataObject) -> None:
    t = data.draw(st.integers(1, n))
    shares = split(value, shares=n, threshold=t)
    assert sorted(shares) == list(range(1, n + 1))
    assert {len(share) for share in shares.values()} == {SHARE_BYTES}
    for holders in itertools.combinations(shares, t):
        assert combine({x: shares[x] for x in holders}, threshold=t) == value
        assert Interpolation(holders).secret(shares) == value
    assert combine(shares, threshold=t) == value


@pytest.mark.parametrize("value", [bytes(32), b"\xff" * 32, b"", b"\0\1"])
def test_edges_of_the_field(value: bytes) -> None:
    assert combine(split(value, shares=3, threshold=2), threshold=2) == value


def chi_square_of_shares(divide: object, draws: int = 4000) -> float:
    """Smallest p-value over the holders of a test that their shares of one fixed secret are uniform."""
    counts = np.zeros((4, 16), dtype=int)
    for _ in range(draws):
        for x, share in divide(b"\x42" * 32, shares=4, threshold=3).items():  # type: ignore[operator]
            counts[x - 1, shamir.parse(share)[1] * 16 // shamir.PRIME] += 1
    return min(float(stats.chisquare(row).pvalue) for row in counts)


def test_every_share_is_uniform_the_last_one_too() -> None:
    """Chi-square, 16 bins, 4 holders; false alarm 4e-8."""
    assert chi_square_of_shares(split) > 1e-8


def test_broken_copy_constant_coefficients_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shamir, "_uniform", lambda count: [1] * count)
    assert chi_square_of_shares(split) < 1e-8


def test_broken_copy_coefficients_of_128_bits_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shamir, "_uniform", lambda count: [int.from_bytes(secret(16)) for _ in range(count)])
    assert chi_square_of_shares(split) < 1e-8


def test_fewer_shares_fit_every_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    # Exhaustive in a small field: for each pair of shares below the threshold of 3, each secret is equally likely.
    monkeypatch.setattr(shamir, "PRIME", 7)
    views: dict[int, list[tuple[int, int]]] = {}
    for value in range(7):
        for coefficients in itertools.product(range(7), repeat=2):
            polynomial = [value, *coefficients]
            views.setdefault(value, []).append((shamir._evaluate(polynomial, 1), shamir._evaluate(polynomial, 4)))
    assert all(sorted(view) == sorted(views[0]) for view in views.values())
    assert len(set(views[0])) == 49


def restored_by(holders: int, threshold: int) -> bool:
    """Whether so many shares, interpolated as if they were enough, give the secret."""
    value = secret(32)
    shares = split(value, shares=5, threshold=threshold)
    try:
        return Interpolation(range(1, holders + 1)).secret(shares) == value
    except IdentityError:
        return False


@pytest.mark.parametrize("threshold", [2, 3, 4, 5])
def test_one_share_less_does_not_restore(threshold: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert restored_by(threshold, threshold)
    assert not restored_by(threshold - 1, threshold)
    # Broken copy: a polynomial of one degree less.
    uniform = shamir._uniform
    monkeypatch.setattr(shamir, "_uniform", lambda count: uniform(count - 1))
    assert restored_by(threshold - 1, threshold)


def test_a_result_longer_than_the_secret_is_refused() -> None:
    """A random result fits into 16 bytes with probability 2^-128."""
    shares = split(secret(32), shares=3, threshold=2)
    with pytest.raises(IdentityError, match="do not fit together"):
        combine({x: b"\x10" + share[1:] for x, share in shares.items()}, threshold=2)


def test_a_wrong_share_among_more_than_needed_is_seen() -> None:
    shares = split(secret(32), shares=5, threshold=3)
    other = split(secret(32), shares=5, threshold=3)
    for x in shares:
        with pytest.raises(IdentityError):
            combine({**shares, x: other[x]}, threshold=3)


def test_malformed_shares() -> None:
    shares = split(b"k" * 32, shares=3, threshold=2)
    for bad in (b"", shares[1][:-1], b"\x21" + shares[1][1:], b"\x10" + shares[1][1:], b"\x20" + b"\xff" * 33):
        with pytest.raises(IdentityError) as caught:
            combine({1: bad, 2: shares[2]}, threshold=2)
        assert shares[2].hex() not in str(caught.value)
    with pytest.raises(IdentityError):
        Interpolation([1, 3]).secret({1: shares[1]})


def test_refusals() -> None:
    shares = split(b"k", shares=3, threshold=2)
    with pytest.raises(UsageError, match="1 shares of a secret with threshold 2"):
        combine({1: shares[1]}, threshold=2)
    for n, t in ((3, 4), (3, 0), (0, 0), (1 << 16, 2)):
        with pytest.raises(UsageError, match="threshold is"):
            split(b"k", shares=n, threshold=t)
    with pytest.raises(InternalError, match="33 bytes"):
        split(bytes(33), shares=2, threshold=2)
    for points in ([], [0, 1], [1, 1], [1, 1 + shamir.PRIME]):
        with pytest.raises(InternalError, match="interpolate"):
            Interpolation(points)
