"""Exact samplers: distribution against exact probabilities, doubtful draws, broken copies."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from mpmath import mp
from numpy.typing import NDArray
from scipy.stats import chi2

from reticent.dp.samplers import (
    bernoulli,
    bernoulli_exp,
    coins,
    discrete_gaussian,
    discrete_laplace,
    integers,
    rounded_laplace,
    uniform,
)
from reticent.dp.samplers import laplace as laplaces
from reticent.dp.samplers.uniform import Uniform, exp_fixed
from reticent.errors import UsageError
from reticent.randomness import Keystream

FALSE_ALARM = 1e-7
KEY = bytes(range(16))
DRAWS = 100_000
Sampler = Callable[[float, int, Any], NDArray[np.int64]]
Masses = Callable[[Any, int], list[Any]]


class Words:
    """A keystream of chosen words, then zeros; counts how many were read."""

    def __init__(self, *words: int) -> None:
        self.left = list(words)
        self.read = 0

    def words(self, n: int) -> NDArray[np.uint64]:
        self.read += n
        taken, self.left = self.left[:n], self.left[n:]
        return np.array(taken + [0] * (n - len(taken)), dtype=np.uint64)


def laplace_masses(t: Any, count: int) -> list[Any]:
    """P(X = x) for x = 0, 1, ... count - 1."""
    p = mp.exp(-1 / t)
    return [(1 - p) / (1 + p) * p**x for x in range(count)]


def rounded_masses(t: Any, count: int) -> list[Any]:
    tails = [mp.exp(-(x + mp.mpf("0.5")) / t) / 2 for x in range(count)]
    return [1 - 2 * tails[0], *[a - b for a, b in itertools.pairwise(tails)]]


def gaussian_masses(sigma: Any, count: int) -> list[Any]:
    weights = [mp.exp(-mp.mpf(x) * x / (2 * sigma * sigma)) for x in range(count)]
    total = 2 * sum(weights) - 1
    return [weight / total for weight in weights]


FAMILIES: dict[str, tuple[Sampler, Masses]] = {
    "discrete_laplace": (discrete_laplace, laplace_masses),
    "rounded_laplace": (rounded_laplace, rounded_masses),
    "discrete_gaussian": (discrete_gaussian, gaussian_masses),
}
SCALES = [0.3, 1.0, 4.7, 60.0]


def cells(masses: Masses, scale: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return edges (cell i holds edges[i] <= x < edges[i + 1]) and the exact masses of the cells, tails included.

    Each holds 5e-4 or more; beyond 60 scales lies less than e^-60, of all families.
    """
    with mp.workdps(40):
        exact = masses(mp.mpf(scale), math.ceil(60 * scale) + 40)
        left = (1 - exact[0]) / 2
        edges, inside = [1], [mp.mpf(0)]
        for x, mass in enumerate(exact[1:], start=1):
            inside[-1] += mass
            left -= mass
            if inside[-1] >= 5e-4 and left >= 5e-4:
                edges.append(x + 1)
                inside.append(mp.mpf(0))
        inside[-1] += max(left, mp.mpf(0))
        both = [float(mass) for mass in [*inside[::-1], exact[0], *inside]]
    return np.array([-(2**62), *[1 - edge for edge in edges[1:][::-1]], 0, *edges]), np.array(both)


def p_value(sampler: Sampler, masses: Masses, scale: float, draws: int = DRAWS) -> float:
    """Chi-square of `draws` samples against the exact masses; every cell expects 20 or more."""
    edges, exact = cells(masses, scale)
    samples = sampler(scale, draws, Keystream.fresh())
    seen = np.bincount(np.searchsorted(edges, samples, side="right") - 1, minlength=len(exact)).astype(float)
    expected = exact * draws
    assert expected.min() > 20
    return float(chi2.sf(((seen - expected) ** 2 / expected).sum(), len(exact) - 1))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", FAMILIES)
def test_distribution(name: str, scale: float) -> None:
    """Chi-square with 1e5 fresh draws; false alarm 1e-7 each."""
    sampler, masses = FAMILIES[name]
    assert p_value(sampler, masses, scale) > FALSE_ALARM


