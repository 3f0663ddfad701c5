"""One way to raise each error code of `reticent.training`."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from reticent import dp, training
from reticent.data import Examples

_LOSS = training.loss_by_name("cross_entropy")
_TARGET = dp.Target(epsilon=1.0, delta=1e-5)


def _rows() -> Examples:
    return Examples.of(np.ones((10, 4)), np.arange(10) % 2)


def _dpsgd(**changes: Any) -> training.DPSGD:
    given: dict[str, Any] = {
        "population": 100,
        "expected_batch_size": 10,
        "steps": 2,
        "max_grad_norm": 1.0,
        "unit": "record",
        "relation": "add_or_remove_one",
        "noise_multiplier": 1.0,
    }
    return training.DPSGD(**(given | changes))


def _trainer(model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> training.Trainer:
    return _dpsgd().trainer(model, _LOSS, optimizer or torch.optim.SGD([*model.parameters()], lr=0.1))


def _probe(model: Any, loss: Any = _LOSS, classes: int = 2) -> object:
    return training.probe_model(lambda: model, (4,), classes, loss)


def _spoilt() -> nn.Module:
    model = training.logistic(4, 2)
    for value in model.parameters():
        value.data.fill_(math.nan)
    return model


class _Detached(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.GRU(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.cells(x.unsqueeze(0))[0][0]
        return made.detach()


def _frozen(_: pathlib.Path) -> object:
    model = training.logistic(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return _trainer(model.requires_grad_(False), optimizer)


def _other_model(_: pathlib.Path) -> object:
    return _trainer(training.logistic(4, 2), torch.optim.SGD(training.logistic(4, 2).parameters(), lr=0.1))


def _second_order(_: pathlib.Path) -> object:
    model = training.logistic(4, 2)
    return _trainer(model, torch.optim.LBFGS(model.parameters()))


def _unbounded_share(_: pathlib.Path) -> object:
    event = dp.Gaussian(1.0)
    return training.noised_confusion(np.full((1, 4), 2.0), event=event, grant=dp.Grant.without_ledger([event]))


def _schedule(_: pathlib.Path) -> None:
    model = training.logistic(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    training.fit_plain(model, _LOSS, optimizer, _rows(), batch_size=5, seed=1)


CASES: dict[str, Callable[[pathlib.Path], object]] = {
    "invalid-dpsgd": lambda _: _dpsgd(expected_batch_size=101),
    "invalid-optimizer": lambda _: training.optimizer_factory("sgd", -0.1),
    "invalid-schedule": _schedule,
    "loss-shape": lambda _: _probe(training.logistic(4, 2), nn.CrossEntropyLoss(reduction="none")),
    "mixes-examples": lambda _: _trainer(nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 2))).fit(_rows()),
    "model-output-shape": lambda _: _probe(training.logistic(4, 2), classes=3),
    "model-rejects-input": lambda _: _probe(training.logistic(5, 2)),
    "model-returns-nan": lambda _: _probe(_spoilt()),
    "no-gradient": lambda _: _trainer(_Detached()).fit(_rows()),
    "not-a-model": lambda _: _probe("logistic"),
    "not-the-next-sample": lambda _: _trainer(training.logistic(4, 2)).step(next(_dpsgd().batches(_rows()))),
    "nothing-to-train": _frozen,
    "optimizer-needs-closure": _second_order,
    "optimizer-of-other-model": _other_model,
    "share-not-bounded": _unbounded_share,
    "target-or-noise": lambda _: _dpsgd(target=_TARGET),
    "unit-site-unsupported": lambda _: _dpsgd(unit="site"),
    "unknown-loss": lambda _: training.loss_by_name("crossentropy"),
    "unknown-optimizer": lambda _: training.optimizer_factory("lbfgs", 0.1),
    "vector-length": lambda _: training.load_flat(training.logistic(4, 2), np.zeros(3)),
}
