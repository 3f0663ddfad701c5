"""Linear and logistic regression by gradient steps in float64 numpy: the oracle of the joint ones, step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reticent.errors import UsageError

__all__ = ["Batches", "check_settings", "cyclic_batches", "plain_linear_regression", "plain_logistic_regression"]

Array = NDArray[np.float64]
Batches = Sequence[NDArray[np.integer[Any]]]


def cyclic_batches(rows: int, size: int, steps: int) -> list[NDArray[np.intp]]:
    """Return `steps` batches of about `size` row numbers that visit every row once an epoch; public, the same everywhere.

    Batch k of an epoch of m holds the rows k, k + m, k + 2m, ..., so that each takes its part of every party's rows
    where rows are split. No randomness: who may not see the order could not take part anyway.

    Raises:
      UsageError: If a number is below 1 or `size` above `rows`.
    """
    if min(rows, size, steps) < 1 or size > rows:
        raise UsageError(
            "regression-batches",
            f"{steps} batches of {size} out of {rows} rows were asked for",
            hint="give a size from 1 to the number of rows, and at least one step",
        )
    number = -(-rows // size)
    return [np.arange(step % number, rows, number, dtype=np.intp) for step in range(steps)]


def check_settings(batches: Batches, rows: int, *, learning_rate: float, l2: float) -> None:
    """Refuse settings with which gradient steps make no sense.

    Raises:
      UsageError: If a batch is empty or names no row, or a number is out of range.
    """
    if not len(batches) or any(len(b) == 0 or np.min(b) < 0 or np.max(b) >= rows for b in batches):
        raise UsageError(
            "regression-batches",
            f"of {len(batches)} batches, one at least is empty or names a row beyond the {rows}",
            hint="give each step the numbers of its rows, from 0; cyclic_batches(rows, size, steps) makes them",
        )
    if not (0.0 < learning_rate < 2.0**16 and l2 >= 0.0 and learning_rate * l2 < 1.0):
        raise UsageError(
            "regression-settings",
            f"learning_rate is {learning_rate} and l2 is {l2}",
            hint="give a learning rate above 0, an l2 of 0 or more, and a product of both below 1",
        )


def plain_linear_regression(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    batches: Batches,
    learning_rate: float,
    l2: float = 0.0,
    intercept: bool = True,
) -> tuple[Array, float]:
    """Return weights `(columns,)` and intercept after gradient steps on half the mean squared error, from zeros.

    Args:
      features: `(rows, columns)`.
      labels: `(rows,)`.
      batches: Row numbers of each step.
      learning_rate: Step length.
      l2: Factor of half the squared weights in the loss; the intercept is not drawn to zero.
      intercept: Whether there is one; 0.0 is returned otherwise.
    """
    return _descend(lambda z: z, features, labels, batches, (learning_rate, l2), intercept=intercept)


def plain_logistic_regression(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    batches: Batches,
    learning_rate: float,
    l2: float = 0.0,
    intercept: bool = True,
) -> tuple[Array, float]:
    """Return weights and intercept after gradient steps on the mean cross entropy; as `plain_linear_regression`.

    Args: labels are 0 or 1.
    """
    return _descend(_sigmoid, features, labels, batches, (learning_rate, l2), intercept=intercept)


def _sigmoid(z: Array) -> Array:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * z))


def _descend(
    link: Callable[[Array], Array],
    features: ArrayLike,
    labels: ArrayLike,
    batches: Batches,
    settings: tuple[float, float],
    *,
    intercept: bool,
) -> tuple[Array, float]:
    x, y = np.asarray(features, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    learning_rate, l2 = settings
    check_settings(batches, len(x), learning_rate=learning_rate, l2=l2)
    weights, constant = np.zeros(x.shape[1]), 0.0
    for rows in batches:
        residual = link(x[rows] @ weights + constant) - y[rows]
        weights = (1.0 - learning_rate * l2) * weights - learning_rate / len(rows) * (x[rows].T @ residual)
        constant -= learning_rate * float(residual.mean()) if intercept else 0.0
    return weights, constant
