"""Renyi divergences of single mechanisms, in closed form, at any order above 1.

All functions take orders `(n,)` and return log-moments `(n,)`: (order - 1) * divergence = log E_P[e^((order - 1) L)]
with the privacy loss L of the worst pair of neighbours; natural logarithms throughout. Log-moments of composed
mechanisms add up, also adaptively (Mironov 2017, proposition 1). They are convex in the order and 0 at order 1.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from reticent.dp.events import (
    ApproximateDP,
    BoundedRange,
    DiscreteGaussian,
    DiscreteLaplace,
    Gaussian,
    Laplace,
    Mechanism,
    PureDP,
    RandomizedResponse,
)
from reticent.dp.release import Relation

__all__ = ["distance", "mechanism_moments"]

Curve = NDArray[np.float64]

_MOST = 1e300


def distance(relation: Relation) -> int:
    """Return how far apart neighbours are, in units of the largest norm of one unit's contribution."""
    return 1 if relation == "add_or_remove_one" else 2


def mechanism_moments(event: Mechanism, relation: Relation, orders: Curve) -> Curve:
    """Return the log-moments of one draw; infinite where a loss can be infinite.

    `relation` matters for noise only: claims are made for the relation they stand under.
    """
    apart = distance(relation)
    moments = _unbounded(orders)
    match event:
        case Gaussian(multiplier):
            moments = _gaussian(apart, multiplier, orders)
        case DiscreteGaussian(sigma, sensitivity, _):
            moments = _gaussian(apart * sensitivity, sigma, orders)
        case Laplace(multiplier) if multiplier > 1 / _MOST:
            moments = _laplace(apart / multiplier, orders)
        case DiscreteLaplace(scale, sensitivity):
            moments = _discrete_laplace(scale, apart * int(sensitivity), orders)
        case RandomizedResponse(flip, categories):
            moments = _randomized_response(flip, categories, orders)
        case PureDP(epsilon) | ApproximateDP(epsilon, 0):
            moments = _pure(epsilon, orders)
        case BoundedRange(epsilon):
            moments = _bounded_range(epsilon, orders)
    return moments


def _unbounded(orders: Curve) -> Curve:
    return np.full(len(orders), math.inf)


def _gaussian(shift: float, sigma: float, orders: Curve) -> Curve:
    """Order (order - 1) shift^2 / (2 sigma^2), in any number of coordinates (Bun and Steinke 2016, lemma 2.4).

    An upper bound for discrete Gaussians and whole shifts (Canonne, Kamath, Steinke 2020, proposition 5).
    """
    if sigma <= shift / _MOST:
        return _unbounded(orders)
    ratio = shift / sigma
    with np.errstate(over="ignore"):
        return orders * (orders - 1) * ratio * ratio / 2


def _laplace(shift: float, orders: Curve) -> Curve:
    """Mironov 2017, proposition 6; `shift` over the scale. Several coordinates: see `pairs_laplace`."""
    above = np.log(orders / (2 * orders - 1)) + (orders - 1) * shift
    below = np.log((orders - 1) / (2 * orders - 1)) - orders * shift
    return np.logaddexp(above, below)


def _discrete_laplace(scale: float, shift: int, orders: Curve) -> Curve:
    """Sum over the losses (shift - 2 z) / scale: z = 0, geometric masses in between, z = shift."""
    if scale <= shift / _MOST:
        return _unbounded(orders)
    step = 1 / scale
    top, bottom = (orders - 1) * shift * step, -orders * shift * step
    ends = np.logaddexp(top, bottom)
    if shift > 1:
        rate = (2 * orders - 1) * step  # the sum of e^(-rate z) for z = 1 .. shift - 1, times 1 - e^-step
        inner = -rate + np.log(-np.expm1(-rate * (shift - 1))) - np.log(-np.expm1(-rate)) + math.log(-math.expm1(-step))
        ends = np.logaddexp(ends, top + inner)
    return np.asarray(ends - math.log1p(math.exp(-step)), dtype=np.float64)


def _randomized_response(flip: float, categories: int, orders: Curve) -> Curve:
    other = flip / categories
    if other == 0:
        return _unbounded(orders)
    kept = math.log1p(-flip + other)
    rest = math.log(other)
    ends = np.logaddexp(orders * kept + (1 - orders) * rest, orders * rest + (1 - orders) * kept)
    return np.logaddexp(ends, math.log(categories - 2) + rest) if categories > 2 else ends


def _pure(epsilon: float, orders: Curve) -> Curve:
    """The pair that dominates all (epsilon, 0)-private mechanisms (Kairouz, Oh, Viswanath, ICML 2015, theorem 3.3)."""
    ends = np.logaddexp(orders * epsilon, (1 - orders) * epsilon)
    return np.asarray(ends - np.logaddexp(0.0, epsilon), dtype=np.float64)


def _bounded_range(epsilon: float, orders: Curve) -> Curve:
    """The worst of two-point losses {t, t - epsilon}, over t (Dong, Durfee, Rogers, ICML 2020, section 3).

    All losses lie in [t - epsilon, t] for some t in [0, epsilon], and E_P[e^-L] = 1. The moment is convex in e^-L, so
    it is largest with all mass at the two ends: mass (e^t - 1) / (e^epsilon - 1) on the lower one. Below epsilon^2 / 8
    times the order (Cesar and Rogers, ALT 2021), where a pure claim has epsilon^2 / 2.
    """
    if epsilon == 0:
        return np.zeros(len(orders))
    # The moment is e^((order-1) t) (1 + c - c e^t) with this c; its derivative in t is 0 at `peak`.
    log_c = np.log(-np.expm1(-(orders - 1) * epsilon)) - (epsilon + math.log(-math.expm1(-epsilon)))
    peak = np.log1p(-1 / orders) + np.logaddexp(0.0, log_c) - log_c
    t = np.clip(peak, 0.0, epsilon)
    # 1 + c - c e^t = 1 - c (e^t - 1), never below 0.
    taken = np.minimum(np.exp(log_c + t) * -np.expm1(-t), 1.0)
    with np.errstate(divide="ignore"):
        inside = (orders - 1) * t + np.log1p(-taken)
    return np.asarray(np.maximum(inside, 0.0), dtype=np.float64)
