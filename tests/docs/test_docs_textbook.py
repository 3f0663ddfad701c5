"""Breaks the textbook classes of docs/from-the-guide.md, one mistake at a time, and shows the same on reticent.

Statistical tests here use fixed seeds for the attacker's side; where reticent draws real noise, the false-alarm rate
stands in the docstring.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from reticent import dp, federated, secagg, training
from reticent.data import Examples
from reticent.dp.divergence import sampled_delta
from reticent.errors import ReticentError
from reticent.federated.wire import PlainUpdate
from reticent.identity import Roster, SigningKey
from reticent.messages import decode, encode
from reticent.roles import Reply, Request

LOSS = nn.functional.cross_entropy


def rows(seed: int, count: int, shift: float = 0.0) -> Examples:
    """Return `count` rows of four features and two classes."""
    generator = np.random.default_rng(seed)
    features = generator.normal(shift, 1.0, (count, 4)).astype(np.float32)
    labels = (features.sum(1) > 4 * shift).astype(np.int64)
    return Examples(features=features, labels=labels, units=np.arange(count))


def zeros() -> nn.Linear:
    model = nn.Linear(4, 2)
    for value in model.parameters():
        nn.init.zeros_(value)
    return model


def torched(part: Examples) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(part.features), torch.from_numpy(part.labels)


def federate(
    parts: dict[str, Examples],
    *,
    protocol: Any = "plain",
    rates: dict[str, float] | None = None,
    watch: list[bytes] | None = None,
) -> nn.Linear:
    """Return the model after one round of one full-batch step, by reticent; `watch` collects the updates sent."""
    total = sum(len(part) for part in parts.values())
    aggregation = federated.Aggregation(protocol=protocol, cohort=len(parts))
    keys = {site: SigningKey.generate() for site in parts}
    roster = Roster({site: key.public for site, key in keys.items()})
    clients: dict[str, Any] = {}
    for site, part in parts.items():
        local = federated.LocalTraining(
            weight=len(part) / total,
            classes=2,
            loss=LOSS,
            optimizer=training.optimizer_factory("sgd", (rates or {}).get(site, 0.1)),
            local_steps=1,
        )
        client = federated.Client(
            zeros(), local, aggregation, train=part, test=part, name=site, key=keys[site], roster=roster
        )
        clients[site] = Recorder(client, [] if watch is None else watch)
    server = federated.Server(
        training.flatten(zeros()),
        weights={site: len(part) / total for site, part in parts.items()},
        schedule=federated.Schedule(rounds=1),
        aggregation=aggregation,
        classes=2,
        private=False,
        roster=roster,
    )
    model = zeros()
    training.load_flat(model, federated.simulate(server, clients).model)
    return model


class Recorder:
    """A client whose updates are written down on their way to the coordinator."""

    def __init__(self, client: federated.Client, seen: list[bytes]) -> None:
        self._client, self._seen = client, seen

    def cost(self, request: Request) -> dp.Release | None:
        return self._client.cost(request)

    def handle(self, request: Request, grant: dp.Grant | None) -> Reply:
        reply = self._client.handle(request, grant)
        if request.phase.endswith("/update"):
            self._seen.append(reply.message)
        return reply


def pooled_step(parts: dict[str, Examples]) -> torch.Tensor:
    """Return the model vector after the same step on all rows together."""
    model = zeros()
    features, labels = (torch.cat(both) for both in zip(*map(torched, parts.values()), strict=True))
    LOSS(model(features), labels).backward()
    return torch.cat([-0.1 * value.grad.flatten() for value in model.parameters() if value.grad is not None])


# --- FederatedServer, FederatedClient -----------------------------------------------------------------------


def test_a_mean_without_sizes_is_not_training_on_everybody(textbook: ModuleType) -> None:
    """A site with 20 rows pulls as hard as one with 2000; weighted, one step equals the step on pooled rows."""
    parts = {"large": rows(1, 2000), "small": rows(2, 20, shift=3.0)}
    truth = pooled_step(parts)
    server = textbook.FederatedServer(zeros())
    server.aggregate([textbook.FederatedClient(zeros(), *torched(part)).train() for part in parts.values()])
    wrong = torch.from_numpy(training.flatten(server.model))
    assert float((wrong - truth).norm() / truth.norm()) > 0.5
    right = torch.from_numpy(training.flatten(federate(parts)))
    torch.testing.assert_close(right, truth, rtol=1e-5, atol=1e-7)


def test_whoever_sees_an_update_reads_the_record(textbook: ModuleType) -> None:
    """The gradient of a linear layer for one row is the row itself times a number; the server divides."""
    secret = rows(3, 1)
    server = textbook.FederatedServer(zeros())
    server.aggregate([textbook.FederatedClient(zeros(), *torched(secret)).train()])
    weight, bias = server.seen[0]["weight"], server.seen[0]["bias"]
    torch.testing.assert_close(weight[0] / bias[0], torch.from_numpy(secret.features[0]), rtol=1e-4, atol=1e-5)


def test_under_masks_no_update_is_in_the_traffic() -> None:
    """The same recorder finds a site's exact update in a plain sum, and not in a masked one with the same result."""
    parts = {"east": rows(3, 1), "north": rows(4, 50), "south": rows(5, 50)}
    plain: list[bytes] = []
    masked: list[bytes] = []
    first = training.flatten(federate(parts, watch=plain))
    second = training.flatten(federate(parts, protocol="secagg", watch=masked))
    np.testing.assert_allclose(first, second, atol=1e-6)
    updates = [decode(message, PlainUpdate, limit=10_000).values for message in plain]
    np.testing.assert_allclose(updates[0][:4] / updates[0][8], parts["east"].features[0], rtol=1e-3)
    assert len(masked) == 3
    for update in updates:
        assert not any(np.float64(value).tobytes() in message for value in update if value for message in masked)


