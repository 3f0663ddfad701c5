"""How each error code of federated learning is raised."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from reticent.data import Examples
from reticent.federated import Aggregation, Client, LocalTraining, PrivateTraining, Schedule, Server
from reticent.federated.wire import PlainUpdate, RoundOpening, UpdateRequest
from reticent.identity import Roster, SigningKey
from reticent.messages import encode
from reticent.roles import Request
from reticent.training import flatten, loss_by_name, optimizer_factory

_SITES = ("east", "north", "south")
_ROWS = Examples(
    features=np.zeros((4, 2), dtype=np.float32), labels=np.array([0, 1, 0, 1]), units=np.arange(4, dtype=np.int64)
)


def _private() -> PrivateTraining:
    return PrivateTraining(
        unit="person",
        relation="add_or_remove_one",
        population_size=4,
        expected_batch_size=1.0,
        sampling_probability=0.25,
        noise_multiplier=1.0,
        metrics_noise_multiplier=None,
        max_grad_norm=1.0,
        population="east",
        dataset="1",
    )


def _client(protocol: str = "plain", private: PrivateTraining | None = None, *, known: bool = True) -> Client:
    keys = {site: SigningKey.generate() for site in _SITES}
    training = LocalTraining(
        weight=1 / 3,
        classes=2,
        loss=loss_by_name("cross_entropy"),
        optimizer=optimizer_factory("sgd", learning_rate=0.1),
        local_steps=1,
        private=private,
    )
    aggregation = Aggregation(protocol=protocol, cohort=3)  # type: ignore[arg-type]
    roster = Roster({site: key.public for site, key in keys.items()})
    model = torch.nn.Linear(2, 2)
    return Client(
        model,
        training,
        aggregation,
        train=_ROWS,
        test=_ROWS,
        name="east",
        key=keys["east"] if known else None,
        roster=roster,
    )


def _server() -> Server:
    return Server(
        flatten(torch.nn.Linear(2, 2)),
        weights=dict.fromkeys(_SITES, 1 / 3),
        schedule=Schedule(rounds=1),
        aggregation=Aggregation(protocol="plain", cohort=3),
        classes=2,
        private=False,
    )


def _ask(client: Client, phase: str, message: Any = None) -> object:
    body = b"" if message is None else encode(message)
    return client.handle(Request("run", 1, 1, phase, body), None)


def _model_differs(_: pathlib.Path) -> object:
    client = _client("secagg")
    _ask(client, "train/keys", RoundOpening(_SITES, b"the hash of another model"))
    return _ask(client, "train/update", UpdateRequest(np.zeros(6, dtype=np.float32), b""))


def _metrics_not_released(_: pathlib.Path) -> object:
    return _client(private=_private()).cost(Request("run", 1, 1, "evaluate/update", b""))


def _noise_not_granted(_: pathlib.Path) -> object:
    request = UpdateRequest(np.zeros(6, dtype=np.float32), b"")
    return _ask(_client(private=_private()), "train/update", request)


def _too_few_sites(_: pathlib.Path) -> object:
    server = _server()
    server.step()
    return server.feed({"east": encode(PlainUpdate(np.zeros(6)))}, frozenset({"north", "south"}))


def _wrong_update_shape(_: pathlib.Path) -> object:
    server = _server()
    server.step()
    return server.feed(dict.fromkeys(_SITES, encode(PlainUpdate(np.zeros(5)))), frozenset())


CASES: dict[str, Callable[[pathlib.Path], object]] = {
    "attempt-lost": lambda folder: _ask(_client("secagg"), "train/shares"),
    "metrics-not-released": _metrics_not_released,
    "model-differs": _model_differs,
    "no-identity": lambda folder: _ask(_client("secagg", known=False), "train/keys", RoundOpening(_SITES, b"hash")),
    "protocol-order": lambda folder: _server().feed({}, frozenset()),
    "statistics-not-released": lambda folder: _client().cost(Request("run", 0, 1, "statistics/update", b"")),
    "too-few-sites": _too_few_sites,
    "unknown-phase": lambda folder: _ask(_client(), "lunch/update"),
    "wrong-cohort": lambda folder: _ask(_client("secagg"), "train/keys", RoundOpening(("east", "north"), b"hash")),
    "wrong-update-shape": _wrong_update_shape,
}