@pytest.mark.soak
@pytest.mark.parametrize("scale", [0.3, 1.0, 4.7, 60.0])
@pytest.mark.parametrize("name", FAMILIES)
def test_distribution_at_length(name: str, scale: float) -> None:
    """Chi-square with 2e7 fresh draws; false alarm 1e-7 each."""
    sampler, masses = FAMILIES[name]
    assert p_value(sampler, masses, scale, draws=20_000_000) > FALSE_ALARM


def narrow(scale: float, size: int, keystream: Any) -> NDArray[np.int64]:
    return discrete_laplace(0.96 * scale, size, keystream)


def two_zeros(scale: float, size: int, keystream: Any) -> NDArray[np.int64]:
    """A geometric magnitude and a sign, without rejecting minus zero: zero comes twice as often."""
    magnitude = np.floor(-scale * np.log((keystream.words(size) + 0.5) * 2.0**-64)).astype(np.int64)
    return np.where(keystream.words(size) >> np.uint64(63) == 1, -magnitude, magnitude)


def floored(scale: float, size: int, keystream: Any) -> NDArray[np.int64]:
    """Floor of a continuous Laplace: not symmetric."""
    u = (keystream.words(size) + 0.5) * 2.0**-64 - 0.5
    return np.floor(-scale * np.sign(u) * np.log1p(-2 * np.abs(u))).astype(np.int64)


def tailless(scale: float, size: int, keystream: Any) -> NDArray[np.int64]:
    limit = round(6 * scale)
    return np.clip(discrete_laplace(scale, size, keystream), -limit, limit)


def one_sided(scale: float, size: int, keystream: Any) -> NDArray[np.int64]:
    return np.abs(discrete_laplace(scale, size, keystream))


@pytest.mark.parametrize("broken", [narrow, two_zeros, floored, tailless, one_sided, rounded_laplace])
def test_broken_copies_fail_the_distribution_test(broken: Sampler) -> None:
    """4 % less noise, minus zero kept, floor, a cut tail, a lost sign, the other kind: each lies far outside.

    They are missed with probability below 1e-6 (the 4 % are the nearest: noncentrality above 300).
    """
    assert p_value(broken, laplace_masses, 1.3, draws=400_000) < FALSE_ALARM


