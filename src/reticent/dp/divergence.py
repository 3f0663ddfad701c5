"""Hockey-stick divergences of the Gaussian mechanism, in closed form, vectorised, and precise in their tails.

A mechanism is (epsilon, delta)-private iff the divergence `sup_S P(S) - e^epsilon * Q(S)` of every neighbouring pair
is at most delta. For one Gaussian that is known exactly (Balle and Wang, ICML 2018, theorem 8); for the Poisson
sampled one it follows by writing the excess of the mixture as a multiple of the unsampled one (Zhu, Dong, Wang,
AISTATS 2022, theorem 11). All noise multipliers refer to the norm of one unit's contribution.

Under replace-one the worst pair is two contributions at opposite points. For e^epsilon = a >= 1 the excess is
q P(S) - (1-q)(a-1) R(S) - q a Q(S), with the noise R around 0, P and Q around the two contributions. Among all sets
with the same P(S), the half-space gives R(S) and Q(S) their smallest values Phi(z - |p|) and Phi(z - |p - q|) (Neyman
and Pearson), and where the three centres lie on a line, one half-space does both; the values only fall with the
distances, which are at most 1 and 2. For a < 1, exchange the roles: the pair at opposite points is its own mirror image.
With the other contribution at 0 the same argument gives the pair of add-or-remove-one.

Every difference below is taken between numbers that share their exponential factor (erfcx), so that the *relative*
error stays small where delta is 1e-30: a composition of n steps multiplies it by n. `RELATIVE_ERROR` bounds it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "RELATIVE_ERROR",
    "Curve",
    "Direction",
    "added_delta",
    "gaussian_delta",
    "gaussian_epsilon",
    "loss_range",
    "mixed_loss",
    "removed_delta",
    "sampled_delta",
]

Direction = Literal["remove", "add", "replace"]
"""Which neighbour is the upper one: with the unit, without it, or with another one at the opposite point."""

RELATIVE_ERROR: dict[Direction, float] = {"remove": 2e-13, "add": 2e-13, "replace": 1e-11}
"""Bound on |computed / exact - 1| of the deltas at the losses that `loss_range` spans; measured against 300 bits, over
noise multipliers from 0.06 to 1e5 and sampling probabilities from 1e-7 to 1, it is a tenth of this.

The rounding of the loss itself comes on top: callers ask a few units in the last place lower."""

_REACH = 11.5
"""Standard deviations kept: the mass beyond is below 1e-30, and counts as a loss of infinity."""

_Array = NDArray[np.float64]
Curve = Callable[[_Array], _Array]
"""Deltas at each loss."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)
_WIDE = 0.2
"""Distance in standard deviations from which two Mills ratios are subtracted; below it, their slope is integrated."""


def gaussian_delta(epsilon: ArrayLike, *, sigma: ArrayLike) -> _Array:
    """Return the exact delta of one Gaussian mechanism of sensitivity 1 at each `epsilon` (of any sign)."""
    loss, scale = np.broadcast_arrays(np.asarray(epsilon, np.float64), np.asarray(sigma, np.float64))
    # The pair is its own mirror image: delta(-e) = 1 - exp(-e) + exp(-e) * delta(e), a sum of positive terms.
    size = np.minimum(np.abs(loss), 1e300)
    upper = np.asarray(_excess(size, scale))
    return np.asarray(np.where(loss < 0, -np.expm1(-size) + np.exp(-size) * upper, upper), dtype=np.float64)


def _excess(loss: _Array, sigma: _Array) -> _Array:
    """Return Phi(-a) - e^loss * Phi(-b) with a, b = loss * sigma -+ 1 / (2 sigma), for loss >= 0."""
    from scipy.special import ndtr

    width = 1 / sigma
    near = loss * sigma - 0.5 * width
    far = loss * sigma + 0.5 * width
    density = np.exp(-0.5 * np.square(np.clip(near, -40, 40))) / math.sqrt(2 * math.pi)
    above = density * (_mills(np.maximum(near, 0.0)) - _mills(far))
    below = ndtr(-near) - density * _mills(np.maximum(far, 0.0))
    out = np.where(near > 0, above, below)
    narrow = np.broadcast_to(width < _WIDE, out.shape)
    if narrow.any():
        out = np.where(narrow, density * _mills_fall(near, np.minimum(width, _WIDE)), out)
    return np.where(near > 38, 0.0, np.clip(out, 0.0, 1.0))


