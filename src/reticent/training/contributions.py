"""From a sampled batch to the exact sum of its units' clipped and encoded gradients.

A unit is a row, or a person whose rows are summed before clipping. Only a few gradients are held at a time; blocks
end where a unit ends, so that no unit is ever clipped in two halves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from reticent.training.clipping import clip, encoded_sum, norms, silence
from reticent.training.per_example import PerExampleGradients, physical_rows

__all__ = ["Rows", "Tally", "add_clipped", "clipped_sum", "unit_gradients", "usable"]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in the model's type and device, the rows of one unit side by side.

    Attributes:
      features: Shape `(n, *shape)`.
      labels: Shape `(n,)`.
      counts: How many rows each unit has; None if each row is a unit.
    """

    features: Tensor
    labels: Tensor
    counts: list[int] | None


def usable(rows: Rows, classes: int) -> Rows:
    """Return the rows without those that are not finite, or whose label is none of `classes` (0: a numeric label).

    Such a row contributes zero and stops nothing: a refusal in the middle of a run would tell that it was sampled.
    """
    keep = _finite(rows.features.flatten(1))
    keep &= rows.labels.isfinite() if not classes else (rows.labels >= 0) & (rows.labels < classes)
    if keep.all():
        return rows
    counts = rows.counts
    if counts is not None:
        owners = torch.repeat_interleave(torch.tensor(counts))[keep.cpu()]
        counts = [count for count in torch.bincount(owners).tolist() if count]
    return Rows(rows.features[keep], rows.labels[keep], counts)


def _finite(values: Tensor) -> Tensor:
    """Return which rows of `(n, k)` hold finite values only, shape `(n,)`."""
    # A sum is not finite if a value is not, and ten times cheaper to look at; a sum that overflows is looked at again.
    keep = values.sum(1).isfinite()
    if not keep.all():
        keep[~keep] = values[~keep].isfinite().all(1)
    return keep


@dataclass(slots=True)
class Tally:
    """Counts, beside a sum, its units and those whose norm was within the clip. As private as the rows."""

    units: int = 0
    within: int = 0


def clipped_sum(
    gradients: PerExampleGradients,
    rows: Rows,
    *,
    max_norm: float,
    grid: float,
    limit: int | None = None,
    tally: Tally | None = None,
) -> Tensor:
    """Return the sum of the units' clipped, encoded gradients in grid steps, int64 `(parameters,)`, on the CPU.

    An empty batch gives zeros: it is a sample like any other, and noise is added to it all the same.

    Args:
      gradients, rows: Whose gradients.
      max_norm, grid: The clip, and the power of two that contributions are rounded to.
      limit: Most rows whose gradients are held at once; None for what fits the cache.
      tally: Counts units and those within the clip.
    """
    blocks = unit_gradients(gradients, rows) if limit is None else unit_gradients(gradients, rows, limit)
    total = torch.zeros(gradients.parameters, dtype=torch.int64, device=rows.features.device)
    return add_clipped(total, blocks, max_norm=max_norm, grid=grid, tally=tally).cpu()


def add_clipped(
    total: Tensor, blocks: Iterable[list[Tensor]], *, max_norm: float, grid: float, tally: Tally | None = None
) -> Tensor:
    """Clip and encode every contribution of `blocks`, add them to `total` in place, and return it."""
    for contributions in blocks:
        if tally is not None:
            lengths = silence(contributions, norms(contributions))
            tally.units += len(lengths)
            tally.within += int((lengths <= max_norm).sum())
        clip(contributions, max_norm)
        total += encoded_sum(contributions, max_norm=max_norm, grid=grid)
    return total


def unit_gradients(gradients: PerExampleGradients, rows: Rows, limit: int | None = None) -> Iterator[list[Tensor]]:
    """Yield blocks of unclipped contributions, one tensor `(units, *parameter.shape)` for each parameter."""
    limit = physical_rows(gradients.parameters) if limit is None else limit
    if rows.counts is None:
        for start in range(0, len(rows.labels), limit):
            yield gradients(rows.features[start : start + limit], rows.labels[start : start + limit])
        return
    start = 0
    for counts in _blocks(rows.counts, limit):
        yield _summed(gradients, rows, start, counts, limit)
        start += sum(counts)


def _blocks(counts: list[int], limit: int) -> Iterator[list[int]]:
    """Split the units, in order, into blocks of at most `limit` rows; a larger unit is a block of its own."""
    block: list[int] = []
    for count in counts:
        if block and sum(block) + count > limit:
            yield block
            block = []
        block.append(count)
    if block:
        yield block


def _summed(gradients: PerExampleGradients, rows: Rows, first: int, counts: list[int], limit: int) -> list[Tensor]:
    """Sum the gradients of each unit's rows, from row `first` on; a row that is not finite adds nothing to its unit."""
    owners = torch.repeat_interleave(torch.tensor(counts)).to(rows.features.device)
    total: list[Tensor] = []
    for start in range(0, len(owners), limit):
        mine = owners[start : start + limit]
        part = slice(first + start, first + start + len(mine))
        found = gradients(rows.features[part], rows.labels[part])
        silence(found, norms(found))
        total = total or [gradient.new_zeros((len(counts), *gradient.shape[1:])) for gradient in found]
        for summed, gradient in zip(total, found, strict=True):
            summed.index_add_(0, mine, gradient)
    return total