def test_one_broken_site_spoils_a_plain_mean(textbook: ModuleType) -> None:
    """Infinity travels through the mean into every site's model; reticent's site contributes zero in its place."""
    parts = {"good": rows(6, 100), "bad": rows(7, 100, shift=50.0)}
    server = textbook.FederatedServer(zeros())
    rates = {"good": 0.1, "bad": math.inf}
    server.aggregate(
        [textbook.FederatedClient(zeros(), *torched(part), lr=rates[site]).train() for site, part in parts.items()]
    )
    assert not np.isfinite(training.flatten(server.model)).all()
    model = federate(parts, rates={"good": 0.1, "bad": 3e38})
    half = pooled_step({"good": parts["good"]}) / 2
    torch.testing.assert_close(torch.from_numpy(training.flatten(model)), half, rtol=1e-5, atol=1e-7)


# --- DPFederatedClient --------------------------------------------------------------------------------------


def outlier(part: Examples, scale: float) -> Examples:
    """Return the rows and one more, far away and with the other label."""
    features = np.concatenate([part.features, np.full((1, 4), -scale, dtype=np.float32)])
    labels = np.concatenate([part.labels, [1]])
    return Examples(features=features, labels=labels, units=np.arange(len(labels)))


def private_step(part: Examples, population: int) -> torch.Tensor:
    """Return how far one step of reticent without noise moves the model, over the same expected batch."""
    dpsgd = training.DPSGD(
        population=population,
        expected_batch_size=population,
        steps=1,
        max_grad_norm=1.0,
        unit="record",
        relation="add_or_remove_one",
        noise_multiplier=0.0,
    )
    model = zeros()
    dpsgd.trainer(model, LOSS, torch.optim.SGD(model.parameters(), lr=1.0)).fit(part)
    return torch.from_numpy(training.flatten(model))


@pytest.mark.parametrize("way", ["clip_batch", "clip_gradient"])
def test_one_row_moves_a_clipped_batch_by_more_than_the_noise_knows(textbook: ModuleType, way: str) -> None:
    """The noise is scaled for clip / n; one row among 100 moves the clipped batch by tens of times that."""
    part = rows(8, 100)
    clipped = []
    for data in (part, outlier(part, 1e4)):
        client = textbook.DPFederatedClient(zeros(), *torched(data), clip=1.0)
        clipped.append(getattr(client, way)(client.batch_gradient()))
    assert float((clipped[0] - clipped[1]).norm()) > 20 * (1.0 / len(part))


