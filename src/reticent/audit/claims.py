"""What an audit tries to refute: one pair (epsilon, delta), or the whole curve of the events that were charged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reticent import dp
from reticent.dp import Event, Relation, TradeOff

__all__ = ["Claim"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A promise that is either true or not.

    Attributes:
      epsilon: At `delta`.
      delta: Above 0 and below 1, or 0 for a pure claim.
      curve: All that is claimed. By default what the pair alone says, which is the least and the hardest to refute.
    """

    epsilon: float
    delta: float
    curve: TradeOff | None = None

    @classmethod
    def of(cls, events: Iterable[Event] | Event, *, relation: Relation, delta: float) -> Claim:
        """Return the claim that a mechanism is what was charged for it: these events, and nothing more."""
        parts = (events,) if isinstance(events, Event) else tuple(events)
        epsilon = dp.epsilon(parts, delta=delta, relation=relation)
        return cls(epsilon, delta, dp.trade_off(parts, relation=relation))

    @property
    def bound(self) -> TradeOff:
        """What no attack exceeds if the claim is true."""
        return TradeOff.claim(self.epsilon, self.delta) if self.curve is None else self.curve
