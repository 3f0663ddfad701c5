"""The private trainer: the only path from rows to weights is clipped, encoded, noised and paid for."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from threading import RLock
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reticent.dp import Event, Grant, add_gaussian, encoded_sensitivity, grid_for
from reticent.errors import PolicyRefused, UsageError
from reticent.training.adaptive_clip import AdaptiveClip, CountShare
from reticent.training.contributions import Rows, usable
from reticent.training.datasets import Dataset
from reticent.training.gradient_sums import ClippedSums, EncodedSum
from reticent.training.parametrized import advance_weights
from reticent.training.per_example import Loss, unchanged
from reticent.training.plain import add_proximal_pull
from reticent.training.probe import check_model
from reticent.training.progress import Progress
from reticent.training.state import load_state, save_state
from reticent.training.synthetic import floating_type, model_device
from reticent.training.watch import Watch

if TYPE_CHECKING:
    from reticent.training.batches import Batch
    from reticent.training.mechanism import SampledMechanism

__all__ = ["Scheduler", "Trainer"]

_CHECKED: WeakKeyDictionary[nn.Module, dict[Hashable, tuple[int, str]]] = WeakKeyDictionary()
"""For each living model: what `Trainer._check` found, the number of classes and the way to its sums."""


class Scheduler(Protocol):
    """A learning-rate scheduler of torch."""

    def step(self) -> None:
        """Set the rate of the next step."""
        ...


class Trainer:
    """Trains one model under one mechanism; `DPSGD.trainer` and `DPFedAvg.trainer` make it.

    What it does cannot be taken apart by mistake. Batches are drawn inside a step and used once; the clip, the grid
    and the sensitivity of a step come from one number; the noise is drawn with the grant that was charged for it; and
    what else moved the weights is noticed (`reticent.training.watch`).
    """

    def __init__(
        self,
        mechanism: SampledMechanism,
        model: nn.Module,
        loss: Loss,
        optimizer: torch.optim.Optimizer,
        *,
        sums: ClippedSums,
        grant: Grant | None,
        proximal: float,
        scheduler: Scheduler | None,
        state: bytes | None,
    ) -> None:
        self._mechanism = mechanism
        self._model = model
        self._loss = loss
        self._optimizer = optimizer
        self._sums = sums
        self._trained = list(sums.trained.values())
        _refuse_optimizer(optimizer, self._trained)
        _refuse_scheduler(scheduler, optimizer)
        self._scheduler = scheduler
        self._proximal = proximal
        self._start = [value.detach().clone() for value in self._trained] if proximal else []
        self._progress = Progress(mechanism)
        if state is not None:
            load_state(state, self._progress, model, optimizer, scheduler, start=self._start)
        self._grant = mechanism.grant_for(self._progress.done) if grant is None else grant
        self._watch = Watch(model, sums.trained, optimizer)
        self._grid: float | None = None
        self._one_at_a_time = RLock()

    @property
    def done(self) -> int:
        """How many steps are done."""
        return self._progress.done

    @property
    def max_norm(self) -> float:
        """The clip of the next step. An adaptive one follows noised counts, and so tells nothing unpaid."""
        return self._progress.max_norm

    @property
    def grid(self) -> float:
        """The sum of a step is a multiple of this; the last step's, or before the first one what `dp.grid_for` says."""
        return grid_for(self.max_norm, self._sums.parameters) if self._grid is None else self._grid

    @property
    def sensitivity(self) -> float:
        """Largest L2 norm of one unit's encoded contribution in the next step."""
        parameters = self._sums.parameters
        return encoded_sensitivity(self.max_norm, grid_for(self.max_norm, parameters), parameters)

    @property
    def spent(self) -> tuple[Event, ...]:
        """What was released so far: the steps done here, and those of the trainings whose state was loaded."""
        return self._progress.spent

    def epsilon(self, delta: float) -> float:
        """Return a certified upper bound on the epsilon of what was `spent` so far, under the mechanism's relation.

        Stopping early at a step that was chosen without the data costs no more than this.

        Raises:
          PolicyRefused: If delta is not below 1 / population.
        """
        return self._mechanism.epsilon_of(list(self.spent), delta)

    def fit(self, data: Dataset | Mapping[str, Dataset]) -> None:
        """Do all steps that are left, on samples of `data`; also where there are no rows. Returns nothing.

        Args:
          data: `Examples`, or a TensorDataset; under unit site a mapping from site names to such.
        """
        if self.done == self._mechanism.steps:
            raise PolicyRefused(
                "not-the-next-sample",
                f"all {self.done} steps of this mechanism are done",
                hint="make a new mechanism and trainer for further steps; they are charged beside the first",
            )
        for batch in self._mechanism.batches(data, first=self.done):
            self.step(batch)

    def step(self, batch: Batch) -> None:
        """Train on one Poisson sample. Returns nothing: a loss would be a release.

        Args:
          batch: The next one from `batches` of the mechanism; an empty one must not be left out.

        Raises:
          PolicyRefused: If the batch is not the next sample of this mechanism, the model or loss mixes examples, the
            weights were changed from outside, an earlier step was interrupted, or the noise was not paid for.
          UsageError: If the model or loss cannot be used at all.
        """
        with self._one_at_a_time:  # a second thread with the same step is refused: its sample is not the next one
            self._step(batch)

    def _step(self, batch: Batch) -> None:
        self._progress.refuse_interrupted()
        self._refuse_other(batch)
        self._watch.refuse_changes()
        classes = self._check(batch.shape, batch.label_type)
        self._model.train()
        advance_weights(self._model)
        with self._progress.at_work():
            rows = usable(self._rows(batch.take()), classes)
            bound = self._mechanism.bound
            with unchanged(self._model):
                found = self._sums(rows, max_norm=self.max_norm, counting=isinstance(bound, AdaptiveClip))
            gradient, next_norm = self._noised(found, bound if isinstance(bound, AdaptiveClip) else None)
            self._update(torch.from_numpy(self._sums.sign * gradient / self._mechanism.expected_batch_size))
            self._grid = found.grid
        self._progress.step_done(next_norm)
        self._watch.remember()

    def _noised(self, found: EncodedSum, adaptive: AdaptiveClip | None) -> tuple[NDArray[np.float64], float | None]:
        """Draw the step's noise, once; return the noised sum and, under an adaptive clip, the clip that follows."""
        event = self._mechanism.event_at(self.done)
        if adaptive is None or found.tally is None:
            noised = add_gaussian(
                found.total, event=event, sensitivity=found.sensitivity, grid=found.grid, grant=self._grant
            )
            return noised, None
        multiplier = self._mechanism.noise.at(self.done)
        beside = CountShare.beside(
            sensitivity=found.sensitivity, grid=found.grid, settings=adaptive, noise_multiplier=multiplier
        )
        count = beside.coordinate(within=found.tally.within, units=found.tally.units)
        # One vector, one draw, one charge: count and gradient come from the same sample.
        noised = add_gaussian(
            np.append(found.total, count),
            event=event,
            sensitivity=beside.sensitivity,
            grid=found.grid,
            grant=self._grant,
        )
        share = beside.share(float(noised[-1]), expected=self._mechanism.expected_batch_size)
        return noised[:-1], adaptive.next(self.max_norm, share)

    def state(self, *, ahead: int = 0) -> bytes:
        """Return the training as bytes: weights, optimisers, schedules, and what was spent. Never a pickle.

        No row, sampler, noise or key is in it. After it is loaded, the steps already done are not done again, and
        those that are left need a grant of their own: `mechanism.release(..., first=trainer.done)`.

        Args:
          ahead: How many further steps this trainer may do before it saves again. They count as spent in the state,
            since a crash may come after them; done here, they are counted once. Beyond them this trainer refuses.
        """
        return save_state(self._progress, self._model, self._optimizer, self._scheduler, start=self._start, ahead=ahead)

    def _rows(self, rows: Rows) -> Rows:
        kind, device = floating_type(self._model), model_device(self._model)
        labels = rows.labels.to(device, kind if rows.labels.is_floating_point() else rows.labels.dtype)
        return Rows(rows.features.to(device, kind), labels, rows.counts)

    def _update(self, gradient: Tensor) -> None:
        # Gradients that were left behind, and never noised, must not reach the optimiser.
        self._optimizer.zero_grad(set_to_none=True)
        self._model.zero_grad(set_to_none=True)
        parts = torch.split(gradient, [value.numel() for value in self._trained])
        for value, part in zip(self._trained, parts, strict=True):
            value.grad = part.view(value.shape).to(value.device, value.dtype)
        if self._proximal:
            add_proximal_pull(self._trained, self._start, self._proximal)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        if self._scheduler is not None:
            self._scheduler.step()

    def _refuse_other(self, batch: Batch) -> None:
        if not self._mechanism.issued(batch) or batch.number != self.done:
            raise PolicyRefused(
                "not-the-next-sample",
                f"step {self.done} was given something else than batch {self.done} of this mechanism's own samples",
                hint="write: for batch in dpsgd.batches(examples): trainer.step(batch), leaving no batch out, "
                "also no empty one; or trainer.fit(examples)",
            )

    def _check(self, shape: tuple[int, ...], labels: torch.dtype) -> int:
        """Try model and loss on made-up examples, once; a check on real rows would tell something about them.

        A federated client makes a trainer in every round: what was found for a model is kept with the model, as long
        as its layers and hooks are the same.

        Returns:
          The number of classes that the model tells apart; 0 for numeric labels.
        """
        layers = tuple((name, type(layer), id(layer), _hooks(layer)) for name, layer in self._model.named_modules())
        key = (type(self._sums), shape, labels, self._loss, layers)
        known = _CHECKED.setdefault(self._model, {})
        if key not in known:
            classes = 0 if labels.is_floating_point else None
            features, made_up, outputs = check_model(self._model, self._loss, shape, classes=classes)
            self._sums.check(features, made_up)
            known[key] = (max(2, outputs[0].numel()) if classes is None else 0, self._sums.way)
        found, self._sums.way = known[key]
        return found


