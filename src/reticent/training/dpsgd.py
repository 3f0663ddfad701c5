"""DP-SGD as one object: sampling, clipping, noise and accounting that cannot be taken apart.

Abadi et al., CCS 2016, algorithm 1, with Poisson sampling of units (records or persons), the norm taken over the whole
gradient, rounded Gaussian noise on an exact sum, and division by the *expected* batch size, which is a declared
constant: the realised one is private.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reticent import dp
from reticent.data import Examples
from reticent.dp import Gaussian, Grant, PoissonSampled, PoissonSampler, Relation, Release, Repeated, Target
from reticent.errors import PolicyRefused, UsageError
from reticent.training.clipping import LARGEST_CLIP, SMALLEST_CLIP
from reticent.training.per_example import Loss
from reticent.training.trainer import Trainer

__all__ = ["DPSGD", "Batch"]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Batch:
    """One Poisson sample of units, possibly empty; only `DPSGD.batches` makes them.

    Attributes:
      features: Shape `(rows, *shape)`, the rows of one unit side by side.
      labels: Shape `(rows,)`.
      counts: Rows of each sampled unit under unit person; None under unit record.
      number: 0 .. steps - 1, in order.
      source: The mechanism that drew it.
    """

    features: Tensor
    labels: Tensor
    counts: list[int] | None
    number: int
    source: DPSGD


class DPSGD:
    """A differentially private training mechanism: what it does in each step, and what all its steps release.

    Args:
      population: Number of units, a declared public constant; never compared with the real number.
      expected_batch_size: Units in a step, on average; may be a fraction.
      steps: Optimiser steps in all. All of them are done, empty batches included.
      max_grad_norm: Largest L2 norm of one unit's gradient, over the whole model.
      unit: `record`: each row is a unit; `person`: all rows of a person together.
      relation: The neighbouring relation of the claim.
      target: What all steps together may cost; the noise follows. Or:
      noise_multiplier: Standard deviation of the noise over the norm of one unit's contribution.
      sampling_probability: What was charged, where that is expected_batch_size / population up to rounding only.

    Attributes:
      sampling_probability: expected_batch_size / population, unless given.
      noise_multiplier: Given or derived.

    Raises:
      UsageError: If an argument is out of range.
      PolicyRefused: If the claim would promise nothing (delta), or cannot be kept here (unit site).
    """

    def __init__(
        self,
        *,
        population: int,
        expected_batch_size: float,
        steps: int,
        max_grad_norm: float,
        unit: Literal["record", "person", "site"],
        relation: Relation,
        target: Target | None = None,
        noise_multiplier: float | None = None,
        sampling_probability: float | None = None,
    ) -> None:
        _require(population, expected_batch_size, steps, max_grad_norm, unit)
        if (target is None) == (noise_multiplier is None):
            raise UsageError(
                "target-or-noise",
                f"target is {target} and noise_multiplier is {noise_multiplier}",
                hint="give exactly one: target=dp.Target(epsilon=..., delta=...) or noise_multiplier=...",
            )
        self.population = population
        self.expected_batch_size = expected_batch_size
        self.steps = steps
        self.max_grad_norm = max_grad_norm
        self.unit = unit
        self.relation = relation
        self.sampling_probability = _same(sampling_probability, expected_batch_size / population)
        if target is not None:
            dp.check_delta(target.delta, population)
            noise_multiplier = dp.noise_multiplier(
                epsilon=target.epsilon,
                delta=target.delta,
                sampling_probability=self.sampling_probability,
                steps=steps,
                relation=relation,
            )
        self._noise = Gaussian(float(noise_multiplier or 0.0))
        self.step_event = PoissonSampled(self.sampling_probability, self._noise)
        self.release(population="-", dataset="-")  # checks unit and relation before anything is trained

    @property
    def noise_multiplier(self) -> float:
        """Standard deviation of the noise over the largest norm of one unit's encoded contribution."""
        return self._noise.noise_multiplier

    @property
    def event(self) -> Repeated:
        """What all steps together disclose."""
        return Repeated(self.step_event, self.steps)

    def release(self, population: str, dataset: str) -> Release:
        """Return what a ledger reserves for the whole training, on the people called `population`."""
        return Release(
            events=(self.event,), unit=self.unit, relation=self.relation, population=population, dataset=dataset
        )

    def epsilon(self, delta: float) -> float:
        """Return a certified upper bound on epsilon after all steps; infinite without noise.

        Raises:
          PolicyRefused: If delta is not below 1 / population.
        """
        dp.check_delta(delta, self.population)
        return dp.epsilon(self.event, delta=delta, relation=self.relation)

    def trainer(
        self,
        model: nn.Module,
        loss: Loss,
        optimizer: torch.optim.Optimizer,
        *,
        grant: Grant | None = None,
        proximal: float = 0.0,
    ) -> Trainer:
        """Return what trains `model` under this mechanism.

        Args:
          model: Its parameters with `requires_grad` are trained, in place.
          loss: Any torch loss; called on a batch of one.
          optimizer: Over the model's parameters; it only ever sees noised gradients.
          grant: From a ledger's commit. By default one that no ledger remembers, for notebooks.
          proximal: FedProx's mu, pulling towards the weights at this call; added after the noise.
        """
        grant = Grant.without_ledger([self.event]) if grant is None else grant
        return Trainer(self, model, loss, optimizer, grant=grant, proximal=proximal)

    def batches(self, examples: Examples) -> Iterator[Batch]:
        """Yield `steps` independent Poisson samples, drawn from operating-system entropy; many may be empty."""
        features, labels = torch.from_numpy(examples.features), torch.from_numpy(examples.labels)
        sampler = PoissonSampler(self.sampling_probability)
        by_person = np.argsort(examples.units, kind="stable")
        rows_of = np.bincount(examples.units, minlength=examples.n_units)
        for number in range(self.steps):
            rows: NDArray[np.intp]
            counts: list[int] | None = None
            if self.unit == "record":
                rows = sampler.sample(len(examples))
            else:
                persons = sampler.sample(examples.n_units)
                rows = by_person[np.isin(examples.units[by_person], persons)]
                counts = rows_of[persons].tolist()
            chosen = torch.from_numpy(rows)
            yield Batch(features[chosen], labels[chosen], counts, number, self)


