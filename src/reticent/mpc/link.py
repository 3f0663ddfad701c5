"""One participant's end: the channel with its keys, and counters of what each operation sends."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reticent.channels import Channel
from reticent.mpc.rounds import Array, Specification
from reticent.mpc.streams import Keys, refuse_message

__all__ = ["Link"]


class Link:
    """Arrays over a channel."""

    def __init__(self, channel: Channel, keys: Keys) -> None:
        self._channel = channel
        self.keys = keys
        self.me = channel.party

    @property
    def bytes_sent(self) -> int:
        """Bytes of all messages so far."""
        return self._channel.bytes_sent

    def send(self, to: int, arrays: Sequence[Array]) -> int:
        """Send `arrays` as one message and return its bytes."""
        flat = [np.ascontiguousarray(array).reshape(-1).view(np.uint8).data for array in arrays]
        self._channel.send(to, flat)
        return sum(part.nbytes for part in flat)

    def send_bytes(self, to: int, data: bytes) -> int:
        """Send one message as it is and return its length."""
        self._channel.send(to, data)
        return len(data)

    def receive_bytes(self, sender: int) -> memoryview:
        """Return the next message."""
        return self._channel.receive(sender)

    def receive(self, sender: int, specifications: Sequence[Specification]) -> list[Array]:
        """Return the arrays of the next message.

        Raises:
          IdentityError: If it is not as long as they are.
        """
        data = self._channel.receive(sender)
        counts = [int(np.prod(shape, dtype=np.int64)) for shape, _ in specifications]
        wanted = sum(count * dtype.itemsize for count, (_, dtype) in zip(counts, specifications, strict=True))
        if data.nbytes != wanted:
            refuse_message(sender, data.nbytes, wanted)
        out, offset = [], 0
        for count, (shape, dtype) in zip(counts, specifications, strict=True):
            out.append(np.frombuffer(data, dtype=dtype, count=count, offset=offset).reshape(shape))
            offset += count * dtype.itemsize
        return out
