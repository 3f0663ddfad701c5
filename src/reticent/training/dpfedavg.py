"""DP-FedAvg as one object: every person or site trains alone, and only the clipped, noised sum of results is seen.

McMahan, Ramage, Talwar, Zhang, "Learning differentially private recurrent language models", ICLR 2018, algorithm 1.
In every aggregation the sampled units start from the present model and do any number of steps on their own rows alone.
The difference of the weights is clipped as a whole and summed; noise is added once. However many rows and steps a unit
has, it gives one contribution for each aggregation, which is what makes the claim one about units. All units count
alike: a weight by the number of rows would be private.
"""

from __future__ import annotations

import torch
from torch import nn

from reticent.dp import Grant, Relation, Target, Unit
from reticent.errors import UsageError
from reticent.training.adaptive_clip import AdaptiveClip
from reticent.training.local_updates import LocalSteps, UpdateSums
from reticent.training.mechanism import Bound, SampledMechanism
from reticent.training.per_example import Loss
from reticent.training.segments import PerStep, Segments
from reticent.training.trainer import Scheduler, Trainer

__all__ = ["DPFedAvg"]


class DPFedAvg(SampledMechanism):
    """User-level private training: what each aggregation does, and what all of them release.

    Args:
      population: Number of units, a declared public constant; never compared with the real number.
      expected_batch_size: Units in an aggregation, on average; may be a fraction.
      steps: Aggregations in all. All of them are done, empty samples included.
      clipping_norm: Largest L2 norm of one unit's update, over the whole model: a number, a schedule fixed in advance,
        or an `AdaptiveClip`.
      unit: `person`, or `site` where one trusted party holds the rows of all sites and says whose they are.
      relation: The neighbouring relation of the claim.
      target: What all aggregations together may cost; the noise follows. Or:
      noise_multiplier: Standard deviation of the noise over the norm of one unit's update: a number, one for each
        aggregation, or `Segments`.
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
        clipping_norm: Bound,
        unit: Unit,
        relation: Relation,
        target: Target | None = None,
        noise_multiplier: PerStep | None = None,
        sampling_probability: float | None = None,
    ) -> None:
        if unit == "record":
            raise UsageError(
                "invalid-dpsgd",
                "unit of DPFedAvg is 'record', and a single row has nothing to average over",
                hint="use DPSGD for records, or unit='person' or 'site'",
            )
        super().__init__(
            population=population,
            expected_batch_size=expected_batch_size,
            steps=steps,
            bound=("clipping_norm", clipping_norm),
            unit=unit,
            relation=relation,
            target=target,
            noise_multiplier=noise_multiplier,
            sampling_probability=sampling_probability,
        )

    @property
    def clipping_norm(self) -> float | Segments | AdaptiveClip:
        """The clip: a number where it is the same in all aggregations."""
        bound = self.bound
        constant = bound.constant if isinstance(bound, Segments) else None
        return bound if constant is None else constant

    def trainer(
        self,
        model: nn.Module,
        loss: Loss,
        local: LocalSteps,
        *,
        optimizer: torch.optim.Optimizer | None = None,
        grant: Grant | None = None,
        scheduler: Scheduler | None = None,
        state: bytes | None = None,
    ) -> Trainer:
        """Return what trains `model` under this mechanism.

        Args:
          model: Its parameters with `requires_grad` are trained, in place.
          loss: Any torch loss over a batch of one unit's rows; a mean is usual.
          local: What a sampled unit does with the model.
          optimizer: Of the server: it is given the noised mean of the updates as a gradient to descend (Reddi et al.
            2021). By default the mean is added.
          grant, scheduler, state: As for `DPSGD.trainer`.
        """
        if optimizer is None:
            optimizer = torch.optim.SGD([value for value in model.parameters() if value.requires_grad], lr=1.0)
        sums = UpdateSums(model, loss, local)
        return Trainer(
            self, model, loss, optimizer, sums=sums, grant=grant, proximal=0.0, scheduler=scheduler, state=state
        )
