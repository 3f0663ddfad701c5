"""DP-FedAvg at a site: each person trains alone, and a round costs what DP-SGD of as many steps costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from reticent.data import Examples
from reticent.dp import Grant
from reticent.errors import PolicyRefused, UsageError
from reticent.federated import simulate
from reticent.roles import Request
from reticent.training import DPFedAvg, LocalSteps, flatten, load_flat, loss_by_name, optimizer_factory

SITES = ("east", "north", "south", "west")


def _exact(federation: Any, site: str, **changes: Any) -> Any:
    """All persons take part and nothing is added: a round is then deterministic."""
    persons = len(federation.data[site])
    return federation.private(
        site,
        contribution="update",
        expected_batch_size=persons,
        sampling_probability=1.0,
        noise_multiplier=0.0,
        max_grad_norm=0.05,
        **changes,
    )


def _by_hand(examples: Examples, start: Any, *, clip: float, rate: float, epochs: int) -> Any:
    """McMahan et al. 2018, algorithm 1, for persons of one row each: local steps alone, clip, mean."""
    total = np.zeros(start.size)
    for row in range(len(examples)):
        model = torch.nn.Linear(5, 2)
        load_flat(model, start)
        optimizer = torch.optim.SGD(model.parameters(), lr=rate)
        for _ in range(epochs):
            optimizer.zero_grad()
            outputs = model(torch.from_numpy(examples.features[row : row + 1]))
            torch.nn.functional.cross_entropy(outputs, torch.from_numpy(examples.labels[row : row + 1])).backward()
            optimizer.step()
        update = flatten(model).astype(np.float64) - start
        total += update * min(1.0, clip / np.linalg.norm(update))
    return total / len(examples)


def _check_a_round(federation: Any) -> None:
    server = federation.server(rounds=1)
    start = server.model.copy()
    clients = {
        site: federation.client(site, private=_exact(federation, site), local_steps=1, local_epochs=3, batch_size=None)
        for site in SITES
    }
    simulate(server, clients)
    expected = start + sum(
        federation.weights[site] * _by_hand(federation.data[site], start, clip=0.05, rate=0.1, epochs=3)
        for site in SITES
    )
    assert np.abs(server.model - expected).max() < 2e-4


def test_a_round_is_the_mean_of_persons_who_trained_alone(federation: Any) -> None:
    _check_a_round(federation)


def test_broken_copy_in_which_the_site_trains_on_all_persons_at_once_is_caught(
    federation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reticent.training import local_updates

    def together(self: Any, rows: Any) -> Any:
        yield self._update(rows.features, rows.labels)

    monkeypatch.setattr(local_updates.UpdateSums, "_updates", together)
    with pytest.raises(AssertionError):
        _check_a_round(federation)


def test_it_is_charged_and_drawn_as_stated(federation: Any) -> None:
    private = federation.private("north", contribution="update")
    client = federation.client("north", private=private, local_steps=2)
    exchange = federation.server(rounds=1, private=True).step()
    assert exchange is not None
    request = Request("simulation", 1, 1, exchange.phase, exchange.requests["north"])
    cost = client.cost(request)
    assert cost.counts() == {private.execution(1).event: 2}
    with pytest.raises(PolicyRefused, match="without a grant"):
        client.handle(request, None)
    grant = Grant.without_ledger(cost.events)
    client.handle(request, grant)
    assert not grant.remaining()


def test_rows_that_are_no_persons_are_refused(federation: Any) -> None:
    client = federation.client("north", private=federation.private("north", contribution="update", unit="record"))
    exchange = federation.server(rounds=1, private=True).step()
    assert exchange is not None
    request = Request("simulation", 1, 1, exchange.phase, exchange.requests["north"])
    with pytest.raises(UsageError, match="a single row"):
        client.handle(request, Grant.without_ledger(client.cost(request).events))


def test_it_learns_under_secure_aggregation(federation: Any) -> None:
    """65 of 65 runs gave 1.0.

    False alarms: with five times the noise none of 23 runs fell below 0.8 (the least was 0.94); by the estimate of
    `test_it_learns` in test_private_trainer.py that is below 1e-6 here.
    """
    clients = {
        site: federation.client(
            site, "secagg", private=federation.private(site, contribution="update", max_grad_norm=0.5), local_steps=4
        )
        for site in SITES
    }
    server = simulate(federation.server("secagg", rounds=4, private=True), clients)
    model = torch.nn.Linear(5, 2)
    load_flat(model, server.model)
    data = federation.data["north"]
    right = (model(torch.from_numpy(data.features)).argmax(1).numpy() == data.labels).mean()
    assert right > 0.8


def test_the_mechanism_is_the_one_of_training(federation: Any) -> None:
    """One site's round equals `DPFedAvg` run by itself."""
    client = federation.client("east", private=_exact(federation, "east"), local_steps=2, local_epochs=2)
    persons = len(federation.data["east"])
    start = np.zeros(12, dtype=np.float32)
    event = client._private.execution(2)
    update, _ = client._learner.update(start, round_number=1, grant=Grant.without_ledger([event]), bound=1e9)
    model = torch.nn.Linear(5, 2)
    load_flat(model, start)
    mechanism = DPFedAvg(
        population=persons,
        expected_batch_size=persons,
        steps=2,
        clipping_norm=0.05,
        unit="person",
        relation="add_or_remove_one",
        noise_multiplier=0.0,
    )
    local = LocalSteps(optimizer=optimizer_factory("sgd", 0.1), epochs=2, batch_size=8)
    mechanism.trainer(model, loss_by_name("cross_entropy"), local).fit(federation.data["east"])
    assert np.allclose(update, federation.weights["east"] * flatten(model), atol=1e-7)
