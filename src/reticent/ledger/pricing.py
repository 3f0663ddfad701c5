"""What a release costs: its events, judged by the accountant, as an exact amount."""

from __future__ import annotations

import math

from reticent import dp
from reticent.errors import PolicyRefused, UsageError
from reticent.ledger.amounts import Amount, charged

__all__ = ["price"]


def price(release: dp.Release, *, delta: float) -> Amount:
    """Return the (epsilon, delta) of the whole release, rounded up.

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
    if not (math.isfinite(epsilon) and epsilon >= 0):
        raise PolicyRefused(
            "unbounded-release",
            f"the events planned for population {release.population!r} have epsilon {epsilon} at delta {delta:g}",
            hint="add noise: raise the noise multiplier above 0, or release nothing",
        )
    return charged(epsilon=epsilon, delta=delta)