@pytest.mark.parametrize("missing", ["center", "half"])
def test_a_wrong_rejection_fails_the_distribution_test(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken copies of algorithm 3: the shift sigma^2 / t forgotten, or the 2 of 2 sigma^2."""
    from reticent.dp.samplers import gaussian as module

    def attempt(sigma: float, size: int, keystream: Any) -> NDArray[np.int64]:
        scale = math.floor(sigma) + 1
        candidates = discrete_laplace(float(scale), size, keystream)
        distance = np.abs(candidates) / sigma - (0 if missing == "center" else sigma / scale)
        gamma = distance * distance / (2 if missing == "center" else 1)
        return candidates[bernoulli_exp(gamma, lambda index: Fraction(float(gamma[index])), keystream)]

    monkeypatch.setattr(module, "_attempt", attempt)
    assert p_value(discrete_gaussian, gaussian_masses, 4.7) < FALSE_ALARM


@pytest.mark.parametrize("sampler", [discrete_laplace, rounded_laplace, discrete_gaussian])
@pytest.mark.parametrize("scale", [0.3, 7.0, 1e4, 1e9])
def test_the_exact_path_alone_gives_the_same_samples(
    sampler: Sampler, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Floating point decides nothing that the integers would decide otherwise."""
    usual = sampler(scale, 1000, Keystream(KEY))
    monkeypatch.setattr(laplaces, "GUARD", 1e30)
    monkeypatch.setattr(laplaces, "TAIL", 2.0)
    monkeypatch.setattr(coins, "TAIL", 2.0)
    monkeypatch.setattr(coins, "GUARD", 1e30)
    assert np.array_equal(sampler(scale, 1000, Keystream(KEY)), usual)


def laplace_tail(m: int, t: Any) -> Any:
    """P(|X| >= m) for m >= 1."""
    return 2 * mp.exp(-m / t) / (1 + mp.exp(-1 / t))


def rounded_tail(m: int, t: Any) -> Any:
    return mp.exp(-(m - mp.mpf("0.5")) / t)


def test_known_answers() -> None:
    """Computed apart from the code: the largest m with U < tail(m), at 200 bits, U from AES-128-CTR under KEY."""
    words = Keystream(KEY).words(8)
    for sampler, tail in ((discrete_laplace, laplace_tail), (rounded_laplace, rounded_tail)):
        for scale in (0.3, 5.0, 1e6):
            wanted = []
            with mp.workprec(200):
                for word in words.tolist():
                    u = mp.mpf(word & (2**63 - 1)) / mp.mpf(2) ** 63
                    low, high = 0, 2**40
                    while high - low > 1:
                        middle = (low + high) // 2
                        inside = u < tail(middle, mp.mpf(scale))
                        low, high = (middle, high) if inside else (low, middle)
                    wanted.append(-low if word >> 63 else low)
            assert sampler(scale, 8, Keystream(KEY)).tolist() == wanted


def boundary_words(scale: float, magnitudes: range) -> list[int]:
    """First words whose 63 bits straddle the boundary between m - 1 and m."""
    with mp.workprec(200):
        return [int(mp.floor(laplace_tail(m, mp.mpf(scale)) * mp.mpf(2) ** 63)) for m in magnitudes]


def test_without_the_guard_samples_go_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken copy: one unit beside a boundary floating point alone errs; the guard sends such draws to the proof."""
    scale, magnitudes = 100.0, range(1, 120)
    below = [word - 1 for word in boundary_words(scale, magnitudes)]
    above = [word + 1 for word in boundary_words(scale, magnitudes)]
    wanted = [*magnitudes, *[m - 1 for m in magnitudes]]
    assert discrete_laplace(scale, len(wanted), Words(*below, *above)).tolist() == wanted
    monkeypatch.setattr(laplaces, "GUARD", 0.0)
    assert discrete_laplace(scale, len(wanted), Words(*below, *above)).tolist() != wanted


@pytest.mark.parametrize("magnitude", [1, 3, 200])
def test_a_straddling_draw_reads_more_bits_and_obeys_them(magnitude: int) -> None:
    scale = 50.0
    with mp.workprec(400):
        tail = laplace_tail(magnitude, mp.mpf(scale)) * mp.mpf(2) ** 63
        first = int(mp.floor(tail))
        rest = int(mp.floor((tail - first) * mp.mpf(2) ** 64))
    for more, drawn in ((rest - 1, magnitude), (rest + 1, magnitude - 1)):
        stream = Words(first, more)
        assert discrete_laplace(scale, 1, stream).tolist() == [drawn]
        assert stream.read == 2
    stream = Words(first, rest, 0)  # the rest of the tail's bits is above zero: U is below it
    assert discrete_laplace(scale, 1, stream).tolist() == [magnitude]
    assert stream.read == 3


def test_a_clear_draw_reads_one_word() -> None:
    for sampler in (discrete_laplace, rounded_laplace):
        stream = Words(1 << 61)
        sampler(10.0, 1, stream)
        assert stream.read == 1


@pytest.mark.parametrize("sampler", [discrete_laplace, rounded_laplace])
def test_the_last_bit_ends_the_reading(sampler: Sampler) -> None:
    """All-zero bits: the far end of the tail, at 1087 ln 2 scales, after 1087 bits and no more."""
    stream = Words()
    drawn = int(sampler(10.0, 1, stream)[0])
    assert stream.read <= uniform.MAX_BITS // 64 + 1
    assert 7000 < drawn <= 754 * 10


def test_scales_far_from_one() -> None:
    for sampler in (discrete_laplace, rounded_laplace):
        assert sampler(5e-324, 3, Words(5, 1 << 62, 3)).tolist() == [0, 0, 0]
        assert np.abs(sampler(2.0**40, 50, Keystream.fresh())).max() > 2**35  # all 50 below: probability 1e-80
    assert discrete_gaussian(5e-324, 3, Keystream.fresh()).tolist() == [0, 0, 0]
    assert np.abs(discrete_gaussian(2.0**39, 50, Keystream.fresh())).max() > 2**34


def test_the_declared_error_of_the_logarithm_holds() -> None:
    """numpy's log is off by less than 2^-48 for U >= TAIL; GUARD allows 2^-44 in all."""
    rng = np.random.default_rng(0)  # test points, not noise
    points = np.concatenate([rng.random(3000), np.geomspace(laplaces.TAIL, 1.0, 3000)])
    logs = np.log(points)
    with mp.workprec(120):
        worst = max(abs(float(mp.log(mp.mpf(float(p))) - mp.mpf(float(x)))) for p, x in zip(points, logs, strict=True))
    assert worst < 2.0**-48
    assert laplaces.TAIL >= 2.0**-16
    assert min(laplaces.GUARD, coins.GUARD) >= 2.0**-44


def test_fixed_point_exponentials() -> None:
    with mp.workprec(1400):
        for gamma in (Fraction(0), Fraction(1, 3), Fraction(10**30, 7 * 10**29), Fraction(700), Fraction(2) ** -1000):
            for precision in (96, 1100):
                exact = mp.exp(-mp.mpf(gamma.numerator) / gamma.denominator) * mp.mpf(2) ** precision
                assert abs(exp_fixed(gamma, precision) - exact) <= 2
    assert exp_fixed(Fraction(10) ** 400, 1100) == 0


def coin_p_value(heads: NDArray[np.bool_], probability: float) -> float:
    """Chi-square with one degree of freedom."""
    off = float(heads.sum()) - probability * heads.size
    return float(chi2.sf(off * off / (heads.size * probability * (1 - probability)), 1))


GAMMAS = [Fraction(1, 1000), Fraction(1, 3), Fraction(2), Fraction(11, 2)]


def exp_coins(gamma: Fraction, draws: int, keystream: Any) -> NDArray[np.bool_]:
    return bernoulli_exp(np.full(draws, float(gamma)), lambda _: gamma, keystream)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_exponential_coins(gamma: Fraction) -> None:
    """False alarm 1e-7 each; a coin of 1 - gamma, or of 2^-gamma, would be found."""
    heads = exp_coins(gamma, 200_000, Keystream.fresh())
    assert coin_p_value(heads, math.exp(-gamma)) > FALSE_ALARM
    if gamma > Fraction(1, 10):
        assert coin_p_value(heads, 2.0 ** -float(gamma)) < FALSE_ALARM


@pytest.mark.soak
@pytest.mark.parametrize("gamma", GAMMAS)
def test_exponential_coins_at_length(gamma: Fraction) -> None:
    """2e7 coins; false alarm 1e-7 each."""
    heads = sum(int(exp_coins(gamma, 1_000_000, Keystream.fresh()).sum()) for _ in range(20))
    p = math.exp(-gamma)
    assert chi2.sf((heads - 2e7 * p) ** 2 / (2e7 * p * (1 - p)), 1) > FALSE_ALARM


def test_a_certain_coin_is_certain() -> None:
    ones = Words(*[2**64 - 1] * 99)  # as near to 1 as 1024 bits can say
    assert bernoulli_exp(np.zeros(3), lambda _: Fraction(0), ones).all()  # type: ignore[arg-type]
    assert ones.read == 3
    assert bernoulli(Fraction(1), 4, Words(*[2**64 - 1] * 4)).all()  # type: ignore[arg-type]
    assert not bernoulli(Fraction(0), 4, Words(0, 0, 0, 0)).any()  # type: ignore[arg-type]
    assert not bernoulli_exp(np.full(2, np.inf), lambda _: Fraction(10**9), Words()).any()  # type: ignore[arg-type]


def test_a_doubtful_coin_reads_more_bits_and_obeys_them() -> None:
    third = (2**64 - 1) // 3
    for more, side in ((third - 1, True), (third + 1, False)):
        stream = Words(third, more)
        assert bernoulli(Fraction(1, 3), 1, stream).tolist() == [side]  # type: ignore[arg-type]
        assert stream.read == 2
    with mp.workprec(300):
        edge = mp.exp(-2) * mp.mpf(2) ** 64
        first, rest = int(mp.floor(edge)), int(mp.floor((edge - mp.floor(edge)) * mp.mpf(2) ** 64))
    for more, side in ((rest - 1, True), (rest + 1, False)):
        stream = Words(first, more)
        assert exp_coins(Fraction(2), 1, stream).tolist() == [side]
        assert stream.read == 2


def test_without_the_guard_coins_go_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken copy: one unit beside exp(-gamma) floating point alone errs."""
    gammas = [Fraction(k, 37) for k in range(1, 200)]
    with mp.workprec(200):
        edges = [int(mp.floor(mp.exp(-mp.mpf(g.numerator) / g.denominator) * mp.mpf(2) ** 64)) for g in gammas]

    def heads(off: int) -> list[bool]:
        stream: Any = Words(*[edge + off for edge in edges])
        return bernoulli_exp(np.array([float(g) for g in gammas]), lambda i: gammas[i], stream).tolist()

    assert all(heads(-1))
    assert not any(heads(1))
    monkeypatch.setattr(coins, "GUARD", 0.0)
    assert not all(heads(-1)) or any(heads(1))


def test_coins_of_small_probability_are_not_lost() -> None:
    """2^-70 needs more than one word; rounding the threshold down would make it 0."""
    assert bernoulli(Fraction(1, 2**70), 1, Words(0, 2**57)).tolist() == [True]  # type: ignore[arg-type]
    assert bernoulli(Fraction(1, 2**70), 1, Words(0, 2**59)).tolist() == [False]  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [1, 2, 3, 7, 10, 64])
def test_uniform_whole_numbers(n: int) -> None:
    """Chi-square, false alarm 1e-7 each."""
    seen = np.bincount(integers(n, 60_000, Keystream.fresh()), minlength=n)
    assert len(seen) == n
    expected = 60_000 / n
    assert chi2.sf(((seen - expected) ** 2 / expected).sum(), max(n - 1, 1)) > FALSE_ALARM


def test_a_remainder_instead_of_rejection_is_caught() -> None:
    """Broken copy: 3 bits modulo 7 give 0 twice as often."""
    seen = np.bincount((Keystream.fresh().words(60_000) >> np.uint64(61)) % np.uint64(7), minlength=7)
    assert chi2.sf(((seen - 60_000 / 7) ** 2 / (60_000 / 7)).sum(), 6) < FALSE_ALARM
    assert integers(2**62, 3, Keystream.fresh()).max() < 2**62


@pytest.mark.parametrize("sampler", [discrete_laplace, rounded_laplace, discrete_gaussian])
def test_shapes_chunks_and_refusals(sampler: Sampler) -> None:
    drawn = sampler(3.0, laplaces._CHUNK + 3, Keystream(KEY))
    assert drawn.shape == (laplaces._CHUNK + 3,)
    assert drawn.dtype == np.int64
    assert np.array_equal(drawn, sampler(3.0, laplaces._CHUNK + 3, Keystream(KEY)))
    assert sampler(3.0, 0, Keystream(KEY)).shape == (0,)
    for scale in (0.0, -1.0, math.nan, math.inf, 2.0**41):
        with pytest.raises(UsageError, match="grid steps"):
            sampler(scale, 1, Keystream.fresh())
    with pytest.raises(UsageError, match="size"):
        sampler(1.0, -1, Keystream.fresh())


def test_the_residual_is_what_is_charged() -> None:
    """Boundaries above 2^-1024 times the probability of an undecided one, and rejection on top."""
    boundaries = 754 * laplaces.LARGEST_SCALE
    assert (boundaries + 2) * 2.0**-uniform.MAX_BITS * 2 / 0.46 <= uniform.TOTAL_VARIATION


def test_an_undecided_comparison_ends() -> None:
    third = (1 << 64) // 3

    class Thirds(Words):
        def words(self, n: int) -> NDArray[np.uint64]:
            self.read += n
            return np.full(n, third, dtype=np.uint64)

    stream = Thirds()
    assert not Uniform(third, 64, stream).below(lambda bits: (1 << bits) // 3)  # type: ignore[arg-type]
    assert stream.read == uniform.MAX_BITS // 64 - 1
