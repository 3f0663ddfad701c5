"""All roles in this process, without envelopes, ledger or disk: for tests and demonstrations."""

from __future__ import annotations

from collections.abc import Mapping

from reticent.analytics.answers import Answers
from reticent.analytics.client import Client
from reticent.analytics.rows import Rows
from reticent.analytics.server import Server
from reticent.analytics.settings import Charged, Statistics
from reticent.dp import Grant
from reticent.identity import Roster, SigningKey
from reticent.roles import Request

__all__ = ["simulate"]


def simulate(settings: Statistics, tables: Mapping[str, Rows], *, confidence: float = 0.95) -> Answers:
    """Return the answers over the rows of all sites, by the whole protocol; no ledger remembers the noise."""
    keys = {site: SigningKey.generate() for site in tables}
    roster = Roster({site: key.public for site, key in keys.items()})
    clients = {
        site: Client(settings, rows, Charged(population=site, dataset="1"), name=site, key=keys[site], roster=roster)
        for site, rows in tables.items()
    }
    server = Server(settings, sites=tuple(tables), roster=roster)
    while (exchange := server.step()) is not None:
        replies = {}
        for site, body in exchange.requests.items():
            request = Request("simulation", exchange.round, exchange.attempt, exchange.phase, body)
            cost = clients[site].cost(request)
            grant = None if cost is None else Grant.without_ledger(cost.events)
            replies[site] = clients[site].handle(request, grant).message
        server.feed(replies, frozenset())
    return server.answers(confidence=confidence)
