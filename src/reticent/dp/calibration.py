"""How much noise a promise needs: the smallest noise that keeps epsilon at or below its target."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import lru_cache

from reticent.dp.accounting import COARSE, FINE, Term, bound, terms_of
from reticent.dp.divergence import gaussian_delta
from reticent.dp.events import Event, Gaussian, PoissonSampled, Repeated
from reticent.dp.release import Relation
from reticent.dp.target import Target, require_delta, require_epsilon, require_relation
from reticent.errors import PolicyRefused, UsageError

__all__ = ["gaussian_sigma", "noise_multiplier"]

_LEAST, _MOST = 2.0**-6, 2.0**24
_TOLERANCE = 1e-3


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
    require_relation(relation)
    target = Target(epsilon=float(epsilon), delta=float(delta))
    if steps < 1:
        raise UsageError("invalid-count", f"steps is {steps}", hint="give the number of steps, 1 or larger")
    PoissonSampled(sampling_probability, Gaussian(1.0))  # refuses a probability out of range
    return _calibrate(target, float(sampling_probability), int(steps), relation, terms_of(also))


@lru_cache(maxsize=256)
def _calibrate(target: Target, probability: float, steps: int, relation: Relation, also: tuple[Term, ...]) -> float:
    others = tuple(Repeated(event, count) for event, count in also)

    def spent(multiplier: float, tolerance: float) -> float:
        step = Repeated(PoissonSampled(probability, Gaussian(multiplier)), steps)
        return bound(terms_of((step, *others)), target.delta, relation, tolerance)

    low, high = 0.0, math.inf
    alone = bound(also, target.delta, relation, FINE)
    if alone < target.epsilon:
        low, high = _bracket(lambda multiplier: spent(multiplier, COARSE), target.epsilon)
        if math.isinf(high):  # the coarse grid may miss what little `also` has left
            low, high = _bracket(lambda multiplier: spent(multiplier, FINE), target.epsilon)
    if math.isinf(high):
        raise PolicyRefused(
            "target-unreachable",
            f"no noise keeps epsilon at or below {target.epsilon:g} at delta {target.delta:g}: "
            f"the other events alone reach {alone:.4g}",
            hint="give the other releases more noise, or raise the target",
        )
    return _certify(lambda multiplier: spent(multiplier, FINE), target.epsilon, high, _slope(spent, low, high))


def _bracket(spent: Callable[[float], float], target: float) -> tuple[float, float]:
    """Return (low, high), 1e-3 apart: on the coarse grid, high meets the target and low does not."""
    low = high = 1.0
    while spent(high) > target:
        low, high = high, 2 * high
        if high > _MOST:
            return low, math.inf
    while low == high or (spent(low) <= target and low > _LEAST):
        low, high = low / 2, low
    while high / low > 1 + _TOLERANCE:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if spent(middle) <= target else (middle, high)
    return low, high


def _slope(spent: Callable[[float, float], float], low: float, high: float) -> float:
    """Return by how many per cent epsilon falls when the multiplier grows by one; between 1/4 and 4."""
    above, below = spent(low / 1.02, COARSE), spent(high * 1.02, COARSE)
    if not 0 < below < above < math.inf:
        return 1.0
    return min(4.0, max(0.25, math.log(above / below) / math.log(high * 1.02 / (low / 1.02))))


def _certify(spent: Callable[[float], float], target: float, start: float, slope: float) -> float:
    """Return a multiplier that meets the target on the fine grid, and less than 1e-3 above one that does not."""
    low, high, multiplier = 0.0, math.inf, start
    for _ in range(40):
        reached = spent(multiplier)
        if reached <= target:
            high = multiplier
        else:
            low = multiplier
        if high <= low * (1 + _TOLERANCE) or high <= _LEAST:
            break
        # Aim a little above the target's multiplier, then a little below: two hits bracket it.
        aim = (
            multiplier * (max(reached, 0.5 * target) / target) ** (1 / slope) if reached < math.inf else 2 * multiplier
        )
        multiplier = aim * (1 + 0.3 * _TOLERANCE) if math.isinf(high) else aim * (1 - 0.3 * _TOLERANCE)
        if not low < multiplier < high:
            multiplier = 1.05 * low if math.isinf(high) else (high / 1.05 if low == 0 else math.sqrt(low * high))
    return high
