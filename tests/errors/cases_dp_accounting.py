"""How each error code of accounting, calibration and budgets in memory is raised."""

from __future__ import annotations

import copy
import pathlib
from collections.abc import Callable

import numpy as np

from reticent import dp


def _exhausted() -> None:
    dp.PrivacyBudget(initial_epsilon=1.0, initial_delta=0.0).consume(epsilon=1.5)


CASES: dict[str, Callable[[pathlib.Path], object]] = {
    "budget-copied": lambda _: copy.copy(dp.PrivacyBudget(initial_epsilon=1.0, initial_delta=0.0)),
    "privacy-budget-exhausted": lambda _: _exhausted(),
    "invalid-range": lambda _: dp.calibrate(
        dp.Laplace, epsilon=1.0, delta=1e-6, relation="replace_one", least=2.0, most=1.0
    ),
    "invalid-renyi-curve": lambda _: dp.renyi_epsilon(-np.ones(len(dp.RENYI_ORDERS)), delta=1e-5),
    "invalid-saved-budget": lambda _: dp.PrivacyBudget.from_json("{}"),
    "unsupported-event": lambda _: dp.renyi_curve(dp.RandomizedResponse(0.5), relation="add_or_remove_one"),
}
