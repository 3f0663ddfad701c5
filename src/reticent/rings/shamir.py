"""Shamir's secret sharing over the prime 2^256 + 297: any `threshold` shares give the secret, fewer give nothing.

A. Shamir, "How to share a secret", CACM 1979. The prime exceeds 2^256, so that every 32-byte secret is one element and
needs no splitting. The share of holder x is the value at x of a polynomial whose constant term is the secret and whose
other coefficients are uniform; x = 0 would be the secret itself and never is a holder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NoReturn

from reticent.errors import IdentityError, InternalError, UsageError
from reticent.randomness import Keystream

__all__ = ["FIELD", "SHARE_BYTES", "Interpolation", "combine", "join_number", "split", "split_number"]

PRIME = 2**256 + 297
FIELD = PRIME
"""Numbers are shared modulo this prime."""

_VALUE_BYTES = 33
SHARE_BYTES = 1 + _VALUE_BYTES
"""Length of one share: the length of the secret, then the value, big-endian."""


def split(secret: bytes, *, shares: int, threshold: int) -> dict[int, bytes]:
    """Return one share for each holder 1 .. `shares`.

    Args:
      secret: Up to 32 bytes.
      shares: How many holders there are.
      threshold: How many of them can restore the secret.

    Raises:
      UsageError: Unless 1 <= threshold <= shares < 2^16.
      InternalError: If the secret is longer than 32 bytes.
    """
    _check_threshold(shares, threshold)
    if len(secret) > 32:
        raise InternalError(
            "secret-too-long", f"a secret of {len(secret)} bytes cannot be shared", hint="share a key of 32 bytes"
        )
    points = _points(int.from_bytes(secret, "big"), shares, threshold)
    return {x: bytes([len(secret)]) + point.to_bytes(_VALUE_BYTES, "big") for x, point in points.items()}


def split_number(value: int, *, shares: int, threshold: int) -> dict[int, int]:
    """Return one point for each holder 1 .. `shares`, of a number modulo `FIELD`; sums of points share the sum.

    Raises:
      UsageError: Unless 1 <= threshold <= shares < 2^16.
    """
    _check_threshold(shares, threshold)
    return _points(value % PRIME, shares, threshold)


def join_number(points: Mapping[int, int], *, threshold: int) -> int:
    """Return the number that at least `threshold` points, by holder, determine.

    Raises:
      UsageError: If there are fewer points than `threshold`.
      IdentityError: If there are more, and they do not lie on one polynomial.
    """
    _check_enough(len(points), threshold)
    holders = sorted(points)
    used = holders[:threshold]
    result = _at_zero(points, used)
    if any(_at_zero(points, [*used[:-1], extra]) != result for extra in holders[threshold:]):
        _refuse("shares do not fit together")
    return result


def combine(shares: Mapping[int, bytes], *, threshold: int) -> bytes:
    """Return the secret that at least `threshold` shares, by holder, determine.

    Raises:
      UsageError: If there are fewer shares than `threshold`.
      IdentityError: If a share is malformed, or the shares do not lie on one polynomial as far as that can be seen.
    """
    _check_enough(len(shares), threshold)
    holders = sorted(shares)
    result = Interpolation(holders[:threshold]).secret(shares)
    for extra in holders[threshold:]:
        # One wrong share among more than needed shows itself: leaving out another one gives another secret.
        if Interpolation([*holders[: threshold - 1], extra]).secret(shares) != result:
            _refuse("shares do not fit together")
    return result


class Interpolation:
    """The Lagrange coefficients at 0 for one set of holders, computed once and used for many secrets.

    Args:
      points: The holders whose shares will be combined: distinct, not 0.

    Raises:
      InternalError: If a point is 0 or occurs twice.
    """

    def __init__(self, points: Iterable[int]) -> None:
        self.points = tuple(points)
        if len({x % PRIME for x in self.points} - {0}) < max(len(self.points), 1):
            raise InternalError(
                "invalid-points",
                f"cannot interpolate at {self.points}",
                hint="name holders from 1 upwards, each once",
            )
        self._weights = tuple(_weight(x, self.points) for x in self.points)

    def secret(self, shares: Mapping[int, bytes]) -> bytes:
        """Return the secret that the shares of all `points` determine; other shares are not looked at.

        Raises:
          IdentityError: If a share is missing or malformed, or the result is no secret of the stated length.
        """
        total, length = 0, None
        for x, weight in zip(self.points, self._weights, strict=True):
            stated, value = parse(shares.get(x, b""))
            if length not in (None, stated):
                _refuse("shares of secrets of different lengths")
            total, length = total + weight * value, stated
        total %= PRIME
        if length is None or total >> (8 * length):
            _refuse("shares do not fit together")
        return total.to_bytes(length, "big")


def parse(share: bytes) -> tuple[int, int]:
    """Return the length of the secret and the value that a share holds.

    Raises:
      IdentityError: If it is not the form that `split` writes.
    """
    value = int.from_bytes(share[1:], "big")
    if len(share) != SHARE_BYTES or share[0] > 32 or value >= PRIME:
        _refuse("a share is malformed")
    return share[0], value


def _refuse(why: str) -> NoReturn:
    raise IdentityError(
        "shares-inconsistent",
        f"a secret cannot be restored: {why}",
        hint="a holder sent a wrong share; repeat the round without the sites that fail again",
    )


def _check_threshold(shares: int, threshold: int) -> None:
    if not 1 <= threshold <= shares < 1 << 16:
        raise UsageError(
            "invalid-threshold",
            f"threshold is {threshold} of {shares} shares",
            hint="give a threshold from 1 to the number of shares",
        )


def _check_enough(found: int, threshold: int) -> None:
    if found < threshold:
        raise UsageError(
            "too-few-shares",
            f"{found} shares of a secret with threshold {threshold}",
            hint="collect shares of more holders",
        )


def _points(value: int, shares: int, threshold: int) -> dict[int, int]:
    coefficients = [value, *_uniform(threshold - 1)]
    return {x: _evaluate(coefficients, x) for x in range(1, shares + 1)}


def _at_zero(points: Mapping[int, int], holders: list[int]) -> int:
    return sum(_weight(x, tuple(holders)) * points[x] for x in holders) % PRIME


def _uniform(count: int) -> list[int]:
    stream = Keystream.fresh()
    found: list[int] = []
    while len(found) < count:
        # Rejection: a value modulo the prime would be biased. Every second draw of 257 bits is below the prime.
        value = int.from_bytes(stream.bytes(_VALUE_BYTES), "big") >> 7
        if value < PRIME:
            found.append(value)
    return found


def _evaluate(coefficients: list[int], x: int) -> int:
    total = 0
    for coefficient in reversed(coefficients):
        total = (total * x + coefficient) % PRIME
    return total


def _weight(x: int, points: tuple[int, ...]) -> int:
    numerator = denominator = 1
    for other in points:
        if other != x:
            numerator = numerator * other % PRIME
            denominator = denominator * (other - x) % PRIME
    return numerator * pow(denominator, -1, PRIME) % PRIME
