"""How much noise a promise needs: the smallest noise that keeps epsilon at or below its target."""

from __future__ import annotations

import math
from collections.abc import Iterable

from reticent.dp.accounting import epsilon as epsilon_of
from reticent.dp.accounting import gaussian_epsilon
from reticent.dp.events import Event, Gaussian, PoissonSampled, Repeated
from reticent.dp.release import Relation
from reticent.dp.target import require_delta, require_epsilon, require_relation
from reticent.errors import PolicyRefused, UsageError

__all__ = ["gaussian_sigma", "noise_multiplier"]


def gaussian_sigma(*, sensitivity: float, epsilon: float, delta: float) -> float:
    """Return the smallest standard deviation that makes one Gaussian mechanism (epsilon, delta)-private.

    Analytic calibration (Balle and Wang, ICML 2018), right for every epsilon; the textbook formula
    sqrt(2 ln(1.25/delta)) / epsilon is proven below epsilon 1 only, and wrong from about 8 on.

    Raises:
      UsageError: If an argument is out of range.
    """
    require_epsilon(epsilon)
    require_delta(delta)
    if not 0 < sensitivity < math.inf:
        raise UsageError("invalid-sensitivity", f"sensitivity is {sensitivity}", hint="give a finite number above 0")
    low, high = 1e-3, 1.0
    while gaussian_epsilon(sigma=high, delta=delta) > epsilon:
        low, high = high, 2 * high
    while high / low > 1 + 1e-10:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if gaussian_epsilon(sigma=middle, delta=delta) <= epsilon else (middle, high)
    return high * sensitivity


def noise_multiplier(
    *,
    epsilon: float,
    delta: float,
    sampling_probability: float,
    steps: int,
    relation: Relation,
    also: Iterable[Event] = (),
) -> float:
    """Return the smallest noise multiplier, to 1e-3, with which `steps` sampled Gaussians stay within the target.

    Raises:
      UsageError: If an argument is out of range.
      PolicyRefused: If the events in `also` alone exceed the target.
    """
    require_epsilon(epsilon)
    require_delta(delta)
    require_relation(relation)
    others = tuple(also)

    def spent(multiplier: float) -> float:
        step = PoissonSampled(sampling_probability, Gaussian(multiplier))
        return epsilon_of((Repeated(step, steps), *others), delta=delta, relation=relation)

    if others and epsilon_of(others, delta=delta, relation=relation) >= epsilon:
        raise PolicyRefused(
            "target-unreachable",
            f"the other events alone reach epsilon {epsilon:g} at delta {delta:g}",
            hint="give the other releases more noise, or raise the target",
        )
    low, high = 0.1, 1.0
    while spent(high) > epsilon:
        low, high = high, 2 * high
    while high / low > 1 + 1e-3:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if spent(middle) <= epsilon else (middle, high)
    return high