def _mills(x: _Array) -> _Array:
    """Return (1 - Phi(x)) / phi(x) for x > -37."""
    from scipy.special import erfcx

    return np.asarray(math.sqrt(math.pi / 2) * erfcx(x * math.sqrt(0.5)), dtype=np.float64)


def _mills_fall(start: _Array, width: _Array) -> _Array:
    """Return mills(start) - mills(start + width) for a short width, from its derivative x * mills(x) - 1."""
    total = np.zeros(np.broadcast_shapes(start.shape, width.shape))
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        x = np.clip(start + width * (0.5 + 0.5 * node), -37, 40)
        total = total + weight * (1 - x * _mills(x))
    return 0.5 * width * total


def gaussian_epsilon(*, sigma: float, delta: float) -> float:
    """Return the smallest epsilon of one Gaussian mechanism of sensitivity 1, rounded up by less than 1e-9."""
    delta /= 1 + RELATIVE_ERROR["remove"]
    if gaussian_delta(0.0, sigma=sigma) <= delta:
        return 0.0
    low, high = 0.0, 1.0
    while gaussian_delta(high, sigma=sigma) > delta:
        low, high = high, 2 * high
        if high > 2.0**60:
            return math.inf
    while high - low > 1e-10 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if gaussian_delta(middle, sigma=sigma) <= delta else (middle, high)
    return high * (1 + 1e-10)


def sampled_delta(epsilon: _Array, *, sigma: ArrayLike, probability: ArrayLike, direction: Direction) -> _Array:
    """Return delta at each `epsilon` for one Gaussian on a Poisson sample; probability 1 means no sampling.

    With mu the noise around 0 and mu_s around s: `remove` compares (1-q) mu + q mu_1 with mu, `add` the reverse, and
    `replace` compares (1-q) mu + q mu_1 with (1-q) mu + q mu_-1.

    Args:
      epsilon: float64, of any shape and sign.
      sigma: Noise multipliers, broadcast against `epsilon`.
      probability: In (0, 1], broadcast against `epsilon`.
      direction: Which of the two is the upper one.
    """
    q = np.asarray(probability, dtype=np.float64)
    scale = np.asarray(sigma, dtype=np.float64)
    with np.errstate(divide="ignore", over="ignore", under="ignore", invalid="ignore"):
        if direction == "replace":
            out = _replaced_delta(epsilon, scale, q)
        elif direction == "remove":
            out = removed_delta(epsilon, q, lambda loss: gaussian_delta(loss, sigma=scale))
        else:
            out = added_delta(epsilon, q, lambda loss: gaussian_delta(loss, sigma=scale))
    return np.asarray(np.clip(out, 0.0, 1.0), dtype=np.float64)


def removed_delta(epsilon: _Array, q: _Array, base: Curve) -> _Array:
    """Return H((1-q) Q + q P || Q) at each e^epsilon from `base`, the curve H(P || Q) (Zhu et al. 2022, theorem 11)."""
    with np.errstate(divide="ignore"):
        kept = np.maximum(np.log1p(-q), -1e300)
    outside = -np.expm1(np.minimum(epsilon, 0.0))
    return np.where(epsilon > kept, q * base(_unsampled_loss(np.maximum(epsilon, kept), q)), outside)


def added_delta(epsilon: _Array, q: _Array, base: Curve) -> _Array:
    """Return H(Q || (1-q) Q + q P) at each e^epsilon from `base`, the curve H(Q || P); 0 from -log(1-q) on."""
    with np.errstate(divide="ignore", over="ignore"):
        kept = np.maximum(np.log1p(-q), -1e300)
        loss = -np.maximum(_unsampled_loss(np.maximum(-epsilon, kept), q), -1e300)
        return np.where(-epsilon > kept, q * np.exp(epsilon - loss) * base(loss), 0.0)


