"""What the parties of a federated statistic must agree on: plain values, public, the same at every party."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from reticent.analytics.layout import Layout
from reticent.errors import PolicyRefused, UsageError
from reticent.secagg import Parameters

__all__ = ["Charged", "Statistics"]


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """One joint vector of several sites.

    Attributes:
      layout: The questions.
      noise_multiplier: Of the noise that each site adds to its own vector (noise mode `local`).
      cohort: How many sites take part; a site refuses to be summed in smaller company.
      dropouts: How many of them may fail.
      protocol: `secagg`: the coordinator learns the sum alone; `plain`: it sees every site's noised vector.
      most_rows: Declared bound on the rows of a site, public; a larger site's vector is cut off there.
      deadline: Seconds for each step.
    """

    layout: Layout
    noise_multiplier: float
    cohort: int
    dropouts: int = 0
    protocol: Literal["secagg", "plain"] = "secagg"
    most_rows: int = 2**22
    deadline: float = 3600.0

    def __post_init__(self) -> None:
        if self.cohort < 1 or not 0 <= self.dropouts < self.cohort or not 1 <= self.most_rows <= 2**26:
            raise UsageError(
                "statistics-sites",
                f"cohort is {self.cohort}, dropouts {self.dropouts}, most_rows {self.most_rows}",
                hint="give at least one site, fewer dropouts than sites, and 1 to 2^26 rows",
            )
        if not self.noise_multiplier > 0:
            raise PolicyRefused(
                "statistics-without-noise",
                f"noise_multiplier is {self.noise_multiplier}",
                hint="exact sums over sites promise nothing to a person: take it from analytics.plan(...)",
            )
        if self.protocol == "secagg":
            _ = self.parameters  # refuses a ring or a threshold that cannot be

    @cached_property
    def bound(self) -> float:
        """Largest size of a coordinate."""
        return self.layout.bound(self.most_rows, self.noise_multiplier)

    @property
    def parameters(self) -> Parameters:
        """The shape of the secure sum; noised vectors are multiples of its precision, so the sum is exact."""
        return Parameters(
            clients=self.cohort,
            length=self.layout.length,
            bound=self.bound,
            precision=self.layout.grid,
            dropouts=self.dropouts,
        )

    @property
    def hash(self) -> bytes:
        """Binds every message to these settings."""
        numbers = f"{self.noise_multiplier!r} {self.cohort} {self.dropouts} {self.protocol} {self.most_rows}"
        return hashlib.sha256(f"{self.layout.hash} {numbers}".encode()).digest()


@dataclass(frozen=True, kw_only=True)
class Charged:
    """Whose budget a site charges.

    Attributes:
      population: The people.
      dataset: The version of their data.
    """

    population: str
    dataset: str
