"""The Gaussian mechanism, on all data or on a Poisson sample: dominating pairs from its exact divergences.

Under add-or-remove-one there are two directions, with the unit and without it. Neither dominates the other once the
data are sampled, and compositions of them cross (Lebeda, Regehr, Kamath, Steinke 2024): both are composed to the end.
Under replace-one two contributions at opposite points dominate (the proof is in `reticent.dp.divergence`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reticent.dp.divergence import RELATIVE_ERROR, Direction, loss_range, mixed_loss, sampled_delta
from reticent.dp.release import Relation

__all__ = ["SampledGaussian", "gaussian_deltas", "gaussian_landmarks", "pairs"]

_Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SampledGaussian:
    """One Gaussian of `noise_multiplier` on a Poisson sample; a `sampling_probability` of 1 means all data."""

    noise_multiplier: float
    sampling_probability: float
    direction: Direction

    @property
    def infinite(self) -> float:
        """Noise without bounds reaches everywhere: no loss is infinite."""
        return 0.0

    def deltas(self, losses: _Array) -> _Array:
        """Return the exact divergence at each loss, rounded up."""
        deltas: _Array = gaussian_deltas([self], losses[None, :])[0]
        return deltas

    def loss_range(self) -> tuple[float, float]:
        """Return losses that hold all mass but 1e-30."""
        return loss_range(sigma=self.noise_multiplier, probability=self.sampling_probability, direction=self.direction)


def pairs(noise_multiplier: float, sampling_probability: float, relation: Relation) -> tuple[SampledGaussian, ...]:
    """Return the pairs of one sampled Gaussian; one alone is its own mirror image, and serves both directions."""
    if sampling_probability == 1:
        apart = 1 if relation == "add_or_remove_one" else 2
        return (SampledGaussian(noise_multiplier / apart, 1.0, "remove"),)
    if relation == "replace_one":
        return (SampledGaussian(noise_multiplier, sampling_probability, "replace"),)
    return (
        SampledGaussian(noise_multiplier, sampling_probability, "remove"),
        SampledGaussian(noise_multiplier, sampling_probability, "add"),
    )


def gaussian_deltas(parts: Sequence[SampledGaussian], losses: _Array) -> _Array:
    """Return the deltas of many pairs of one direction at once: row by row of `losses` `(pairs, n)`, rounded up."""
    direction = parts[0].direction
    sigma, q = _columns(parts)
    stay = np.where(q < 1, -np.log1p(-np.minimum(q, 1 - 1e-16)), 0.0)
    # A little to the left delta is larger: that covers the rounding of the loss, here and where it is taken apart.
    shifted = losses - 1e-15 * np.maximum(np.abs(losses), np.minimum(stay, 1.0))
    deltas = sampled_delta(shifted, sigma=sigma, probability=q, direction=direction)
    return np.asarray(np.minimum(deltas * (1 + RELATIVE_ERROR[direction]), 1.0), dtype=np.float64)


def gaussian_landmarks(parts: Sequence[SampledGaussian], count: int) -> _Array:
    """Return losses `(pairs, count)`, increasing: those at evenly spaced outputs of the mechanism."""
    direction = parts[0].direction
    sigma, q = _columns(parts)
    reach = 11.5 + (1 / sigma if direction != "replace" else 2 / sigma)
    deviations = reach * np.linspace(-1, 1, count)
    up = mixed_loss(deviations / sigma - 0.5 / sigma**2, q)
    down = mixed_loss(-deviations / sigma - 0.5 / sigma**2, q)
    losses = {"remove": up, "add": -down, "replace": up - down}[direction]
    # Where the loss levels off, points crowd until their differences are rounding errors: keep them apart.
    apart = 1e-6 * q / sigma * np.arange(count)
    return np.asarray(np.maximum.accumulate(losses - apart, axis=1) + apart, dtype=np.float64)


def _columns(parts: Sequence[SampledGaussian]) -> tuple[_Array, _Array]:
    values = np.array([(part.noise_multiplier, part.sampling_probability) for part in parts], dtype=np.float64)
    return values[:, :1], values[:, 1:]