def _unsampled_loss(loss: _Array, q: _Array) -> _Array:
    """Return log((e^loss - (1 - q)) / q), in the form that is exact near 0 and the form that is so elsewhere."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        near = np.log1p(np.maximum(np.expm1(np.clip(loss, -0.5, 0.5)) / q, -1.0))
        far = loss - np.log(q) + np.log1p(-np.minimum((1 - q) * np.exp(-np.maximum(loss, -700.0)), 1.0))
    return np.where(np.abs(loss) <= 0.5, near, far)


def _replaced_delta(epsilon: _Array, sigma: _Array, q: _Array) -> _Array:
    loss = np.minimum(np.abs(epsilon), 1e300)
    upper = _replaced_excess(loss, 1 / sigma, q)
    return np.where(epsilon < 0, -np.expm1(-loss) + np.exp(-loss) * upper, upper)


def _replaced_excess(loss: _Array, width: _Array, q: _Array) -> _Array:
    """Return q [Phi(m - z) - Phi(-m - z)] - (e^loss - 1) [(1 - q) Phi(-z) + q Phi(-m - z)] at the best z, loss >= 0.

    `width` is m = 1 / sigma; z, in standard deviations, is where the likelihood ratio is e^loss.
    """
    z = (loss / 2 + _arcsinh(np.log1p(-q) - np.log(q) + width**2 / 2, loss / 2)) / width
    z = np.minimum(z, 1e10)
    from scipy.special import ndtr

    # Far below its centre the upper tail is nearly 1: nothing cancels.
    plain = q * (ndtr(width - z) - ndtr(-width - z)) - np.expm1(np.minimum(loss, 700.0)) * (
        (1 - q) * ndtr(-z) + q * ndtr(-width - z)
    )
    # Elsewhere phi(z), which all terms share, is taken out first. `lift` is phi(z - m) / phi(z), `sink` of z + m.
    lift, sink = np.exp(width * z - width**2 / 2), np.exp(-width * z - width**2 / 2)
    lower = sink * _mills(z + width)
    gain = lift * _mills(np.maximum(z - width, 0.0)) - lower
    narrow = np.broadcast_to(width < _WIDE, z.shape)
    if narrow.any():
        short = np.minimum(width, _WIDE)
        bulge = sum(w * np.exp(-z * short * x - (short * x) ** 2 / 2) for x, w in zip(_NODES, _WEIGHTS, strict=True))
        gain = np.where(narrow, short * bulge, gain)
    shared = q * gain - np.expm1(np.minimum(loss, 700.0)) * ((1 - q) * _mills(z) + q * lower)
    density = np.exp(-0.5 * np.square(np.minimum(z, 38.0))) / math.sqrt(2 * math.pi)
    out = np.where((z > width) | narrow, density * shared, plain)
    return np.where(z - width > 38, 0.0, np.clip(out, 0.0, 1.0))


def _arcsinh(log_factor: _Array, x: _Array) -> _Array:
    """Return arcsinh(e^log_factor * sinh(x)) for x >= 0 without overflow."""
    turn = log_factor + x + np.log(-np.expm1(-2 * x) / 2)
    large = np.maximum(turn, 0.0)
    return np.where(
        turn > 0, large + np.log1p(np.sqrt(1 + np.exp(-2 * large))), np.arcsinh(np.exp(np.minimum(turn, 0.0)))
    )


def loss_range(*, sigma: float, probability: float, direction: Direction) -> tuple[float, float]:
    """Return the interval of privacy losses outside of which lies less than 1e-30 of the mass."""
    far = _REACH / sigma + 1 / sigma**2
    if probability == 1:
        return (-far, far) if direction != "replace" else (-2 * far, 2 * far)
    # Loss of `remove` at the two ends; `add` is its mirror image, and `replace` their sum.
    top = float(mixed_loss(np.array(far), np.array(probability)))
    bottom = float(mixed_loss(np.array(-far), np.array(probability)))
    return {"remove": (bottom, top), "add": (-top, -bottom), "replace": (bottom - top, top - bottom)}[direction]


def mixed_loss(loss: _Array, q: _Array) -> _Array:
    """Return log(1 - q + q e^loss), the inverse of `_unsampled_loss`, without overflow and precise near 0."""
    small = np.minimum(loss, 1.0)
    with np.errstate(divide="ignore"):
        far = np.logaddexp(np.log1p(-q), np.log(q) + loss)
        return np.asarray(np.where((loss <= 1.0) & (q < 1), np.log1p(np.maximum(q * np.expm1(small), -q)), far))
