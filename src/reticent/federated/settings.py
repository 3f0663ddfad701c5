"""What federated learning is told: the method, the local training, and how updates are summed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from reticent.dp import Event, Gaussian, Grant, PoissonSampled, Relation, Release, Repeated, Unit

__all__ = ["Aggregation", "Encoding", "FedAvg", "FedProx", "LocalTraining", "PrivateTraining", "Schedule", "Statistics"]


@dataclass(frozen=True, kw_only=True)
class FedAvg:
    """Federated averaging (McMahan et al., AISTATS 2017, algorithm 1): local steps, then a mean weighted by data size.

    Attributes:
      rounds: Communication rounds.
      local_epochs: Passes over a site's data in a round; give this or `local_steps`.
      local_steps: Optimiser steps in a round.
      clients_per_round: Sites chosen in a round; None for all.
      batch_size: Rows in a local batch, without differential privacy.
      optimizer, learning_rate, momentum, weight_decay: The local optimiser, started anew in every round.
      seed: Public seed of the initial model, of the choice of sites, and of shuffling without privacy.
    """

    rounds: int
    local_epochs: float | None = None
    local_steps: int | None = None
    clients_per_round: int | None = None
    batch_size: int | None = None
    optimizer: str = "sgd"
    learning_rate: float = 0.05
    momentum: float = 0.0
    weight_decay: float = 0.0
    seed: int | None = None

    @property
    def section(self) -> dict[str, Any]:
        """The `[learning]` section of a study file that says the same."""
        given = {key: value for key, value in vars(self).items() if value is not None}
        return {"method": type(self).__name__.lower(), **given}


@dataclass(frozen=True, kw_only=True)
class FedProx(FedAvg):
    """FedAvg with a proximal term mu/2 * |w - w_round|^2 in every local loss (Li et al., MLSys 2020, equation 2)."""

    mu: float = 0.01


@dataclass(frozen=True, kw_only=True)
class PrivateTraining:
    """The mechanism of one site's training in noise mode `local`, and whom its releases are charged to.

    Attributes:
      max_grad_norm: Largest norm of one unit's contribution.
      contribution: `gradient`: DP-SGD at the site, `local_steps` noised steps in a round. `update`: DP-FedAvg over the
        site's persons (McMahan et al. 2018): each sampled person trains alone for `local_epochs` passes with the local
        optimiser, and the site adds the noised mean of their clipped updates, `local_steps` times in a round. Both
        give one Poisson sampled Gaussian for each of them, so a round costs the same.
    """

    unit: Unit
    relation: Relation
    population_size: int
    expected_batch_size: float
    sampling_probability: float
    noise_multiplier: float
    metrics_noise_multiplier: float | None
    max_grad_norm: float
    population: str
    dataset: str
    contribution: Literal["gradient", "update"] = "gradient"

    def release(self, *events: Event) -> Release:
        """Return `events` as a release about this site's population."""
        return Release(
            events=events, unit=self.unit, relation=self.relation, population=self.population, dataset=self.dataset
        )

    def execution(self, steps: int) -> Event:
        """Return what one execution of local training discloses."""
        return Repeated(PoissonSampled(self.sampling_probability, Gaussian(self.noise_multiplier)), steps)


@dataclass(frozen=True, kw_only=True)
class LocalTraining:
    """How one site trains within a round.

    Attributes:
      weight: The site's share in the mean, from declared sizes.
      classes: Number of label classes; 0 for a numeric label.
      local_steps, local_epochs, batch_size: As in `FedAvg`; what they count where each person trains alone is said at
        `PrivateTraining.contribution`.
      mu: Strength of FedProx's proximal term; 0 is FedAvg.
      private: The differentially private mechanism, or None for plain training.
    """

    weight: float
    classes: int
    loss: Callable[..., Any]
    optimizer: Callable[[Any], Any]
    batch_size: int | None = None
    local_steps: int | None = None
    local_epochs: float | None = None
    mu: float = 0.0
    seed: int | None = None
    private: PrivateTraining | None = None


@dataclass(frozen=True, kw_only=True)
class Aggregation:
    """How the sites' vectors are summed.

    Attributes:
      protocol: `secagg`: the coordinator learns the sum alone; `plain`: it sees every site's vector.
      cohort: How many sites take part in a round; a site refuses to be summed in a smaller company.
      dropouts: How many of the chosen sites may fail in a round.
      bound: Largest absolute value of a weighted update; a larger update is scaled down as a whole.
      precision: Step of the fixed-point encoding under `secagg`.
    """

    protocol: Literal["secagg", "plain"]
    cohort: int
    dropouts: int = 0
    bound: float = 2.0**10
    precision: float = 2.0**-24


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """What a vector of one task is summed as: its length, the largest absolute value, and the step.

    Attributes:
      length: Number of coordinates.
      bound: Largest absolute value of a coordinate at one site.
      precision: Step of the fixed-point encoding under `secagg`.
    """

    length: int
    bound: float
    precision: float


class Statistics(Protocol):
    """One vector about a site's rows that is summed like an update, before the first round."""

    @property
    def encoding(self) -> Encoding:
        """How the vectors are summed; every party derives the same from the plan."""
        ...

    def cost(self) -> Release | None:
        """Return what the vector discloses; None where no epsilon is claimed."""
        ...

    def vector(self, grant: Grant | None) -> NDArray[np.float64]:
        """Return this site's vector, with noise where an epsilon is claimed; shape `(length,)`."""
        ...


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The order of work: statistics as round 0 if there are any, then training rounds 1..rounds.

    Each is followed by an evaluation where `evaluations` names it.
    """

    rounds: int
    evaluations: tuple[int, ...] = ()
    clients_per_round: int | None = None
    deadline: float = 3600.0
    seed: int | None = None
    statistics: bool = False

    def units(self) -> tuple[tuple[str, int], ...]:
        """Return the tasks in order, as (task, round)."""
        work: list[tuple[str, int]] = [("statistics", 0)] if self.statistics else []
        for number in range(1, self.rounds + 1):
            work.append(("train", number))
            if number in self.evaluations:
                work.append(("evaluate", number))
        return tuple(work)