def test_one_row_moves_a_step_of_reticent_by_at_most_the_clip() -> None:
    """Each row is clipped before the sum, over the whole model; rounding to the grid is charged, at most 1 %."""
    part = rows(8, 100)
    for scale in (1.0, 1e4):
        moved = private_step(part, 100) - private_step(outlier(part, scale), 100)
        assert float(moved.norm()) <= 1.0 / 100 * 1.0102


def test_clamping_coordinates_lets_a_gradient_be_longer_than_the_clip(textbook: ModuleType) -> None:
    """Of norm up to clip * sqrt(number of coordinates): with 10,000 coordinates a hundred times the clip."""
    client = textbook.DPFederatedClient(zeros(), *torched(rows(9, 2)), clip=1.0)
    assert float(client.clip_gradient(torch.full((10_000,), 5.0)).norm()) == pytest.approx(100.0)


def test_noise_from_a_seed_is_subtracted_by_whoever_knows_it(textbook: ModuleType) -> None:
    """`np.random.seed(0)`, for reproducible experiments, makes the noise reproducible for the attacker, too."""
    client = textbook.DPFederatedClient(zeros(), *torched(rows(10, 50)), clip=1.0, noise=1.0)
    np.random.seed(0)
    seen = client.private_gradient()
    np.random.seed(0)
    noise = torch.from_numpy(np.random.normal(0.0, 1.0 / 50, seen.shape)).float()
    torch.testing.assert_close(seen - noise, client.clip_gradient(client.batch_gradient()), rtol=1e-4, atol=1e-6)


def test_no_seed_reaches_the_noise_of_reticent() -> None:
    """Equal seeds of numpy and torch, different noise. False alarm: all 64 draws collide, below 1e-100."""
    drawn = []
    for _ in range(2):
        np.random.seed(0)
        torch.manual_seed(0)
        drawn.append(dp.gaussian(np.zeros(64), sensitivity=1.0, epsilon=1.0, delta=1e-6, grid=2**-10))
    assert not np.array_equal(*drawn)


def test_the_noise_of_reticent_is_as_large_as_charged() -> None:
    """Measured on 20,000 draws; a deviation of 4 % is 8 standard errors: false alarm below 1e-14."""
    event = dp.Gaussian(2.0)
    noise = dp.add_gaussian(
        np.zeros(20_000, dtype=np.int64),
        event=event,
        sensitivity=1.0,
        grid=2**-10,
        grant=dp.Grant.without_ledger([event]),
    )
    assert abs(float(noise.std()) / 2.0 - 1) < 0.04
    steps = noise * 2**10
    assert np.array_equal(steps, np.rint(steps))  # no low-order bits to read the value from


def test_the_textbook_leaves_low_order_bits(textbook: ModuleType) -> None:
    """Sums of doubles: results that one input can give and its neighbour cannot (Mironov 2012). Not on a grid."""
    np.random.seed(1)
    values = np.array([textbook.DifferentialPrivacy(1.0, 1e-6, 1.0).add_noise(1.0) for _ in range(100)])
    assert not np.array_equal(values * 2**10, np.rint(values * 2**10))


# --- DifferentialPrivacy ------------------------------------------------------------------------------------


def delta_of(sigma: float, epsilon: float) -> float:
    """The exact delta of one Gaussian of sensitivity 1 (Balle and Wang, ICML 2018, theorem 8)."""
    from scipy.stats import norm

    return float(norm.cdf(0.5 / sigma - epsilon * sigma) - math.exp(epsilon) * norm.cdf(-0.5 / sigma - epsilon * sigma))


def test_the_textbook_sigma_breaks_its_promise_above_epsilon_1(textbook: ModuleType) -> None:
    """Too small from about epsilon 8 on: the true delta exceeds the one promised. Below 1 it only wastes noise."""
    for epsilon, broken in ((0.5, False), (10.0, True), (20.0, True)):
        sigma = textbook.DifferentialPrivacy(epsilon, 1e-5, 1.0).sigma
        assert (delta_of(sigma, epsilon) > 1e-5) is broken
        right = dp.gaussian_sigma(sensitivity=1.0, epsilon=epsilon, delta=1e-5)
        assert delta_of(right, epsilon) <= 1e-5
        assert (right > sigma) is broken


