"""Epsilon derived anew from events, and what it means in odds: the figures of the page that nobody typed.

One curve is what the promised (epsilon, delta) says about attacks, the other what all releases together say
(`reticent.dp.trade_off`), which is tighter.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

from reticent.dp import Event, Guarantee, Relation, TradeOff, epsilon, flatten, trade_off
from reticent.errors import PolicyRefused
from reticent.report.facts import CurvePoint, Odds, ProfilePoint, Promise
from reticent.study.plan import Plan

__all__ = ["finite_epsilon", "plan_epsilon", "promise_of", "worst_case_events"]

_DELTAS = (0.6, 0.4, 0.2, 0.1, 0.05, 0.02, 1e-2, 1e-3, 1e-4, 1e-7)
_FALSE_POSITIVES = (0.0, 1e-4, 2e-4, 5e-4, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
_PRIORS = (0.01, 0.1, 0.5)


def finite_epsilon(events: Iterable[Event], *, delta: float, relation: Relation) -> float | None:
    """Return the certified epsilon of `events`, or None where it has no bound."""
    found = epsilon(tuple(events), delta=delta, relation=relation)
    return found if math.isfinite(found) else None


def worst_case_events(plan: Plan) -> tuple[Event, ...]:
    """Return all that the plan may release about one unit, at the sites where that costs most.

    A person at k sites (`sites_per_person`) is hit by the releases of k sites; which ones is not known.
    """
    worst = max(_choices(plan), key=lambda events: _plan_epsilon(plan, events))
    return tuple(worst)


def plan_epsilon(plan: Plan) -> float:
    """Return epsilon of `worst_case_events` at the plan's delta; infinity where it has no bound."""
    return _plan_epsilon(plan, worst_case_events(plan))


def _choices(plan: Plan) -> list[tuple[Event, ...]]:
    """Return the events of every choice of `sites_per_person` sites; sites that release alike are asked once."""
    releases = [release for site in plan.sites if (release := plan.release(site.name)) is not None]
    k = 1 if plan.privacy is None else min(plan.privacy.sites_per_person, len(releases))
    chosen = (tuple(event for release in some for event in release.events) for some in combinations(releases, k))
    return list({frozenset(flatten(events).items()): events for events in chosen}.values())


def _plan_epsilon(plan: Plan, events: Sequence[Event]) -> float:
    if plan.privacy is None:
        return math.inf
    return epsilon(events, delta=plan.privacy.delta, relation=plan.privacy.relation)


def promise_of(plan: Plan) -> Promise | None:
    """Return the promise of a plan with its odds and its curve; None where no epsilon is claimed."""
    guarantee = plan.guarantee
    if guarantee is None or plan.privacy is None:
        return None
    events = worst_case_events(plan)
    profile = _profile(events, guarantee)
    derived = next(point.epsilon for point in profile if point.delta == guarantee.delta)
    reached = _reached(events, guarantee, profile)
    mu = reached.gaussian_mu(slack=guarantee.delta)
    return Promise(
        sentence=guarantee.sentence(),
        secret=guarantee.secret,
        protects=guarantee.protects,
        epsilon=guarantee.epsilon,
        delta=guarantee.delta,
        unit=guarantee.unit,
        relation=guarantee.relation,
        holds_against=guarantee.holds_against,
        in_a_hundred=_up(guarantee.true_positives(at_false_positives=0.01) * 100),
        odds=tuple(Odds(before=prior, after=guarantee.best_guess(prior=prior)) for prior in _PRIORS),
        curve=_curve(guarantee, reached),
        profile=profile,
        derived_epsilon=derived,
        in_words=guarantee.in_words(reached),
        advantage=reached.advantage(),
        gaussian_mu=mu if math.isfinite(mu) else None,
    )


def _reached(events: Sequence[Event], guarantee: Guarantee, profile: Sequence[ProfilePoint]) -> TradeOff:
    """Return what attacks on all releases together reach, drawn with no more lines than a page needs."""
    every = trade_off(events, relation=guarantee.relation).thinned(_FALSE_POSITIVES)
    points = [(point.epsilon, point.delta) for point in profile] + [(guarantee.epsilon, guarantee.delta)]
    return every.tightened(*np.array(points).T)


def _profile(events: Sequence[Event], guarantee: Guarantee) -> tuple[ProfilePoint, ...]:
    points = []
    for delta in sorted({*_DELTAS, guarantee.delta}, reverse=True):
        found = finite_epsilon(events, delta=delta, relation=guarantee.relation)
        if found is None:
            raise PolicyRefused(
                "promise-without-bound",
                f"the plan promises epsilon {guarantee.epsilon:g}, and its releases have no bound at delta {delta:g}",
                hint="plan.json was changed, or made by a broken version: `reticent verify` names what disagrees",
            )
        points.append(ProfilePoint(delta=delta, epsilon=found))
    return tuple(points)


def _curve(guarantee: Guarantee, derived: TradeOff) -> tuple[CurvePoint, ...]:
    """Return both curves at round rates and at every corner, so that straight lines between the points are exact."""
    promised = guarantee.curve()
    rates = np.unique(np.concatenate([_FALSE_POSITIVES, promised.corners()[0], derived.corners()[0]]))
    heights = zip(rates, promised.true_positives(rates), derived.true_positives(rates), strict=True)
    return tuple(CurvePoint(false_positives=rate, promised=one, derived=all_) for rate, one, all_ in heights)


def _up(value: float) -> int:
    return min(100, math.ceil(round(value, 9)))
