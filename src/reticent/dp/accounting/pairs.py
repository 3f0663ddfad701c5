"""What accounting knows of one event: a pair of output distributions that no neighbouring data sets exceed.

A pair (P, Q) *dominates* a mechanism if its hockey-stick divergence H(e^t) = sup_S P(S) - e^t Q(S) is at least that of
the mechanism's outputs on any two neighbouring data sets, at every t of either sign. Dominating pairs compose, also
adaptively (Zhu, Dong, Wang, AISTATS 2022, theorem 10). Nothing else about a mechanism enters the accounting, so
whatever gives a curve of such divergences, rounded up, can be a pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Atoms", "Pair"]


class Pair(Protocol):
    """One event under one relation, in one direction."""

    @property
    def infinite(self) -> float:
        """Mass of P at infinite loss: the limit of `deltas` as losses grow."""

    def deltas(self, losses: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return H(e^loss) at each loss, rounded up; not increasing in the loss, between `infinite` and 1."""

    def loss_range(self) -> tuple[float, float]:
        """Return losses between which all of P's mass lies but 1e-30, or exactly all where the support is finite."""


@dataclass(frozen=True, slots=True, eq=False)
class Atoms:
    """A pair with finitely many losses, given by the mass that P puts on each.

    Attributes:
      losses: float64 `(n,)`, increasing, finite.
      masses: float64 `(n,)`, not negative, rounded up; with `infinite` they add up to 1 or a little more.
      infinite: Mass of P at infinite loss.
    """

    losses: NDArray[np.float64]
    masses: NDArray[np.float64]
    infinite: float = 0.0

    def loss_range(self) -> tuple[float, float]:
        """Return the smallest and the largest loss."""
        return float(self.losses[0]), float(self.losses[-1])

    def deltas(self, losses: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return H(e^loss) = sum of mass * (1 - e^(loss - atom)) over the atoms above, rounded up."""
        out = np.full(len(losses), self.infinite)
        for atom, mass in zip(self.losses, self.masses, strict=True):
            out += mass * -np.expm1(np.minimum(losses - atom, 0.0))
        return np.asarray(np.minimum(out * (1 + 1e-15 * (len(self.losses) + 4)), 1.0), dtype=np.float64)
