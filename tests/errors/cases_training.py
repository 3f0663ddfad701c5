"""One way to raise each error code of `reticent.training`."""

from __future__ import annotations

import contextlib
import math
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from reticent import dp, training
from reticent.data import Examples
from reticent.errors import PolicyRefused

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


def _one_optimizer_for_all(_: pathlib.Path) -> object:
    model = training.logistic(4, 2)
    shared = torch.optim.Adam(model.parameters())
    dpfedavg = training.DPFedAvg(
        population=100,
        expected_batch_size=10,
        steps=1,
        clipping_norm=1.0,
        unit="person",
        relation="add_or_remove_one",
        noise_multiplier=1.0,
    )
    local = training.LocalSteps(optimizer=lambda _: shared, epochs=1)
    return dpfedavg.trainer(model, _LOSS, local).fit(_rows())


def _unbounded_share(_: pathlib.Path) -> object:
    event = dp.Gaussian(1.0)
    return training.noised_confusion(np.full((1, 4), 2.0), event=event, grant=dp.Grant.without_ledger([event]))


def _schedule(_: pathlib.Path) -> None:
    model = training.logistic(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    training.fit_plain(model, _LOSS, optimizer, _rows(), batch_size=5, seed=1)


def _unfrozen(_: pathlib.Path) -> object:
    model = training.two_layer(4, 2)
    model[1].requires_grad_(False)
    worker = _trainer(model)
    model[1].requires_grad_(True)
    return worker.fit(_rows())


def _interrupted(_: pathlib.Path) -> object:
    dpsgd, model = _dpsgd(), training.logistic(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    worker = dpsgd.trainer(model, _LOSS, optimizer, grant=dp.Grant.without_ledger([]))
    batches = dpsgd.batches(_rows())
    with contextlib.suppress(PolicyRefused):  # not paid for
        worker.step(next(batches))
    return worker.step(next(batches))


def _steps_after_state(_: pathlib.Path) -> object:
    worker = _trainer(training.logistic(4, 2))
    worker.state(ahead=1)
    return worker.fit(_rows())


class _Odd(torch.optim.SGD):
    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"odd": object()}


def _odd_state(_: pathlib.Path) -> object:
    model = training.logistic(4, 2)
    return _trainer(model, _Odd(model.parameters(), lr=0.1)).state()


def _other_state(_: pathlib.Path) -> object:
    state = _trainer(training.logistic(4, 2)).state()
    model = training.logistic(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return _dpsgd(steps=3).trainer(model, _LOSS, optimizer, state=state)


def _plateau(_: pathlib.Path) -> object:
    model = training.logistic(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler: Any = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    return _dpsgd().trainer(model, _LOSS, optimizer, scheduler=scheduler)


def _lazy(_: pathlib.Path) -> object:
    model = nn.LazyLinear(2)
    return _trainer(model)


CASES: dict[str, Callable[[pathlib.Path], object]] = {
    "changed-between-steps": _unfrozen,
    "invalid-adaptive-clip": lambda _: training.AdaptiveClip(initial=1.0, count_noise=0.0),
    "invalid-dpsgd": lambda _: _dpsgd(expected_batch_size=101),
    "invalid-optimizer": lambda _: training.optimizer_factory("sgd", -0.1),
    "invalid-schedule": _schedule,
    "invalid-segments": lambda _: training.Segments((0, 1.0)),
    "loss-shape": lambda _: _probe(training.logistic(4, 2), nn.CrossEntropyLoss(reduction="none")),
    "mechanism-is-fixed": lambda _: setattr(_dpsgd(), "steps", 3),
    "mixes-examples": lambda _: _trainer(nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 2))).fit(_rows()),
    "model-output-shape": lambda _: _probe(training.logistic(4, 2), classes=3),
    "model-rejects-input": lambda _: _probe(training.logistic(5, 2)),
    "model-returns-nan": lambda _: _probe(_spoilt()),
    "no-gradient": lambda _: _trainer(_Detached()).fit(_rows()),
    "not-a-model": lambda _: _probe("logistic"),
    "not-examples": lambda _: next(_dpsgd().batches(torch.utils.data.DataLoader([]))),
    "not-the-next-sample": lambda _: _trainer(training.logistic(4, 2)).step(next(_dpsgd().batches(_rows()))),
    "nothing-to-train": _frozen,
    "optimizer-needs-closure": _second_order,
    "optimizer-not-fresh": _one_optimizer_for_all,
    "optimizer-of-other-model": _other_model,
    "scheduler-needs-metric": _plateau,
    "share-not-bounded": _unbounded_share,
    "state-not-portable": _odd_state,
    "state-of-other-training": _other_state,
    "state-outdated": _steps_after_state,
    "step-interrupted": _interrupted,
    "target-or-noise": lambda _: _dpsgd(target=_TARGET),
    "uninitialized-model": _lazy,
    "unit-site-unsupported": lambda _: next(_dpsgd(unit="site").batches(_rows())),
    "unknown-loss": lambda _: training.loss_by_name("crossentropy"),
    "unknown-optimizer": lambda _: training.optimizer_factory("lbfgs", 0.1),
    "vector-length": lambda _: training.load_flat(training.logistic(4, 2), np.zeros(3)),
}
