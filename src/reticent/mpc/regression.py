"""Joint linear and logistic regression by gradient steps on shared data: what several organisations could not fit alone.

`rows="split"`: each party holds rows of the same columns and their labels. `columns="split"`: each party holds columns of
the same rows, in one declared order, and one party holds the labels. The number of rows and columns of every party, the
batches, the learning rate and the number of steps are public; data, every intermediate value and the coefficients are
not.

**Preparing the data.** Where columns are split, each party standardises its own columns before they enter, by itself.
Where rows are split nobody knows a column's mean, so ranges are declared and all parties scale by them (`within_range`).

**What is promised.** The coefficients stay secret until `reveal`. An opened model is a release: it is a function of all
records, and no epsilon is claimed for it here. With two parties, each can subtract what it knows of its own records.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reticent.errors import DataError, UsageError
from reticent.mpc.arithmetic import concat
from reticent.mpc.regression_plain import Batches, check_settings
from reticent.mpc.session import Session
from reticent.mpc.tensor import Tensor

__all__ = ["Coefficients", "linear_regression", "logistic_regression", "within_range"]

Array = NDArray[np.float64]
Split = Literal["split"]
Shapes = Sequence[tuple[int, int] | None]


@dataclass(frozen=True, eq=False)
class Coefficients:
    """A fitted model, still shared.

    Attributes:
      weights: `(columns,)`, in the order of the parties where columns are split.
      intercept: `(1,)`; None if there is none.
    """

    weights: Tensor
    intercept: Tensor | None

    def scores(self, x: Tensor) -> Tensor:
        """Return `x @ weights + intercept`, shared: `(rows,)` from `(rows, columns)`."""
        scores = (x @ self.weights.reshape(-1, 1)).reshape(x.shape[0])
        return scores if self.intercept is None else scores + self.intercept

    def reveal(self, to: str | int = "all") -> tuple[Array, float] | None:
        """Open weights and intercept.

        Reveals: the model, to the receivers. That is a release: a function of every record, and no epsilon is claimed.

        Returns:
          Weights and intercept (0.0 if there is none) at who receives them, None at the others.
        """
        parts = [self.weights] if self.intercept is None else [self.weights, self.intercept]
        opened = concat(parts, axis=0).reveal(to=to)
        if opened is None:
            return None
        size = self.weights.shape[0]
        return np.asarray(opened[:size]), float(opened[size]) if self.intercept is not None else 0.0


def linear_regression(
    session: Session,
    *,
    rows: Split | None = None,
    columns: Split | None = None,
    shapes: Shapes,
    labels: int | None = None,
    batches: Batches,
    learning_rate: float,
    l2: float = 0.0,
    intercept: bool = True,
    names: tuple[str, str] = ("x", "y"),
) -> Coefficients:
    """Return shared coefficients after gradient steps on half the mean squared error, from zeros.

    Run by: every party, with the same arguments. Arguments as `logistic_regression`; labels are numbers of moderate size.
    """
    x, y = _Split(rows, columns, shapes, labels, names).joined(session)
    check_settings(batches, y.shape[0], learning_rate=learning_rate, l2=l2)
    return _descend(lambda z: z, x, y, batches, (learning_rate, l2), intercept=intercept)


def logistic_regression(
    session: Session,
    *,
    rows: Split | None = None,
    columns: Split | None = None,
    shapes: Shapes,
    labels: int | None = None,
    batches: Batches,
    learning_rate: float,
    l2: float = 0.0,
    intercept: bool = True,
    names: tuple[str, str] = ("x", "y"),
) -> Coefficients:
    """Return shared coefficients after gradient steps on the mean cross entropy, from zeros.

    Run by: every party, with the same arguments.
    Reveals: nothing. What `Coefficients.reveal` opens is a release, and no epsilon is claimed for it.

    Args:
      session: The party's session.
      rows: "split" if each party holds rows; each inputs `x`, `(rows, columns)`, and `y`, `(rows,)`. Rows are numbered in
        the order of the parties.
      columns: "split" if each party holds columns of the same rows, which the parties declare to be in the same order;
        each inputs `x`, and the party `labels` inputs `y`.
      shapes: `(rows, columns)` of each party's `x`, public; None for a party that only computes.
      labels: Which party holds the labels, where columns are split.
      batches: Row numbers of each step, public.
      learning_rate: Step length.
      l2: Factor of half the squared weights in the loss, without the intercept.
      intercept: Whether there is one.
      names: What features and labels are called among the inputs.

    Raises:
      UsageError: If the split or a setting does not fit.
    """
    x, y = _Split(rows, columns, shapes, labels, names).joined(session)
    check_settings(batches, y.shape[0], learning_rate=learning_rate, l2=l2)
    return _descend(lambda z: z.sigmoid(), x, y, batches, (learning_rate, l2), intercept=intercept)


@dataclass(frozen=True)
class _Split:
    """Who holds what."""

    rows: Split | None
    columns: Split | None
    shapes: Shapes
    labels: int | None
    names: tuple[str, str]

    def joined(self, session: Session) -> tuple[Tensor, Tensor]:
        """Return all features `(rows, columns)` and all labels `(rows,)`, shared."""
        held = {party: shape for party, shape in enumerate(self.shapes) if shape is not None and 0 not in shape}
        same = {shape[1 if self.rows else 0] for shape in held.values()}
        if (self.rows is None) == (self.columns is None) or len(self.shapes) != session.parties or len(same) != 1:
            raise _layout(f"{self.rows=}, {self.columns=} and {self.shapes=} for {session.parties} parties")
        # Before any input: a party whose arrays do not fit the declaration would name its arrays, and not the cause.
        if self.rows is not None and self.labels is not None:
            raise _layout(f"rows are split, so each party holds its labels, and {self.labels=}")
        if self.columns is not None and (self.labels is None or not 0 <= self.labels < session.parties):
            raise _layout(f"columns are split and {self.labels=}")
        blocks = [session.input(self.names[0], owner=party, shape=shape) for party, shape in held.items()]
        if self.rows is not None:
            parts = [session.input(self.names[1], owner=party, shape=(shape[0],)) for party, shape in held.items()]
            return concat(blocks, axis=0), concat(parts, axis=0)
        assert self.labels is not None  # noqa: S101 - checked above
        return concat(blocks, axis=1), session.input(self.names[1], owner=self.labels, shape=(same.pop(),))


def _layout(found: str) -> UsageError:
    return UsageError(
        "regression-layout",
        f"the parties' parts do not fit together: {found.replace('self.', '')}",
        hint='give rows="split" with equal numbers of columns, or columns="split" with equal numbers of rows and '
        "labels=PARTY; shapes has one (rows, columns) or None for each party",
    )


def _descend(
    link: Callable[[Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    batches: Batches,
    settings: tuple[float, float],
    *,
    intercept: bool,
) -> Coefficients:
    learning_rate, l2 = settings
    session, size = x.session, x.shape[1]
    if intercept:
        x = concat([x, session.public(np.ones((x.shape[0], 1)))], axis=1)
    weights = session.public(np.zeros((x.shape[1], 1)))
    decay = np.full((x.shape[1], 1), learning_rate * l2)
    decay[size:] = 0.0
    for step, rows in enumerate(batches):
        batch, wanted = x[rows], y[rows].reshape(-1, 1)
        scores = batch @ weights if step else session.public(np.zeros((len(rows), 1)))
        gradient = batch.T @ (link(scores) - wanted)
        weights = weights - gradient * (learning_rate / len(rows)) - (weights * decay if l2 and step else 0.0)
    return Coefficients(weights[:size].reshape(size), weights[size:].reshape(1) if intercept else None)


def within_range(x: ArrayLike, low: ArrayLike, high: ArrayLike) -> Array:
    """Return `x` moved from the declared range of each column to [-1, 1], values beyond it cut off.

    Run by: each party on its own rows, with the same declared (public) bounds, where rows are split: nobody may look at
    the mean of a column that nobody has.

    Args:
      x: `(rows, columns)`, finite.
      low: `(columns,)`: the smallest plausible values.
      high: `(columns,)`: the largest, each above `low`.

    Raises:
      UsageError: If a bound is not finite or `low` is not below `high`.
      DataError: If a value is not finite.
    """
    values, lower, upper = (np.asarray(part, dtype=np.float64) for part in (x, low, high))
    if not (np.isfinite(lower).all() and np.isfinite(upper).all() and (lower < upper).all()):
        raise UsageError(
            "declared-range",
            "a declared range is empty or not finite",
            hint="give each column a finite low below its high, from knowledge of the quantity, not of the records",
        )
    if not np.isfinite(values).all():
        raise DataError(
            "regression-not-finite",
            f"{int(np.count_nonzero(~np.isfinite(values)))} of {values.size} values are missing or infinite",
            hint="fill or drop them at the party that holds them, by a rule that does not depend on the records",
        )
    return np.asarray(2.0 * (np.clip(values, lower, upper) - lower) / (upper - lower) - 1.0)
