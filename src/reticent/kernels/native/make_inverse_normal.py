"""Writes `inverse_normal.hpp`: the upper quantile of the normal distribution as 368 polynomials, and proves their error.

    python src/reticent/kernels/native/make_inverse_normal.py

The pieces are the sixteenths of the octaves [2^-24, 2^-23), ..., [1/4, 1/2) of U. On each, `x(U) = -ndtri(U)` is
interpolated at the 8 Chebyshev nodes, in the local variable t in [-1/32, 1/32).

Proof of the error. All derivatives of x alternate in sign: `x^(n) = (-1)^n P_n(x) / phi(x)^n` with `P_1 = 1` and
`P_(n+1) = P_n' + n x P_n`, whose coefficients are never negative. So |x^(n)| decreases in U, and its largest value on a
piece is at the left end. The remainder of the interpolation, `|x^(8)(xi)| / 8! * prod |t - t_k|` with
`prod <= 2 (r/2)^8` on [-r, r], is therefore at most that value times `2 (r/2)^8 / 8!`: `remainder`.
"""

from __future__ import annotations

from pathlib import Path

from mpmath import mp

OCTAVES = range(-24, -1)
"""Exponents of the left ends of the octaves."""

PIECES = 16
TERMS = 8
RADIUS = 1 / (2 * PIECES)


def quantile(uniform: mp.mpf) -> mp.mpf:
    """Return x with P(N(0, 1) > x) = uniform, by Newton's method from the double of scipy."""
    from scipy.special import ndtri

    x = mp.mpf(-float(ndtri(float(uniform))))
    for _ in range(4):
        x += (mp.erfc(x / mp.sqrt(2)) / 2 - uniform) / density(x)
    return x


def density(x: mp.mpf) -> mp.mpf:
    """Return the density of the standard normal distribution."""
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def coefficients(octave: int, piece: int) -> list[float]:
    """Return the polynomial of one piece, lowest power first, rounded to doubles."""
    nodes = [RADIUS * mp.cos(mp.pi * (2 * k + 1) / (2 * TERMS)) for k in range(TERMS)]
    centre = 1 + (mp.mpf(piece) + mp.mpf(1) / 2) / PIECES
    values = [quantile(mp.ldexp(centre + node, octave)) for node in nodes]
    powers = mp.matrix(TERMS, TERMS)
    for row, node in enumerate(nodes):
        for column in range(TERMS):
            powers[row, column] = node**column
    return [float(c) for c in mp.lu_solve(powers, mp.matrix(values))]


def remainder(octave: int, piece: int) -> mp.mpf:
    """Return the proven bound of |interpolation - x| on one piece (before its coefficients are rounded)."""
    polynomial = [mp.mpf(1)]  # P_1, then P_2, ...
    for n in range(1, TERMS):
        grown = [mp.mpf(0), *(n * c for c in polynomial)]
        for power, c in enumerate(polynomial[1:], start=1):
            grown[power - 1] += power * c
        polynomial = grown
    x = quantile(mp.ldexp(1 + mp.mpf(piece) / PIECES, octave))
    derivative = mp.polyval(polynomial[::-1], x) / density(x) ** TERMS * mp.ldexp(1, octave * TERMS)
    return derivative / mp.factorial(TERMS) * 2 * (mp.mpf(RADIUS) / 2) ** TERMS


def main() -> None:
    """Write the header beside this file."""
    with mp.workprec(300):
        rows = [coefficients(octave, piece) for octave in OCTAVES for piece in range(PIECES)]
    lines = [
        "// Made by make_inverse_normal.py, where the error is proven; a test makes it again. Do not edit.",
        "#pragma once",
        "",
        "namespace reticent {",
        "",
        f"constexpr int kPieces = {len(rows)};",
        f"constexpr int kTerms = {TERMS};",
        "",
        "// Row: piece, from U = 2^-24 up. Column: power of t, from the constant up.",
        "alignas(64) constexpr double kInverseNormal[kPieces][kTerms] = {",
        *("    {" + ", ".join(c.hex() for c in row) + "}," for row in rows),
        "};",
        "",
        "}  // namespace reticent",
    ]
    Path(__file__).with_name("inverse_normal.hpp").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
