"""How much a sequence of events reveals: a certified upper bound on epsilon.

Unsampled Gaussians alone have a closed form. Sampled ones are composed as privacy loss distributions, discretised
pessimistically ("connect the dots", Doroshenko et al., PETS 2022) and composed by dp_accounting; under
add-or-remove-one the Renyi bound (Mironov, Talwar, Zhang 2019) is taken where it is smaller, which it is for very
small delta and very small sampling probabilities.

Three things are charged that other accountants neglect: the floating-point error of the Fourier transforms
(`_transform_error`), the distance of our sampler from an exact one (`SAMPLER_CHARGE`), and NaN, which counts as
infinity. Defects of dp_accounting 0.6 are kept out: its Renyi accountant is wrong under replace-one and is not used,
and no event type passes through its `compose`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np

from reticent.dp.divergence import Direction, gaussian_epsilon, loss_range, sampled_delta
from reticent.dp.events import Event, Gaussian, PoissonSampled, flatten
from reticent.dp.noise import TOTAL_VARIATION
from reticent.dp.release import Relation
from reticent.dp.renyi import renyi_epsilon
from reticent.dp.target import require_delta, require_relation
from reticent.errors import UsageError

__all__ = ["COARSE", "FINE", "LARGEST_EPSILON", "SAMPLER_CHARGE", "Term", "bound", "epsilon", "terms_of"]

Term = tuple[float, float, int]
"""(noise multiplier, sampling probability, count)."""

LARGEST_EPSILON = 500.0
"""Anything above is reported as infinity: it promises nothing, and the arithmetic below was not made for it."""

SAMPLER_CHARGE = TOTAL_VARIATION * 2.0**780
"""Taken from every delta: (1 + e^500) * 2^58 draws * the total variation of one draw."""

FINE = 100_000
COARSE = 20_000
_LARGEST_COMPOSED = 2_000_000


def epsilon(events: Iterable[Event] | Event, *, delta: float, relation: Relation) -> float:
    """Return an upper bound on the epsilon of all `events` on the same data, at `delta`.

    Args:
      events: One event or many; their order and nesting do not matter.
      delta: In (0, 1).
      relation: The neighbouring relation.

    Returns:
      0 for no events, infinity for an event without noise and for values above 500.

    Raises:
      UsageError: If delta or relation is out of range, or something is not an event.
    """
    require_delta(delta)
    require_relation(relation)
    return bound(terms_of(events), float(delta), relation, FINE)


def terms_of(events: Iterable[Event] | Event) -> tuple[Term, ...]:
    """Return `events` in canonical form: sorted, equal ones counted together."""
    if isinstance(events, Event):
        events = (events,)
    counts: dict[tuple[float, float], int] = {}
    for event, count in flatten(events).items():
        match event:
            case Gaussian(multiplier):
                key = (float(multiplier), 1.0)
            case PoissonSampled(probability, Gaussian(multiplier)):
                key = (float(multiplier), float(probability))
            case _:
                raise UsageError(
                    "unknown-event", f"not an event: {event!r}", hint="use the types of reticent.dp.events"
                )
        counts[key] = counts.get(key, 0) + count
    return tuple(sorted((multiplier, probability, count) for (multiplier, probability), count in counts.items()))


@lru_cache(maxsize=4096)
def bound(terms: tuple[Term, ...], delta: float, relation: Relation, points: int) -> float:
    """Return `epsilon` of canonical terms, with about `points` grid points per loss distribution."""
    if not terms:
        return 0.0
    delta -= SAMPLER_CHARGE
    if delta <= 0 or any(multiplier == 0 for multiplier, _, _ in terms):
        return math.inf
    energy = sum(count / multiplier**2 for multiplier, probability, count in terms if probability == 1)
    sampled = tuple(term for term in terms if term[1] < 1)
    # Under replace-one the two neighbours lie twice the norm of one contribution apart.
    distance = 1.0 if relation == "add_or_remove_one" else 2.0
    if not sampled:
        return _honest(gaussian_epsilon(sigma=1 / (distance * math.sqrt(energy)), delta=delta))
    by_loss = _by_loss_distribution(energy, sampled, delta, relation, points)
    if relation == "replace_one":
        return by_loss
    return min(by_loss, _honest(renyi_epsilon(sampled, energy=energy, delta=delta)))


def _honest(value: float) -> float:
    if not value <= LARGEST_EPSILON:  # true for NaN
        return math.inf
    return max(0.0, float(value))


def _transform_error(count: int) -> float:
    """Return a bound on the mass that rounding in the Fourier transforms can move out of a tail.

    A power of the transform multiplies its rounding error by the exponent. Measured on unsampled Gaussians, whose
    composition is known exactly: 2e-13, 4e-12 and 5e-11 for 10^4, 10^5 and 10^6 steps, a quarter of this or less.
    """
    return 1e-13 + 2e-16 * count


def _by_loss_distribution(
    energy: float, sampled: tuple[Term, ...], delta: float, relation: Relation, points: int
) -> float:
    left = delta - _transform_error(sum(count for _, _, count in sampled))
    if left <= 0:
        return math.inf
    parts = (*sampled, (1 / math.sqrt(energy), 1.0, 1)) if energy else sampled
    grid = _grid(parts, relation, points)
    if math.isinf(grid):
        return math.inf
    composed: Any = None
    for part in parts:
        one = _loss_distribution(part, relation, grid)
        composed = one if composed is None else composed.compose(one)
    try:
        with np.errstate(all="ignore"):
            return _honest(composed.get_epsilon_for_delta(left))
    except (OverflowError, ValueError):  # exp or log out of range, far beyond any claim
        return math.inf


def _grid(parts: tuple[Term, ...], relation: Relation, points: int) -> float:
    """Return the loss grid: fine against the spread of one step, within a budget of points before and after.

    Infinite where a single loss lies beyond any claim.
    """
    direction: Direction = "remove" if relation == "add_or_remove_one" else "replace"
    span = 0.0
    reach = 0.0
    spread = math.inf
    for multiplier, probability, count in parts:
        low, high = loss_range(sigma=multiplier, probability=probability, direction=direction)
        span += high - low
        reach += _composed_reach(multiplier, probability, count, direction)
        if probability < 1:
            spread = min(spread, probability * math.sqrt(math.expm1(min(1 / multiplier**2, 600.0))))
    # Discretisation adds to the variance of every step; at a fiftieth of its spread that is about 3e-5 of epsilon.
    grid = min(spread * 2000 / points, 100 / points)
    return max(grid, span / (4 * points), reach / (20 * points))


@lru_cache(maxsize=256)
def _composed_reach(multiplier: float, probability: float, count: int, direction: Direction) -> float:
    """Return the width of the composed loss distribution, from a very coarse one (Chernoff)."""
    from dp_accounting.pld.common import compute_self_convolve_bounds

    low, high = loss_range(sigma=multiplier, probability=probability, direction=direction)
    step = (high - low) / 1000
    if step > 100:
        return math.inf
    losses = low + step * np.arange(1002, dtype=np.float64)
    deltas = sampled_delta(losses, sigma=multiplier, probability=probability, direction=direction)
    falls = np.diff(deltas)
    masses = np.maximum((falls[1:] - math.exp(step) * falls[:-1]) / math.expm1(step), 0.0)
    first, last = compute_self_convolve_bounds(masses / masses.sum(), count, 1e-15)
    return float(last - first) * step


@lru_cache(maxsize=4)
def _loss_distribution(term: Term, relation: Relation, grid: float) -> Any:
    """Return the composed loss distribution of one term; it dominates every neighbouring pair."""
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution

    multiplier, probability, count = term
    if relation == "replace_one":
        one = PrivacyLossDistribution(_pmf(multiplier, probability, "replace", grid))
    elif probability == 1:
        one = PrivacyLossDistribution(_pmf(multiplier, probability, "remove", grid))
    else:
        one = PrivacyLossDistribution(
            _pmf(multiplier, probability, "remove", grid), _pmf(multiplier, probability, "add", grid)
        )
    return one if count == 1 else one.self_compose(count)


def _pmf(multiplier: float, probability: float, direction: Direction, grid: float) -> Any:
    """Return the discretised loss of one event: algorithm 1 of "connect the dots", on a contiguous grid.

    Its divergence is at least the exact one at every epsilon, and equals it on the grid.
    """
    from dp_accounting.pld.pld_pmf import DensePLDPmf

    low, high = loss_range(sigma=multiplier, probability=probability, direction=direction)
    first, last = math.floor(low / grid), math.ceil(high / grid)
    losses = np.arange(first, last + 1, dtype=np.float64) * grid
    deltas = sampled_delta(losses, sigma=multiplier, probability=probability, direction=direction)
    deltas = np.minimum.accumulate(deltas)
    falls = np.diff(deltas)
    masses = np.empty_like(deltas)
    masses[0] = 1 - deltas[0] + falls[0] / math.expm1(grid)
    masses[1:-1] = (falls[1:] - math.exp(grid) * falls[:-1]) / math.expm1(grid)
    masses[-1] = falls[-1] / math.expm1(-grid)
    return DensePLDPmf(grid, first, np.maximum(masses, 0.0), float(deltas[-1]), pessimistic_estimate=True)
