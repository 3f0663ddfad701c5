"""Shamir's shares of one integer: any `threshold` of them restore it, fewer know nothing; sums need no message."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from reticent.errors import UsageError
from reticent.rings import FIELD, join_number, split_number

__all__ = ["ThresholdShares", "share_with_threshold"]


class ThresholdShares:
    """Points of a polynomial of degree threshold - 1 whose constant term is the secret.

    Attributes:
      threshold: How many shares restore the secret.
      points: Share of each party, by number from 0.
    """

    def __init__(self, points: Mapping[int, int], threshold: int) -> None:
        self.points: Mapping[int, int] = MappingProxyType(dict(points))
        self.threshold = threshold

    def of(self, *parties: int) -> ThresholdShares:
        """Return the shares of some of the parties."""
        return ThresholdShares({party: self.points[party] for party in parties}, self.threshold)

    def restore(self) -> int:
        """Return the secret, as a signed integer.

        Raises:
          UsageError: If there are fewer shares than the threshold.
          IdentityError: If the shares do not lie on one polynomial.
        """
        value = join_number({party + 1: point for party, point in self.points.items()}, threshold=self.threshold)
        return value if value <= FIELD // 2 else value - FIELD

    def __add__(self, other: object) -> ThresholdShares:
        if isinstance(other, ThresholdShares):
            if self.points.keys() != other.points.keys() or self.threshold != other.threshold:
                raise UsageError(
                    "parties-differ",
                    f"secrets with thresholds {self.threshold} and {other.threshold} of different parties were to be added",
                    hint="share both among the same parties with the same threshold",
                )
            return self._map({party: point + other.points[party] for party, point in self.points.items()})
        number = _integer(other)
        return self._map({party: point + number for party, point in self.points.items()})

    __radd__ = __add__

    def __mul__(self, other: object) -> ThresholdShares:
        if isinstance(other, ThresholdShares):
            raise UsageError(
                "degree-too-high",
                "two secrets with a threshold were to be multiplied: their product needs more shares than they have",
                hint="share additively, and multiply with a triple: mpc.multiply(a, b, triple=mpc.triple(...))",
            )
        number = _integer(other)
        return self._map({party: point * number for party, point in self.points.items()})

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return f"ThresholdShares(parties={sorted(self.points)}, threshold={self.threshold})"

    def _map(self, points: Mapping[int, int]) -> ThresholdShares:
        return ThresholdShares({party: point % FIELD for party, point in points.items()}, self.threshold)


def share_with_threshold(value: object, *, parties: int, threshold: int) -> ThresholdShares:
    """Return Shamir's shares of an integer of up to 255 bits.

    Raises:
      UsageError: Unless 1 <= threshold <= parties < 2^16, or if `value` is no such integer.
    """
    number = _integer(value)
    points = split_number(number % FIELD, shares=parties, threshold=threshold)
    return ThresholdShares({holder - 1: point for holder, point in points.items()}, threshold)


def _integer(value: object) -> int:
    if not hasattr(value, "__index__") or abs(number := value.__index__()) >= 1 << 255:
        raise UsageError(
            "not-integers",
            f"a value of type {type(value).__name__} was to be shared with a threshold",
            hint="give one integer of up to 255 bits",
        )
    return int(number)
