"""The compiled rounded Gaussian equals its reference bit for bit, and has the right distribution."""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import chi2

from reticent import kernels
from reticent.dp import noise
from reticent.kernels import compiled, reference
from reticent.randomness import Keystream

FALSE_ALARM = 1e-7
KEY = bytes(range(16))
SCALES = [2.0**-3, 0.3, 1.0, 7.5, 1e4, 2.0**20, 2.0**28]


def draws(wanted: str, scale: float, size: int, key: bytes = KEY) -> NDArray[np.int64]:
    return noise._draws(key, scale, size, kernels.choose(wanted))


@pytest.mark.parametrize("scale", SCALES)
def test_native_equals_the_reference(level: str, scale: float) -> None:
    assert np.array_equal(draws(f"native:{level}", scale, 40_001), draws("reference", scale, 40_001))


@pytest.mark.parametrize("scale", [2.0**34, 2.0**40])
def test_native_equals_the_reference_at_scales_where_most_draws_are_decided_exactly(level: str, scale: float) -> None:
    assert np.array_equal(draws(f"native:{level}", scale, 301), draws("reference", scale, 301))


@pytest.mark.parametrize("size", [0, 1, 2, 3, 511, 512, 513, 1025, compiled._WORDS + 1])
def test_sizes(level: str, size: int) -> None:
    drawn = draws(f"native:{level}", 1e3, size)
    assert drawn.shape == (size,)
    assert drawn.dtype == np.int64
    assert np.array_equal(drawn, draws("reference", 1e3, size))


