"""Predicted traffic against the messages that the protocols really make."""

from __future__ import annotations

import numpy as np
import pytest

from reticent.identity import Address, Roster, SigningKey, seal
from reticent.secagg import Client, Parameters, Server
from reticent.study.cost import predict


def _enveloped(body: bytes, phase: str) -> int:
    address = Address(
        run="wards-20261124T170000Z", round=3, attempt=0, phase=phase, sender="coordinator", recipient="north"
    )
    return len(seal(body, address, SigningKey.generate()))


@pytest.mark.parametrize(("clients", "length"), [(3, 10), (4, 2000), (20, 2000)])
def test_a_masked_round_costs_what_was_predicted(clients: int, length: int) -> None:
    """Within 10 %, from four phases of real messages in signed envelopes; the opening is left to the tolerance."""
    parameters = Parameters(clients=clients, length=length, bound=2.0**10, precision=2.0**-24, dropouts=1)
    names = [f"site-{number:02d}" for number in range(clients)]
    keys = {name: SigningKey.generate() for name in names}
    roster = Roster({name: key.public for name, key in keys.items()})
    sites = {name: Client(parameters, name, keys[name], roster, b"s" * 32) for name in names}
    server = Server(parameters, roster, b"s" * 32)

    first = {name: site.advertise() for name, site in sites.items()}
    rosters = server.keys_to_roster(first)
    second = {name: site.share_keys(rosters[name]) for name, site in sites.items()}
    shares = server.route_shares(second)
    third = {name: site.masked_input(shares[name], np.zeros(length)) for name, site in sites.items()}
    survivors = server.survivors(third)
    fourth = {name: site.unmask(survivors[name]) for name, site in sites.items()}
    assert server.sum(fourth).contributors == tuple(names)

    opening = "".join(names).encode() + bytes(32)
    up = sum(_enveloped(replies[names[0]], "train/update") for replies in (first, second, third, fourth))
    received = (opening, *(part[names[0]] for part in (rosters, shares, survivors)))
    down = 4 * length + sum(_enveloped(body, "train/update") for body in received)
    cost = predict(
        vector_length=length,
        classes=2,
        clients=clients,
        ring_bits=parameters.ring_bits,
        masked=True,
        rounds=5,
        evaluations=0,
        private=True,
    )
    assert cost.upload_per_round == pytest.approx(up, rel=0.1)
    assert cost.download_per_round == pytest.approx(down, rel=0.1)
    assert cost.total_per_site == 5 * (cost.upload_per_round + cost.download_per_round)


def test_plain_updates_cost_eight_bytes_a_value_and_the_model_four() -> None:
    cost = predict(
        vector_length=1000, classes=3, clients=9, ring_bits=0, masked=False, rounds=2, evaluations=1, private=False
    )
    assert cost.download_per_round - 4 * 1000 == cost.upload_per_round - 8 * 1000
    evaluation = cost.total_per_site - 2 * (cost.download_per_round + cost.upload_per_round)
    assert evaluation == cost.download_per_round + (cost.upload_per_round - 8 * 1000) + 8 * (9 + 2)
