"""During a run, whether a site answers must not depend on its rows: no data and no model may make it stop."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from reticent.data import Examples
from reticent.dp import Grant
from reticent.federated import Aggregation, Client, LocalTraining, PrivateTraining
from reticent.federated.learner import _bounded
from reticent.federated.wire import UpdateRequest
from reticent.messages import encode
from reticent.roles import Request
from reticent.training import loss_by_name, optimizer_factory

CLASSES = 2


def _client(train: Examples, *, unit: str, loss: str, outputs: int, rows: int = 30, probability: float = 0.5) -> Client:
    private = PrivateTraining(
        unit=unit,  # type: ignore[arg-type]
        relation="add_or_remove_one",
        population_size=rows,
        expected_batch_size=rows * probability,
        sampling_probability=probability,
        noise_multiplier=1.0,
        metrics_noise_multiplier=2.0,
        max_grad_norm=1.0,
        population="p",
        dataset="1",
    )
    training = LocalTraining(
        weight=0.5,
        classes=CLASSES,
        loss=loss_by_name(loss),
        optimizer=optimizer_factory("sgd", learning_rate=0.1, momentum=0.0, weight_decay=0.0),
        local_steps=2,
        private=private,
    )
    return Client(
        torch.nn.Linear(3, outputs), training, Aggregation(protocol="plain", cohort=1), train=train, test=train
    )


def _answer(client: Client, phase: str, model: np.ndarray[Any, Any]) -> Any:
    request = Request("run", 1, 1, phase, encode(UpdateRequest(model=model, shares=b"")))
    cost = client.cost(request)
    assert cost is not None
    return client.handle(request, Grant.without_ledger(cost.events))


def _rows(kind: str) -> Examples:
    generator = np.random.default_rng(1)
    features = generator.normal(size=(20, 3)).astype(np.float32)
    labels = generator.integers(0, CLASSES, size=20)
    units = np.arange(20) // 2
    match kind:
        case "nan":
            features[::3] = np.nan
        case "infinite":
            features[:, 1] = np.inf
        case "huge":
            features[::2] = 3e38
            features[1::4] = -3e38
        case "one class":
            labels[:] = 1
        case "one row":
            return Examples(features[:1], labels[:1], np.zeros(1, dtype=np.int64))
        case "empty":
            return Examples(features[:0], labels[:0], units[:0])
    return Examples(features, labels, units)


KINDS = ("ordinary", "nan", "infinite", "huge", "one class", "one row", "empty")


@pytest.mark.parametrize(("loss", "outputs"), [("cross_entropy", 2), ("binary_cross_entropy_with_logits", 1)])
@pytest.mark.parametrize("unit", ["record", "person"])
def test_whether_a_private_site_answers_depends_on_the_model_alone(unit: str, loss: str, outputs: int) -> None:
    """A coordinator may send any model; what follows must be the same for all rows, down to the length of the reply."""
    length = 4 * outputs
    models = [np.full(length, value, dtype=np.float32) for value in (0.0, 3e38, np.inf, np.nan)]
    models.append(np.resize(np.array([3e38, -3e38], dtype=np.float32), length))
    outcomes = {
        tuple(_outcome(_client(_rows(kind), unit=unit, loss=loss, outputs=outputs), model) for model in models)
        for kind in KINDS
    }
    assert len(outcomes) == 1, outcomes


def _outcome(client: Client, model: np.ndarray[Any, Any]) -> tuple[Any, ...]:
    found: list[Any] = []
    for phase in ("train/update", "evaluate/update"):
        try:
            reply = _answer(client, phase, model)
            json.dumps(json.loads(reply.state or b"{}"), allow_nan=False)  # what the host writes down at the site
            found.append(len(reply.message))
        except Exception as error:
            found.append((type(error).__name__, str(error)))
    return tuple(found)


@pytest.mark.parametrize(
    ("rows", "probability"),
    [(3, 0.1), (12, 0.1), (6, 0.7), (12, 0.05), (37, 0.1), (37, 0.3), (37, 1 / 3), (24, 0.1), (48, 0.05), (97, 1.0)],
)
def test_what_is_drawn_is_what_was_charged_for_every_size(rows: int, probability: float) -> None:
    """A probability times a size, divided by the size, is often another float: the draw was then refused."""
    client = _client(
        _rows("ordinary"), unit="person", loss="cross_entropy", outputs=2, rows=rows, probability=probability
    )
    request = Request("run", 1, 1, "train/update", encode(UpdateRequest(model=np.zeros(8, np.float32), shares=b"")))
    cost = client.cost(request)
    assert cost is not None
    grant = Grant.without_ledger(cost.events)
    client.handle(request, grant)
    assert not grant.remaining(), "what was paid for is what was drawn, to the last event"


def test_an_update_scaled_to_the_bound_never_exceeds_it() -> None:
    """The encoding refuses what exceeds the bound by one unit in the last place."""
    generator = np.random.default_rng(0)
    for bound, largest in zip(generator.uniform(1, 2000, 5000), generator.uniform(1, 1e6, 5000), strict=True):
        scaled, _ = _bounded(np.array([bound * largest, -bound * largest]), bound)
        assert np.abs(scaled).max() <= bound
