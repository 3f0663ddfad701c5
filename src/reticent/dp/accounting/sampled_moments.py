"""Renyi divergences of mechanisms that see a random sample of the units.

As in `moments`, functions return log-moments (order - 1) * divergence at given orders, rounded up. Where a value below
is `whole`, the bound of the mechanism without sampling, that is a bound as well: a mixture is never farther apart than
its parts (quasi-convexity).
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from reticent.dp.accounting.moments import mechanism_moments
from reticent.dp.accounting.orders import RENYI_ORDERS
from reticent.dp.events import BoundedRange, Gaussian, Mechanism, PureDP
from reticent.dp.release import Relation

__all__ = ["poisson_moments"]

Curve = NDArray[np.float64]


def poisson_moments(event: Mechanism, probability: float, orders: Curve) -> Curve:
    """Return log-moments of `event` on a Poisson sample under add-or-remove-one; see `replaced_moments` for the other.

    Whole orders: a sum of positive terms (Mironov, Talwar, Zhang 2019, section 3.3). Between them chords, as log-moments
    are convex in the order and 0 at order 1; for the Gaussian, below 13, quadrature with a proven error.
    """
    relation: Relation = "add_or_remove_one"
    if isinstance(event, BoundedRange):
        # Its worst pair has no reflection, so that adding a unit could be worse than removing one.
        event = PureDP(event.epsilon)
    whole = mechanism_moments(event, relation, orders)
    if probability == 1:
        return whole
    points = np.concatenate([[1.0], _integers()])
    chords = np.interp(orders, points, np.concatenate([[0.0], _binomial(event, probability)]), right=math.inf)
    best = np.minimum(whole, chords)
    if isinstance(event, Gaussian) and event.noise_multiplier >= 0.05:
        between = (orders < 13) & (orders != np.round(orders))
        best[between] = np.minimum(best[between], _quadrature(event.noise_multiplier, probability, orders[between]))
    return np.asarray(best, dtype=np.float64)


@cache
def _integers() -> NDArray[np.int64]:
    whole = RENYI_ORDERS[(np.round(RENYI_ORDERS) == RENYI_ORDERS) & (RENYI_ORDERS <= 4097)]
    return np.unique(np.concatenate([np.arange(2, 14), whole.astype(np.int64)]))


@cache
def _layout() -> tuple[Curve, Curve, Curve, NDArray[np.int64]]:
    """Return order, k and log binomial of every term of every sum, and where each sum begins."""
    from scipy.special import gammaln

    counts = _integers() + 1
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    order = np.repeat(_integers(), counts).astype(np.float64)
    k = np.arange(len(order), dtype=np.float64) - np.repeat(starts, counts)
    return order, k, gammaln(order + 1) - gammaln(k + 1) - gammaln(order - k + 1), starts


def _binomial(event: Mechanism, probability: float) -> Curve:
    """Log-moments at whole orders: E_Q[((1 - q) + q P/Q)^order], expanded.

    For removing a unit the moment of order k, with the unit in the sample against without it, is at most that of the
    mechanism, whatever it is. Adding a unit is never worse where a reflection exchanges P and Q (theorem 5 there), as
    it does for the worst pairs of all mechanisms that come here.
    """
    order, k, log_binomials, starts = _layout()
    powers = np.arange(_integers()[-1] + 1, dtype=np.float64)
    base = np.zeros(len(powers))
    base[2:] = mechanism_moments(event, "add_or_remove_one", powers[2:])
    terms = log_binomials + k * math.log(probability) + (order - k) * math.log1p(-probability)
    terms += base[k.astype(np.int64)]
    top = np.maximum.reduceat(terms, starts)
    finite = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        sums = np.add.reduceat(np.exp(terms - np.repeat(finite, _integers() + 1)), starts)
    # Rounding: log binomials and exponents are off by units in the last place of their largest part.
    out = np.maximum(finite + np.log(sums), 0.0) + 1e-13 + 1e-15 * (np.abs(finite) + 10 * _integers())
    return np.where(np.isnan(out) | ~np.isfinite(top), math.inf, out)


def _quadrature(sigma: float, probability: float, orders: Curve) -> Curve:
    """Log-moments of the sampled Gaussian at any order: the integral of phi(x) ((1 - q) + q e^l(x))^order.

    The integrand is analytic in the strip |Im x| < pi sigma^2, where it is at most e^(a^2 / (2 sigma^2)) times its
    value on the real line, a the distance from it. The trapezoidal sum with step h is therefore off by a factor of at
    most 2 e^(a^2 / (2 sigma^2)) / (e^(2 pi a / h) - 1) (Trefethen and Weideman 2014, theorem 5.1), here below 1e-15.
    """
    step = min(sigma / 4, sigma * sigma / 2)
    strip = min(3 * sigma * sigma, 2 * math.pi * sigma * sigma / step)
    error = 2 * math.exp(strip**2 / (2 * sigma**2) - 2 * math.pi * strip / step) + 1e-15
    x = np.arange(-12.5 * sigma, float(orders.max()) + 12.5 * sigma + step, step)
    ratio = np.logaddexp(math.log1p(-probability), math.log(probability) + (x - 0.5) / sigma**2)
    exponents = orders[:, None] * ratio - x * x / (2 * sigma**2)
    top = exponents.max(axis=1)
    with np.errstate(under="ignore"):
        sums = np.exp(exponents - top[:, None]).sum(axis=1)
    logs = top + np.log(sums * step / (sigma * math.sqrt(2 * math.pi)))
    return np.asarray(np.maximum(logs, 0.0) + error + 1e-13 + 1e-14 * np.abs(top), dtype=np.float64)
