"""Hockey-stick divergences of the Gaussian mechanism, in closed form and vectorised.

A mechanism is (epsilon, delta)-private iff the divergence `sup_S P(S) - e^epsilon * Q(S)` of every neighbouring pair
is at most delta. For one Gaussian that is known exactly (Balle and Wang, ICML 2018, theorem 8); for the Poisson
sampled one it follows by writing the excess of the mixture as a multiple of the unsampled one (Zhu, Dong, Wang,
AISTATS 2022). All noise multipliers refer to the norm of one unit's contribution.

Under replace-one the worst pair is taken to be two contributions at opposite points, as dp_accounting takes it; a
test confirms by integration that no other angle does worse.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Direction", "gaussian_delta", "gaussian_epsilon", "loss_range", "sampled_delta"]

Direction = Literal["remove", "add", "replace"]
"""Which neighbour is the upper one: with the unit, without it, or with another one at the opposite point."""

_REACH = 10.1
"""Standard deviations kept: the mass beyond is below e^-50, and counts as a loss of infinity."""


def gaussian_delta(epsilon: ArrayLike, *, sigma: float) -> NDArray[np.float64]:
    """Return the exact delta of one Gaussian mechanism of sensitivity 1 at each `epsilon` (of any sign)."""
    from scipy.special import log_ndtr

    loss = np.asarray(epsilon, dtype=np.float64)
    upper = log_ndtr(0.5 / sigma - loss * sigma)
    lower = loss + log_ndtr(-0.5 / sigma - loss * sigma)
    # The difference of logarithms keeps its relative precision where both tails are tiny.
    gap = np.minimum(lower - upper, 0.0)
    return np.asarray(np.exp(upper) * -np.expm1(gap), dtype=np.float64)


def gaussian_epsilon(*, sigma: float, delta: float) -> float:
    """Return the smallest epsilon of one Gaussian mechanism of sensitivity 1, rounded up by less than 1e-9."""
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


def sampled_delta(
    epsilon: NDArray[np.float64], *, sigma: float, probability: float, direction: Direction
) -> NDArray[np.float64]:
    """Return delta at each `epsilon` for one Gaussian on a Poisson sample; probability 1 means no sampling.

    With mu the noise around 0 and mu_s around s: `remove` compares (1-q) mu + q mu_1 with mu, `add` the reverse, and
    `replace` compares (1-q) mu + q mu_1 with (1-q) mu + q mu_-1.
    """
    if probability == 1:
        return gaussian_delta(epsilon, sigma=sigma / 2 if direction == "replace" else sigma)
    stay = math.log1p(-probability)
    if direction == "replace":
        return _replaced_delta(epsilon, sigma=sigma, probability=probability)
    out = np.zeros_like(epsilon)
    if direction == "remove":
        inside = epsilon > stay
        out[~inside] = -np.expm1(epsilon[~inside])
        unsampled = _unsampled_loss(epsilon[inside], probability)
        out[inside] = probability * gaussian_delta(unsampled, sigma=sigma)
    else:
        inside = epsilon < -stay
        left = -np.expm1(epsilon[inside] + stay)
        out[inside] = left * gaussian_delta(math.log(probability) + epsilon[inside] - np.log(left), sigma=sigma)
    return np.clip(out, 0.0, 1.0)


def _unsampled_loss(loss: NDArray[np.float64], probability: float) -> NDArray[np.float64]:
    """Return log((e^loss - (1 - q)) / q), in the form that is exact near 0 and the form that cannot overflow."""
    small = np.minimum(loss, 1.0)
    large = np.maximum(loss, 1.0)
    with np.errstate(divide="ignore"):
        near = np.log1p(np.maximum(np.expm1(small) / probability, -1.0))
    far = large - math.log(probability) + np.log1p(-(1 - probability) * np.exp(-large))
    return np.where(loss <= 1.0, near, far)


def _replaced_delta(epsilon: NDArray[np.float64], *, sigma: float, probability: float) -> NDArray[np.float64]:
    from scipy.special import log_ndtr, ndtr

    ratio = math.log1p(-probability) - math.log(probability) + 0.5 / sigma**2
    half = np.abs(epsilon) / 2
    with np.errstate(divide="ignore"):
        log_sinh = half + np.log(-np.expm1(-2 * half) / 2)
    # x is where the loss equals epsilon; arcsinh(e^u) = u + log(1 + sqrt(1 + e^-2u)), or e^u itself when tiny.
    turn = ratio + log_sinh
    big = np.maximum(turn, 0.0)
    arcsinh = np.where(
        turn > 0, big + np.log1p(np.sqrt(1 + np.exp(-2 * big))), np.arcsinh(np.exp(np.minimum(turn, 0.0)))
    )
    x = sigma**2 * (-np.sign(epsilon) * arcsinh - epsilon / 2)
    growth = np.exp(np.minimum(epsilon + log_ndtr((x - 1) / sigma), 0.0))
    middle = ndtr(x / sigma) - np.exp(np.minimum(epsilon + log_ndtr(x / sigma), 700.0))
    out = (1 - probability) * middle + probability * (ndtr((x + 1) / sigma) - growth)
    return np.asarray(np.clip(out, 0.0, 1.0), dtype=np.float64)


def loss_range(*, sigma: float, probability: float, direction: Direction) -> tuple[float, float]:
    """Return the interval of privacy losses outside of which lies less than e^-50 of the mass."""
    outermost = (_REACH * sigma + 0.5) / sigma**2
    far = outermost + 0.5 / sigma**2
    if probability == 1:
        return (-far, far) if direction != "replace" else (-2 * far, 2 * far)
    # Loss of `remove` at the two ends; `add` is its mirror image, and `replace` their sum.
    top = _mix(far, probability)
    bottom = _mix(-far, probability)
    return {"remove": (bottom, top), "add": (-top, -bottom), "replace": (bottom - top, top - bottom)}[direction]


def _mix(loss: float, probability: float) -> float:
    return float(np.logaddexp(math.log1p(-probability), math.log(probability) + loss))
