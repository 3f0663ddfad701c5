"""How each error code of accounting, calibration and budgets in memory is raised."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import numpy as np

from reticent import dp

CASES: dict[str, Callable[[pathlib.Path], object]] = {
    "invalid-renyi-curve": lambda _: dp.renyi_epsilon(-np.ones(len(dp.RENYI_ORDERS)), delta=1e-5),
    "unsupported-event": lambda _: dp.renyi_curve(dp.RandomizedResponse(0.5), relation="add_or_remove_one"),
}
