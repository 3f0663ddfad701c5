"""Noise for a number or an array, to a stated epsilon: Laplace, geometric, Gaussian and discrete Gaussian.

Each function rounds its value to a declared grid *before* the noise, widens the sensitivity by what rounding adds, and
draws integer noise, so that the sets of possible outputs of two neighbours are the same. `sensitivity` is the largest
distance between the values of neighbouring data sets, under the relation of the claim.

Without a `grant` nothing remembers the release (`Grant.without_ledger`). With one, it must have paid for the event that
is drawn: the function of the same name and `_event` tells it beforehand. Events count in norms of one unit's
contribution, of which neighbours under `replace_one` are two apart; hence they ask for the relation.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reticent.dp.calibration import gaussian_sigma
from reticent.dp.encoding import steps_apart, to_integers, to_steps
from reticent.dp.events import DiscreteLaplace, Gaussian, PureDP
from reticent.dp.mechanisms import add_gaussian, add_integer_noise
from reticent.dp.precision import is_grid, scale_for
from reticent.dp.release import Grant, Relation, require_declared
from reticent.dp.target import require_epsilon, require_relation
from reticent.errors import UsageError

__all__ = ["gaussian", "gaussian_event", "geometric", "geometric_event", "laplace", "laplace_event"]


def laplace(
    value: ArrayLike,
    *,
    sensitivity: float,
    epsilon: float,
    grid: float,
    grant: Grant | None = None,
    relation: Relation | None = None,
) -> NDArray[np.float64]:
    """Return `value` with discrete Laplace noise on the grid: (epsilon, 0)-private (Dwork et al., TCC 2006).

    Args:
      value: Number or array of d numbers, finite. It is rounded to the grid before the noise.
      sensitivity: Largest L1 distance between the values of neighbouring data sets.
      epsilon: Above 0. The scale of the noise is the sensitivity, widened by d grid steps or d + 1, over epsilon.
      grid: Power of two, small against sensitivity / d.
      grant: Paid for `laplace_event(...)`; None releases without a ledger.
      relation: Of the release that was paid for; needed with a grant only.

    Returns:
      float64 of the shape of `value`, multiples of the grid.

    Raises:
      UsageError: If an argument is out of range; the text never says the value.
      PolicyRefused: If the event was not paid for.

    >>> released = laplace([17.25, 3.0], sensitivity=1.0, epsilon=0.5, grid=2**-10)
    >>> released.shape, bool((released * 2**10 % 1 == 0).all())
    ((2,), True)
    """
    steps = to_steps(value, grid)
    arguments = {"sensitivity": sensitivity, "epsilon": epsilon, "grid": grid, "coordinates": max(steps.size, 1)}
    event = laplace_event(**arguments, relation=require_declared(grant, relation))  # type: ignore[arg-type]
    return add_integer_noise(steps, noise=event, event=event, grant=_grant(grant, event)) * np.float64(grid)


def laplace_event(
    *, sensitivity: float, epsilon: float, grid: float, coordinates: int, relation: Relation
) -> DiscreteLaplace:
    """Return what `laplace` draws for a value of so many `coordinates`, and is charged as.

    Raises:
      UsageError: If an argument is out of range.

    >>> laplace_event(sensitivity=1.0, epsilon=0.5, grid=0.25, coordinates=1, relation="add_or_remove_one")
    DiscreteLaplace(scale=12.0, sensitivity=6)
    """
    _require(sensitivity, epsilon, relation)
    _require_grid(grid)
    steps = steps_apart(sensitivity, grid, coordinates)
    steps += steps % 2  # so that half of it, one unit's contribution under replace_one, is whole
    return DiscreteLaplace(scale_for(steps, epsilon), steps if relation == "add_or_remove_one" else steps // 2)


def geometric(
    value: ArrayLike,
    *,
    sensitivity: int,
    epsilon: float,
    grant: Grant | None = None,
    relation: Relation | None = None,
) -> NDArray[np.int64]:
    """Return whole numbers with discrete Laplace noise: (epsilon, 0)-private (Ghosh et al., STOC 2009).

    Args:
      value: Whole number or array of them, below 2^62; floats are refused.
      sensitivity: Largest L1 distance between the values of neighbouring data sets, a whole number above 0.
      epsilon: Above 0.
      grant: Paid for `geometric_event(...)`; None releases without a ledger.
      relation: Of the release that was paid for; needed with a grant only.

    Returns:
      int64 of the shape of `value`. Counts may come out negative: to cut them off afterwards costs nothing.

    Raises:
      UsageError: If an argument is out of range; the text never says the value.
      PolicyRefused: If the event was not paid for.
    """
    total = to_integers(value)
    event = geometric_event(sensitivity=sensitivity, epsilon=epsilon, relation=require_declared(grant, relation))
    noise = DiscreteLaplace(scale_for(int(sensitivity), epsilon), int(sensitivity))
    return add_integer_noise(total, noise=noise, event=event, grant=_grant(grant, event))


def geometric_event(*, sensitivity: int, epsilon: float, relation: Relation) -> DiscreteLaplace | PureDP:
    """Return what `geometric` is charged as.

    Under `replace_one` an odd distance has no half: it is charged as `PureDP`, which is exact for a distance of 1 (the
    loss is then plus or minus epsilon and nothing else).

    Raises:
      UsageError: If an argument is out of range.
    """
    _require(sensitivity, epsilon, relation)
    if sensitivity != int(sensitivity):
        raise UsageError(
            "invalid-sensitivity", f"sensitivity is {sensitivity}", hint="give a whole number, or use dp.laplace"
        )
    steps = int(sensitivity)
    if relation == "add_or_remove_one":
        return DiscreteLaplace(scale_for(steps, epsilon), steps)
    return PureDP(epsilon) if steps % 2 else DiscreteLaplace(scale_for(steps, epsilon), steps // 2)


def gaussian(
    value: ArrayLike,
    *,
    sensitivity: float,
    epsilon: float,
    delta: float,
    grid: float,
    grant: Grant | None = None,
    relation: Relation | None = None,
) -> NDArray[np.float64]:
    """Return `value` with rounded Gaussian noise on the grid: (epsilon, delta)-private, for every epsilon.

    Args:
      value: Number or array of d numbers, finite. It is rounded to the grid before the noise.
      sensitivity: Largest L2 distance between the values of neighbouring data sets.
      epsilon: Above 0, any size.
      delta: In (0, 1).
      grid: Power of two; the two roundings of a pair of neighbours add `sqrt(d) * grid` to the sensitivity.
      grant: Paid for `gaussian_event(...)`; None releases without a ledger.
      relation: Of the release that was paid for; needed with a grant only.

    Returns:
      float64 of the shape of `value`, multiples of the grid.

    Raises:
      UsageError: If an argument is out of range; the text never says the value.
      PolicyRefused: If the event was not paid for.
    """
    steps = to_steps(value, grid)
    declared = require_declared(grant, relation)
    event = gaussian_event(epsilon=epsilon, delta=delta, relation=declared)
    _require(sensitivity, epsilon, declared)  # before it is widened: zero would pass afterwards
    widened = sensitivity + math.sqrt(steps.size) * grid
    norm = widened if declared == "add_or_remove_one" else widened / 2
    return add_gaussian(steps, event=event, sensitivity=norm, grid=grid, grant=_grant(grant, event))


def gaussian_event(*, epsilon: float, delta: float, relation: Relation) -> Gaussian:
    """Return what `gaussian` is charged as, by the analytic calibration of Balle and Wang (ICML 2018).

    Raises:
      UsageError: If an argument is out of range.
    """
    require_relation(relation)
    sigma = gaussian_sigma(sensitivity=1.0, epsilon=epsilon, delta=delta)
    return Gaussian(sigma if relation == "add_or_remove_one" else 2 * sigma)


def _grant(grant: Grant | None, event: DiscreteLaplace | Gaussian | PureDP) -> Grant:
    return Grant.without_ledger([event]) if grant is None else grant


def _require(sensitivity: float, epsilon: float, relation: Relation) -> None:
    require_epsilon(epsilon)
    require_relation(relation)
    if not 0 < sensitivity < math.inf:
        raise UsageError("invalid-sensitivity", f"sensitivity is {sensitivity}", hint="give a finite number above 0")


def _require_grid(grid: float) -> None:
    if not is_grid(grid):
        raise UsageError("invalid-grid", f"grid is {grid}", hint="give a power of two, for example 2**-10")
