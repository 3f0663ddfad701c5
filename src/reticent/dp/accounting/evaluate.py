"""Many pairs of one direction at once: a thousand different training steps are one array, not a thousand loops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reticent.dp.accounting.discretise import FARTHEST_LOSS
from reticent.dp.accounting.pairs import Atoms, Pair
from reticent.dp.accounting.pairs_gaussian import SampledGaussian, gaussian_deltas, gaussian_landmarks

__all__ = ["deltas_of", "landmarks_of"]

_Array = NDArray[np.float64]
_ROWS = 128


def deltas_of(parts: Sequence[Pair], losses: _Array) -> _Array:
    """Return each pair's deltas at its row of `losses` `(pairs, n)`, in [0, 1] and without NaN."""
    out = np.empty_like(losses)
    gaussians: dict[str, list[int]] = {}
    for row, part in enumerate(parts):
        if isinstance(part, SampledGaussian):
            gaussians.setdefault(part.direction, []).append(row)
        else:
            out[row] = part.deltas(losses[row])
    for rows in gaussians.values():
        for start in range(0, len(rows), _ROWS):
            some = rows[start : start + _ROWS]
            out[some] = gaussian_deltas(
                [part for row in some if isinstance(part := parts[row], SampledGaussian)], losses[some]
            )
    # What is not a number promises nothing: it counts as 1.
    return np.clip(np.where(np.isnan(out), 1.0, out), 0.0, 1.0)


def landmarks_of(parts: Sequence[Pair], count: int) -> _Array:
    """Return losses `(pairs, count)`, strictly increasing, dense where each pair has its mass."""
    out = np.empty((len(parts), count))
    gaussians: dict[str, list[int]] = {}
    for row, part in enumerate(parts):
        if isinstance(part, SampledGaussian):
            gaussians.setdefault(part.direction, []).append(row)
        else:
            out[row] = _landmarks(part, count)
    for rows in gaussians.values():
        out[rows] = gaussian_landmarks([part for row in rows if isinstance(part := parts[row], SampledGaussian)], count)
    return _within_reach(out)


def _landmarks(part: Pair, count: int) -> _Array:
    """Return losses at both ends, at atoms, evenly between the ends, and at all scales around 0."""
    low, high = (float(np.clip(end, -FARTHEST_LOSS, FARTHEST_LOSS)) for end in part.loss_range())
    if not low < high:
        low, high = low - 1e-9 * (1 + abs(low)), high + 1e-9 * (1 + abs(high))
    third = max(count // 3, 8)
    sizes = max(abs(low), abs(high)) * np.geomspace(1e-9, 1, third // 2)
    chosen = [np.linspace(low, high, third), sizes, -sizes, np.zeros(1)]
    if isinstance(part, Atoms):
        chosen.append(part.losses[:: max(1, len(part.losses) // third)])
    losses = np.unique(np.clip(np.concatenate(chosen), low, high))
    losses = losses[np.concatenate([[True], np.diff(losses) > 1e-12 * (high - low)])]
    if len(losses) >= count:
        thinned: _Array = losses[np.round(np.linspace(0, len(losses) - 1, count)).astype(int)]
        return thinned
    # Fill up to the common length beyond the upper end, where nothing is left.
    return np.concatenate([losses, high + (high - low) * 1e-3 * np.arange(1, count - len(losses) + 1)])


def _within_reach(losses: _Array) -> _Array:
    """Return `losses` moved between the farthest ones, and still strictly increasing."""
    count = losses.shape[1]
    room = 1e-9 * FARTHEST_LOSS * np.arange(count)
    losses = np.maximum(losses, -FARTHEST_LOSS + room)
    return np.asarray(np.minimum(losses, FARTHEST_LOSS - room[::-1]), dtype=np.float64)
