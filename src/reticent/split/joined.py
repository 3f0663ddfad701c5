"""The whole model of a vertical study in one place: for the comparison with pooled training, and for prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from reticent.errors import UsageError

__all__ = ["Joined"]


class Joined(nn.Module):
    """Bottoms side by side under one top, over a table that holds the columns of all sites.

    Args:
      bottoms: One for each site, in the order in which their activations are joined.
      top: Reads the activations joined along the second dimension; middle and head together where a site has a head.
      columns: Which columns of the joint table each bottom reads.
    """

    def __init__(self, bottoms: Mapping[str, nn.Module], top: nn.Module, columns: Mapping[str, Sequence[int]]) -> None:
        super().__init__()
        if set(bottoms) != set(columns):
            raise UsageError(
                "parts-do-not-fit",
                f"there are bottoms of {', '.join(bottoms)}, and columns of {', '.join(columns)}",
                hint="give every site its columns and its bottom",
            )
        # A site's name may hold what a submodule's name may not.
        self.bottoms = nn.ModuleList(bottoms.values())
        self.top = top
        self._columns = [list(columns[site]) for site in bottoms]

    def forward(self, values: Tensor) -> Tensor:
        """Return the output for rows of shape `(n, columns)`."""
        pairs = zip(self.bottoms, self._columns, strict=True)
        output: Tensor = self.top(torch.cat([bottom(values[:, columns]) for bottom, columns in pairs], dim=1))
        return output
