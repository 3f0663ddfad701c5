"""All roles in this process, without envelopes, ledger or disk: for tests, examples and measurements.

Noise is drawn with grants that no ledger remembers; a run on data that must be protected goes through `reticent.run`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reticent.dp import Grant
from reticent.roles import Client, Finished, Request, Server

__all__ = ["Witness", "simulate"]

Witness = Callable[[str, str, str, bytes], None]
"""Called with phase, site, "down" or "up", and the bytes that travel."""


def simulate(
    clients: Mapping[str, Client],
    server: Server,
    *,
    after_task: Callable[[Finished], bool | None] | None = None,
    witness: Witness | None = None,
    run: str = "simulation",
) -> None:
    """Run `server` against `clients` to the end of its schedule, or until `after_task` returns True.

    Args:
      witness: Sees every message, as whoever records the traffic would.
    """
    while (exchange := server.step()) is not None:
        replies = {}
        for site, body in exchange.requests.items():
            request = Request(run, exchange.round, exchange.attempt, exchange.phase, body)
            cost = clients[site].cost(request)
            grant = None if cost is None else Grant.without_ledger(cost.events)
            replies[site] = clients[site].handle(request, grant).message
            if witness is not None:
                witness(exchange.phase, site, "down", body)
                witness(exchange.phase, site, "up", replies[site])
        completed = server.feed(replies, frozenset())
        if completed and server.finished and after_task is not None and after_task(server.finished):
            break
