"""The port of a defence: what stands between a site's part of the model and what leaves the site.

A site may have two boundaries. `activations` changes what its bottom sends, and how the bottom learns; `outputs`
changes, where the labels are, the gradient of each row's own loss with respect to the model's *outputs*. Both see every
row once in a pass, so one pass over the rows costs one release, paid when the pass opens: never once for each batch.

Where they stand decides what they can promise, and the client enforces it:

- `outputs` is the one place where a label enters. The training of the head and all gradients that travel are computed
  from what `release` returned, so both are post-processing and only the labels' budget is spent. (Noise on the gradient
  that crosses would not do: a head that was trained on the exact labels shows them in later messages.)
- `activations` covers what a row's features do. A bottom that is trained on the exact rows would carry them into the
  activations of others, so it learns by `update` alone, from noised sums; or it is frozen, in evaluation mode.
- A record at a site with features *and* labels is covered by both boundaries together, and by neither alone.
- A vanilla client sends its labels in the clear; no boundary can be given to it.

`reticent.split.defence` implements it and proves what it promises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from reticent.dp import Grant, Release

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

__all__ = ["Boundary", "Crossing"]


class Crossing(Protocol):
    """One pass over a site's rows through a boundary."""

    def release(self, values: Tensor, *, rows: NDArray[np.int64], units: NDArray[np.int64]) -> Tensor:
        """Return what may leave instead of `values`.

        Args:
          values: One row each, `(n, *shape)`, detached. For `outputs`: the gradient of each row's own loss (the
            client multiplies the gradient of a mean by the number of rows before, and divides after).
          rows: Positions of the rows among the site's rows, `(n,)`; each comes once in a pass, and a row that comes
            again must be refused: that is what makes one pass cost one release.
          units: Whose rows they are, dense numbers, `(n,)`.

        Returns:
          A new tensor of the shape, type and device of `values`.
        """
        ...

    def update(
        self,
        bottom: nn.Module,
        features: Tensor,
        returned: Tensor,
        optimizer: torch.optim.Optimizer,
        *,
        rows: NDArray[np.int64],
    ) -> None:
        """Let the bottom learn from what came back for `rows`, in place of `backward` and the optimizer's step.

        Only where the boundary `trains`. The rows are those whose activations were released last, at the same weights.

        Args:
          bottom: The part behind the boundary, trained in place.
          features: Shape `(n, *shape)`.
          returned: Shape of the activations: the gradient of each row's *own* loss (the client multiplies the
            gradient of a mean by the number of rows before).
          optimizer: Over the parameters of `bottom`; it sees noised gradients only.
          rows: Positions of the rows, `(n,)`.
        """
        ...


class Boundary(Protocol):
    """A defence at one boundary of one site.

    Attributes:
      trains: Whether the bottom behind it learns, by `Crossing.update` and in no other way; otherwise it is frozen.
    """

    trains: bool

    def check_bottom(self, bottom: nn.Module, shape: tuple[int, ...]) -> None:
        """Refuse a bottom in which one row shows in the activations of another; tried on made-up rows, before the run.

        Args:
          bottom: The part behind the boundary.
          shape: Of one row's features.
        """
        ...

    def check_loss(self, loss: Callable[[Tensor, Tensor], Tensor], classes: int) -> frozenset[tuple[int, ...]]:
        """Refuse a loss in which the label of one row shows in the gradient of another; tried before the run.

        Args:
          loss: A mean over rows.
          classes: Number of label classes; 0 for a numeric label.

        Returns:
          The shapes of one row's outputs with which it was tried; the client uses no others, whatever arrives.
        """
        ...

    def for_tests(self, units: NDArray[np.int64]) -> Boundary:
        """Return the boundary for passes over test rows, from which nothing is learned.

        Args:
          units: Whose row each of the site's test rows is, shape `(rows,)`.
        """
        ...

    def cost(self) -> Release:
        """Return what one pass over the rows discloses: the events, whose unit, which relation, whose budget."""
        ...

    def open(self, grant: Grant) -> Crossing:
        """Draw the events of one pass from `grant`, and return the pass.

        Raises:
          PolicyRefused: If the events were not paid for.
        """
        ...
