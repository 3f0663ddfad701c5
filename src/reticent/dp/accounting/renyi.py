"""Renyi accounting: curves that add up, their conversion to epsilon, and budgets for adaptive programs."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from reticent.dp.accounting.moments import mechanism_moments
from reticent.dp.accounting.orders import ORDERS_VERSION, RENYI_ORDERS
from reticent.dp.accounting.replaced_moments import replaced_moments
from reticent.dp.accounting.sampled_moments import poisson_moments
from reticent.dp.events import (
    Event,
    Mechanism,
    PoissonSampled,
    RandomizedResponse,
    SampledWithoutReplacement,
    Single,
    flatten,
)
from reticent.dp.release import Relation
from reticent.dp.target import require_delta, require_epsilon, require_relation
from reticent.errors import UsageError

__all__ = ["ORDERS_VERSION", "RENYI_ORDERS", "renyi_budget", "renyi_curve", "renyi_epsilon", "unsupported"]

Curve = NDArray[np.float64]


def renyi_curve(events: Iterable[Event] | Event, *, relation: Relation) -> Curve:
    """Return upper bounds on the Renyi divergence of all `events` on the same data, at `RENYI_ORDERS`.

    Args:
      events: One event or many; their order and nesting do not matter.
      relation: The neighbouring relation.

    Returns:
      `(233,)`, not negative; infinite where no bound is known, as for any event with a positive delta.

    Raises:
      UsageError: If the relation is unknown (`invalid-relation`), something is not an event (`unknown-event`), or an
        event has no proven bound under this relation (`unsupported-event`).
    """
    require_relation(relation)
    if isinstance(events, Event):
        events = (events,)
    total = np.zeros(len(RENYI_ORDERS))
    for event, count in flatten(events).items():
        total += count * _single(event, relation)  # type: ignore[arg-type]
    # One rounding for each addition, and a few in each curve.
    return total * (1 + 1e-12)


def _single(event: Single, relation: Relation) -> Curve:
    return np.maximum(_log_moments(event, relation), 0.0) / (RENYI_ORDERS - 1)


def _log_moments(event: Single, relation: Relation) -> Curve:
    mechanism = event.event if isinstance(event, PoissonSampled | SampledWithoutReplacement) else event
    if not isinstance(mechanism, Mechanism):
        raise UsageError("unknown-event", f"not an event: {event!r}", hint="use the types of reticent.dp.events")
    if isinstance(mechanism, RandomizedResponse) and (relation != "replace_one" or mechanism is not event):
        raise unsupported(event, relation)  # it shows who answered, and so who is in a sample
    if isinstance(event, SampledWithoutReplacement) and relation != "replace_one":
        raise unsupported(event, relation)
    if not isinstance(event, PoissonSampled | SampledWithoutReplacement):
        return mechanism_moments(mechanism, relation, RENYI_ORDERS)
    if isinstance(event, PoissonSampled) and relation == "add_or_remove_one":
        return poisson_moments(mechanism, float(event.sampling_probability), RENYI_ORDERS)
    return replaced_moments(event, RENYI_ORDERS)


def unsupported(event: Single, relation: Relation) -> UsageError:
    """Return the refusal of an event for which nothing is proven under this relation."""
    return UsageError(
        "unsupported-event",
        f"no bound is proven for {event!r} under {relation}",
        hint="use the other relation, or describe what was drawn by an event that `reticent help unsupported-event` lists",
    )


def renyi_epsilon(curve: Curve, *, delta: float) -> float:
    """Return the epsilon that a curve at `RENYI_ORDERS` promises at `delta`; infinite if it is infinite everywhere.

    Conversion: Canonne, Kamath, Steinke 2020, proposition 12; the best order may be chosen, as the curve is fixed.
    """
    require_delta(delta)
    if not np.any(_checked(curve)):
        return 0.0
    bounds = np.asarray(curve) + _offsets(np.full(len(RENYI_ORDERS), float(delta)))
    best = float(np.min(bounds))
    return max(0.0, best + 1e-12 * abs(best))


def renyi_budget(*, epsilon: float, delta: float, expecting: Curve | None = None) -> Curve:
    """Return the budget of a filter that keeps an adaptive program (epsilon, delta)-private.

    The filter admits an event if afterwards total[a] <= budget[a] at some order a, and nothing is ever admitted that
    breaks all. Orders out of use have a budget of -inf. Each order a has a part w[a] of delta, and these add up to 1:
    which order is left at the end may depend on the outputs, so their deltas must be added. (With all of delta at each
    order, a program of two steps exceeds delta, by half at least: tests/dp/test_dp_renyi_filter.py.)

    Why it holds. At a fixed order, exp(a L - (a - 1) total[a]) is a supermartingale under the second neighbour, however
    the events were chosen (Feldman and Zrnic, NeurIPS 2021, theorem 3.1). Where order a is left at the end, e^L -
    e^epsilon is at most w[a] delta times that supermartingale (the conversion of `renyi_epsilon`). These cases are
    disjoint if the first order left is taken, so that E_Q[(e^L - e^epsilon)_+] <= sum of w[a] delta = delta.

    Args:
      epsilon: Above 0.
      delta: In (0, 1).
      expecting: The curve of what will mostly be run, which decides how delta is shared; it must not depend on data.
        Without it, Gaussians are expected. Anything may be run; what was expected lasts longest.

    Raises:
      UsageError: If an argument is out of range.
    """
    require_epsilon(epsilon)
    require_delta(delta)
    weights = _weights(float(epsilon), float(delta), RENYI_ORDERS if expecting is None else _checked(expecting))
    budget = epsilon - _offsets(weights * delta)
    budget = budget - 1e-12 * np.abs(budget)
    return np.where((weights > 0) & (budget >= 0), budget, -math.inf)


def _offsets(deltas: Curve) -> Curve:
    """Return what the conversion adds to the divergence at each order."""
    with np.errstate(divide="ignore"):
        return np.log1p(-1 / RENYI_ORDERS) - (np.log(deltas) + np.log(RENYI_ORDERS)) / (RENYI_ORDERS - 1)


def _weights(epsilon: float, delta: float, expected: Curve) -> Curve:
    """Return the part of delta for each order: most to the one at which `expected` lasts longest, the rest spread.

    Taking a tenth away from the best order costs about 0.5 % of epsilon at delta 1e-6; an order with a hundredth pays
    15 %.
    """
    whole = epsilon - _offsets(np.full(len(RENYI_ORDERS), delta))
    with np.errstate(divide="ignore", invalid="ignore"):
        lasts = np.where(whole > 0, whole / np.maximum(expected, 1e-300), -math.inf)
    weights = np.zeros(len(RENYI_ORDERS))
    best = int(np.argmax(lasts))
    wanted = 1 + (RENYI_ORDERS[best] - 1) * np.array([0.25, 0.4, 0.63, 0.8, 1.26, 1.6, 2.5, 4.0, 10.0, 60.0])
    others = np.unique(np.minimum(np.searchsorted(RENYI_ORDERS, wanted), len(RENYI_ORDERS) - 1))
    others = others[(whole[others] > 0) & (others != best)]
    weights[others] = 0.1 / max(len(others), 1)
    weights[best] = 1 - weights.sum() - 1e-15
    return weights


def _checked(curve: Curve) -> Curve:
    curve = np.asarray(curve, dtype=np.float64)
    if curve.shape != RENYI_ORDERS.shape or not np.all(curve >= 0):  # true for NaN
        raise UsageError(
            "invalid-renyi-curve",
            f"a Renyi curve has shape {curve.shape} or values below 0",
            hint=f"give one number, 0 or larger, for each of the {len(RENYI_ORDERS)} orders of dp.RENYI_ORDERS",
        )
    return curve
