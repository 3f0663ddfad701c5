"""What DPSGD and DPFedAvg have in common: sampling, bound, noise and accounting, fixed together and for good.

Abadi et al., CCS 2016, algorithm 1: Poisson samples of units, each unit's contribution clipped as a whole, rounded
Gaussian noise on the exact sum, and division by the *expected* batch size, which is a declared constant: the realised
one is private. What differs is the contribution: a gradient, or the result of local training.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any
from weakref import WeakSet

from reticent import dp
from reticent.dp import (
    Composed,
    Event,
    Gaussian,
    Grant,
    PoissonSampled,
    PoissonSampler,
    Relation,
    Release,
    Repeated,
    Target,
    Unit,
)
from reticent.errors import PolicyRefused, UsageError
from reticent.training.adaptive_clip import AdaptiveClip
from reticent.training.batches import Batch, source_of
from reticent.training.clipping import LARGEST_CLIP, SMALLEST_CLIP
from reticent.training.datasets import Dataset
from reticent.training.segments import PerStep, Segments

__all__ = ["Bound", "SampledMechanism"]

Bound = PerStep | AdaptiveClip
"""A clip: one number, a schedule fixed in advance, or one that is learned from a paid count."""


class SampledMechanism:
    """A Poisson sampled Gaussian in every step; `DPSGD` and `DPFedAvg` say of what.

    Nothing of it can be changed once it is made: a clip that grew after the noise was derived would void the claim.

    Attributes:
      population, expected_batch_size, steps, unit, relation: As given.
      sampling_probability: expected_batch_size / population, unless given.
      noise: Noise multiplier of every step, as `Segments`.
      bound: The clip of every step, as `Segments`, or the `AdaptiveClip`.
    """

    population: int
    expected_batch_size: float
    steps: int
    unit: Unit
    relation: Relation
    sampling_probability: float
    noise: Segments
    bound: Segments | AdaptiveClip

    def __init__(
        self,
        *,
        population: int,
        expected_batch_size: float,
        steps: int,
        bound: tuple[str, Bound],
        unit: Unit,
        relation: Relation,
        target: Target | None,
        noise_multiplier: PerStep | None,
        sampling_probability: float | None,
    ) -> None:
        _require(population, expected_batch_size, steps)
        if (target is None) == (noise_multiplier is None):
            raise UsageError(
                "target-or-noise",
                f"target is {target} and noise_multiplier is {noise_multiplier}",
                hint="give exactly one: target=dp.Target(epsilon=..., delta=...) or noise_multiplier=...",
            )
        self.population = population
        self.expected_batch_size = expected_batch_size
        self.steps = steps
        self.unit = unit
        self.relation = relation
        self.sampling_probability = _same(sampling_probability, expected_batch_size / population)
        if noise_multiplier is None:
            noise_multiplier = self._calibrated(target)
        self.noise = _whole("noise_multiplier", noise_multiplier, steps)
        self.bound = _clips(*bound, steps)
        for _, multiplier in self.noise.parts:
            Gaussian(multiplier)  # refuses a negative one by its name
            if isinstance(self.bound, AdaptiveClip):
                self.bound.gradient_noise(multiplier)
        self.release(population="-", dataset="-")  # checks unit and relation before anything is trained
        self._issued: WeakSet[Batch] = WeakSet()
        self._fixed = True

    def __setattr__(self, name: str, value: object) -> None:
        if getattr(self, "_fixed", False):
            raise PolicyRefused(
                "mechanism-is-fixed",
                f"{name} of a {type(self).__name__} was to be changed after it was made",
                hint=f"make a new {type(self).__name__}: what is charged follows from all its settings together",
            )
        super().__setattr__(name, value)

    def _calibrated(self, target: Target | None) -> float:
        assert target is not None  # noqa: S101
        dp.check_delta(target.delta, self.population)
        return dp.noise_multiplier(
            epsilon=target.epsilon,
            delta=target.delta,
            sampling_probability=self.sampling_probability,
            steps=self.steps,
            relation=self.relation,
        )

    @property
    def noise_multiplier(self) -> float | Segments:
        """Standard deviation of the noise over the largest norm of one unit's encoded contribution."""
        constant = self.noise.constant
        return self.noise if constant is None else constant

    @property
    def event(self) -> Event:
        """What all steps together disclose."""
        return self.event_of(0, self.steps)

    @property
    def step_event(self) -> PoissonSampled:
        """What one step discloses, where all steps disclose the same; else see `event_at`."""
        return self.event_at(0)

    def event_at(self, step: int) -> PoissonSampled:
        """Return what one step discloses."""
        return PoissonSampled(self.sampling_probability, Gaussian(self.noise.at(step)))

    def event_of(self, first: int, stop: int) -> Event:
        """Return what the steps `first` to `stop - 1` disclose together."""
        runs = tuple(
            Repeated(PoissonSampled(self.sampling_probability, Gaussian(multiplier)), steps)
            for steps, multiplier in self.noise.between(first, stop)
        )
        return runs[0] if len(runs) == 1 else Composed(runs)

    def release(self, population: str, dataset: str, *, first: int = 0) -> Release:
        """Return what a ledger reserves on the people called `population`: all steps, or those from `first` on."""
        return Release(
            events=(self.event_of(first, self.steps),),
            unit=self.unit,
            relation=self.relation,
            population=population,
            dataset=dataset,
        )

    def epsilon(self, delta: float) -> float:
        """Return a certified upper bound on epsilon after all steps; infinite without noise.

        Raises:
          PolicyRefused: If delta is not below 1 / population.
        """
        return self.epsilon_of([self.event], delta)

    def epsilon_of(self, events: list[Event], delta: float) -> float:
        """Return a certified upper bound on epsilon after `events` under this relation."""
        dp.check_delta(delta, self.population)
        return dp.epsilon(events, delta=delta, relation=self.relation)

    def batches(self, data: Dataset | Mapping[str, Dataset], *, first: int = 0) -> Iterator[Batch]:
        """Yield the right to a Poisson sample for each step, from `first` on; many samples may be empty.

        Args:
          data: `Examples`, or a TensorDataset; under unit site a mapping from site names to such.
          first: Steps that were done before; `trainer.done` after a state was loaded.
        """
        sampler = PoissonSampler(self.sampling_probability)
        source = source_of(data, self.unit)
        for number in range(first, self.steps):
            batch = Batch(number, source, sampler)
            self._issued.add(batch)
            yield batch

    def issued(self, batch: object) -> bool:
        """Return whether `batch` is one of this mechanism's own."""
        return isinstance(batch, Batch) and batch in self._issued

    def grant_for(self, first: int) -> Grant:
        """Return a grant that no ledger remembers for the steps from `first` on: for notebooks."""
        return Grant.without_ledger([self.event_of(first, self.steps)])

    @property
    def settings(self) -> str:
        """All that the claim depends on, as canonical text: two mechanisms with equal texts are the same."""
        bound = self.bound
        clip: Any = bound.parts if isinstance(bound, Segments) else [getattr(bound, name) for name in bound.__slots__]
        values = {
            "mechanism": type(self).__name__,
            "population": self.population,
            "expected_batch_size": float(self.expected_batch_size),
            "steps": self.steps,
            "unit": self.unit,
            "relation": self.relation,
            "sampling_probability": float(self.sampling_probability),
            "noise_multiplier": self.noise.parts,
            "clip": clip,
        }
        return json.dumps(values)


