"""How each error code of questions to the accountant is raised."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

from reticent import dp


def _unknown_method() -> None:
    method: Any = "gdp"
    dp.epsilon(dp.Gaussian(1.0), delta=1e-5, relation="add_or_remove_one", method=method)


CASES: dict[str, Callable[[pathlib.Path], object]] = {"invalid-method": lambda _: _unknown_method()}
