"""DP-SGD as one object: sampling, clipping, noise and accounting that cannot be taken apart."""

from __future__ import annotations

import torch
from torch import nn

from reticent.dp import Grant, Relation, Target, Unit
from reticent.training.adaptive_clip import AdaptiveClip
from reticent.training.gradient_sums import GradientSums
from reticent.training.mechanism import Bound, SampledMechanism
from reticent.training.per_example import Loss
from reticent.training.segments import PerStep, Segments
from reticent.training.trainer import Scheduler, Trainer

__all__ = ["DPSGD"]


class DPSGD(SampledMechanism):
    """A differentially private training mechanism: what it does in each step, and what all its steps release.

    >>> from reticent import dp
    >>> dpsgd = DPSGD(population=60_000, expected_batch_size=250, steps=3600, max_grad_norm=1.0, unit="record",
    ...               relation="add_or_remove_one", noise_multiplier=1.3)
    >>> round(dpsgd.epsilon(delta=1e-5), 2)
    0.85

    Args:
      population: Number of units, a declared public constant; never compared with the real number.
      expected_batch_size: Units in a step, on average; may be a fraction.
      steps: Optimiser steps in all. All of them are done, empty batches included.
      max_grad_norm: Largest L2 norm of one unit's gradient, over the whole model: a number, a schedule fixed in
        advance (one number for each step, or `Segments`), or an `AdaptiveClip`.
      unit: `record`: each row is a unit; `person`: all rows of a person together; `site`: all rows of a site together,
        where one trusted party holds the rows of all sites and says whose they are.
      relation: The neighbouring relation of the claim.
      target: What all steps together may cost; the noise follows. Or:
      noise_multiplier: Standard deviation of the noise over the norm of one unit's contribution: a number, one for
        each step, or `Segments`. Under an adaptive clip it pays for gradient and count together.
      sampling_probability: What was charged, where that is expected_batch_size / population up to rounding only.

    Raises:
      UsageError: If an argument is out of range.
      PolicyRefused: If the claim would promise nothing (delta).
    """

    def __init__(
        self,
        *,
        population: int,
        expected_batch_size: float,
        steps: int,
        max_grad_norm: Bound,
        unit: Unit,
        relation: Relation,
        target: Target | None = None,
        noise_multiplier: PerStep | None = None,
        sampling_probability: float | None = None,
    ) -> None:
        super().__init__(
            population=population,
            expected_batch_size=expected_batch_size,
            steps=steps,
            bound=("max_grad_norm", max_grad_norm),
            unit=unit,
            relation=relation,
            target=target,
            noise_multiplier=noise_multiplier,
            sampling_probability=sampling_probability,
        )

    @property
    def max_grad_norm(self) -> float | Segments | AdaptiveClip:
        """The clip: a number where it is the same in all steps."""
        bound = self.bound
        constant = bound.constant if isinstance(bound, Segments) else None
        return bound if constant is None else constant

    def trainer(
        self,
        model: nn.Module,
        loss: Loss,
        optimizer: torch.optim.Optimizer,
        *,
        grant: Grant | None = None,
        proximal: float = 0.0,
        scheduler: Scheduler | None = None,
        physical_batch_size: int | None = None,
        state: bytes | None = None,
    ) -> Trainer:
        """Return what trains `model` under this mechanism.

        Args:
          model: Its parameters with `requires_grad` are trained, in place.
          loss: Any torch loss; called on a batch of one. Neither it nor the model may hold rows of the data: what it
            remembers is in every example's gradient, and no clip bounds that.
          optimizer: Over the model's parameters; it only ever sees noised gradients.
          grant: From a ledger's commit, for the steps that are left. By default one that no ledger remembers, for
            notebooks.
          proximal: FedProx's mu, pulling towards the weights at this call; added after the noise.
          scheduler: Of the learning rate; its `step` is called after every step, without a metric.
          physical_batch_size: Most rows whose gradients are held at once; by default what fits the cache. It changes
            memory and speed, never the result: the sum is exact, and noise is drawn once.
          state: From `Trainer.state`, to go on where that training was.
        """
        sums = GradientSums(model, loss, limit=physical_batch_size)
        return Trainer(
            self, model, loss, optimizer, sums=sums, grant=grant, proximal=proximal, scheduler=scheduler, state=state
        )
