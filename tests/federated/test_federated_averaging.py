"""FedAvg and FedProx against their definitions, and the sites that real federations have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from reticent.data import Examples
from reticent.dp import Grant
from reticent.errors import PolicyRefused, QuorumLost
from reticent.federated import simulate
from reticent.roles import Request
from reticent.training import fit_plain, flatten, load_flat

SITES = ("east", "north", "south", "west")


def _one_round_by_hand(federation: Any, start: Any, **training: Any) -> Any:
    """Return the weighted mean of independently trained models: McMahan et al. 2017, algorithm 1."""
    total = np.zeros(start.size)
    for site in SITES:
        client = federation.client(site, **training)
        learner = client._learner
        load_flat(learner._model, start)
        learner._fit_plain(1)
        total += federation.weights[site] * flatten(learner._model).astype(np.float64)
    return total


def test_a_round_is_the_mean_of_local_models_weighted_by_declared_size(federation: Any) -> None:
    server = federation.server(rounds=1)
    start = server.model.copy()
    simulate(server, {site: federation.client(site) for site in SITES})
    assert np.abs(server.model - _one_round_by_hand(federation, start)).max() < 1e-6


def test_masked_averaging_equals_plain_averaging_to_the_fixed_point_error(federation: Any) -> None:
    plain = simulate(federation.server(rounds=3), {site: federation.client(site) for site in SITES})
    masked = simulate(
        federation.server("secagg", rounds=3), {site: federation.client(site, "secagg") for site in SITES}
    )
    # Four sites round to 2^-24 in each of three rounds; float32 parameters add their own last digit.
    assert np.abs(plain.model - masked.model).max() < 3 * 4 * 2**-25 + 1e-6


def test_fedprox_with_mu_0_is_fedavg_and_a_large_mu_stays_near_the_start(federation: Any) -> None:
    def trained(mu: float) -> Any:
        clients = {site: federation.client(site, mu=mu, local_steps=20) for site in SITES}
        return simulate(federation.server(rounds=1), clients).model

    start = federation.server().model
    average = trained(0.0)
    assert np.array_equal(
        average,
        simulate(federation.server(rounds=1), {site: federation.client(site, local_steps=20) for site in SITES}).model,
    )
    assert np.linalg.norm(trained(5.0) - start) < 0.6 * np.linalg.norm(average - start)


def test_local_epochs_count_passes_over_each_sites_own_rows(federation: Any) -> None:
    clients = {site: federation.client(site, local_steps=None, local_epochs=2) for site in SITES}
    server = simulate(federation.server(rounds=3, evaluations=(3,)), clients)
    assert server.finished is not None
    assert server.finished.metrics is not None
    assert server.finished.metrics.accuracy is not None
    assert server.finished.metrics.accuracy > 0.9


def test_clients_per_round_takes_that_many_and_renormalises_their_weights(federation: Any) -> None:
    seen: list[tuple[str, ...]] = []
    clients = {site: federation.client(site, cohort=3) for site in SITES}
    simulate(
        federation.server(rounds=6, clients_per_round=3),
        clients,
        after_task=lambda done: seen.append(done.contributors),
    )
    assert {len(chosen) for chosen in seen} == {3}
    assert len(set(seen)) > 1


@pytest.mark.parametrize("protocol", ["plain", "secagg"])
def test_an_absent_site_is_left_out_and_the_mean_is_over_the_others(federation: Any, protocol: str) -> None:
    server = federation.server(protocol, rounds=1)
    start = server.model.copy()
    clients = {site: federation.client(site, protocol) for site in SITES}
    while (exchange := server.step()) is not None:
        replies = {
            site: clients[site].handle(Request("simulation", 1, 1, exchange.phase, body), None).message
            for site, body in exchange.requests.items()
            if site != "west"
        }
        server.feed(replies, frozenset({"west"}))
    expected = np.zeros(start.size)
    for site in SITES[:3]:
        learner = federation.client(site)._learner
        load_flat(learner._model, start)
        learner._fit_plain(1)
        expected += federation.weights[site] * (flatten(learner._model) - start)
    expected = start + expected / sum(federation.weights[site] for site in SITES[:3])
    assert server.finished.contributors == SITES[:3]
    assert np.abs(server.model - expected).max() < 1e-6


def test_too_many_absences_abort_the_round_and_leave_the_model_alone(federation: Any) -> None:
    server = federation.server(rounds=1)
    before = server.model.copy()
    exchange = server.step()
    assert exchange is not None
    replies = {
        "east": federation.client("east")
        .handle(Request("simulation", 1, 1, exchange.phase, exchange.requests["east"]), None)
        .message
    }
    with pytest.raises(QuorumLost, match="1 of 4 sites"):
        server.feed(replies, frozenset(SITES) - {"east"})
    assert np.array_equal(server.model, before)


def test_a_site_with_one_class_and_a_site_without_rows_take_part(federation: Any) -> None:
    one_class = federation.data["west"].select(federation.data["west"].labels == 1)
    nothing = Examples(np.zeros((0, 5), np.float32), np.zeros(0, np.int64), np.zeros(0, np.int64))
    clients = {site: federation.client(site) for site in ("east", "north")}
    clients["west"] = federation.client("west", data=one_class)
    clients["south"] = federation.client("south", data=nothing)
    server = simulate(federation.server(rounds=4, evaluations=(4,)), clients)
    assert np.isfinite(server.model).all()
    assert server.finished.metrics.confusion.sum() == 60 + 120 + len(one_class)


class _Diverging(torch.nn.Linear):
    """A model that returns NaN once it is trained."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return super().forward(features) * float("nan")