def test_more_than_one_chunk(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_CHUNK", 1 << 12)
    monkeypatch.setattr(compiled, "_WORDS", 1 << 12)
    monkeypatch.setattr(reference, "_CHUNK", 1000)
    assert np.array_equal(draws(f"native:{level}", 2.0**33, 20_001), draws("reference", 2.0**33, 20_001))


@settings(max_examples=60, deadline=None)
@given(
    key=st.binary(min_size=16, max_size=16),
    scale=st.floats(2.0**-20, 2.0**32),
    size=st.integers(0, 700),
)
def test_native_equals_the_reference_for_any_key_scale_and_size(key: bytes, scale: float, size: int) -> None:
    assert np.array_equal(draws("auto", scale, size, key), draws("reference", scale, size, key))


@pytest.mark.parametrize("guard", [2.0**-30, 2.0**-20, 1e30])
def test_the_guard_decides_who_decides_and_never_what(
    level: str, guard: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = draws(f"native:{level}", 1000.0, 600)
    monkeypatch.setattr(compiled, "GUARD", guard)
    assert np.array_equal(draws(f"native:{level}", 1000.0, 600), usual)
    doubtful = kernels.choose(f"native:{level}").gaussian(KEY, 1000.0, np.empty(600, np.int64))
    assert len(doubtful) == 600 if guard > 1 else len(doubtful) < 600


def test_doubtful_draws_are_few_and_ascending(level: str) -> None:
    """Expected 2 GUARD scale E(1 + |X|) + 2 TAIL: 54 of 100 000 at scale 2^32; above 120 by chance below 1e-12."""
    doubtful = kernels.choose(f"native:{level}").gaussian(KEY, 2.0**32, np.empty(100_000, np.int64))
    assert 10 < len(doubtful) < 120
    assert np.all(np.diff(doubtful) > 0)


BOUNDARIES = {scale: np.unique(np.linspace(0, 5.2 * scale, 300).astype(np.int64)) for scale in (60.0, 1e4, 1e6)}


@cache
def words_at_boundaries(scale: float) -> NDArray[np.uint64]:
    """Return the words whose intervals hold the probabilities P(N(0, 1) > (n + 1/2) / scale), for n in BOUNDARIES."""
    with mp.workprec(200):
        reached = [mp.erfc((int(n) + mp.mpf("0.5")) / mp.mpf(scale) / mp.sqrt(2)) / 2 for n in BOUNDARIES[scale]]
        return np.array([int(mp.floor(tail * mp.mpf(2) ** 64)) for tail in reached], dtype=np.uint64)


def undetected(native: ModuleType, level: str, guard: float, table: NDArray[np.float64]) -> int:
    """Return how many draws just inside a boundary come out wrong without being called doubtful."""
    wrong = 0
    for scale, right in BOUNDARIES.items():
        out, doubtful = np.empty(len(right), np.int64), np.empty(len(right), np.int64)
        words = words_at_boundaries(scale) + np.uint64(1)
        count = native.gaussian_of_words(level, words, scale, guard, table, out, doubtful)
        sure = np.setdiff1d(np.arange(len(right)), doubtful[:count])
        wrong += int(np.count_nonzero(out[sure] != right[sure]))
    return wrong


def test_a_word_that_straddles_a_boundary_is_always_doubtful(native: ModuleType, level: str) -> None:
    """From the middle to 5.2 standard deviations: there 64 bits do not say which side U is on."""
    for scale, right in BOUNDARIES.items():
        out, doubtful = np.empty(len(right), np.int64), np.empty(len(right), np.int64)
        words, table = words_at_boundaries(scale), native.inverse_normal()
        assert native.gaussian_of_words(level, words, scale, compiled.GUARD, table, out, doubtful) == len(right)


def test_next_to_a_boundary_no_wrong_draw_is_called_sure(native: ModuleType, level: str) -> None:
    """And the broken copies: no guard; a polynomial off by 2^-40, which the true guard does not cover."""
    table = native.inverse_normal()
    perturbed = table * (1 + 2.0**-40)
    assert undetected(native, level, compiled.GUARD, table) == 0
    assert undetected(native, level, 0.0, table) > 50
    assert undetected(native, level, 0.0, perturbed) > 50
    assert undetected(native, level, compiled.GUARD, perturbed) > 50


def test_the_tail_is_never_decided_by_the_kernel(native: ModuleType, level: str) -> None:
    words = np.array([0, 1, 2**39, 2**40 - 1, 2**63, 2**63 + 2**40 - 1, 2**40, 2**63 + 2**40], dtype=np.uint64)
    out, doubtful = np.empty(8, np.int64), np.empty(8, np.int64)
    count = native.gaussian_of_words(level, words, 1.0, compiled.GUARD, native.inverse_normal(), out, doubtful)
    assert doubtful[:count].tolist() == [0, 1, 2, 3, 4, 5]
    assert out[6:].tolist() == [5, -5]


def test_the_last_words_are_zero(native: ModuleType, level: str) -> None:
    """U next to 1/2, where the quantile is 0 and a rounded U would be 1/2 itself."""
    words = np.array([2**63 - 1, 2**64 - 1, 2**63 - 1025], dtype=np.uint64)
    out, doubtful = np.empty(3, np.int64), np.empty(3, np.int64)
    assert native.gaussian_of_words(level, words, 2.0**30, compiled.GUARD, native.inverse_normal(), out, doubtful) == 0
    assert out.tolist() == [0, 0, 0]


def skipping(level: str, scale: float, size: int) -> NDArray[np.int64]:
    """A broken copy: the keystream jumps over one block."""
    drawn = draws(f"native:{level}", scale, size + 2)
    return np.concatenate([drawn[:512], drawn[514:]])


def test_a_skipped_block_is_noticed(level: str) -> None:
    right = draws("reference", 1e4, 2000)
    broken = skipping(level, 1e4, 2000)
    assert np.array_equal(broken[:512], right[:512])
    assert not np.array_equal(broken, right)


@pytest.mark.parametrize(
    "change",
    [
        {"out": np.empty(4, np.int32)},
        {"out": np.empty(8, np.int64)[::2]},
        {"out": np.empty((2, 2), np.int64)},
        {"table": np.zeros((367, 8))},
        {"table": np.zeros((368, 8), np.float32)},
        {"doubtful": np.empty(4, np.float64)},
    ],
)
def test_arrays_of_another_kind_are_refused_and_never_copied(native: ModuleType, change: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {
        "level": "plain",
        "words": np.zeros(4, np.uint64),
        "scale": 1.0,
        "guard": compiled.GUARD,
        "table": native.inverse_normal(),
        "out": np.empty(4, np.int64),
        "doubtful": np.empty(4, np.int64),
    }
    native.gaussian_of_words(**arguments)
    with pytest.raises(TypeError):
        native.gaussian_of_words(**{**arguments, **change})


def test_a_key_of_another_length_and_a_level_without_keys_are_refused(native: ModuleType) -> None:
    out, doubtful = np.empty(4, np.int64), np.empty(4, np.int64)
    rest = (0, 1.0, compiled.GUARD, native.inverse_normal(), out, doubtful)
    with pytest.raises(ValueError, match="takes words"):
        native.gaussian_of_key("plain", KEY, *rest)
    for level in native.levels()[:-1]:
        with pytest.raises(ValueError, match="16 bytes"):
            native.gaussian_of_key(level, KEY[:15], *rest)


@pytest.mark.parametrize("change", [{"words": np.zeros(3, np.uint64)}, {"doubtful": np.empty(3, np.int64)}])
def test_lengths_that_differ_are_refused(native: ModuleType, change: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"words": np.zeros(4, np.uint64), "doubtful": np.empty(4, np.int64), **change}
    with pytest.raises(ValueError, match=r"length|shorter"):
        native.gaussian_of_words(
            "plain",
            scale=1.0,
            guard=compiled.GUARD,
            table=native.inverse_normal(),
            out=np.empty(4, np.int64),
            **arguments,
        )


def p_value(wanted: str, scale: float, size: int, factor: float = 1.0) -> float:
    """Chi-square against exact probabilities: every value within 3.5 scales (at most 120 cells) and both tails."""
    last = np.ceil(3.5 * scale)
    cuts = np.unique(np.round(np.linspace(-last, last, min(120, int(2 * last) + 1)))) - 0.5
    below = ndtr(cuts / scale)
    exact = size * np.concatenate([[below[0]], np.diff(below), [ndtr(-cuts[-1] / scale)]])
    samples = noise._draws(Keystream.fresh().subkey(), scale * factor, size, kernels.choose(wanted))
    seen = np.bincount(np.searchsorted(cuts, samples.astype(np.float64)), minlength=len(exact)).astype(float)
    big = exact >= 10  # cells that expect fewer are joined to one
    exact = np.append(exact[big], exact[~big].sum() + 1e-300)
    seen = np.append(seen[big], seen[~big].sum())
    kept = exact >= 10
    return float(chi2.sf((((seen - exact) ** 2) / exact)[kept].sum(), max(1, int(kept.sum()) - 1)))


@pytest.mark.parametrize("scale", [0.4, 3.0, 250.0, 1e6])
def test_distribution(level: str, scale: float) -> None:
    """100 000 fresh draws; false alarm 1e-7 each, 2 % less noise found."""
    assert p_value(f"native:{level}", scale, 100_000) > FALSE_ALARM
    if scale > 1:
        assert p_value(f"native:{level}", scale, 100_000, factor=0.96) < FALSE_ALARM


@pytest.mark.soak
@pytest.mark.parametrize("scale", [0.2, 0.4, 1.0, 3.0, 250.0, 1e6, 2.0**26])
def test_distribution_of_ten_million(level: str, scale: float) -> None:
    """False alarm 1e-7 each; 0.3 % less noise is found where the grid is fine."""
    assert p_value(f"native:{level}", scale, 10_000_000) > FALSE_ALARM
    if scale > 1:
        assert p_value(f"native:{level}", scale, 10_000_000, factor=0.997) < FALSE_ALARM


@pytest.mark.soak
@pytest.mark.parametrize("scale", SCALES[:-1])
def test_five_million_draws_equal_the_reference(level: str, scale: float) -> None:
    assert np.array_equal(draws(f"native:{level}", scale, 5_000_001), draws("reference", scale, 5_000_001))
