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


def _without_relation(_: pathlib.Path) -> object:
    event = dp.laplace_event(sensitivity=1.0, epsilon=1.0, grid=0.5, coordinates=1, relation="replace_one")
    return dp.laplace(3.5, sensitivity=1.0, epsilon=1.0, grid=0.5, grant=dp.Grant.without_ledger([event]))


def _exhausted(_: pathlib.Path) -> object:
    vector = dp.SparseVector(threshold=0.0, sensitivity=1.0, epsilon=1.0, positives=1, grid=1.0)
    return [vector.above(1e6) for _ in range(2)]


CASES: dict[str, Callable[[pathlib.Path], object]] = {
    "invalid-bounds": lambda _: dp.encoded_sum([1.0], lower=2.0, upper=1.0, grid=0.5),
    "invalid-categories": lambda _: dp.randomized_response(0, categories=1, epsilon=1.0),
    "not-laplace": _not_laplace,
    "relation-not-declared": _without_relation,
    "sparse-vector-exhausted": _exhausted,
    "sum-too-long": lambda _: dp.encoded_sum([1.0], lower=0.0, upper=1.0, grid=2.0**-100),
    "unknown-answer": lambda _: dp.randomized_response(2, categories=2, epsilon=1.0),
    "utilities-differ": lambda _: dp.exponential(["a"], [1, 2], sensitivity=1, epsilon=1.0),
}
