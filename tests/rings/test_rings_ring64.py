"""Fixed point in 64 bits: encoding and decoding are inverse for every code, negative ones too."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reticent.errors import DataError, UsageError
from reticent.rings import Ring64


def wrong_codes(decode: object, fraction_bits: int = 16) -> int:
    """How many of the 2^20 codes around zero, and around steps of 2^16, do not come back."""
    ring = Ring64(fraction_bits)
    codes = np.arange(-(2**19), 2**19, dtype=np.int64)
    far = (np.arange(-40, 40, dtype=np.int64)[:, None] * 2**16 + np.arange(-3, 4)).reshape(-1)
    codes = np.concatenate([codes, far, 2**53 - far[far > 0], far[far > 0] - 2**53]).view(np.uint64)
    decoded = decode(codes)  # type: ignore[operator]
    exact = codes.view(np.int64) / 2.0**fraction_bits
    return int(np.count_nonzero(decoded != exact)) + int(np.count_nonzero(ring.encode(decoded) != codes))


@pytest.mark.parametrize("fraction_bits", [0, 1, 16, 20, 30])
def test_every_code_comes_back(fraction_bits: int) -> None:
    if fraction_bits == 30:
        codes = np.arange(-(2**20), 2**20, dtype=np.int64).view(np.uint64)
        assert np.array_equal(Ring64(30).encode(Ring64(30).decode(codes)), codes)
    assert wrong_codes(Ring64(min(fraction_bits, 20)).decode, min(fraction_bits, 20)) == 0


def test_broken_copy_that_is_off_by_one_above_negative_integers_is_caught() -> None:
    """CrypTen 0.4.1 divides negative codes by scale - 1, so that -131071 becomes -3 instead of -2."""

    def decode(words: np.ndarray) -> np.ndarray:
        codes, scale = words.view(np.int64), 2**16
        negative = (codes < 0).astype(np.int64)
        whole = codes // (scale - negative)
        rest = codes % scale
        rest += (rest == 0) * scale * negative
        return whole + rest / scale

    assert round(float(decode(np.array([-131071]).view(np.uint64))[0])) == -3
    assert wrong_codes(decode) > 0


@given(st.floats(-(2.0**45), 2.0**45))
def test_nearest_code(x: float) -> None:
    ring = Ring64(16)
    assert abs(float(ring.decode(ring.encode(x))) - x) <= 2.0**-17


@given(st.lists(st.tuples(st.integers(-(2**40), 2**40), st.integers(-(2**40), 2**40)), min_size=1, max_size=20))
def test_sums_are_exact(pairs: list[tuple[int, int]]) -> None:
    ring = Ring64(16)
    a, b = (np.array(column, dtype=np.float64) * 2.0**-16 for column in zip(*pairs, strict=True))
    assert np.array_equal(ring.decode(ring.encode(a) + ring.encode(b)), a + b)


def test_edges() -> None:
    ring = Ring64(16)
    largest = np.nextafter(ring.bound, 0)
    assert ring.decode(ring.encode([largest, -largest])).tolist() == [largest, -largest]
    assert ring.encode(0.5).shape == ()
    assert ring.encode(np.zeros((2, 0, 3))).shape == (2, 0, 3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2.0**46, -(2.0**46), 1.25e300])
def test_what_does_not_fit_is_refused_without_naming_it(value: float) -> None:
    with pytest.raises(DataError) as caught:
        Ring64(16).encode([0.0, value])
    assert caught.value.code in {"encode-not-finite", "encode-over-bound"}
    assert "1.25" not in caught.value.message


@pytest.mark.parametrize("bits", [-1, 31])
def test_fraction_bits_out_of_range(bits: int) -> None:
    with pytest.raises(UsageError):
        Ring64(bits)
