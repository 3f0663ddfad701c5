"""What all parties of one secure sum must agree on; thresholds and widths follow from it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from reticent.errors import PolicyRefused, UsageError
from reticent.messages import encode, record
from reticent.rings import FixedPoint

__all__ = ["Parameters"]

_MAX_CLIENTS = 1 << 14
_MAX_LENGTH = 1 << 31


@record("secagg.parameters", version=1)
@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The shape of a secure sum.

    Attributes:
      clients: Most clients that take part.
      length: Numbers in each vector.
      bound: Largest absolute value of one number; clients clip before they encode.
      precision: Steps in which numbers are encoded; the sum of k vectors is off by at most k * precision / 2.
      dropouts: Clients that may vanish, in any phase, without failing the sum.

    Raises:
      UsageError: If a number makes no sense.
      PolicyRefused: If so many drop-outs are tolerated that the threshold would not exceed half of the clients.
    """

    clients: int
    length: int
    bound: float
    precision: float
    dropouts: int

    def __post_init__(self) -> None:
        for name, low, high in (
            ("clients", 2, _MAX_CLIENTS),
            ("length", 1, _MAX_LENGTH),
            ("dropouts", 0, self.clients),
        ):
            if not low <= getattr(self, name) <= high:
                raise UsageError(
                    "invalid-secagg",
                    f"{name} is {getattr(self, name)}",
                    hint=f"give {name} from {low} to {high}",
                )
        if self.threshold < 2 or 2 * self.threshold <= self.clients:
            # With 2t > n a server cannot find two groups of t clients: not two sums, not both secrets of one client.
            raise PolicyRefused(
                "threshold-too-low",
                f"dropouts is {self.dropouts} of {self.clients} clients: {self.threshold} survivors would be enough",
                hint=f"tolerate at most {max((self.clients - 1) // 2, 0)} drop-outs among {self.clients} clients, "
                "and keep at least 2 survivors",
            )
        _ = self.encoding  # refuses bound and precision that make no ring

    @property
    def threshold(self) -> int:
        """How many clients must survive every phase; each client enforces it."""
        return self.clients - self.dropouts

    @property
    def encoding(self) -> FixedPoint:
        """The encoding, wide enough for the sum over all clients."""
        return FixedPoint(self.bound, self.precision, self.clients)

    @property
    def ring_bits(self) -> int:
        """Bits of one ring element; on the wire each number takes exactly these."""
        return self.encoding.ring_bits

    @property
    def message_limit(self) -> int:
        """Most bytes of a message that holds a vector."""
        return self.encoding.packed_bytes(self.length) + self.control_limit

    @property
    def control_limit(self) -> int:
        """Most bytes of a message without a vector."""
        return 1024 * (self.clients + 4)

    def fingerprint(self) -> bytes:
        """Return 32 bytes that differ for different parameters; bound into every signature and key."""
        return hashlib.sha256(encode(self)).digest()