def test_an_epsilon_for_one_step_says_nothing_about_a_thousand(textbook: ModuleType) -> None:
    """The reported epsilon does not grow. An attacker who averages 1000 steps is right far more often than allowed."""
    trainer = textbook.DPTrainer(noise_multiplier=4.9, delta=1e-5)
    for _ in range(1000):
        trainer.step(0.0)
    claimed = trainer.epsilon()
    assert claimed < 1.0
    generator = np.random.default_rng(0)
    present = generator.normal(1.0, 4.9, (500, 1000)).mean(1) > 0.5
    absent = generator.normal(0.0, 4.9, (500, 1000)).mean(1) <= 0.5
    right = (present.mean() + absent.mean()) / 2
    allowed = math.exp(claimed) / (1 + math.exp(claimed)) + 1e-5
    assert allowed < 0.74
    assert right > 0.99
    honest = dp.epsilon(dp.Repeated(dp.Gaussian(4.9), 1000), delta=1e-5, relation="add_or_remove_one")
    assert honest > 40


def test_the_textbook_budget_is_overspent_before_it_says_so(textbook: ModuleType) -> None:
    """The answer was computed and sent by then. Ours refuses before, and leaves the budget as it was."""
    budget = textbook.PrivacyBudget(1.0)
    assert budget.consume(0.9)
    assert not budget.consume(0.9)
    assert budget.remaining() < 0
    ours = dp.PrivacyBudget(initial_epsilon=1.0, initial_delta=1e-5)
    ours.consume(epsilon=0.9)
    with pytest.raises(dp.PrivacyBudgetExhausted):
        ours.consume(epsilon=0.9)
    assert ours.remaining().epsilon == pytest.approx(0.1)


def test_a_million_tiny_spends_cost_nothing_in_floats(textbook: ModuleType) -> None:
    """1 + 1e-17 is 1: a program that asks often enough asks for free. Negative spends even refill."""
    budget = textbook.PrivacyBudget(2.0)
    budget.consume(1.0)
    for _ in range(1000):
        budget.consume(1e-17)
    assert budget.spent == 1.0
    budget.consume(-5.0)
    assert budget.remaining() > 2.0
    ours = dp.PrivacyBudget(initial_epsilon=1.0, initial_delta=0.0)
    ours.consume(epsilon=1.0)
    for spend in (1e-17, -5.0, math.nan):
        with pytest.raises(ReticentError):
            ours.consume(epsilon=spend)


def test_the_textbook_accountant_claims_less_than_is_true(textbook: ModuleType) -> None:
    """One step on a hundredth of the people, with little noise: the exact epsilon is ten times what is claimed.

    Exact: one sampled Gaussian has a closed form (`reticent.dp.divergence`), checked against numeric integration there.
    """
    accountant = textbook.PrivacyAccountant(delta=1e-6)
    accountant.step(noise_multiplier=0.3, sampling_rate=0.01)
    event = dp.PoissonSampled(0.01, dp.Gaussian(0.3))
    honest = dp.epsilon(event, delta=1e-6, relation="add_or_remove_one")
    assert accountant.epsilon() < honest / 4
    worst = sampled_delta(np.array([accountant.epsilon()]), sigma=0.3, probability=0.01, direction="remove")[0]
    assert worst > 1000 * accountant.delta  # the delta at the epsilon that was claimed


def test_an_accountant_that_stops_on_its_own_answer_is_a_filter() -> None:
    """Steps chosen by what came before are within the target; the step that would exceed it is refused before."""
    accountant = dp.PrivacyAccountant(target_epsilon=2.0, delta=1e-5, relation="add_or_remove_one")

    def step(number: int) -> bool:
        try:
            accountant.step(noise_multiplier=1.1 + number % 3, sampling_probability=0.02)
        except dp.PrivacyBudgetExhausted:
            return False
        return True

    taken = next(number for number in range(10_000) if not step(number))
    assert taken > 10
    assert accountant.epsilon() <= 2.0


def test_a_loss_released_for_nothing_names_the_member(textbook: ModuleType) -> None:
    """Whoever knows the other rows subtracts them from the mean loss, and has the loss of the last person exactly."""
    part, model = rows(11, 50), zeros()
    model.weight.data.normal_(generator=torch.Generator().manual_seed(0))
    trainer = textbook.DPTrainer(noise_multiplier=1.0, delta=1e-5)
    features, labels = torched(part)
    trainer.step(float(LOSS(model(features), labels).detach()))
    rest = float(LOSS(model(features[:-1]), labels[:-1]).detach())
    found = 50 * trainer.history[0] - 49 * rest
    assert found == pytest.approx(float(LOSS(model(features[-1:]), labels[-1:]).detach()), rel=1e-3)


