"""How much a sequence of events reveals: a certified upper bound on epsilon.

Unsampled Gaussians have a closed form (Balle and Wang, ICML 2018). Sampled ones are composed as privacy loss
distributions with pessimistic discretisation (Koskela et al. 2020; Doroshenko et al., PETS 2022: "connect the
dots"), computed by dp_accounting; under add-or-remove-one a Renyi bound (Mironov et al. 2019) is taken where it is
smaller. Defects of dp_accounting 0.6 are kept out: its Renyi accountant is wrong under replace-one and never asked,
and a NaN counts as infinity.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from reticent.dp.events import Composed, Event, Gaussian, PoissonSampled, Repeated, flatten
from reticent.dp.release import Relation
from reticent.dp.target import require_delta, require_relation

__all__ = ["epsilon", "gaussian_epsilon"]

Term = tuple[float, float, int]
"""(noise multiplier, sampling probability, count)."""

_FINE = 1e-4
_LARGEST_EPSILON = 600.0


def epsilon(events: Iterable[Event] | Event, *, delta: float, relation: Relation) -> float:
    """Return an upper bound on the epsilon of all `events` on the same data, at `delta`.

    Args:
      events: One event or many; their order and nesting do not matter.
      delta: In (0, 1).
      relation: The neighbouring relation.

    Returns:
      0 for no events, infinity for an event without noise and for values above 600, which promise nothing.

    Raises:
      UsageError: If delta or relation is out of range.
    """
    require_delta(delta)
    require_relation(relation)
    if isinstance(events, Gaussian | PoissonSampled | Repeated | Composed):
        events = (events,)
    return _epsilon(_terms(events), float(delta), relation, _FINE)


def _terms(events: Iterable[Event]) -> tuple[Term, ...]:
    terms: dict[tuple[float, float], int] = {}
    for event, count in flatten(events).items():
        match event:
            case Gaussian(multiplier):
                key = (float(multiplier), 1.0)
            case PoissonSampled(probability, Gaussian(multiplier)):
                key = (float(multiplier), float(probability))
            case _:
                raise AssertionError(event)
        terms[key] = terms.get(key, 0) + count
    return tuple(sorted((multiplier, probability, count) for (multiplier, probability), count in terms.items()))


@lru_cache(maxsize=4096)
def _epsilon(terms: tuple[Term, ...], delta: float, relation: Relation, grid: float) -> float:
    if not terms:
        return 0.0
    if any(multiplier == 0 for multiplier, _, _ in terms):
        return math.inf
    distance = 1.0 if relation == "add_or_remove_one" else 2.0
    whole = sum(count / multiplier**2 for multiplier, probability, count in terms if probability == 1)
    sampled = tuple(term for term in terms if term[1] < 1)
    if not sampled:
        return _honest(gaussian_epsilon(sigma=1 / (distance * math.sqrt(whole)), delta=delta))
    bounds = [_by_loss_distribution(whole, sampled, delta, relation, grid)]
    if relation == "add_or_remove_one":
        bounds.append(_by_renyi(whole, sampled, delta))
    return _honest(min(_honest(bound) for bound in bounds))


def _honest(value: float) -> float:
    if math.isnan(value) or value > _LARGEST_EPSILON:
        return math.inf
    return max(0.0, float(value))


def gaussian_epsilon(*, sigma: float, delta: float) -> float:
    """Return the exact epsilon of one Gaussian mechanism of sensitivity 1 (Balle and Wang 2018, theorem 8)."""
    from dp_accounting import gaussian_mechanism

    return float(gaussian_mechanism.get_epsilon_gaussian(sigma, delta)) * (1 + 1e-12)


def _by_loss_distribution(
    whole: float, sampled: tuple[Term, ...], delta: float, relation: Relation, grid: float
) -> float:
    from dp_accounting.pld import privacy_loss_distribution as pld
    from dp_accounting.privacy_accountant import NeighboringRelation

    neighbours = NeighboringRelation[relation.upper()]
    composed: Any = None
    for multiplier, probability, count in sampled:
        one = pld.from_gaussian_mechanism(
            multiplier,
            sampling_prob=probability,
            value_discretization_interval=grid,
            neighboring_relation=neighbours,
        ).self_compose(count)
        composed = one if composed is None else composed.compose(one)
    if whole:
        gaussian = pld.from_gaussian_mechanism(
            1 / math.sqrt(whole), value_discretization_interval=grid, neighboring_relation=neighbours
        )
        composed = composed.compose(gaussian)
    return float(composed.get_epsilon_for_delta(delta))


def _by_renyi(whole: float, sampled: tuple[Term, ...], delta: float) -> float:
    import dp_accounting
    from dp_accounting import rdp

    accountant = rdp.RdpAccountant()
    for multiplier, probability, count in sampled:
        accountant.compose(
            dp_accounting.PoissonSampledDpEvent(probability, dp_accounting.GaussianDpEvent(multiplier)), count
        )
    if whole:
        accountant.compose(dp_accounting.GaussianDpEvent(1 / math.sqrt(whole)))
    return float(accountant.get_epsilon(delta))
