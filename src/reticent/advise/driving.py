"""Drives the roles of any protocol in this process, and counts what they send: bytes, rounds, seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from reticent.dp import Grant
from reticent.roles import Client, Exchange, Request

__all__ = ["Traffic", "drive"]


class _Server(Protocol):
    def step(self) -> Exchange | None: ...

    def feed(self, replies: Mapping[str, bytes], absent: frozenset[str]) -> bool: ...


@dataclass(slots=True)
class Traffic:
    """What the exchanges of the training took; those of an evaluation belong to no technique and are not counted."""

    seconds: float = 0.0
    bytes: int = 0
    rounds: int = 0


def drive(server: _Server, clients: Mapping[str, Client], after: Callable[[], object] = str) -> Traffic:
    """Run `server` against `clients` to the end of its schedule, and return what the training took.

    Noise is drawn with grants that no ledger remembers: the data of a measurement are not protected by it.

    Args:
      server, clients: The roles of one protocol.
      after: Is called after each task.
    """
    traffic = Traffic()
    start = time.perf_counter()
    while (exchange := server.step()) is not None:
        replies = {}
        sent = 0
        for site, body in exchange.requests.items():
            request = Request("simulation", exchange.round, exchange.attempt, exchange.phase, body)
            cost = clients[site].cost(request)
            grant = None if cost is None else Grant.without_ledger(cost.events)
            replies[site] = clients[site].handle(request, grant).message
            sent += len(body) + len(replies[site])
        completed = server.feed(replies, frozenset())
        now = time.perf_counter()
        if exchange.phase.startswith("train/"):
            traffic.seconds += now - start
            traffic.bytes += sent
            traffic.rounds += 1
        if completed:
            after()
        start = time.perf_counter()
    return traffic
