"""Connect the dots: a loss distribution on chosen losses that dominates the exact one, with a certificate.

As a function of x = e^loss the divergence H(x) of a pair is convex and falls from 1. The chords between points on or
above it are therefore nowhere below it, and they are the divergence of a distribution with atoms at the points
(Doroshenko, Ghazi, Kamath, Kumar, Manurangsi, PETS 2022, theorem 3.2). Mass beyond the last point becomes infinite loss.

The masses are second differences, which cancel, so they are not trusted: `connect_the_dots` adds them up again with
positive terms only, compares the divergence that they really have with the one asked for, and returns by what factor
they must be raised. A composition of n such distributions is raised n times (the composition is multilinear, and
monotone in each divergence curve, also for measures whose mass exceeds 1).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["FARTHEST_LOSS", "Discretised", "connect_the_dots"]

_Array = NDArray[np.float64]

FARTHEST_LOSS = 600.0
"""Losses beyond count as infinite: no claim reaches there, and e^loss stays within float64."""

_FLOOR = 1e-200
"""Added to every infinite mass, so that no quotient of divergences is 0 / 0."""

_UNIT = 2.0**-53


class Discretised(NamedTuple):
    """Distributions of privacy loss, one for each row.

    Attributes:
      losses: `(rows, n)`, strictly increasing.
      masses: `(rows, n)`, not negative.
      infinite: `(rows,)`, mass at infinite loss.
      excess: `(rows,)`: times 1 + excess, the row's divergence is at least the one asked for, at every loss.
    """

    losses: _Array
    masses: _Array
    infinite: _Array
    excess: _Array


def connect_the_dots(losses: _Array, deltas: _Array) -> Discretised:
    """Return distributions on `losses` whose divergences are those of the chords through `deltas`.

    Args:
      losses: `(rows, n)`, strictly increasing, no magnitude above `FARTHEST_LOSS`.
      deltas: `(rows, n)`, divergences at the losses, rounded up, in [0, 1].
    """
    # Rounding may have let a curve rise by an ulp: raising what lies before keeps it an upper bound.
    deltas = np.maximum.accumulate(deltas[:, ::-1], axis=1)[:, ::-1]
    gaps = np.diff(losses, axis=1)
    falls = deltas[:, :-1] - deltas[:, 1:]
    masses = np.empty_like(deltas)
    masses[:, 0] = 1 - deltas[:, 0]
    masses[:, 1:] = falls / -np.expm1(-gaps)
    masses[:, :-1] -= falls / np.expm1(gaps)
    np.maximum(masses, 0.0, out=masses)
    infinite = deltas[:, -1] + _FLOOR
    return Discretised(losses, masses, infinite, _excess(losses, deltas, masses, infinite))


def divergences(losses: _Array, masses: _Array, infinite: _Array) -> _Array:
    """Return `(rows, n)`: the divergence that atoms of these masses have at each of the losses.

    Between neighbours it changes by (e^next - e^this) * Q(losses from next on), Q = mass * e^-loss: a sum of positive
    terms, whose relative error is that of two running sums.
    """
    below = np.cumsum((masses * np.exp(-losses))[:, ::-1], axis=1)[:, ::-1]
    steps = np.exp(losses[:, 1:]) * -np.expm1(-np.diff(losses, axis=1)) * below[:, 1:]
    out = np.empty_like(losses)
    out[:, -1] = infinite
    out[:, :-1] = np.cumsum(steps[:, ::-1], axis=1)[:, ::-1] + infinite[:, None]
    return out


def _excess(losses: _Array, deltas: _Array, masses: _Array, infinite: _Array) -> _Array:
    really = divergences(losses, masses, infinite)
    short = (deltas / really).max(axis=1)
    # Where x = 0 the divergence is the total mass, which must be at least 1.
    short = np.maximum(short, 1 / (masses.sum(axis=1) + infinite))
    # Two running sums, two exponentials of rounded losses, and the rest: Higham 2002, section 4.2.
    rounding = (2 * losses.shape[1] + 32 + 6 * np.abs(losses).max(axis=1)) * _UNIT
    # What overflowed certifies nothing.
    sound = np.isfinite(really).all(axis=1) & np.isfinite(short)
    return np.asarray(np.where(sound, np.maximum(short - 1, 0.0) + rounding, np.inf), dtype=np.float64)
