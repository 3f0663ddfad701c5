"""The proof that the compiled kernel errs by less than its guard, from the coefficients that were compiled.

Each of the 368 pieces has a bound of its own, in standard deviations; all parts are added as if they had one sign.
Nothing is sampled, except where a test says that it measures.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from mpmath import mp
from numpy.typing import NDArray

from reticent.kernels import compiled, reference

UNIT = 2.0**-53
"""Largest relative error of one rounding of a double."""

SMALLEST_SCALE = 0.09
"""Below it no draw with U >= 2^-24 (5.29 standard deviations) comes within 0.02 of the first boundary."""


def pieces(maker: Any) -> list[tuple[int, int]]:
    return [(octave, piece) for octave in maker.OCTAVES for piece in range(maker.PIECES)]


def error_over_guard(maker: Any, octave: int, piece: int, row: NDArray[np.float64]) -> float:
    """Return the bound of |computed - exact| on a piece, over GUARD (1 + x)."""
    left = mp.ldexp(1 + mp.mpf(piece) / maker.PIECES, octave)
    right = mp.ldexp(1 + mp.mpf(piece + 1) / maker.PIECES, octave)
    most, least = maker.quantile(left), maker.quantile(right)
    size = sum(abs(mp.mpf(float(c))) * mp.mpf(maker.RADIUS) ** k for k, c in enumerate(row))
    interpolation = maker.remainder(octave, piece)
    coefficients = UNIT * size
    # Horner's rule, with or without fused operations: gamma of 2 (n - 1) roundings (Higham 2002, section 5.1).
    evaluation = 2 * len(row) * UNIT * size
    # The middle of the interval is rounded once, and at the upper end moved by as much. 1.01: into the next piece.
    conversion = 2 * UNIT * 1.01 * right / maker.density(least)
    interval = mp.ldexp(1, -65) * 1.01 / maker.density(most)
    product = UNIT * most  # scaled = x * scale
    room = 4 * UNIT / SMALLEST_SCALE  # the subtractions that make `room`, all of numbers below 1
    total = interpolation + coefficients + evaluation + conversion + interval + product + room
    return float(total / (compiled.GUARD * (1 + least)))


def test_the_compiled_coefficients_are_those_of_the_proof(native: ModuleType, maker: Any) -> None:
    table = native.inverse_normal()
    with mp.workprec(200):
        made = [maker.coefficients(*place) for place in pieces(maker)]
    assert table.shape == (len(made), maker.TERMS)
    assert np.array_equal(table, np.array(made))
    with pytest.raises(ValueError, match="read-only"):
        table[0, 0] = 0


def test_the_error_is_below_the_guard_on_every_piece(native: ModuleType, maker: Any) -> None:
    table = native.inverse_normal()
    with mp.workprec(120):
        worst = [error_over_guard(maker, *place, table[i]) for i, place in enumerate(pieces(maker))]
    assert len(worst) == 368
    assert max(worst) < 0.75


def test_the_proof_would_refuse_a_smaller_guard(
    native: ModuleType, maker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken copy: a guard of 2^-47 is below what the interval of U alone can do in the tail."""
    monkeypatch.setattr(compiled, "GUARD", 2.0**-47)
    with mp.workprec(120):
        assert error_over_guard(maker, -24, 0, native.inverse_normal()[0]) > 1


def test_the_pieces_begin_where_the_tail_ends(maker: Any) -> None:
    assert 2.0 ** maker.OCTAVES[0] == reference.TAIL
    assert 2.0 ** (maker.OCTAVES[-1] + 1) == 0.5


def test_the_derivatives_of_the_proof_are_right(maker: Any) -> None:
    """The remainder's eighth derivative, against numerical differentiation of the quantile."""
    with mp.workprec(400):
        for octave, piece in ((-2, 0), (-5, 7), (-24, 15)):
            left = mp.ldexp(1 + mp.mpf(piece) / maker.PIECES, octave)
            width = mp.ldexp(1, octave - 40)
            steps = [(-1) ** (8 - k) * mp.binomial(8, k) * maker.quantile(left + k * width) for k in range(9)]
            derivative = sum(steps) / width**8 * mp.ldexp(1, 8 * octave)
            bound = derivative / mp.factorial(8) * 2 * (mp.mpf(maker.RADIUS) / 2) ** 8
            assert abs(bound / maker.remainder(octave, piece) - 1) < 1e-6


def measured(native: ModuleType, level: str, maker: Any, table: NDArray[np.float64], count: int) -> float:
    """Return a bound of the error over GUARD (1 + x) at random words, read off draws at a scale of 2^48."""
    rng = np.random.default_rng(0)  # test points, not noise
    uniform = np.exp2(-1 - 23 * rng.random(count))
    words = np.concatenate([(uniform * 2.0**64).astype(np.uint64), [np.uint64(2**63 - 1), np.uint64(2**40)]])
    out, doubtful = np.empty(len(words), np.int64), np.empty(len(words), np.int64)
    native.gaussian_of_words(level, words, 2.0**48, 0.0, table, out, doubtful)
    worst = mp.mpf(0)
    with mp.workprec(160):
        for word, draw in zip(words, out, strict=True):
            x = maker.quantile((mp.mpf(int(word)) + mp.mpf(1) / 2) / mp.mpf(2) ** 64)
            off = abs(mp.mpf(int(draw)) / mp.mpf(2) ** 48 - x) + mp.mpf(2) ** -49  # half a step is not seen
            worst = max(worst, off / (1 + x))
    return float(worst / compiled.GUARD)


def test_the_measured_error_is_below_the_guard(native: ModuleType, level: str, maker: Any) -> None:
    """A measurement beside the proof; and a polynomial that is off by 2^-39 is caught by it."""
    table = native.inverse_normal()
    assert measured(native, level, maker, table, 1500) < 0.2
    perturbed = table.copy()
    perturbed[:, 0] *= 1 + 2.0**-39
    assert measured(native, level, maker, perturbed, 300) > 1
