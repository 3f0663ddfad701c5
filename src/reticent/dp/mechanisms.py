"""The one place where noise is added.

The `add_` functions are the only ones of the project that add noise to a value for privacy: they use up a grant, and no
grant, no noise. `reticent.dp.additive` is the same for a number or array in a notebook.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from reticent.dp.encoding import LARGEST_TOTAL
from reticent.dp.events import (
    DiscreteGaussian,
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
from reticent.dp.samplers import LARGEST_SCALE, discrete_gaussian, discrete_laplace, rounded_laplace
from reticent.errors import UsageError
from reticent.randomness import Keystream

__all__ = ["add_gaussian", "add_integer_noise", "add_laplace"]

Sampler = Callable[[float, int, Keystream], NDArray[np.int64]]


def add_gaussian(
    total: NDArray[np.int64], *, event: Single, sensitivity: float, grid: float, grant: Grant
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
    scale = multiplier * sensitivity / grid * (1 + 2**-50)  # never below the charged scale by rounding
    _require_scale(scale)
    grant.draw(event)  # before any noise exists: a crash from here on has spent the event
    if multiplier == 0:
        return total * np.float64(grid)
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


def add_integer_noise(
    total: NDArray[np.int64], *, noise: DiscreteLaplace | DiscreteGaussian, event: Single, grant: Grant
) -> NDArray[np.int64]:
    """Return whole numbers with the integer noise that `noise` describes, using up the grant for `event`.

    For this package: what is charged may be another, coarser description of what is drawn (see `geometric_event`).

    Args:
      total: int64, any shape, below 2^62.
      noise: What is drawn.
      event: What was paid for.
      grant: It is used up even if nothing is sent afterwards.

    Returns:
      int64 of the shape of `total`.

    Raises:
      UsageError: If total or the scale of the noise is out of range.
      PolicyRefused: If the event was not paid for.
    """
    _require_total(total)
    match noise:
        case DiscreteLaplace(scale, _):
            sampler: Sampler = discrete_laplace
        case DiscreteGaussian(scale, _, _):
            sampler = discrete_gaussian
    _require_scale(scale)
    grant.draw(event)  # before any noise exists: a crash from here on has spent the event
    if scale == 0:
        return total.copy()
    return total + sampler(scale, total.size, Keystream.fresh()).reshape(total.shape)


def _multiplier(event: Single) -> float:
    drawn = event.event if isinstance(event, PoissonSampled | SampledWithoutReplacement) else event
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
    _require_scale(scale)
    return scale, sampler


def _require(total: NDArray[np.int64], sensitivity: float, grid: float) -> None:
    _require_total(total)
    if not 0 < sensitivity < math.inf:
        raise UsageError("invalid-sensitivity", f"sensitivity is {sensitivity}", hint="give a finite number above 0")
    if not is_grid(grid):
        raise UsageError("invalid-grid", f"grid is {grid}", hint="give a power of two, for example 2**-10")


def _require_total(total: NDArray[np.int64]) -> None:
    if total.dtype != np.int64:
        raise UsageError(
            "invalid-total", f"total has dtype {total.dtype}", hint="encode contributions to the grid as int64"
        )
    if total.size and not -LARGEST_TOTAL < int(total.min()) <= int(total.max()) < LARGEST_TOTAL:
        raise UsageError("invalid-total", "total holds a number of 2**62 grid steps or more", hint="use a coarser grid")


def _require_scale(scale: float) -> None:
    """Refuse what the samplers would refuse, while the grant is whole."""
    if not scale < LARGEST_SCALE:
        raise UsageError(
            "invalid-noise-scale",
            f"the noise's scale is {scale} grid steps",
            hint="use a coarser grid: the scale must stay below 2**40 steps",
        )
