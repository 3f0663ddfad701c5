"""Poisson samples: independent, of the right size, sometimes empty; shuffled batches are caught."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, chi2

from reticent import dp
from reticent.errors import UsageError
from reticent.randomness import Keystream

FALSE_ALARM = 1e-7
Sampler = Callable[[int], Any]


class Fixed:
    def __init__(self, *words: int) -> None:
        self._words = words

    def words(self, n: int) -> Any:
        assert n == len(self._words)
        return np.array(self._words, dtype=np.uint64)


def size_p_value(sample: Sampler, n: int, q: float, repetitions: int) -> float:
    """Chi-square of sample sizes against the binomial law."""
    sizes = np.array([len(sample(n)) for _ in range(repetitions)])
    cuts = np.unique(binom.ppf(np.linspace(0, 1, 13)[1:-1], n, q))
    exact = np.diff(np.concatenate([[0.0], binom.cdf(cuts, n, q), [1.0]])) * repetitions
    seen = np.bincount(np.searchsorted(cuts, sizes), minlength=len(exact))
    return float(chi2.sf(((seen - exact) ** 2 / exact).sum(), len(exact) - 1))


def pair_z(sample: Sampler, n: int, q: float, repetitions: int) -> float:
    """Standard score of how often units 0 and 1 are together."""
    together = sum({0, 1} <= set(sample(n).tolist()) for _ in range(repetitions))
    return float((together - repetitions * q * q) / math.sqrt(repetitions * q * q * (1 - q * q)))


def test_sizes_are_binomial_and_units_independent() -> None:
    """False alarm 1e-7 each."""
    sampler = dp.PoissonSampler(0.3)
    assert size_p_value(sampler.sample, 100, 0.3, 4000) > FALSE_ALARM
    assert abs(pair_z(sampler.sample, 4, 0.3, 8000)) < 5.4


def fixed_size(n: int) -> Any:
    """Broken copy: always the expected number, as shuffled batches have it."""
    order = np.argsort(Keystream.fresh().words(n))
    return order[: round(0.3 * n)]


def coupled(n: int) -> Any:
    """Broken copy: right sizes on average, but neighbours come together."""
    return (dp.PoissonSampler(0.3).sample(n // 2)[:, None] * 2 + [0, 1]).ravel()


def resampled(n: int) -> Any:
    """Broken copy: empty samples are drawn again."""
    while len(found := dp.PoissonSampler(0.05).sample(n)) == 0:
        pass
    return found


def test_broken_samplers_are_caught() -> None:
    assert size_p_value(fixed_size, 100, 0.3, 4000) < FALSE_ALARM
    assert size_p_value(resampled, 20, 0.05, 4000) < FALSE_ALARM
    assert abs(pair_z(coupled, 4, 0.3, 8000)) > 5.4


def test_every_unit_has_the_probability() -> None:
    """Chi-square over units, false alarm 1e-7; also across the chunk boundary."""
    n, q = (1 << 18) + 1000, 0.25
    counts = np.zeros(n)
    for _ in range(8):
        counts[dp.PoissonSampler(q).sample(n)] += 1
    groups = counts.reshape(4, -1).sum(axis=1)
    mean, variance = 8 * q * n / 4, 8 * q * (1 - q) * n / 4
    assert chi2.sf(((groups - mean) ** 2 / variance).sum(), 4) > FALSE_ALARM


def test_the_threshold_is_rounded_down_and_exact() -> None:
    third = 1 / 3
    threshold = math.floor(third * 2**64)
    stream: Any = Fixed(threshold - 1, threshold, 0, 2**64 - 1)
    assert dp.PoissonSampler(third).sample(4, stream).tolist() == [0, 2]


def test_known_answer() -> None:
    first = dp.PoissonSampler(0.05).sample(100, Keystream(bytes(16))).tolist()
    words = Keystream(bytes(16)).words(100)
    assert first == [i for i, word in enumerate(words.tolist()) if word * 20 < 2**64]


def test_edges() -> None:
    assert dp.PoissonSampler(1.0).sample(5).tolist() == [0, 1, 2, 3, 4]
    assert dp.PoissonSampler(0.5).sample(0).tolist() == []
    assert dp.PoissonSampler(1e-30).sample(1000).tolist() == []
    sample = dp.PoissonSampler(1e-9).sample(10)
    assert sample.dtype == np.intp
    assert sample.shape == (0,)


def test_it_cannot_be_seeded() -> None:
    assert list(inspect.signature(dp.PoissonSampler).parameters) == ["probability"]
    assert dp.PoissonSampler(0.5).sample(200).tolist() != dp.PoissonSampler(0.5).sample(200).tolist()


@pytest.mark.parametrize("probability", [0.0, -0.1, 1.5, math.nan])
def test_bad_probabilities_are_refused(probability: float) -> None:
    with pytest.raises(UsageError, match="sampling_probability is"):
        dp.PoissonSampler(probability)


def test_a_negative_number_of_units_is_refused() -> None:
    with pytest.raises(UsageError, match="n_units is -1"):
        dp.PoissonSampler(0.5).sample(-1)
