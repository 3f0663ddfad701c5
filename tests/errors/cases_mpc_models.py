"""How each error code of compiled networks and joint regressions is raised."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from reticent import lowering, mpc
from reticent.mpc import regression
from reticent.mpc.regression_plain import cyclic_batches


def _run(program: Callable[[mpc.Session], object]) -> object:
    return mpc.run_local(program, inputs=[{"x": np.zeros((2, 3))}, {}, {}])


def _compiled(module: Any, example: Any = None, *, owner: int = 1) -> object:
    return _run(lambda session: session.compile(module, example, owner=owner))


def _fitted(**changed: Any) -> object:
    settings: dict[str, Any] = {
        "columns": "split",
        "shapes": [(2, 3), None, None],
        "labels": 0,
        "batches": [np.arange(2)],
        "learning_rate": 0.5,
    }
    inputs = [{"x": np.zeros((2, 3)), "y": np.zeros(2)}, {}, {}]
    return mpc.run_local(lambda session: regression.linear_regression(session, **settings | changed), inputs=inputs)


def _differs(_: pathlib.Path) -> object:
    def program(session: mpc.Session) -> object:
        return session.compile(nn.Linear(3, 1 + session.party), torch.zeros(1, 3), owner=1)

    return _run(program)


def _wrong_shape(_: pathlib.Path) -> object:
    def program(session: mpc.Session) -> object:
        network = session.compile(nn.Linear(4, 1), torch.zeros(1, 4), owner=1)
        return network(session.input("x", owner=0, shape=(2, 3)))

    return _run(program)


CASES: dict[str, Callable[[pathlib.Path], object]] = {
    "architecture-differs": _differs,
    "declared-range": lambda _: regression.within_range(np.zeros((2, 1)), [1.0], [1.0]),
    "layer-not-shared": lambda _: _compiled(nn.LogSoftmax(dim=1), torch.zeros(1, 3)),
    "network-example": lambda _: _compiled(nn.Linear(3, 1)),
    "network-input-shape": _wrong_shape,
    "network-owner": lambda _: _compiled(nn.Linear(3, 1), torch.zeros(1, 3), owner=3),
    "network-range": lambda _: mpc.fixed_point_bound(
        lowering.lower(nn.Linear(1, 1), torch.zeros(1, 1)), np.full((1, 1), 1e6), fraction_bits=24
    ),
    "network-without-weights": lambda _: _compiled(lowering.lower(nn.Linear(3, 1), torch.zeros(1, 3)).architecture()),
    "regression-batches": lambda _: cyclic_batches(3, 4, 1),
    "regression-layout": lambda _: _fitted(rows="split"),
    "regression-not-finite": lambda _: regression.within_range(np.array([[np.nan]]), [0.0], [1.0]),
    "regression-settings": lambda _: _fitted(learning_rate=0.0),
}
