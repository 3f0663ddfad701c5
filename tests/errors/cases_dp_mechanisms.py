"""How each error code of the dp room's mechanisms is raised."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import numpy as np

from reticent import dp


def _not_laplace(_: pathlib.Path) -> object:
    event = dp.Gaussian(1.0)
    grant = dp.Grant.without_ledger([event])
    return dp.add_laplace(np.zeros(2, dtype=np.int64), event=event, sensitivity=1.0, grid=2.0**-10, grant=grant)


CASES: dict[str, Callable[[pathlib.Path], object]] = {
    "not-laplace": _not_laplace,
}