def test_an_update_that_is_not_finite_contributes_zero(federation: Any) -> None:
    clients = {site: federation.client(site) for site in SITES[:3]}
    clients["west"] = federation.client("west", make=lambda: _Diverging(5, 2))
    server = simulate(federation.server(rounds=1), clients)
    assert np.isfinite(server.model).all()


def test_an_update_beyond_the_bound_is_scaled_down_as_a_whole(federation: Any) -> None:
    from reticent.federated.learner import _bounded

    update, notes = _bounded(np.array([3.0, -8.0, 1.0]), 2.0)
    assert np.allclose(update, [0.75, -2.0, 0.25])
    assert "scaled down" in notes["update"]


def test_a_private_client_states_its_cost_and_trains_only_with_the_grant_for_it(federation: Any) -> None:
    client = federation.client("north", private=federation.private("north"))
    server = federation.server(rounds=1, private=True, evaluations=(1,))
    exchange = server.step()
    assert exchange is not None
    request = Request("simulation", 1, 1, exchange.phase, exchange.requests["north"])
    cost = client.cost(request)
    assert cost is not None
    assert sum(cost.counts().values()) == 3
    with pytest.raises(PolicyRefused, match="without a grant"):
        client.handle(request, None)
    with pytest.raises(PolicyRefused, match="not paid for"):
        client.handle(request, Grant.without_ledger([]))
    grant = Grant.without_ledger(cost.events)
    client.handle(request, grant)
    assert not grant.remaining()
    with pytest.raises(PolicyRefused, match="drawn before"):
        client.handle(request, grant)


def test_private_metrics_are_noised_and_exact_ones_stay_in_the_sites_notes(federation: Any) -> None:
    import json

    client = federation.client("north", private=federation.private("north"))
    server = federation.server(rounds=1, private=True, evaluations=(1,))
    simulate(server, {site: federation.client(site, private=federation.private(site)) for site in SITES})
    released = server.finished.metrics
    assert released.loss is None
    assert not np.array_equal(released.confusion, np.rint(released.confusion))
    from reticent.federated.wire import UpdateRequest
    from reticent.messages import encode

    request = Request("simulation", 1, 1, "evaluate/update", encode(UpdateRequest(server.model, b"")))
    cost = client.cost(request)
    reply = client.handle(request, Grant.without_ledger(cost.events))
    exact = json.loads(reply.state)
    assert np.sum(exact["confusion"]) == 120
    assert str(exact["loss"]).encode() not in reply.message


def test_any_model_loss_and_optimiser(federation: Any) -> None:
    from reticent.training import optimizer_factory

    def make() -> torch.nn.Module:
        torch.manual_seed(0)
        return torch.nn.Sequential(
            torch.nn.Linear(5, 7), torch.nn.BatchNorm1d(7), torch.nn.Tanh(), torch.nn.Linear(7, 2)
        )

    loss = torch.nn.MultiMarginLoss()
    for name in ("adam", "rmsprop", "sgd"):
        chosen = optimizer_factory(name, learning_rate=0.05, momentum=0.0, weight_decay=1e-4)
        clients = {
            site: federation.client(site, make=make, loss=loss, optimizer=chosen, batch_size=10) for site in SITES
        }
        server = simulate(federation.server(rounds=5, evaluations=(5,), make=make), clients)
        assert server.finished.metrics.accuracy > 0.9


def test_what_survives_between_tasks_is_the_model_and_the_place_in_the_schedule(federation: Any) -> None:
    clients = {site: federation.client(site) for site in SITES}
    whole = simulate(federation.server(rounds=4), clients)
    first = simulate(federation.server(rounds=4), clients, after_task=lambda done: done.round == 2)
    second = federation.server(rounds=4)
    second.load(first.dump(), attempt=9)
    assert second.remaining == (("train", 3), ("train", 4))
    simulate(second, clients)
    assert np.array_equal(second.model, whole.model)
    assert second.finished.attempt == 9


def test_fit_plain_is_what_the_learner_runs(federation: Any) -> None:
    """The learner adds nothing to plain training: one site alone equals one call of fit_plain."""
    client = federation.client("east")
    update, _ = client._learner.update(flatten(torch.nn.Linear(5, 2)) * 0, round_number=1, grant=None, bound=1e9)
    model = torch.nn.Linear(5, 2)
    load_flat(model, np.zeros(12, np.float32))
    training = federation.training("east")
    from reticent.federated.learner import _seed

    fit_plain(
        model,
        training.loss,
        training.optimizer(model.parameters()),
        federation.data["east"],
        batch_size=8,
        local_epochs=None,
        local_steps=3,
        seed=_seed(3, "east", 1),
        proximal=0.0,
    )
    assert np.allclose(update, federation.weights["east"] * flatten(model))