def test_reticent_returns_no_loss_and_noises_its_counts() -> None:
    """A step returns None; counts need a grant, and a second draw needs a second one."""
    part, model = rows(12, 40), zeros()
    dpsgd = training.DPSGD(
        population=40,
        expected_batch_size=10,
        steps=2,
        max_grad_norm=1.0,
        unit="record",
        relation="add_or_remove_one",
        noise_multiplier=1.0,
    )
    trainer: Any = dpsgd.trainer(model, LOSS, torch.optim.SGD(model.parameters(), lr=0.1))
    assert [trainer.step(batch) for batch in dpsgd.batches(part)] == [None, None]
    event = dp.Gaussian(2.0)
    grant = dp.Grant.without_ledger([event])
    training.noised_confusion(training.unit_confusion(model, part, 2), event=event, grant=grant)
    with pytest.raises(Exception, match="not paid for"):
        training.noised_confusion(training.unit_confusion(model, part, 2), event=event, grant=grant)


# --- SecureAggregation --------------------------------------------------------------------------------------


def test_masks_that_each_client_draws_alone_do_not_cancel(textbook: ModuleType) -> None:
    """The sum is off by the sum of the masks; reticent's is off by half a step of the encoding for each client."""
    vectors = {f"site-{k}": np.random.default_rng(k).uniform(-1, 1, 200) for k in range(4)}
    truth = sum(vectors.values())
    scheme = textbook.SecureAggregation(4, 200, seed=7)
    wrong = sum(scheme.mask(k, vector) for k, vector in enumerate(vectors.values()))
    assert np.abs(wrong - truth).max() > 1.0
    parameters = secagg.Parameters(clients=4, length=200, bound=1.0, precision=2**-20, dropouts=1)
    assert np.abs(secagg.sum_of(vectors, parameters).vector - truth).max() <= 4 * 2**-21


def test_masks_from_a_common_seed_hide_nothing(textbook: ModuleType) -> None:
    """Pairwise masks that cancel, but from a seed that the server knows: it takes them off one client."""
    scheme = textbook.SecureAggregation(3, 5, seed=7)
    secret = np.arange(5.0)
    sent = scheme.mask_in_pairs(1, secret)
    np.testing.assert_allclose(sent - scheme.mask_in_pairs(1, np.zeros(5)), secret)


def test_a_normal_mask_does_not_hide_a_large_value(textbook: ModuleType) -> None:
    """A mask of size 1 on a value of 50 leaves 50 give or take 1; a mask in a ring is uniform, whatever the value."""
    sent = textbook.SecureAggregation(3, 100).mask(0, np.full(100, 50.0))
    assert np.abs(sent / 50.0 - 1).max() < 0.2


def test_without_the_mask_of_an_absent_client_the_textbook_sum_is_noise(textbook: ModuleType) -> None:
    """One client vanishes after the masks were made: its halves stay in the sum. reticent's survivors remove them."""
    vectors = [np.random.default_rng(k).uniform(-1, 1, 100) for k in range(4)]
    scheme = textbook.SecureAggregation(4, 100, seed=7)
    wrong = sum(scheme.mask_in_pairs(k, vectors[k]) for k in range(3))
    truth = sum(vectors[:3])
    assert np.abs(wrong - truth).max() > 1.0
    parameters = secagg.Parameters(clients=4, length=100, bound=1.0, precision=2**-20, dropouts=1)
    named = {f"site-{k}": vector for k, vector in enumerate(vectors)}
    result = secagg.sum_of(named, parameters, drop={"masked_input": ["site-3"]})
    assert result.contributors == ("site-0", "site-1", "site-2")
    assert np.abs(result.vector - truth).max() <= 3 * 2**-21


def test_the_recorder_would_see_an_update_in_the_clear() -> None:
    """Broken copy of the traffic test: a masked round that sends the update in the clear is caught by its check."""
    update = np.array([0.25, -1.5])
    leak = encode(PlainUpdate(update))
    assert any(np.float64(value).tobytes() in leak for value in update)
