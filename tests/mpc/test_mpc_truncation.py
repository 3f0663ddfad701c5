"""Truncation: never off by more than it says, near the limit of the range, where others err by 2^(64 - f)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from reticent.mpc import truncation
from reticent.mpc.truncation import truncate
from reticent.rings import combine_additive, split_additive

Run = Callable[..., Any]
Words = NDArray[np.uint64]


def products(count: int, seed: int = 0) -> Words:
    """Codes of products near the limit: factors of about 2^45 and 2^16, of both signs, and the edges."""
    generator = np.random.default_rng(seed)
    left = generator.integers(2**44, 2**45, count) * generator.choice([-1, 1], count)
    right = generator.integers(2**16, 2**17 - 1, count)
    out = left * right
    out[:4] = [2**62 - 1, -(2**62), 0, -1]
    return out.view(np.uint64)


def deviations(run_gate: Run, x: Words, *, bits: int = 16, exact: bool = True, parties: int = 2) -> NDArray[np.int64]:
    """Return result minus floor, for each element."""
    found = run_gate(
        "truncation",
        {"count": x.size, "bits": bits, "exact": exact},
        lambda group, material, shares: truncate(group, material, shares[0], bits=bits),
        [x],
        parties,
    )
    return combine_additive(found).view(np.int64) - (x.view(np.int64) >> bits)


def test_a_million_products_near_the_limit_without_a_deviation(run_gate: Run) -> None:
    assert np.count_nonzero(deviations(run_gate, products(1_000_000))) == 0


def test_probabilistic_truncation_is_floor_or_one_more_in_a_million(run_gate: Run) -> None:
    found = deviations(run_gate, products(1_000_000), exact=False)
    assert set(np.unique(found)) == {0, 1}


def test_broken_copy_that_truncates_shares_alone_is_caught() -> None:
    """CrypTen's two-party truncation: wrong by 2^48 with probability |x| / 2^64, here a quarter and more."""
    x = products(10_000)
    first, second = split_additive(x, 2)
    cut = (first.view(np.int64) >> 16) + (second.view(np.int64) >> 16)
    wrong = np.abs(cut - (x.view(np.int64) >> 16)) > 1
    assert 0.05 < wrong.mean() < 0.5


def test_broken_copy_without_the_offset_is_caught(run_gate: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(truncation, "_offset", lambda bits: 0)
    assert np.count_nonzero(np.abs(deviations(run_gate, products(1000))) > 1) > 0


def test_broken_copy_that_forgets_the_wrap_is_caught(run_gate: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    original = truncation._unwrapped

    def forgetful(group: Any, material: Any, c: Words, bits: int) -> Words:
        material = truncation.TruncationMaterial(
            material.r, material.shifted, np.zeros_like(material.top), material.borrow
        )
        return original(group, material, c, bits)

    monkeypatch.setattr(truncation, "_unwrapped", forgetful)
    assert np.count_nonzero(deviations(run_gate, products(1000))) > 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-(2**62), 2**62 - 1), min_size=1, max_size=20), st.integers(1, 61), st.integers(2, 4))
def test_exact_for_every_number_of_bits_and_parties(run_gate: Run, values: list[int], bits: int, parties: int) -> None:
    x = np.array(values, dtype=np.int64).view(np.uint64)
    assert not deviations(run_gate, x, bits=bits, parties=parties).any()


def counted(steps: Any, rounds: list[int]) -> Any:
    """Run `steps` and append one entry for each of its rounds."""
    received = None
    while True:
        try:
            step = steps.send(received)
        except StopIteration as end:
            return end.value
        rounds.append(1)
        received = yield step


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 7, 16, 17, 33, 61])
def test_the_number_of_rounds_is_as_stated(run_gate: Run, bits: int, exact: bool) -> None:
    rounds: list[int] = []
    run_gate(
        "truncation",
        {"count": 10, "bits": bits, "exact": exact},
        lambda group, material, shares: counted(truncate(group, material, shares[0], bits=bits), rounds),
        [products(10)],
    )
    assert len(rounds) == 2 * truncation.rounds_of(bits, exact=exact)
