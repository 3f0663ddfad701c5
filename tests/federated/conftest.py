"""Four small sites of a separable problem, with everything a client and a server need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from reticent.data import Examples
from reticent.federated import Aggregation, Client, LocalTraining, PrivateTraining, Schedule, Server
from reticent.identity import Roster, SigningKey
from reticent.training import flatten, loss_by_name, optimizer_factory

SITES = ("east", "north", "south", "west")
ROWS = {"east": 60, "north": 120, "south": 30, "west": 10}


def examples(seed: int, rows: int, *, classes: tuple[int, ...] = (0, 1)) -> Examples:
    """Return `rows` points of two clouds, shape (rows, 5); `classes` says which clouds."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(classes, size=rows).astype(np.int64)
    features = generator.normal(size=(rows, 5)).astype(np.float32) + 1.5 * (labels[:, None] * 2 - 1)
    return Examples(features=features.astype(np.float32), labels=labels, units=np.arange(rows))


def model() -> torch.nn.Module:
    """Return a logistic regression that starts at zero."""
    made = torch.nn.Linear(5, 2)
    torch.nn.init.zeros_(made.weight)
    torch.nn.init.zeros_(made.bias)
    return made


class Federation:
    """Servers and clients on the same data, made anew for every arm of a comparison."""

    def __init__(self) -> None:
        self.data = {site: examples(index, ROWS[site]) for index, site in enumerate(SITES)}
        self.keys = {site: SigningKey.generate() for site in SITES}
        self.roster = Roster({site: key.public for site, key in self.keys.items()})
        self.weights = {site: ROWS[site] / sum(ROWS.values()) for site in SITES}

    def aggregation(self, protocol: str = "plain", *, cohort: int = 4, dropouts: int = 1) -> Aggregation:
        return Aggregation(protocol=protocol, cohort=cohort, dropouts=dropouts)  # type: ignore[arg-type]

    def private(self, site: str, **changes: Any) -> PrivateTraining:
        settings: dict[str, Any] = {
            "unit": "person",
            "relation": "add_or_remove_one",
            "population_size": ROWS[site],
            "expected_batch_size": ROWS[site] * 0.25,
            "sampling_probability": 0.25,
            "noise_multiplier": 1.0,
            "metrics_noise_multiplier": 2.0,
            "max_grad_norm": 1.0,
            "population": site,
            "dataset": "1",
        }
        return PrivateTraining(**{**settings, **changes})

    def training(self, site: str, **changes: Any) -> LocalTraining:
        settings: dict[str, Any] = {
            "weight": self.weights[site],
            "classes": 2,
            "loss": loss_by_name("cross_entropy"),
            "optimizer": optimizer_factory("sgd", learning_rate=0.1, momentum=0.0, weight_decay=0.0),
            "batch_size": 8,
            "local_steps": 3,
            "seed": 3,
        }
        return LocalTraining(**{**settings, **changes})

    def client(
        self, site: str, protocol: str = "plain", *, make: Callable[[], torch.nn.Module] = model, **changes: Any
    ) -> Client:
        cohort, dropouts = changes.pop("cohort", 4), changes.pop("dropouts", 1)
        data = changes.pop("data", self.data[site])
        return Client(
            make(),
            self.training(site, **changes),
            self.aggregation(protocol, cohort=cohort, dropouts=dropouts),
            train=data,
            test=data,
            name=site,
            key=self.keys[site],
            roster=self.roster,
        )

    def server(self, protocol: str = "plain", *, rounds: int = 2, private: bool = False, **changes: Any) -> Server:
        evaluations, chosen = changes.pop("evaluations", ()), changes.pop("clients_per_round", None)
        make = changes.pop("make", model)
        return Server(
            flatten(make()),
            weights=self.weights,
            schedule=Schedule(rounds=rounds, evaluations=evaluations, clients_per_round=chosen, seed=5),
            aggregation=self.aggregation(protocol, cohort=chosen or 4, dropouts=changes.pop("dropouts", 1)),
            classes=2,
            private=private,
            roster=self.roster,
        )


@pytest.fixture
def federation() -> Federation:
    """Four sites of very different size."""
    return Federation()
