"""From events to what is composed: for each direction of the relation, pairs and how often each occurs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from reticent.dp.accounting import pairs_gaussian
from reticent.dp.accounting.pairs import Pair
from reticent.dp.events import (
    ApproximateDP,
    BoundedRange,
    DiscreteGaussian,
    DiscreteLaplace,
    Event,
    Gaussian,
    Laplace,
    Mechanism,
    PoissonSampled,
    PureDP,
    RandomizedResponse,
    SampledWithoutReplacement,
    Single,
    flatten,
)
from reticent.dp.release import Relation
from reticent.errors import UsageError

__all__ = ["Term", "directions", "pairs_of", "terms_of"]

Term = tuple[Single, int]
"""A single event and how often it occurs."""

_LEAST_NOISE, _MOST_NOISE = 1e-4, 1e12
"""Gaussians outside count as having none, and as much: losses are above every claim there, or below rounding."""

_LEAST_SAMPLED = 1e-12
"""A smaller probability counts as this one. Sampling twice is sampling: fewer never reveals more."""


def terms_of(events: Iterable[Event] | Event) -> tuple[Term, ...]:
    """Return `events` in canonical form: sorted, equal ones counted together, a sample of all as no sample.

    Raises:
      UsageError: `unknown-event`.
    """
    if isinstance(events, Event):
        events = (events,)
    counts: dict[Single, int] = {}
    for event, count in flatten(events).items():
        single = event.event if isinstance(event, PoissonSampled) and event.sampling_probability == 1 else event
        mechanism = single.event if isinstance(single, PoissonSampled | SampledWithoutReplacement) else single
        if not isinstance(single, Single) or not isinstance(mechanism, Mechanism):
            raise UsageError("unknown-event", f"not an event: {event!r}", hint="use the types of reticent.dp.events")
        counts[single] = counts.get(single, 0) + count
    return tuple(sorted(counts.items(), key=lambda term: repr(term[0])))


def directions(terms: Sequence[Term], relation: Relation) -> tuple[tuple[tuple[Pair, ...], tuple[int, ...]], ...]:
    """Return (pairs, counts) of one or two directions; one where every pair is its own mirror image.

    Gaussians on all data are merged into one, which is exact, and events that have a Renyi bound only into one pair.

    Raises:
      UsageError: `unsupported-event`.
    """
    from reticent.dp.accounting.pairs_claims import joined, joins

    parts: list[tuple[tuple[Pair, ...], int]] = []
    energy = math.fsum(
        count / min(max(event.noise_multiplier, 1e-150), 1e150) ** 2
        for event, count in terms
        if isinstance(event, Gaussian)
    )
    if energy > 0:
        # Rounded down by more than the sum and the root are off.
        parts.append((pairs_of(Gaussian((1 - 1e-15) / math.sqrt(energy)), relation), 1))
    groups: dict[Event, int] = {event: count for event, count in terms if joins(event)}
    if groups:
        parts.append(((joined(groups, relation),), 1))
    others = [term for term in terms if not isinstance(term[0], Gaussian) and not joins(term[0])]
    parts += [(pairs_of(event, relation), count) for event, count in others]
    sides = max((len(pairs) for pairs, _ in parts), default=1)
    counts = tuple(count for _, count in parts)
    return tuple((tuple(pairs[min(side, len(pairs) - 1)] for pairs, _ in parts), counts) for side in range(sides))


def pairs_of(event: Single, relation: Relation) -> tuple[Pair, ...]:
    """Return one pair that dominates `event` in both directions, or two: with the unit, and without it.

    Raises:
      UsageError: `unsupported-event`, naming event and relation.
    """
    match event:
        case Gaussian(multiplier):
            return _gaussian(float(multiplier), 1.0, relation)
        case PoissonSampled(probability, mechanism):
            return _sampled(float(probability), mechanism, relation)
        case SampledWithoutReplacement():
            from reticent.dp.accounting import pairs_fixed_size

            return pairs_fixed_size.pairs(event, relation)
        case Laplace() | DiscreteGaussian() | DiscreteLaplace() | RandomizedResponse():
            from reticent.dp.accounting import pairs_discrete

            return pairs_discrete.pairs(event, relation)
        case PureDP() | ApproximateDP() | BoundedRange():
            from reticent.dp.accounting import pairs_claims

            return pairs_claims.pairs(event, relation)


def _gaussian(multiplier: float, probability: float, relation: Relation) -> tuple[Pair, ...]:
    from reticent.dp.accounting.pairs_claims import pairs

    if multiplier < _LEAST_NOISE:
        # Whoever is drawn is shown: with probability 1 - q nothing is.
        return pairs(ApproximateDP(0.0, probability), relation) if probability < 1 else pairs_of(Laplace(0.0), relation)
    return pairs_gaussian.pairs(min(multiplier, _MOST_NOISE), probability, relation)


def _sampled(probability: float, mechanism: Mechanism, relation: Relation) -> tuple[Pair, ...]:
    probability = max(probability, _LEAST_SAMPLED)
    if probability == 1:
        return pairs_of(mechanism, relation)
    if isinstance(mechanism, Gaussian):
        return _gaussian(float(mechanism.noise_multiplier), probability, relation)
    if relation == "replace_one":
        return _sampled_and_replaced(probability, mechanism)
    from reticent.dp.accounting.pairs_sampled import Added, Removed

    base = pairs_of(mechanism, relation)
    return Removed(base[0], probability), Added(base[-1], probability)


def _sampled_and_replaced(probability: float, mechanism: Mechanism) -> tuple[Pair, ...]:
    from reticent.dp.accounting.pairs_fixed_size import poisson_replaced
    from reticent.dp.accounting.pairs_sampled import ReplacedLaplace

    if isinstance(mechanism, Laplace) and 1e-2 <= mechanism.noise_multiplier <= 1e12:
        return (ReplacedLaplace(1 / float(mechanism.noise_multiplier), probability),)
    return poisson_replaced(mechanism, probability)
