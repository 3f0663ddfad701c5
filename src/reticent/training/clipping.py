"""The line that clips: no unit's contribution to a step is longer than `max_norm`, over the model's whole gradient.

A contribution is one unit's gradient: one row's, or the sum over one person's rows. It comes as a list with one tensor
for each parameter, of shape `(n, *parameter.shape)`, row i of every tensor belonging to unit i. Clipping looks at the
L2 norm over *all* parameters together (Abadi et al., CCS 2016, algorithm 1); a bound for each layer or coordinate
would be larger by the square root of their number.

After clipping, every contribution is rounded to multiples of `grid` and summed as whole numbers, so the sum is exact
and its sensitivity is `dp.encoded_sensitivity`. Rows are clipped before any of them are added: a sum cannot be.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["LARGEST_CLIP", "SMALLEST_CLIP", "clip", "encoded_sum", "norms", "silence"]

SMALLEST_CLIP = 1e-9
LARGEST_CLIP = 1e9
"""Between these, neither the squares (float32, at least 2^-149) nor the factors of `clip` can underflow unseen."""


def norms(gradients: list[Tensor]) -> Tensor:
    """Return the L2 norm of each contribution over all parameters, float64 `(n,)`.

    Summed by torch's cascade; the error is far below the margin that `dp.encoded_sensitivity` grants. Not finite
    where a gradient is not finite, or so large (above 1.8e19 in float32) that its square is not.
    """
    squares = [gradient.flatten(1).square().sum(1).double() for gradient in gradients]
    return torch.stack(squares).sum(0).sqrt()


def silence(gradients: list[Tensor], lengths: Tensor) -> Tensor:
    """Set contributions that are not finite to zero, in place; returns `lengths` with zeros in their place.

    One row with a NaN would otherwise turn every weight into NaN, and so reveal that it was sampled.
    """
    finite = lengths.isfinite()
    if finite.all():
        return lengths
    for gradient in gradients:
        gradient[~finite] = 0.0  # not a product: NaN times zero is NaN
    return torch.where(finite, lengths, 0.0)


def clip(gradients: list[Tensor], max_norm: float) -> None:
    """Scale every contribution to an L2 norm of at most `max_norm`, in place; those not finite become zero."""
    lengths = silence(gradients, norms(gradients))
    factors = (max_norm / lengths).clamp(max=1.0)  # THE line that clips; a length of 0 gives a factor of 1
    for gradient in gradients:
        gradient.mul_(factors.to(gradient.dtype).view(-1, *[1] * (gradient.ndim - 1)))


def encoded_sum(clipped: list[Tensor], *, max_norm: float, grid: float) -> Tensor:
    """Round each contribution to multiples of `grid` (in place) and return the exact sum, int64 `(parameters,)`.

    Args:
      clipped: Contributions after `clip`, at least one.
      max_norm: Their largest norm.
      grid: A power of two, so that the division is exact.
    """
    # Whole numbers add exactly in a float as long as no sum can reach its mantissa.
    reach = len(clipped[0]) * (max_norm / grid + 1) * 1.01
    total = [
        gradient.mul_(1 / grid)
        .round_()
        .flatten(1)
        .sum(0, dtype=gradient.dtype if reach * torch.finfo(gradient.dtype).eps < 1 else torch.float64)
        .long()
        for gradient in clipped
    ]
    return torch.cat(total)
