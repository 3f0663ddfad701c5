"""How much noise a promise needs, and how many steps or which samples it allows: never beyond the target."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import lru_cache

from reticent.dp.accounting import FINE, bound, terms_of
from reticent.dp.accounting.solve import Family
from reticent.dp.divergence import gaussian_delta
from reticent.dp.events import Event, Gaussian, PoissonSampled, Repeated
from reticent.dp.release import Relation
from reticent.dp.target import Target, require_delta, require_epsilon, require_relation
from reticent.errors import PolicyRefused, UsageError

__all__ = ["calibrate", "gaussian_sigma", "noise_multiplier", "sampling_probability", "steps"]

_LEAST, _MOST = 2.0**-6, 2.0**24


def gaussian_sigma(*, sensitivity: float, epsilon: float, delta: float) -> float:
    """Return the smallest standard deviation that makes one Gaussian mechanism (epsilon, delta)-private.

    Analytic calibration (Balle and Wang, ICML 2018), right for every epsilon. The textbook formula
    sqrt(2 ln(1.25/delta)) / epsilon is proven below epsilon 1 only, and too small from about 8 on.

    Args:
      sensitivity: Largest L2 distance between the values of neighbouring data sets.
      epsilon: Above 0.
      delta: In (0, 1).

    Returns:
      The standard deviation, rounded up by less than 1e-9.

    Raises:
      UsageError: If an argument is out of range.
    """
    require_epsilon(epsilon)
    require_delta(delta)
    if not 0 < sensitivity < math.inf:
        raise UsageError("invalid-sensitivity", f"sensitivity is {sensitivity}", hint="give a finite number above 0")
    low = high = 1.0
    while gaussian_delta(epsilon, sigma=high) > delta:
        low, high = high, 2 * high
    while gaussian_delta(epsilon, sigma=low) <= delta:
        low, high = low / 2, low
    while high / low > 1 + 1e-10:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if gaussian_delta(epsilon, sigma=middle) <= delta else (middle, high)
    return high * sensitivity * (1 + 1e-10)


def noise_multiplier(
    *,
    epsilon: float,
    delta: float,
    sampling_probability: float,
    steps: int,
    relation: Relation,
    also: Iterable[Event] = (),
) -> float:
    """Return the noise multiplier with which `steps` Poisson sampled Gaussians stay within the target.

    Args:
      epsilon: Target, never exceeded according to `reticent.dp.epsilon`.
      delta: In (0, 1).
      sampling_probability: Above 0 and at most 1.
      steps: Number of sampled Gaussians, 1 or larger.
      relation: The neighbouring relation.
      also: Other events on the same data, inside the same target.

    Returns:
      The smallest one, to a relative 1e-3.

    Raises:
      UsageError: If an argument is out of range.
      PolicyRefused: If no noise suffices, because the events in `also` use up the target.
    """
    target = _target(epsilon, delta, relation)
    _require_count(steps, "steps")
    PoissonSampled(sampling_probability, Gaussian(1.0))  # refuses a probability out of range
    others = tuple(Repeated(event, count) for event, count in terms_of(also))
    return _noise_multiplier(target, float(sampling_probability), int(steps), relation, others)


@lru_cache(maxsize=256)
def _noise_multiplier(
    target: Target, probability: float, steps: int, relation: Relation, also: tuple[Event, ...]
) -> float:
    def events(multiplier: float) -> tuple[Event, ...]:
        return (Repeated(PoissonSampled(probability, Gaussian(multiplier)), steps), *also)

    family = Family(events, target, relation, falling=True)
    return _found(family.last(start=1.0, least=_LEAST, most=_MOST), target, relation, also)


def steps(
    *,
    epsilon: float,
    delta: float,
    noise_multiplier: float,
    sampling_probability: float,
    relation: Relation,
    also: Iterable[Event] = (),
) -> int:
    """Return how many Poisson sampled Gaussians of this noise stay within the target.

    Args:
      epsilon: Target, never exceeded according to `reticent.dp.epsilon`.
      delta: In (0, 1).
      noise_multiplier: Above 0.
      sampling_probability: Above 0 and at most 1.
      relation: The neighbouring relation.
      also: Other events on the same data, inside the same target.

    Returns:
      The largest number, to a relative 1e-3, exactly below 1000, and not above a billion; 0 if there is room for none.

    Raises:
      UsageError: If an argument is out of range.
      PolicyRefused: If the events in `also` use up the target.
    """
    target = _target(epsilon, delta, relation)
    step = PoissonSampled(sampling_probability, Gaussian(noise_multiplier))
    others = tuple(also)
    family = Family(lambda count: (Repeated(step, round(count)), *others), target, relation, falling=False, whole=True)
    found = family.last(start=1000.0, least=1.0, most=1e9)
    if found is None and bound(terms_of(others), target.delta, relation, FINE) <= target.epsilon:
        return 0
    return round(_found(found, target, relation, others))


def sampling_probability(
    *,
    epsilon: float,
    delta: float,
    noise_multiplier: float,
    steps: int,
    relation: Relation,
    also: Iterable[Event] = (),
) -> float:
    """Return the sampling probability with which `steps` Gaussians of this noise stay within the target.

    Args:
      epsilon: Target, never exceeded according to `reticent.dp.epsilon`.
      delta: In (0, 1).
      noise_multiplier: Above 0.
      steps: Number of sampled Gaussians, 1 or larger.
      relation: The neighbouring relation.
      also: Other events on the same data, inside the same target.

    Returns:
      The largest one, to a relative 1e-3; 1 where no sampling is needed.

    Raises:
      UsageError: If an argument is out of range.
      PolicyRefused: If none suffices: the events in `also` use up the target, or there is too little noise.
    """
    target = _target(epsilon, delta, relation)
    _require_count(steps, "steps")
    noise, others = Gaussian(noise_multiplier), tuple(also)

    def events(probability: float) -> tuple[Event, ...]:
        return (Repeated(PoissonSampled(min(probability, 1.0), noise), steps), *others)

    family = Family(events, target, relation, falling=False)
    return min(1.0, _found(family.last(start=0.01, least=1e-9, most=1.0), target, relation, others))


def calibrate(
    events: Callable[[float], Iterable[Event] | Event],
    *,
    epsilon: float,
    delta: float,
    relation: Relation,
    least: float = 1e-3,
    most: float = 1e6,
) -> float:
    """Return the smallest number for which `events(number)` stay within the target.

    >>> from reticent import dp
    >>> scale = calibrate(lambda b: dp.Repeated(dp.Laplace(b), 100), epsilon=1.0, delta=1e-6, relation="replace_one")

    Args:
      events: The events at a number, such as a noise scale. A larger number must reveal less.
      epsilon: Target, never exceeded according to `reticent.dp.epsilon`.
      delta: In (0, 1).
      relation: The neighbouring relation.
      least: Smallest number that is tried, above 0.
      most: Largest number that is tried.

    Raises:
      UsageError: If an argument is out of range.
      PolicyRefused: If no number up to `most` suffices.
    """
    target = _target(epsilon, delta, relation)
    if not 0 < least < most < math.inf:
        raise UsageError("invalid-range", f"least is {least} and most is {most}", hint="give 0 < least < most")

    def listed(number: float) -> tuple[Event, ...]:
        found = events(number)
        return (found,) if isinstance(found, Event) else tuple(found)

    start = min(max(1.0, least), most)
    return _found(
        Family(listed, target, relation, falling=True).last(start=start, least=least, most=most), target, relation
    )


def _target(epsilon: float, delta: float, relation: Relation) -> Target:
    require_relation(relation)
    return Target(epsilon=float(epsilon), delta=float(delta))


def _require_count(count: int, name: str) -> None:
    if count < 1:
        raise UsageError("invalid-count", f"{name} is {count}", hint=f"give the number of {name}, 1 or larger")


def _found(number: float | None, target: Target, relation: Relation, also: tuple[Event, ...] = ()) -> float:
    if number is not None:
        return number
    alone = bound(terms_of(also), target.delta, relation, FINE)
    raise PolicyRefused(
        "target-unreachable",
        f"nothing in the range keeps epsilon at or below {target.epsilon:g} at delta {target.delta:g}: "
        f"the other events alone reach {alone:.4g}",
        hint="give the other releases more noise, or raise the target",
    )