def _same(charged: float | None, derived: float) -> float:
    """Return the probability that was charged: a plan's own number can differ from the quotient in the last bit."""
    if charged is not None and not math.isclose(charged, derived, rel_tol=1e-12):
        raise UsageError(
            "invalid-dpsgd",
            f"sampling_probability is {charged}, expected_batch_size / population is {derived}",
            hint="leave sampling_probability out, or give numbers that agree",
        )
    return derived if charged is None else charged


def _require(population: int, expected_batch_size: float, steps: int, max_grad_norm: float, unit: str) -> None:
    wrong = {
        "population": (population, population >= 1, "declare the number of units, 1 or larger"),
        "expected_batch_size": (
            expected_batch_size,
            0 < expected_batch_size <= population,
            f"give a number above 0 and at most population = {population}",
        ),
        "steps": (steps, steps >= 1, "give a whole number, 1 or larger"),
        "max_grad_norm": (
            max_grad_norm,
            SMALLEST_CLIP <= max_grad_norm <= LARGEST_CLIP,
            f"give a number between {SMALLEST_CLIP:g} and {LARGEST_CLIP:g}; 0.1 to 1 is usual",
        ),
    }
    for name, (value, right, hint) in wrong.items():
        if not (right and math.isfinite(value)):
            raise UsageError("invalid-dpsgd", f"{name} is {value}", hint=hint)
    if unit == "site":
        raise PolicyRefused(
            "unit-site-unsupported",
            "unit is 'site': hiding a whole site needs noise inside the sum over sites, and DPSGD works at one site",
            hint="use unit='person' or unit='record'",
        )
