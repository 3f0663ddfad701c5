"""The vectors that cross a boundary: each row's clipped to one length, rounded to a grid, noised.

Clipped row by row before anything else: a clip over a batch, a layer or a coordinate bounds nobody. A row that is not
finite becomes zero, and so is one vector of pure noise like any other.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reticent import dp
from reticent.training import clip

__all__ = ["noised_rows"]


def noised_rows(values: Tensor, *, max_norm: float, event: dp.Gaussian, grant: dp.Grant) -> Tensor:
    """Return `values` with every row clipped and noised.

    Args:
      values: One row each, shape `(n, *shape)`; left as they are.
      max_norm: Largest L2 norm of a row, over all its coordinates.
      event: Its noise multiplier times the encoded norm is the standard deviation of every coordinate.
      grant: Permits one draw of `event`.

    Returns:
      A tensor of the shape, type and device of `values`.

    Raises:
      PolicyRefused: If the noise was not paid for.
    """
    rows = values.detach().flatten(1).to(torch.promote_types(values.dtype, torch.float32), copy=True)
    width = max(1, rows.shape[1])
    clip([rows], max_norm)
    grid = dp.grid_for(max_norm, width)
    encoded = (rows.double() / grid).round_().to(torch.int64)
    noised = dp.add_gaussian(
        encoded.cpu().numpy(),
        event=event,
        sensitivity=dp.encoded_sensitivity(max_norm, grid, width),
        grid=grid,
        grant=grant,
    )
    return torch.from_numpy(noised).to(values.device, values.dtype).view(values.shape)
