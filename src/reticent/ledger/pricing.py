"""What a release costs: its events, judged by the accountant, as an exact amount and as a Renyi curve."""

from __future__ import annotations

from dataclasses import dataclass

from reticent import dp
from reticent.errors import PolicyRefused, UsageError
from reticent.ledger.amounts import LARGEST_EPSILON, Amount, charged
from reticent.ledger.filters import Curve, curve_of

__all__ = ["Price", "price"]


@dataclass(frozen=True, slots=True)
class Price:
    """What a plan costs by itself.

    Attributes:
      amount: The (epsilon, delta) of the whole plan, rounded up.
      curve: Its Renyi curve, rounded up; empty if it was not asked for.
    """

    amount: Amount
    curve: Curve


def price(release: dp.Release, *, delta: float, curve: bool) -> Price:
    """Return what the whole release costs.

    Args:
      release: All that may be drawn.
      delta: At which its epsilon is computed.
      curve: Whether its Renyi curve is needed, too.

    Raises:
      UsageError: If the release is empty, or delta is not above 0 and below 1.
      PolicyRefused: If no finite epsilon holds for it.
    """
    charged(epsilon=0.0, delta=delta)
    if not release.counts():
        raise UsageError(
            "empty-release",
            f"the release of population {release.population!r} holds no event",
            hint="reserve the events that will be drawn; what draws nothing needs no budget",
        )
    epsilon = dp.epsilon(release.events, delta=delta, relation=release.relation)
    if not 0 <= epsilon <= LARGEST_EPSILON:  # NaN, too
        raise PolicyRefused(
            "unbounded-release",
            f"the events planned for population {release.population!r} have epsilon {epsilon} at delta {delta:g}",
            hint="add noise: raise the noise multiplier above 0, or release nothing",
        )
    return Price(charged(epsilon=epsilon, delta=delta), curve_of(release) if curve else ())
