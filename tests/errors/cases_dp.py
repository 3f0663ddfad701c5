"""How each error code of the dp room is raised."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from reticent import dp
from reticent.dp import noise
from reticent.randomness import Keystream

_RELATION: dp.Relation = "add_or_remove_one"
_TOTAL = np.zeros(2, dtype=np.int64)


_EVENT = dp.Gaussian(1.0)


def _add(
    total: Any = _TOTAL,
    *,
    sensitivity: float = 1.0,
    grid: float = 2.0**-10,
    paid: bool = True,
    event: Any = _EVENT,
) -> object:
    grant = dp.Grant.without_ledger([event] if paid else [])
    return dp.add_gaussian(total, event=event, sensitivity=sensitivity, grid=grid, grant=grant)


def _release(unit: str, relation: str) -> object:
    return dp.Release(
        events=(), unit=cast("Any", unit), relation=cast("Any", relation), population="ward-7", dataset="2026-10"
    )


def _unreachable(_: pathlib.Path) -> object:
    return dp.noise_multiplier(
        epsilon=1.0,
        delta=1e-5,
        sampling_probability=0.01,
        steps=10,
        relation=_RELATION,
        also=[dp.Gaussian(1.0)],
    )


CASES: dict[str, Callable[[pathlib.Path], object]] = {
    "delta-too-large": lambda _: dp.check_delta(1e-3, 1000),
    "invalid-count": lambda _: dp.Repeated(dp.Gaussian(1.0), -1),
    "invalid-delta": lambda _: dp.epsilon(dp.Gaussian(1.0), delta=math.nan, relation=_RELATION),
    "invalid-dimension": lambda _: dp.grid_for(1.0, 0),
    "invalid-epsilon": lambda _: dp.Target(epsilon=0.0, delta=1e-5),
    "invalid-event": lambda _: dp.events.RandomizedResponse(1.5),
    "invalid-grid": lambda _: _add(grid=0.1),
    "invalid-max-grad-norm": lambda _: dp.grid_for(math.inf, 10),
    "invalid-noise-multiplier": lambda _: dp.Gaussian(math.inf),
    "invalid-noise-scale": lambda _: noise.rounded_gaussian(0.0, 1, Keystream.fresh()),
    "invalid-population-size": lambda _: dp.check_delta(1e-3, 0),
    "invalid-relation": lambda _: _release("person", "swap"),
    "invalid-sampling-probability": lambda _: dp.PoissonSampled(0.0, dp.Gaussian(1.0)),
    "invalid-sensitivity": lambda _: _add(sensitivity=0.0),
    "invalid-total": lambda _: _add(np.zeros(2)),
    "invalid-unit": lambda _: _release("household", _RELATION),
    "noise-not-granted": lambda _: _add(paid=False),
    "not-gaussian": lambda _: _add(event=dp.PoissonSampled(0.5, dp.events.Laplace(1.0))),
    "target-unreachable": _unreachable,
    "unknown-event": lambda _: dp.events.from_json('{"kind":"magic"}'),
}
