"""All roles in this process, without envelopes, ledger or disk: for tests, baselines and reproductions.

Noise is drawn with grants that no ledger remembers; a run on data that must be protected goes through `reticent.run`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reticent.dp import Grant
from reticent.federated.server import Server
from reticent.roles import Client, Finished, Request

__all__ = ["simulate"]


def simulate(
    server: Server,
    clients: Mapping[str, Client],
    *,
    after_task: Callable[[Finished], bool | None] | None = None,
    run: str = "simulation",
) -> Server:
    """Run `server` against `clients` to the end of its schedule, or until `after_task` returns True."""
    while (exchange := server.step()) is not None:
        replies = {}
        for site, body in exchange.requests.items():
            request = Request(run, exchange.round, exchange.attempt, exchange.phase, body)
            cost = clients[site].cost(request)
            grant = None if cost is None else Grant.without_ledger(cost.events)
            replies[site] = clients[site].handle(request, grant).message
        completed = server.feed(replies, frozenset())
        if completed and server.finished and after_task is not None and after_task(server.finished):
            break
    return server