def _same(charged: float | None, derived: float) -> float:
    """Return the probability that was charged: a plan's own number can differ from the quotient in the last bit."""
    if charged is not None and not math.isclose(charged, derived, rel_tol=1e-12):
        raise UsageError(
            "invalid-dpsgd",
            f"sampling_probability is {charged}, expected_batch_size / population is {derived}",
            hint="leave sampling_probability out, or give numbers that agree",
        )
    return derived if charged is None else charged


def _whole(name: str, value: PerStep, steps: int) -> Segments:
    """Return `value` for exactly `steps` steps."""
    if isinstance(value, float | int) and not math.isfinite(value):
        if name == "noise_multiplier":
            Gaussian(value)
        raise UsageError("invalid-dpsgd", f"{name} is {value}", hint="give a finite number, 0.1 to 1 is usual")
    segments = Segments.of(value, steps)
    if segments.steps != steps:
        raise UsageError(
            "invalid-dpsgd",
            f"{name} is given for {segments.steps} steps, and there are {steps}",
            hint="give one number, a list with one for each step, or Segments((steps, value), ...) that add up",
        )
    return segments


def _clips(name: str, value: Bound, steps: int) -> Segments | AdaptiveClip:
    if isinstance(value, AdaptiveClip):
        return value
    segments = _whole(name, value, steps)
    for _, clip in segments.parts:
        if not SMALLEST_CLIP <= clip <= LARGEST_CLIP:
            raise UsageError(
                "invalid-dpsgd",
                f"{name} is {clip}",
                hint=f"give a number between {SMALLEST_CLIP:g} and {LARGEST_CLIP:g}; 0.1 to 1 is usual",
            )
    return segments


def _require(population: int, expected_batch_size: float, steps: int) -> None:
    wrong = {
        "population": (population, population >= 1, "declare the number of units, 1 or larger"),
        "expected_batch_size": (
            expected_batch_size,
            0 < expected_batch_size <= population,
            f"give a number above 0 and at most population = {population}",
        ),
        "steps": (steps, steps >= 1, "give a whole number, 1 or larger"),
    }
    for name, (value, right, hint) in wrong.items():
        if not (right and math.isfinite(value)):
            raise UsageError("invalid-dpsgd", f"{name} is {value}", hint=hint)
