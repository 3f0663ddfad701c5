"""What a party receives in a real run is uniform, and the same in distribution whatever the others' inputs are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from reticent import mpc
from reticent.channels import Channel, threads
from reticent.mpc import material

Run = Callable[..., Any]


class Wiretap:
    """A channel that remembers what it received."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.received: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def receive(self, sender: int) -> memoryview:
        data = self._channel.receive(sender)
        self.received.append(bytes(data))
        return data

    def __enter__(self) -> Any:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._channel.__exit__(kind, error, trace)


def program(session: mpc.Session) -> None:
    """All kinds of gates, and nothing is revealed."""
    x = session.input("x", owner=0, shape=(40, 30))
    y = session.input("y", owner=1, shape=(30, 20))
    z = (x @ y).relu()
    bits = z > 1
    (bits.select(z, 2 * z) * z).max(1).sigmoid()
    x.sum(1).abs().sqrt(high=2.0**20, low=2.0**-8)
    z.argmax(1, one_hot=True)


def messages(protocol: str, scale: float) -> list[list[NDArray[np.uint8]]]:
    """Return the messages that each participant received after the keys, by protocol, as octets."""
    inputs = [{"x": np.full((40, 30), scale)}, {"y": np.full((30, 20), -scale)}]
    inputs += [{}] if protocol == "replicated" else []
    taps = [Wiretap(channel) for channel in threads(["a", "b", "c"])]
    mpc.run_local(program, inputs=inputs, protocol=protocol, channels=taps)
    # Keys come first: one message from each participant of lower number. Requests to the dealer are text.
    return [
        [np.frombuffer(m, dtype=np.uint8) for m in tap.received[number:]]
        for number, tap in enumerate(taps)
        if not (protocol == "additive" and number == 2)
    ]


def p_value(octets: list[NDArray[np.uint8]]) -> float:
    """Chi-square of all octets of long messages, those of packed bits included."""
    joined = np.concatenate([m for m in octets if m.size >= 64] or [np.zeros(10_000, dtype=np.uint8)])
    return float(stats.chisquare(np.bincount(joined, minlength=256)).pvalue)


@pytest.mark.parametrize("scale", [0.0, 1.0, -37.5])
def test_everything_received_is_uniform(protocol: str, scale: float) -> None:
    """Chi-square over 256 octets for each participant that receives anything; false alarm 2e-9 each."""
    for received in messages(protocol, scale):
        if received:
            assert p_value(received) > 1e-9


def test_lengths_do_not_depend_on_inputs(protocol: str) -> None:
    def lengths(scale: float) -> list[list[int]]:
        return [[m.size for m in received] for received in messages(protocol, scale)]

    assert lengths(0.0) == lengths(11.0)


def test_no_message_is_sent_twice(protocol: str) -> None:
    """Fresh masks each time: two runs on the same inputs have no long message in common, nor has one run."""
    seen: set[bytes] = set()
    for _ in range(2):
        for received in messages(protocol, 1.0):
            for message in received:
                if message.size >= 16:
                    assert message.tobytes() not in seen
                    seen.add(message.tobytes())


def test_broken_copy_without_masks_in_products_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    original = material.PartySource.held

    def none(self: Any, shape: Any, holder: Any) -> Any:
        found = original(self, shape, holder)
        return None if found is None else found * np.uint64(0)

    monkeypatch.setattr(material.PartySource, "held", none)
    assert min(p_value(received) for received in messages("additive", 1.0)) < 1e-9
