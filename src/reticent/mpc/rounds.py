"""Rounds: a protocol says what it sends and what it waits for; who runs it carries the messages of many at once.

A protocol is a generator that yields `Round`s and is sent what was received. It does no I/O and knows no channel, so
that independent protocols share a round (their messages travel in one), and tests enumerate all it can ever see.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Received", "Round", "Specification", "Steps", "Words", "idle", "play"]

Words = NDArray[np.uint64]
Array = NDArray[Any]
Specification = tuple[tuple[int, ...], "np.dtype[Any]"]
"""Shape and type of an array that is awaited."""

Received = Mapping[int, Sequence[Array]]
T = TypeVar("T")


@dataclass(slots=True)
class Round:
    """One step: arrays to send to each peer, and what is awaited from each."""

    send: dict[int, list[Array]] = field(default_factory=dict)
    receive: dict[int, list[Specification]] = field(default_factory=dict)


Steps = Generator[Round, Received, T]


def idle(rounds: int) -> Steps[None]:
    """Stay out of `rounds` rounds in which the others talk, so that all count rounds alike."""
    for _ in range(rounds):
        yield Round()


def play(parties: Mapping[int, Steps[T]]) -> dict[int, T]:
    """Run one protocol at all `parties` in this process, and return the result of each."""
    results: dict[int, T] = {}
    mail: dict[int, dict[int, list[Array]]] = {}
    while len(results) < len(parties):
        sent: dict[int, dict[int, list[Array]]] = {party: {} for party in parties}
        for party, steps in parties.items():
            if party in results:
                continue
            try:
                step = steps.send(mail[party]) if party in mail else next(steps)
            except StopIteration as end:
                results[party] = end.value
                continue
            for peer, arrays in step.send.items():
                sent[peer][party] = arrays
        mail = sent
    return results