def _hooks(layer: nn.Module) -> tuple[int, ...]:
    return tuple(id(hook) for hook in (*layer._forward_hooks.values(), *layer._forward_pre_hooks.values()))


def _refuse_optimizer(optimizer: torch.optim.Optimizer, trained: list[nn.Parameter]) -> None:
    if isinstance(optimizer, torch.optim.LBFGS):
        raise UsageError(
            "optimizer-needs-closure",
            "LBFGS evaluates the loss several times in one step, which one noised gradient cannot serve",
            hint="use a first-order optimiser, for example torch.optim.SGD or Adam",
        )
    known = {id(value) for value in trained}
    if not any(id(value) in known for group in optimizer.param_groups for value in group["params"]):
        raise UsageError(
            "optimizer-of-other-model",
            f"{type(optimizer).__name__} holds none of the model's trained parameters",
            hint="make the optimizer from the parameters of the model that is trained",
        )


def _refuse_scheduler(scheduler: Scheduler | None, optimizer: torch.optim.Optimizer) -> None:
    if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
        raise PolicyRefused(
            "scheduler-needs-metric",
            "ReduceLROnPlateau follows a loss, and a loss of real rows is a release that was not paid for",
            hint="use a schedule that is fixed in advance, for example CosineAnnealingLR",
        )
    if scheduler is not None and getattr(scheduler, "optimizer", optimizer) is not optimizer:
        raise UsageError(
            "optimizer-of-other-model",
            f"{type(scheduler).__name__} drives another optimizer than the one given",
            hint="make the scheduler from this optimizer",
        )
