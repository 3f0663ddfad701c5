"""Additive and replicated shares: they add up, and each single one is uniform, the last one too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from reticent.errors import UsageError
from reticent.randomness import Keystream
from reticent.rings import combine_additive, combine_replicated, sharing, split_additive, split_replicated

Split = Callable[[NDArray[np.uint64], int], list[NDArray[np.uint64]]]


def worst(split: Split, secret: int, parties: int = 3, draws: int = 40_000) -> float:
    """Smallest p-value, over parties and over top and bottom bytes, of a test that shares are uniform."""
    shares = split(np.full(draws, secret, dtype=np.uint64), parties)
    found = []
    for share in shares:
        for shift in (0, 8, 32, 56):
            octets = (share >> np.uint64(shift)) & np.uint64(255)
            found.append(stats.chisquare(np.bincount(octets.astype(np.int64), minlength=256)).pvalue)
    return float(min(found))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), max_size=9), st.integers(2, 6))
def test_shares_add_up(values: list[int], parties: int) -> None:
    words = np.array(values, dtype=np.uint64)
    shares = split_additive(words, parties)
    assert len(shares) == parties
    assert np.array_equal(combine_additive(shares), words)
    pairs = split_replicated(words)
    assert all(np.array_equal(combine_replicated(pairs[i], pairs[(i + 1) % 3]), words) for i in range(3))


@pytest.mark.parametrize("secret", [0, 5, 2**64 - 1])
def test_each_share_is_uniform(secret: int) -> None:
    """Chi-square on 4 bytes of the shares of 3 parties, additive and replicated; false alarm 2e-8 in all."""
    assert worst(split_additive, secret) > 1e-9
    assert worst(lambda words, parties: [part for pair in split_replicated(words) for part in pair], secret) > 1e-9


def test_broken_copy_with_shares_from_0_to_99_is_caught() -> None:
    def guide(words: NDArray[np.uint64], parties: int) -> list[NDArray[np.uint64]]:
        drawn = [Keystream.fresh().words(len(words)) % np.uint64(100) for _ in range(parties - 1)]
        return [*drawn, words - np.sum(drawn, axis=0, dtype=np.uint64)]

    assert np.array_equal(combine_additive(guide(np.full(9, 5, dtype=np.uint64), 3)), np.full(9, 5))
    assert worst(guide, 5) < 1e-9


def test_broken_copy_with_a_uniform_first_but_a_poor_last_share_is_caught() -> None:
    def poor(words: NDArray[np.uint64], parties: int) -> list[NDArray[np.uint64]]:
        first, *others = split_additive(words, parties)
        return [first, first, *others[1:-1], words - first - first]

    assert worst(poor, 5) < 1e-9


def test_the_same_stream_gives_the_same_shares_and_a_flipped_bit_of_its_key_others() -> None:
    words = np.arange(4, dtype=np.uint64)
    key = bytearray(16)
    first = split_additive(words, 3, Keystream(bytes(key)))
    assert all(np.array_equal(a, b) for a, b in zip(first, split_additive(words, 3, Keystream(bytes(16))), strict=True))
    for bit in range(128):
        key = bytearray(16)
        key[bit // 8] ^= 1 << bit % 8
        assert not np.array_equal(split_additive(words, 3, Keystream(bytes(key)))[0], first[0])


def test_refusals() -> None:
    one = np.zeros(2, dtype=np.uint64)
    with pytest.raises(UsageError):
        split_additive(one, 1)
    with pytest.raises(UsageError):
        combine_additive([one, np.zeros(3, dtype=np.uint64)])
    pairs = split_replicated(one)
    with pytest.raises(UsageError):
        combine_replicated(pairs[1], pairs[0])
    assert sharing.__all__ == sorted(sharing.__all__)
