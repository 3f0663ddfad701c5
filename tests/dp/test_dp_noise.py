"""The exact rounded Gaussian: known answers, distribution, the doubtful draws, and broken copies.

What is said here of the definition holds for every kernel; tests/kernels compares the compiled ones with the reference.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from mpmath import mp
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import chi2

from reticent import kernels
from reticent.dp import noise
from reticent.dp.noise import rounded_gaussian
from reticent.errors import UsageError
from reticent.kernels import reference
from reticent.randomness import Keystream

FALSE_ALARM = 1e-7
KEY = bytes(range(16))
# Computed apart from the code: -sqrt(2) erfinv at 400 bits of the words of AES-128-CTR under KEY, sign in the top bit.
KNOWN = {
    0.3: [-1, 0, 0, 1, 0, 0],
    1.0: [-2, 0, 1, 2, -2, -1],
    5.0: [-12, 0, 6, 9, -8, -6],
    1e4: [-23571, 603, 11753, 17534, -16505, -11954],
    2.0**40: [-2591638391403, 66284658461, 1292210909486, 1927921800044, -1814777550217, -1314304871583],
}
Sampler = Callable[[float, int, Keystream], NDArray[np.int64]]


REFERENCE = kernels.choose("reference")


class Words:
    """A keystream of chosen words, then zeros; counts how many were read."""

    def __init__(self, *words: int) -> None:
        self.left = list(words)
        self.read = 0

    def words(self, n: int) -> NDArray[np.uint64]:
        self.read += n
        taken, self.left = self.left[:n], self.left[n:]
        return np.array(taken + [0] * (n - len(taken)), dtype=np.uint64)


def decided(scale: float, bits: int, more: Words) -> int:
    """Return the magnitude that the exact path gives to chosen bits."""
    uniform = noise._Uniform(bits, more)  # type: ignore[arg-type]
    return noise._magnitude(uniform, scale, guess=noise._guess(bits, scale))


def straddling(scale: float, boundary: int) -> tuple[int, int]:
    """Return the first word of a U that straddles the boundary, and the second word of the boundary itself."""
    with mp.workprec(400):
        tail = mp.erfc((boundary + mp.mpf("0.5")) / mp.mpf(scale) / mp.sqrt(2)) / 2 * mp.mpf(2) ** 64
        return int(mp.floor(tail)), int(mp.floor((tail - mp.floor(tail)) * mp.mpf(2) ** 64))


def p_value(sampler: Sampler, scale: float, draws: int) -> float:
    """Chi-square of `draws` samples against the exact probabilities of about 60 cells, both tails among them."""
    edges = np.unique(np.round(scale * np.concatenate([np.linspace(-3.2, 3.2, 57), [-4.2, -3.7, 3.7, 4.2]])))
    cuts = np.concatenate([edges - 0.5, [edges[-1] + 0.5]])
    below = ndtr(cuts / scale)
    exact = np.concatenate([[below[0]], np.diff(below), [ndtr(-cuts[-1] / scale)]])
    samples = sampler(scale, draws, Keystream.fresh())
    seen = np.bincount(np.searchsorted(cuts, samples.astype(np.float64)), minlength=len(exact)).astype(float)
    exact, seen = pooled(exact * draws, seen)
    return float(chi2.sf(((seen - exact) ** 2 / exact).sum(), len(exact) - 1))


def pooled(expected: NDArray[Any], seen: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Join neighbouring cells until each expects 20 draws or more."""
    cells: list[list[float]] = []
    for one, other in zip(expected, seen, strict=True):
        if cells and cells[-1][0] < 20:
            cells[-1][0] += one
            cells[-1][1] += other
        else:
            cells.append([float(one), float(other)])
    if cells[-1][0] < 20:
        last = cells.pop()
        cells[-1][0] += last[0]
        cells[-1][1] += last[1]
    both = np.array(cells)
    return both[:, 0], both[:, 1]


@pytest.mark.parametrize("scale", KNOWN)
@pytest.mark.parametrize("wanted", ["auto", "reference"])
def test_known_answers(scale: float, wanted: str) -> None:
    assert noise._draws(KEY, scale, 6, kernels.choose(wanted)).tolist() == KNOWN[scale]


def test_the_key_is_the_next_sixteen_bytes_and_used_once() -> None:
    """Broken copies would repeat the noise of the last call, or reuse bytes that others saw."""
    stream, twin = Keystream(KEY), Keystream(KEY)
    first, second = rounded_gaussian(100.0, 50, stream), rounded_gaussian(100.0, 50, stream)
    assert np.array_equal(first, noise._draws(twin.bytes(16), 100.0, 50, REFERENCE))
    assert np.array_equal(second, noise._draws(twin.bytes(16), 100.0, 50, REFERENCE))
    assert not np.array_equal(first, second)
    assert stream.bytes(16) == twin.bytes(16)


@pytest.mark.parametrize("scale", [0.3, 1.0, 5.0, 1e4])
def test_distribution(scale: float) -> None:
    """Chi-square with 800 000 fresh draws; false alarm 1e-7 each."""
    assert p_value(rounded_gaussian, scale, 800_000) > FALSE_ALARM


