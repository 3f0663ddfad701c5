"""The one place where noise is added.

`add_gaussian` and `add_laplace` are the only functions of the project that add noise to a value for privacy: they use
up a grant, and no grant, no noise. `gaussian` is the same for a single number or array in a notebook.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reticent.dp.calibration import gaussian_sigma
from reticent.dp.events import (
    DiscreteLaplace,
    Gaussian,
    Laplace,
    PoissonSampled,
    SampledWithoutReplacement,
    Single,
)
from reticent.dp.noise import rounded_gaussian
from reticent.dp.precision import is_grid
from reticent.dp.release import Grant
from reticent.dp.samplers import LARGEST_SCALE, discrete_laplace, rounded_laplace
from reticent.errors import UsageError
from reticent.randomness import Keystream

__all__ = ["add_gaussian", "add_laplace", "gaussian"]

Sampler = Callable[[float, int, Keystream], NDArray[np.int64]]

_LARGEST_TOTAL = 2**62


def add_gaussian(
    total: NDArray[np.int64], *, event: Gaussian | PoissonSampled, sensitivity: float, grid: float, grant: Grant
) -> NDArray[np.float64]:
    """Return `total` in real units with the noise that `event` describes, using up the grant for it.

    Args:
      total: int64, any shape: the exact sum of encoded contributions, in grid steps.
      event: What the draw is accounted as; its noise multiplier times `sensitivity` is the standard deviation.
      sensitivity: Largest L2 norm of one unit's encoded contribution, in real units (`encoded_sensitivity`).
      grid: Power of two.
      grant: Paid for `event`; it is used up even if nothing is sent afterwards.

    Returns:
      float64 of the shape of `total`.

    Raises:
      UsageError: If total, sensitivity or grid is out of range.
      PolicyRefused: If the event was not paid for.
    """
    _require(total, sensitivity, grid)
    multiplier = _multiplier(event)
    grant.draw(event)  # before any noise exists: a crash from here on has spent the event
    if multiplier == 0:
        return total * np.float64(grid)
    scale = multiplier * sensitivity / grid * (1 + 2**-50)  # never below the charged scale by rounding
    noise = rounded_gaussian(scale, total.size, Keystream.fresh()).reshape(total.shape)
    return (total + noise) * np.float64(grid)


def add_laplace(
    total: NDArray[np.int64], *, event: Single, sensitivity: float, grid: float, grant: Grant
) -> NDArray[np.float64]:
    """Return `total` in real units with the noise that `event` describes, using up the grant for it.

    Args:
      total: int64, any shape: the exact sum of encoded contributions, in grid steps.
      event: What the draw is accounted as: `Laplace`, drawn as rounded Laplace noise of scale noise multiplier times
        `sensitivity`; or `DiscreteLaplace`, drawn as it stands; either may be sampled.
      sensitivity: Largest L1 norm of one unit's encoded contribution, in real units; for a `DiscreteLaplace` at most
        its own sensitivity times the grid.
      grid: Power of two.
      grant: Paid for `event`; it is used up even if nothing is sent afterwards.

    Returns:
      float64 of the shape of `total`, multiples of the grid.

    Raises:
      UsageError: If total, sensitivity, grid or event is out of range, or the event is of another kind.
      PolicyRefused: If the event was not paid for.
    """
    _require(total, sensitivity, grid)
    scale, sampler = _laplace(event, sensitivity, grid)
    grant.draw(event)  # before any noise exists: a crash from here on has spent the event
    if scale == 0:
        return total * np.float64(grid)
    noise = sampler(scale, total.size, Keystream.fresh()).reshape(total.shape)
    return (total + noise) * np.float64(grid)


def gaussian(value: ArrayLike, *, sensitivity: float, epsilon: float, delta: float, grid: float) -> NDArray[np.float64]:
    """Return `value` with Gaussian noise for (epsilon, delta), once; no ledger remembers it.

    Args:
      value: Number or array, finite. It is rounded to the grid before the noise.
      sensitivity: Largest L2 distance between the values of neighbouring data sets.
      epsilon: Above 0, any size.
      delta: In (0, 1).
      grid: Power of two; the two roundings of a pair of neighbours add `sqrt(d) * grid` to the sensitivity.

    Returns:
      float64 of the shape of `value`, multiples of the grid.

    Raises:
      UsageError: If an argument is out of range.
    """
    exact = np.asarray(value, dtype=np.float64)
    _require_sensitivity(sensitivity)  # before it is widened: zero would pass afterwards
    if not is_grid(grid):
        raise UsageError("invalid-grid", f"grid is {grid}", hint="give a power of two, for example 2**-10")
    steps = exact / grid
    if not np.all(np.abs(steps) < _LARGEST_TOTAL):  # also catches NaN; the value itself stays unsaid
        raise UsageError(
            "invalid-total",
            "value holds a number that is not finite or too large for the grid",
            hint="clip the value to a declared range, or use a coarser grid",
        )
    widened = sensitivity + math.sqrt(exact.size) * grid
    event = Gaussian(gaussian_sigma(sensitivity=1.0, epsilon=epsilon, delta=delta))
    return add_gaussian(
        np.rint(steps).astype(np.int64),
        event=event,
        sensitivity=widened,
        grid=grid,
        grant=Grant.without_ledger([event]),
    )


def _multiplier(event: Gaussian | PoissonSampled) -> float:
    drawn = event.event if isinstance(event, PoissonSampled) else event
    if not isinstance(drawn, Gaussian):
        raise UsageError("not-gaussian", f"the event is {event}", hint="draw its noise with the mechanism it names")
    return drawn.noise_multiplier


def _laplace(event: Single, sensitivity: float, grid: float) -> tuple[float, Sampler]:
    """Return the scale in grid steps, and the sampler of what the event describes."""
    drawn = event.event if isinstance(event, PoissonSampled | SampledWithoutReplacement) else event
    match drawn:
        case Laplace(multiplier):
            scale = multiplier * sensitivity / grid * (1 + 2**-50)  # never below the charged scale by rounding
            sampler: Sampler = rounded_laplace
        case DiscreteLaplace(scale, steps):
            sampler = discrete_laplace
            if sensitivity > steps * grid:
                raise UsageError(
                    "invalid-sensitivity",
                    f"sensitivity is {sensitivity}, and the event {event} pays for {steps * grid} only",
                    hint="account the event with the sensitivity that the contributions have",
                )
        case _:
            raise UsageError("not-laplace", f"the event is {event}", hint="draw its noise with the mechanism it names")
    if scale > LARGEST_SCALE:
        raise UsageError(
            "invalid-noise-scale",
            f"the noise's scale is {scale} grid steps",
            hint="use a coarser grid: at most 2**40 steps",
        )
    return scale, sampler


def _require(total: NDArray[np.int64], sensitivity: float, grid: float) -> None:
    if total.dtype != np.int64:
        raise UsageError(
            "invalid-total", f"total has dtype {total.dtype}", hint="encode contributions to the grid as int64"
        )
    if total.size and not -_LARGEST_TOTAL < int(total.min()) <= int(total.max()) < _LARGEST_TOTAL:
        raise UsageError("invalid-total", "total holds a number of 2**62 grid steps or more", hint="use a coarser grid")
    _require_sensitivity(sensitivity)
    if not is_grid(grid):
        raise UsageError("invalid-grid", f"grid is {grid}", hint="give a power of two, for example 2**-10")


def _require_sensitivity(sensitivity: float) -> None:
    if not 0 < sensitivity < math.inf:
        raise UsageError("invalid-sensitivity", f"sensitivity is {sensitivity}", hint="give a finite number above 0")
