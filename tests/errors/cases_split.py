"""How each error code of split is raised."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import numpy as np
import torch

from reticent.dp import Grant
from reticent.split.boundary_accounting import BoundaryNoise, BoundaryPrivacy
from reticent.split.defence import GaussianBoundary
from reticent.split.leakage import distance_correlation


def _privacy(**changed: object) -> BoundaryPrivacy:
    values = {
        "kind": "activations",
        "passes": 1,
        "noise": BoundaryNoise(vectors=1.0),
        "max_norm": 1.0,
        "unit": "record",
        "relation": "replace_one",
        "population": "ward-7",
        "dataset": "1",
    }
    return BoundaryPrivacy(**{**values, **changed})


def _crossing(**changed: object):
    boundary = GaussianBoundary(_privacy(**changed), units=np.arange(3))
    return boundary.open(Grant.without_ledger(boundary.cost().events))


def _update(optimizer=None, **changed: object) -> None:
    bottom = torch.nn.Linear(2, 1)
    optimizer = optimizer or torch.optim.SGD(bottom.parameters(), lr=0.1)
    _crossing(**changed).update(bottom, torch.ones(1, 2), torch.ones(1, 1), optimizer, rows=np.array([0]))


_LEARNS = {"noise": BoundaryNoise(vectors=1.0, updates=1.0), "max_update_norm": 1.0}
_OTHER = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
_TWICE = np.array([1, 1])

CASES: dict[str, Callable[[pathlib.Path], object]] = {
    "boundary-frozen": lambda folder: _update(),
    "boundary-membership-public": lambda folder: _privacy(relation="add_or_remove_one"),
    "boundary-optimizer": lambda folder: _update(_OTHER, **_LEARNS),
    "boundary-row-twice": lambda folder: _crossing().release(torch.ones(2, 2), rows=_TWICE, units=_TWICE),
    "boundary-rows": lambda folder: _crossing().release(torch.ones(1, 2), rows=_TWICE, units=_TWICE),
    "boundary-rows-per-unit": lambda folder: GaussianBoundary(_privacy(unit="person"), units=np.zeros(2, np.int64)),
    "boundary-unit": lambda folder: _privacy(unit="site"),
    "invalid-boundary": lambda folder: _privacy(passes=0),
    "leakage-rows": lambda folder: distance_correlation(np.ones((3, 1)), np.ones((3, 1))),
}
