"""Renyi divergences of mechanisms that see a random sample of the units."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from reticent.dp.accounting.moments import mechanism_moments
from reticent.dp.events import BoundedRange, Mechanism, PureDP
from reticent.dp.release import Relation

__all__ = ["poisson_moments"]

Curve = NDArray[np.float64]

_LARGEST = 4096


def poisson_moments(event: Mechanism, probability: float, relation: Relation, orders: Curve) -> Curve:
    """Return log-moments of `event` on a Poisson sample."""
    whole = mechanism_moments(event, relation, orders)
    if probability == 1:
        return whole
    if isinstance(event, BoundedRange):
        # Its worst pair has no reflection, so that adding a unit could be worse than removing one.
        event = PureDP(event.epsilon)
    with np.errstate(over="ignore"):
        mixed = np.logaddexp(math.log1p(-probability), math.log(probability) + whole)
    if relation == "replace_one":
        # Joint convexity of the moment: the two outputs agree with probability 1 - q.
        return np.asarray(np.minimum(whole, mixed), dtype=np.float64)
    integer = _binomial(event, probability)
    # Log-moments are convex in the order and 0 at order 1, so chords between whole orders lie above them.
    whole_orders = np.concatenate([[1.0], _integers().astype(np.float64)])
    chords = np.interp(orders, whole_orders, np.concatenate([[0.0], integer]), right=math.inf)
    return np.asarray(np.minimum(np.minimum(whole, mixed), chords), dtype=np.float64)


@cache
def _integers() -> NDArray[np.int64]:
    return np.unique(np.concatenate([np.arange(2, 65), np.round(np.geomspace(64, _LARGEST, 60)).astype(np.int64)]))


@cache
def _layout() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return order, k and log binomial of every term of every sum, and where each sum begins."""
    from scipy.special import gammaln

    counts = _integers() + 1
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    order = np.repeat(_integers(), counts).astype(np.float64)
    k = np.arange(len(order), dtype=np.float64) - np.repeat(starts, counts)
    return order, k, gammaln(order + 1) - gammaln(k + 1) - gammaln(order - k + 1), starts


def _binomial(event: Mechanism, probability: float) -> Curve:
    """Log-moments at whole orders: E_Q[((1 - q) + q P/Q)^order], a sum of positive terms.

    Removing a unit (Mironov, Talwar, Zhang 2019, section 3.3; any mechanism, as the moment of order k of the sample
    with the unit against the one without is at most that of the mechanism). Adding one is never worse where a
    reflection exchanges P and Q (their theorem 5), as it does for all mechanisms here.
    """
    order, k, log_binomials, starts = _layout()
    powers = np.arange(_LARGEST + 1, dtype=np.float64)
    base = np.zeros(len(powers))
    base[2:] = mechanism_moments(event, "add_or_remove_one", powers[2:])
    terms = log_binomials + k * math.log(probability) + (order - k) * math.log1p(-probability)
    terms += base[k.astype(np.int64)]
    top = np.maximum.reduceat(terms, starts)
    finite = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(invalid="ignore", over="ignore"):
        sums = np.add.reduceat(np.exp(terms - np.repeat(finite, _integers() + 1)), starts)
    # Rounding: each exponent is off by a few units in its last place, and so is the logarithm of the sum.
    out = np.maximum(finite + np.log(sums), 0.0) + 1e-13 * (1 + np.abs(finite))
    return np.where(np.isnan(out) | ~np.isfinite(top), math.inf, out)
