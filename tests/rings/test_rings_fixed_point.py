"""Encoding: all codes, all signs, sums at the limit, the wire form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reticent.errors import DataError, IdentityError, UsageError
from reticent.rings import FixedPoint


def wrong_codes(encoding: FixedPoint) -> int:
    """How many of all numbers on the grid, negative ones too, do not survive a round trip."""
    steps = round(encoding.bound / encoding.precision)
    grid = np.arange(-steps, steps + 1) * encoding.precision
    grid = np.clip(grid, -encoding.bound, encoding.bound)
    return int(
        np.count_nonzero(encoding.decode(encoding.encode(grid)) != np.arange(-steps, steps + 1) * encoding.precision)
    )


@pytest.mark.parametrize(("bound", "precision"), [(8.0, 2**-16), (3.0, 1e-5), (1.0, 1.0), (0.1, 0.1 / 3)])
def test_every_code_survives(bound: float, precision: float) -> None:
    assert wrong_codes(FixedPoint(bound, precision, 7)) == 0


def test_broken_copy_decoding_negative_numbers_one_off_is_caught() -> None:
    class Broken(FixedPoint):
        def decode(self, words):  # type: ignore[no-untyped-def]
            exact = super().decode(words)
            return np.where(exact < -2, exact - self.precision, exact)

    assert wrong_codes(Broken(8.0, 2**-8, 7)) > 0


def sum_error(encoding: FixedPoint, terms: int, value: float) -> float:
    words = sum((encoding.encode(np.array([value])) for _ in range(terms)), np.zeros(1, np.uint64))
    return abs(float(encoding.decode(words & np.uint64(2**encoding.ring_bits - 1))[0]) - terms * value)


@settings(max_examples=200, deadline=None)
@given(
    st.floats(1e-6, 1e6),
    st.integers(1, 10**7),
    st.integers(1, 500),
    st.sampled_from([-1.0, 1.0, 0.5]),
)
def test_the_ring_holds_the_largest_sums_and_no_bit_more(bound: float, steps: int, terms: int, part: float) -> None:
    encoding = FixedPoint(bound, bound / steps, terms)
    value = part * bound
    tolerance = terms * encoding.precision / 2 + 1e-9 * abs(terms * value)
    assert sum_error(encoding, terms, value) <= tolerance * (1 + 1e-9)
    assert 2 ** (encoding.ring_bits - 1) <= 2 * terms * steps < 2**encoding.ring_bits


def test_broken_copy_ring_chosen_without_the_number_of_terms_is_caught() -> None:
    narrow = FixedPoint(1.0, 2**-10, 1)
    assert sum_error(narrow, 5, 1.0) > 1
    assert sum_error(FixedPoint(1.0, 2**-10, 5), 5, 1.0) == 0


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 10**6), st.floats(1e-6, 1e3), st.integers(0, 30))
def test_rounds_to_nearest(steps: int, bound: float, n: int) -> None:
    encoding = FixedPoint(bound, bound / steps, 3)
    x = np.linspace(-bound, bound, n)
    assert (np.abs(encoding.decode(encoding.encode(x)) - x) <= encoding.precision / 2 * (1 + 1e-6)).all()


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 50), st.integers(0, 40), st.randoms(use_true_random=False))
def test_pack_uses_exactly_the_bits_and_is_canonical(bits: int, length: int, generator) -> None:  # type: ignore[no-untyped-def]
    encoding = FixedPoint(float(2 ** max(bits - 2, 0)), 1.0, 1)
    bits = encoding.ring_bits
    words = np.array([generator.getrandbits(bits) for _ in range(length)], dtype=np.uint64)
    data = encoding.pack(words)
    assert len(data) == encoding.packed_bytes(length) == -(-length // 8) * bits
    assert encoding.pack(words.astype(encoding.word)) == data
    assert (encoding.unpack(data, length) == words).all()
    assert encoding.pack(encoding.unpack(data, length)) == data


def test_unpack_refuses_other_lengths_and_filled_filling() -> None:
    encoding = FixedPoint(100.0, 1.0, 3)
    data = encoding.pack(np.array([1, 2, 3], dtype=np.uint64))
    for bad in (data[:-1], data + b"\0", b""):
        with pytest.raises(IdentityError, match="not 3 packed words"):
            encoding.unpack(bad, 3)
    full = encoding.pack(np.full(4, 2**encoding.ring_bits - 1, dtype=np.uint64))
    with pytest.raises(IdentityError):
        encoding.unpack(full, 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1.0001, -2.0])
def test_encode_refuses_without_showing_the_number(bad: float) -> None:
    with pytest.raises(DataError) as caught:
        FixedPoint(1.0, 0.25, 3).encode(np.array([0.5, bad, 0.0]))
    assert "1 of 3" in caught.value.message
    assert not np.isfinite(bad) or str(bad) not in str(caught.value)


@pytest.mark.parametrize(
    ("bound", "precision", "terms"),
    [(0, 1, 1), (1, 0, 1), (-1, 1, 1), (np.nan, 1, 1), (1, np.inf, 1), (1, 2, 1), (1, 1, 0), (1e9, 1e-9, 1)],
)
def test_settings_without_sense_are_refused(bound: float, precision: float, terms: int) -> None:
    with pytest.raises(UsageError):
        FixedPoint(bound, precision, terms)