def narrow(scale: float, size: int, keystream: Keystream) -> NDArray[np.int64]:
    return rounded_gaussian(0.97 * scale, size, keystream)


def floored(scale: float, size: int, keystream: Keystream) -> NDArray[np.int64]:
    uniform = (keystream.words(size).astype(np.float64) + 0.5) * 2.0**-64
    return np.floor(ndtri(uniform) * scale).astype(np.int64)


def tailless(scale: float, size: int, keystream: Keystream) -> NDArray[np.int64]:
    drawn = rounded_gaussian(scale, size, keystream)
    return np.clip(drawn, -round(3.4 * scale), round(3.4 * scale))


def one_sided(scale: float, size: int, keystream: Keystream) -> NDArray[np.int64]:
    return np.abs(rounded_gaussian(scale, size, keystream))


@pytest.mark.parametrize("broken", [narrow, floored, tailless, one_sided])
def test_broken_copies_fail_the_distribution_test(broken: Sampler) -> None:
    """3 % less noise, floor instead of round, a cut tail, a lost sign: each lies far outside."""
    assert p_value(broken, 5.0, 800_000) < FALSE_ALARM


@pytest.mark.parametrize("scale", [0.3, 7.0, 1e4, 2.0**20, 1e9])
def test_the_exact_path_alone_gives_the_same_samples(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = noise._draws(KEY, scale, 1500, REFERENCE)
    monkeypatch.setattr(reference, "GUARD", 1e30)
    assert np.array_equal(noise._draws(KEY, scale, 1500, REFERENCE), usual)


def test_without_the_guard_samples_go_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken copy: next to a boundary floating point alone is a coin toss; the guard calls such draws doubtful."""
    scale, count = 100.0, 40
    words = np.array([straddling(scale, n)[0] + 1 for n in range(count)], dtype=np.uint64)
    assert [decided(scale, int(word), Words()) for word in words] == list(range(count))
    assert reference._draw(words, scale)[1].all()
    monkeypatch.setattr(reference, "GUARD", 0.0)
    nearest, unsure = reference._draw(words, scale)
    assert np.any(nearest[~unsure] != np.arange(count)[~unsure])


@pytest.mark.parametrize("scale", [0.4, 1.0, 300.0])
@pytest.mark.parametrize("boundary", [0, 1, 2])
def test_a_straddling_draw_reads_more_bits_and_obeys_them(scale: float, boundary: int) -> None:
    bits, rest = straddling(scale, boundary)
    # U just above the tail's probability means |X| just below the boundary.
    for more, magnitude in ((rest + 1, boundary), (rest - 1, boundary + 1)):
        stream = Words(more)
        assert decided(scale, bits, stream) == magnitude
        assert stream.read == 1
    stream = Words(rest, 0)
    assert decided(scale, bits, stream) == boundary + 1
    assert stream.read == 2


def test_a_clear_draw_reads_one_word() -> None:
    stream = Words()
    decided(10.0, 1 << 62, stream)
    assert stream.read == 0


@pytest.mark.parametrize(("index", "sign"), [(0, 0), (1, 0), (1, 1), (77, 1), (2**33 + 1, 0)])
def test_every_draw_has_words_of_its_own(index: int, sign: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first word of draw i is word i of the stream; the next ones begin at counter (i + 1) * 2^64."""
    bits, rest = straddling(300.0, 5)
    first = [0, 0]
    first[index % 2] = bits + (sign << 63)
    read = []

    def stream(key: bytes, *, block: int) -> Words:
        read.append((key, block))
        return {index // 2: Words(*first), (index + 1) << 64: Words(rest + 1)}[block]

    monkeypatch.setattr(noise, "Keystream", stream)
    assert noise._exact(KEY, index, 300.0) == (-5 if sign else 5)
    assert read == [(KEY, index // 2), (KEY, (index + 1) << 64)]


class Meddled:
    """mpmath whose precision another thread lowers just before erfc is computed."""

    def __init__(self, own: Any) -> None:
        self._own = own

    def __getattr__(self, name: str) -> Any:
        if name == "erfc":
            mp.prec = 20
        return getattr(self._own, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_own":
            object.__setattr__(self, name, value)
        else:
            setattr(self._own, name, value)


def test_the_precision_of_other_threads_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken copy: with mpmath's own context, whose precision all threads share, draws are decided wrongly."""
    scale, own = 2.0**30, noise._arithmetic()
    usual = [noise._exact(KEY, index, scale) for index in range(60)]
    with mp.workprec(53):  # restores the precision that Meddled leaves behind
        monkeypatch.setattr(noise, "_arithmetic", lambda: Meddled(own))
        assert [noise._exact(KEY, index, scale) for index in range(60)] == usual
        monkeypatch.setattr(noise, "_arithmetic", lambda: Meddled(mp))
        assert [noise._exact(KEY, index, scale) for index in range(60)] != usual


def test_every_thread_has_a_precision_of_its_own() -> None:
    """Broken copy: one context for all threads would let a draw that reads on change the precision of another."""
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(noise._arithmetic).result() is not noise._arithmetic()
    assert noise._arithmetic() is noise._arithmetic()


def test_draws_of_many_threads_are_those_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """All draws take the exact path, while other threads compute with mpmath at a precision of 12 bits."""
    monkeypatch.setattr(reference, "GUARD", 1e30)
    usual = noise._draws(KEY, 2.0**30, 200, REFERENCE)
    stop = threading.Event()

    def compute() -> None:
        while not stop.is_set():
            with mp.workprec(12):
                mp.erfc(mp.mpf(1))

    other, interval, before = threading.Thread(target=compute), sys.getswitchinterval(), mp.prec
    sys.setswitchinterval(1e-6)
    other.start()
    try:
        with ThreadPoolExecutor(3) as pool:
            found = list(pool.map(lambda _: noise._draws(KEY, 2.0**30, 200, REFERENCE), range(3)))
    finally:
        stop.set()
        other.join()
        sys.setswitchinterval(interval)
        mp.prec = before
    assert all(np.array_equal(drawn, usual) for drawn in found)


@pytest.mark.parametrize("bits", [0, 1, 5, 12345, 2**40 + 1, 2**43])
def test_the_far_tail_is_exact(bits: int) -> None:
    """Against the inverse found independently, by bisection at 700 bits."""
    drawn = decided(1000.0, bits, Words(2**63 + 17, 99))
    with mp.workprec(700):
        uniform = mp.mpf((bits << 64 | 2**63 + 17) << 64 | 99) / mp.mpf(2) ** 192
        low, high = mp.mpf(0), mp.mpf(40)
        for _ in range(120):
            middle = (low + high) / 2
            low, high = (middle, high) if mp.erfc(middle / mp.sqrt(2)) / 2 > uniform else (low, middle)
        assert drawn == int(mp.floor(low * 1000 + mp.mpf("0.5")))


def test_the_tail_is_left_to_the_exact_path() -> None:
    words = np.array([0, 1, 2**40 - 1, 2**40], dtype=np.uint64)
    assert reference._draw(words, 1.0)[1].tolist() == [True, True, True, False]


def test_the_last_bit_ends_the_reading() -> None:
    """All-zero bits: the far end of the tail, 1024 bits and no more."""
    stream = Words()
    assert 30 < decided(1.0, 0, stream) <= 38
    assert stream.read <= 1024 // 64 - 1


def test_a_scale_far_below_the_grid_gives_zeros() -> None:
    assert [decided(1e-300, bits, Words()) for bits in (5, 1 << 62, 0)] == [0, 0, 0]
    assert not rounded_gaussian(1e-300, 5000, Keystream.fresh()).any()


def test_the_declared_error_of_ndtri_holds_with_a_wide_margin() -> None:
    """Measured error of scipy's inverse below 2^-47 (1 + x); GUARD allows 2^-40."""
    rng = np.random.default_rng(0)  # test points, not noise
    points = np.concatenate(
        [rng.random(300) / 2, np.geomspace(reference.TAIL, 0.4999, 200), 0.5 - np.geomspace(1e-15, 0.3, 100)]
    )
    worst = 0.0
    with mp.workprec(140):
        for p in points:
            x = mp.mpf(float(-ndtri(p)))
            tail = mp.erfc(x / mp.sqrt(2)) / 2
            density = mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)
            worst = max(worst, abs(float((tail - mp.mpf(float(p))) / density)) / (1 + float(x)))
    assert worst < 2.0**-47 < reference.GUARD / 100


def test_chunks_and_sizes() -> None:
    size = reference._CHUNK + 3
    drawn = rounded_gaussian(3.0, size, Keystream(KEY))
    assert drawn.dtype == np.int64
    assert drawn.shape == (size,)
    assert np.array_equal(drawn[:100], rounded_gaussian(3.0, 100, Keystream(KEY)))
    assert np.array_equal(drawn, noise._draws(Keystream(KEY).subkey(), 3.0, size, REFERENCE))
    assert rounded_gaussian(3.0, 0, Keystream(KEY)).shape == (0,)


def test_neighbouring_draws_are_uncorrelated() -> None:
    """|r| below 5.4 standard errors: false alarm 1e-7."""
    drawn = rounded_gaussian(50.0, 400_000, Keystream.fresh()).astype(np.float64)
    for lag in (1, 2, 7):
        r = float(np.corrcoef(drawn[:-lag], drawn[lag:])[0, 1])
        assert abs(r) < 5.4 / math.sqrt(len(drawn))


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf, 2.0**41])
def test_scales_out_of_range_are_refused(scale: float) -> None:
    with pytest.raises(UsageError, match="grid steps"):
        rounded_gaussian(scale, 1, Keystream.fresh())


def test_the_residual_is_what_is_charged() -> None:
    """Boundaries within reach times the probability of an undecided one, at the largest scale."""
    boundaries = 2 * 38 * noise.LARGEST_SCALE
    assert boundaries * 2.0**-noise._MAX_BITS <= noise.TOTAL_VARIATION
