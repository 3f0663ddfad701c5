"""Renyi divergences under replace-one of mechanisms that see a sample, from their dominating pairs.

A divergence of any kind is an integral of hockey-stick divergences H (Sason and Verdu 2016), so that a pair which
dominates bounds the Renyi divergence as well. For a symmetric pair, with h(x) = H_x and F(x) = (x^a - 1)(1 - x^(1-a)),
  E[e^((a-1) L)] = 1 + integral over x > 1 of F''(x) h(x) = 1 + sum over cells of slope * (F(right) - F(left)) + tail,
where h is replaced by its chords, which lie above it, as h is convex. All terms are positive: nothing cancels.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from reticent.dp.accounting.moments import mechanism_moments
from reticent.dp.accounting.pairs import Pair
from reticent.dp.events import (
    ApproximateDP,
    BoundedRange,
    DiscreteGaussian,
    Gaussian,
    PoissonSampled,
    PureDP,
    SampledWithoutReplacement,
)

__all__ = ["replaced_moments"]

Curve = NDArray[np.float64]

_WIDEST = 100.0
"""Largest order * mu that is integrated, for Gaussians mu apart; beyond, nothing is gained by sampling."""


def replaced_moments(event: PoissonSampled | SampledWithoutReplacement, orders: Curve) -> Curve:
    """Return log-moments of `event` at `orders` under replace-one."""
    mechanism = event.event
    whole = mechanism_moments(mechanism, "replace_one", orders)
    chosen = _probability(event)
    if chosen == 1:
        return whole
    # Joint convexity: with probability 1 - q the exchanged unit is not in the sample, and the outputs agree.
    mixed = np.logaddexp(math.log1p(-chosen), math.log(chosen) + whole)
    best = np.minimum(whole, mixed)
    claim = isinstance(mechanism, PureDP | ApproximateDP | BoundedRange)
    if not np.isfinite(whole).all() or (claim and isinstance(event, PoissonSampled)):
        return np.asarray(best, dtype=np.float64)
    from reticent.dp.accounting.terms import pairs_of

    (pair,) = pairs_of(event, "replace_one")
    return np.asarray(np.minimum(best, _integrated(pair, event, chosen, orders)), dtype=np.float64)


def _probability(event: PoissonSampled | SampledWithoutReplacement) -> float:
    if isinstance(event, PoissonSampled):
        return float(event.sampling_probability)
    return event.sample_size / event.population


def _integrated(pair: Pair, event: PoissonSampled | SampledWithoutReplacement, chosen: float, orders: Curve) -> Curve:
    out = np.full(len(orders), math.inf)
    if not isinstance(event.event, Gaussian | DiscreteGaussian):
        losses = np.linspace(0.0, pair.loss_range()[1], 4001)
        out = _moments(losses, np.minimum.accumulate(pair.deltas(losses)), orders)
        return np.asarray(out + 1e-13 + 1e-12 * np.abs(out), dtype=np.float64)
    # Beyond where a pair is known, h(x) <= q H_y(P || R) with x = 1 + c y: for Poisson samples (1-q) R + q P' is at
    # least (1-q) R, so that c = q / (1-q) and P, R are a unit more and less; for a fixed size see `pairs_fixed_size`.
    poisson = isinstance(event, PoissonSampled)
    inside = mechanism_moments(event.event, "add_or_remove_one" if poisson else "replace_one", orders)
    rate = math.log(chosen) - (math.log1p(-chosen) if poisson else 0.0)
    # The moment of order a lives at losses around a mu^2, within a few mu, for Gaussians mu apart.
    mu = math.sqrt(2 * float(inside[-1] / (orders[-1] * (orders[-1] - 1))))
    reach = mu * mu * (orders + 1) + 14 * mu
    served = (mu * orders <= _WIDEST) & (reach <= 3 * _WIDEST)
    if not served.any():
        return out
    inner = _cells(mu, float(reach[served].max()))
    losses = np.log1p(chosen * np.expm1(np.minimum(inner, 1.0)))
    far = inner > 1
    losses[far] = inner[far] + math.log(chosen) + np.log1p((1 - chosen) / chosen * np.exp(-inner[far]))
    deltas = pair.deltas(losses)
    cut = deltas < 1e-20  # where pairs leave out a mass of 1e-31, which large orders would weigh
    log_y = losses[cut] + np.log(-np.expm1(-losses[cut])) - rate
    deltas[cut] = np.minimum(deltas[cut], chosen * _markov(log_y, orders, inside))
    deltas = np.minimum.accumulate(deltas)
    moments = _moments(losses, deltas, orders[served])
    # y >= x (1 - e^-reach) / c beyond the last cell.
    steep = inside + math.log(chosen) + (orders - 1) * (rate - math.log(-math.expm1(-losses[-1])))
    moments = np.logaddexp(moments, _tail(losses[-1], float(deltas[-1]), orders[served], orders, steep))
    out[served] = moments + 1e-13 + 1e-12 * np.abs(moments)
    return out


def _cells(mu: float, reach: float) -> Curve:
    """Return losses from 0 to `reach` in cells of 0.3 mu^2 / (loss + 6 mu): less than 0.3 / order, where it matters."""
    turns = np.arange(36.0, (reach / mu + 6) ** 2 + 0.6, 0.6)
    return np.asarray(mu * (np.sqrt(turns) - 6), dtype=np.float64)


def _markov(losses: Curve, orders: Curve, moments: Curve) -> Curve:
    """Return min over orders s of e^(moment(s) - (s - 1) loss), which bounds the divergence at these losses."""
    exponents = np.zeros(len(losses))
    for order, moment in zip(orders, moments, strict=True):
        np.minimum(exponents, moment - (order - 1) * losses, out=exponents)
    return np.asarray(np.exp(exponents), dtype=np.float64)


def _moments(losses: Curve, deltas: Curve, orders: Curve) -> Curve:
    """Return log(1 + sum of slope * rise of F) at each order, in logarithms where F is large."""
    falls = -np.diff(deltas)
    widths = np.exp(losses[:-1]) * np.expm1(np.diff(losses))
    kept = (falls > 0) & (widths > 0)
    with np.errstate(divide="ignore"):
        log_slopes = np.log(falls[kept]) - np.log(widths[kept])
    left, right = losses[:-1][kept], losses[1:][kept]
    out = np.empty(len(orders))
    for index, order in enumerate(orders):
        terms = log_slopes + _log_rise(left, right, order)
        top = max(float(terms.max(initial=-math.inf)), -700.0)
        out[index] = np.logaddexp(0.0, top + math.log(float(np.exp(terms - top).sum()) + 1e-300))
    return out


def _log_rise(left: Curve, right: Curve, order: float) -> Curve:
    """Return log(F(e^right) - F(e^left)), rounded up; F(e^y) = (e^(a y) - 1)(1 - e^((1 - a) y)) grows with y."""
    with np.errstate(divide="ignore"):
        low, high = (
            order * y + np.log(-np.expm1(-order * y)) + np.log(-np.expm1((1 - order) * y)) for y in (left, right)
        )
    gap = np.where(np.isneginf(low), -math.inf, low - high)
    # The difference of the logarithms is off by their rounding; more than that is added to it.
    return np.asarray(high + np.log(np.minimum(-np.expm1(gap) + 1e-14 * (1 + np.abs(high)), 1.0)), dtype=np.float64)


def _tail(reach: float, last: float, orders: Curve, all_orders: Curve, steep: Curve) -> Curve:
    """Return log of F'(x) h(x) + integral of F'' h beyond x = e^reach.

    h(x) is at most x^(1-s) e^(steep(s)) at every order s (Markov), F' <= a x^(a-1) and F'' <= 2 a (a-1) x^(a-2), so
    that the integral is at most 2 a (a-1) e^(steep(s)) x^(b-s) / (s - b) for s > b = max(a, 2).
    """
    exponents = np.maximum(orders, 2.0)[:, None] - all_orders
    with np.errstate(divide="ignore", invalid="ignore"):
        beyond = steep + exponents * reach - np.log(-exponents)
    integral = np.min(np.where(exponents < -0.5, beyond, math.inf), axis=1) + np.log(2 * orders * (orders - 1))
    with np.errstate(divide="ignore"):
        edge = np.log(orders) + (orders - 1) * reach + np.log(np.float64(last))
    return np.asarray(np.logaddexp(integral, edge), dtype=np.float64)
