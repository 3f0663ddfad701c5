"""Statistics of several sites: one release at each, one sum, the same answers; and what roles refuse."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reticent import analytics, dp
from reticent.analytics.wire import Asked, Opening, Vector
from reticent.errors import IdentityError, PolicyRefused, QuorumLost
from reticent.identity import Roster, SigningKey
from reticent.messages import encode
from reticent.roles import Request

SITES = ("east", "north", "south", "west")


class Federation:
    """Four sites with a quarter of the table each."""

    def __init__(self, frame: pd.DataFrame, protocol: Any = "secagg", dropouts: int = 1) -> None:
        self.queries = (
            analytics.count(),
            analytics.mean("area", bounds=(0, 2600)),
            analytics.quantiles("area", [0.5], bounds=(0, 2600), bins=26),
        )
        made = analytics.plan(
            self.queries, epsilon=2, delta=1e-6, unit="record", relation="add_or_remove_one", noise="gaussian"
        )
        self.settings = analytics.Statistics(
            layout=made.layout,
            noise_multiplier=made.noise_multiplier,
            cohort=4,
            dropouts=dropouts,
            protocol=protocol,
            most_rows=1000,
        )
        self.keys = {site: SigningKey.generate() for site in SITES}
        self.roster = Roster({site: key.public for site, key in self.keys.items()})
        self.rows = {site: analytics.Rows.of(frame.iloc[place::4]) for place, site in enumerate(SITES)}
        self.clients = {site: self.client(site) for site in SITES}
        self.server = analytics.Server(self.settings, sites=SITES, roster=self.roster)
        self.costs: list[tuple[str, dp.Release]] = []

    def client(self, site: str, settings: Any = None) -> analytics.Client:
        return analytics.Client(
            settings or self.settings,
            self.rows[site],
            analytics.Charged(population=site, dataset="1"),
            name=site,
            key=self.keys[site],
            roster=self.roster,
        )

    def run(self, *, lost: dict[str, str] | None = None) -> analytics.Answers:
        """Drive all roles; a site in `lost` is silent from the named step on."""
        gone: set[str] = set()
        while (exchange := self.server.step()) is not None:
            step = exchange.phase.partition("/")[2]
            gone |= {site for site, last in (lost or {}).items() if last == step}
            replies = {}
            for site, body in exchange.requests.items():
                if site in gone:
                    continue
                request = Request("simulation", exchange.round, exchange.attempt, exchange.phase, body)
                cost = self.clients[site].cost(request)
                if cost is not None:
                    self.costs.append((site, cost))
                grant = None if cost is None else dp.Grant.without_ledger(cost.events)
                replies[site] = self.clients[site].handle(request, grant).message
            self.server.feed(replies, frozenset(set(exchange.requests) - set(replies)))
        return self.server.answers()


@pytest.mark.parametrize("protocol", ["secagg", "plain"])
def test_four_sites_are_answered_as_one(protocol: Any, frame: pd.DataFrame) -> None:
    """Every figure within 8 standard deviations of its noise (probability of more: 1e-15 each)."""
    federation = Federation(frame, protocol)
    answers = federation.run()
    made = federation.settings.layout
    exact = made.answers(made.total(analytics.Rows.of(frame)) * made.grid, noise_multiplier=1e-9)
    for query in federation.queries[:2]:
        assert abs(answers[query].value - exact[query].value) < 8 * answers[query].noise_scale
    single = made.answers(
        made.total(analytics.Rows.of(frame)) * made.grid, noise_multiplier=federation.settings.noise_multiplier
    )
    assert answers[0].noise_scale == pytest.approx(2 * float(single[0].noise_scale))
    assert federation.server.remaining == ()
    assert federation.server.finished.contributors == SITES  # type: ignore[union-attr]


def test_each_site_pays_once_for_its_own_people(frame: pd.DataFrame) -> None:
    federation = Federation(frame)
    federation.run()
    assert [site for site, _ in federation.costs] == list(SITES)
    for site, cost in federation.costs:
        assert cost.population == site
        assert cost.events == (dp.Gaussian(federation.settings.noise_multiplier),)


@pytest.mark.parametrize("step", ["keys", "shares", "update", "unmask"])
def test_one_site_may_vanish_in_any_step(step: str, frame: pd.DataFrame) -> None:
    answers = Federation(frame).run(lost={"south": step})
    count = answers[0]
    expected = 569 if step == "unmask" else 569 - 142
    assert abs(float(count.value) - expected) < 8 * float(count.noise_scale)


@pytest.mark.parametrize("protocol", ["secagg", "plain"])
def test_too_few_sites_are_no_sum(protocol: Any, frame: pd.DataFrame) -> None:
    with pytest.raises(QuorumLost):
        Federation(frame, protocol).run(lost={"south": "update", "west": "update"})


def test_the_coordinator_sees_no_single_vector(frame: pd.DataFrame) -> None:
    """Recorded traffic: what a site sends under masks is not the vector that it would send in the clear."""
    federation = Federation(frame)
    sent: list[bytes] = []
    handle = analytics.Client.handle

    def recorded(self: Any, request: Request, grant: Any) -> Any:
        reply = handle(self, request, grant)
        if request.phase.endswith("update"):
            sent.append(reply.message)
        return reply

    for client in federation.clients.values():
        client.handle = recorded.__get__(client)  # type: ignore[method-assign]
    federation.run()
    encoding = federation.settings.parameters.encoding
    packed = encoding.packed_bytes(federation.settings.layout.length)
    words = [encoding.unpack(body[-packed:], federation.settings.layout.length) for body in sent]
    values = np.array([encoding.decode(vector) for vector in words])
    # A masked count is uniform in a ring of thousands of rows: that all four lie within 0 and 300 has probability
    # (300 / 8000)^4 = 2e-6 for the first coordinate, and the coordinates are independent: below 1e-20 for five.
    assert not ((values[:, :5] > -100) & (values[:, :5] < 300)).all()


def test_lies_are_refused(frame: pd.DataFrame) -> None:
    federation = Federation(frame)
    client, digest = federation.clients["east"], federation.settings.hash

    def ask(step: str, message: Any, attempt: int = 1) -> Any:
        return client.handle(Request("run", 1, attempt, f"statistics/{step}", encode(message)), None)

    with pytest.raises(IdentityError, match="statistics-differ"):
        ask("keys", Opening(SITES, b"other questions"))
    with pytest.raises(PolicyRefused, match="wrong-cohort"):
        ask("keys", Opening(SITES[:2], digest))
    with pytest.raises(PolicyRefused, match="wrong-cohort"):
        ask("keys", Opening((*SITES[:3], "the coordinator"), digest))
    with pytest.raises(PolicyRefused, match="attempt-lost"):
        ask("update", Asked(digest, b""))
    plain = Federation(frame, "plain")
    client = plain.clients["east"]
    with pytest.raises(PolicyRefused, match="noise-not-granted"):
        ask("update", Asked(plain.settings.hash, b""))
    with pytest.raises(IdentityError, match="unknown-phase"):
        client.cost(Request("run", 1, 1, "train/update", b""))


def test_any_change_of_the_settings_changes_their_hash(frame: pd.DataFrame) -> None:
    settings = Federation(frame).settings
    other = analytics.Layout(queries=settings.layout.queries, unit="record", relation="replace_one", kind="gaussian")
    changed = [
        dataclasses.replace(settings, noise_multiplier=settings.noise_multiplier / 2),
        dataclasses.replace(settings, dropouts=0),
        dataclasses.replace(settings, most_rows=999),
        dataclasses.replace(settings, protocol="plain"),
        dataclasses.replace(settings, layout=other),
    ]
    assert len({item.hash for item in (settings, *changed)}) == 6


def test_a_site_larger_than_declared_is_cut_off_after_the_noise(frame: pd.DataFrame) -> None:
    """It neither fails (which would tell) nor overflows the ring."""
    federation = Federation(frame)
    federation.rows["east"] = analytics.Rows.of(pd.concat([frame] * 20))
    federation.clients["east"] = federation.client("east")
    answers = federation.run()
    assert float(answers[0].value) < 4 * federation.settings.bound


def test_a_wrong_vector_makes_its_site_absent(frame: pd.DataFrame) -> None:
    federation = Federation(frame, "plain")
    exchange = federation.server.step()
    assert exchange is not None
    length = federation.settings.layout.length
    good = {site: encode(Vector(np.zeros(length))) for site in SITES}
    for bad in (np.zeros(3), np.full(length, np.nan), np.full(length, 1e300)):
        server = analytics.Server(federation.settings, sites=SITES)
        server.step()
        assert server.feed({**good, "west": encode(Vector(bad))}, frozenset())
        assert server.finished is not None
        assert server.finished.contributors == SITES[:3]


def test_a_server_goes_on_after_a_crash(frame: pd.DataFrame) -> None:
    federation = Federation(frame)
    first = federation.server.dump()
    federation.server.step()
    federation.server.load(first, attempt=2)
    answers = federation.run()
    kept = federation.server.dump()
    again = analytics.Server(federation.settings, sites=SITES, roster=federation.roster)
    again.load(kept, attempt=3)
    assert again.remaining == ()
    assert again.step() is None
    assert again.answers().to_plain() == answers.to_plain()


def test_simulate_runs_all_roles(frame: pd.DataFrame) -> None:
    federation = Federation(frame)
    answers = analytics.simulate(federation.settings, federation.rows)
    assert len(answers) == 3
