"""What a caller asks for: an epsilon with its delta, and the checks that no claim may skip."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_args

from reticent.dp.release import Relation
from reticent.errors import PolicyRefused, UsageError

__all__ = ["Target", "check_delta", "require_delta", "require_epsilon", "require_relation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The (epsilon, delta) that a mechanism is calibrated to.

    Attributes:
      epsilon: Above 0 and finite.
      delta: Above 0 and below 1; a claim about a population further needs it below 1 / population (`check_delta`).
    """

    epsilon: float
    delta: float

    def __post_init__(self) -> None:
        require_epsilon(self.epsilon)
        require_delta(self.delta)


def require_epsilon(epsilon: float) -> None:
    """Refuse a target epsilon that is 0, negative, infinite or NaN.

    Raises:
      UsageError: With code `invalid-epsilon`.
    """
    if not 0 < epsilon < math.inf:
        raise UsageError(
            "invalid-epsilon",
            f"epsilon is {epsilon}",
            hint="give a finite number above 0; 1 is strong, 3 is common, above 10 promises little",
        )


def require_delta(delta: float) -> None:
    """Refuse a delta outside (0, 1), NaN included.

    Raises:
      UsageError: With code `invalid-delta`.
    """
    if not 0 < delta < 1:
        raise UsageError(
            "invalid-delta",
            f"delta is {delta}",
            hint="give a number above 0 and below 1 / population, for example 1e-6",
        )


def require_relation(relation: Relation) -> None:
    """Refuse anything but the two neighbouring relations.

    Raises:
      UsageError: With code `invalid-relation`.
    """
    if relation not in get_args(Relation):
        raise UsageError(
            "invalid-relation", f"relation is {relation!r}", hint=f"use one of {', '.join(get_args(Relation))}"
        )


def check_delta(delta: float, population: int) -> None:
    """Refuse a delta that would allow publishing somebody's record outright.

    A mechanism that publishes each record with probability delta is (0, delta)-private; from delta = 1 / population
    on it is expected to publish one (Dwork and Roth 2014, section 2.3).

    Args:
      delta: Of the claim.
      population: Number of units, a declared public constant.

    Raises:
      UsageError: If delta is not in (0, 1), or population is below 1.
      PolicyRefused: If delta is 1 / population or larger.
    """
    require_delta(delta)
    if population < 1:
        raise UsageError(
            "invalid-population-size", f"population is {population}", hint="declare the number of units, 1 or larger"
        )
    if delta * population >= 1:
        raise PolicyRefused(
            "delta-too-large",
            f"delta is {delta:g}, which is not below 1 / {population} (the population)",
            hint=f"use a delta well below {1 / population:.3g}, for example {0.1 / population:.0e}",
        )
