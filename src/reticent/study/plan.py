"""The plan: what each party will do and see, what it costs, and what is promised. Values only, no data.

`derive` makes a plan from a study and the facts of its model; a run does what its plan says and nothing else. The
hash of a plan names it everywhere: in the ledger, in every message and in the report.
"""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from reticent.data import Contract
from reticent.dp import Composed, Event, Gaussian, Guarantee, PoissonSampled, Relation, Release, Repeated, Unit
from reticent.study.parts import (
    ComputationFacts,
    ComputationPlan,
    OptimizerPlan,
    SplitFacts,
    SplitPlan,
    StatisticsPlan,
    Value,
)

__all__ = [
    "AggregationPlan",
    "Cost",
    "MetricsPlan",
    "ModelFacts",
    "Plan",
    "PrivacyPlan",
    "SitePlan",
    "TrainingPlan",
    "Visibility",
]

Method = Literal["fedavg", "fedprox", "split", "vertical", "secure-computation"]
_TECHNIQUES = ("computation", "split", "statistics")


class ModelFacts(Value):
    """What one probe of the model found: torch looked, so that the plan need not.

    Attributes:
      factory: `module:function` that makes the model, or a name in angle brackets for a Python object.
      code_hash: SHA-256 of the module's source, so that every site runs the same code.
      parameters: Number of trained values.
      vector_length: Number of values that travel: parameters and floating-point buffers.
      outputs: Number of values that the model returns for one example.
      mixing_layers: Names of layers that mix examples, refused wherever an epsilon is claimed.
      split: Of a model that is cut: how wide it is there.
      computation: Of a model that is computed on shares: what a rehearsal sent.
    """

    factory: str
    code_hash: str
    parameters: int
    vector_length: int
    outputs: int
    mixing_layers: tuple[str, ...] = ()
    split: SplitFacts | None = None
    computation: ComputationFacts | None = None


class TrainingPlan(Value):
    """How sites learn: FedAvg (McMahan et al. 2017), FedProx (Li et al. 2020, `mu`), or a technique of its own part."""

    method: Method
    mu: float
    rounds: int
    clients_per_round: int
    batch_size: int | None
    optimizer: OptimizerPlan
    loss: str
    seed: int | None


class PrivacyPlan(Value):
    """The mechanism of every site's training, in noise mode `local`.

    Attributes:
      contribution: What is clipped of a unit: its summed `gradient` in each step, or its `update` in each round.
      max_grad_norm: Clipping bound of one unit's contribution.
      grid: Every unit's clipped contribution is rounded to multiples of this before noise.
      sensitivity: Largest L2 norm of one unit's *encoded* contribution, rounding included.
      spare_executions: Repetitions of a round that are paid for beyond the planned rounds.
      sites_per_person: At how many sites one person may have records; 1 is an assumption, named in the report.
    """

    unit: Unit
    relation: Relation
    target_epsilon: float
    delta: float
    max_grad_norm: float
    grid: float
    sensitivity: float
    spare_executions: int
    sites_per_person: int
    contribution: Literal["gradient", "update"] = "gradient"


class AggregationPlan(Value):
    """How updates are summed: `secagg` (masks, Bonawitz et al. 2017), `plain` (the coordinator sees each), or not."""

    protocol: Literal["secagg", "plain", "none"]
    threshold: int
    bound: float
    precision: float
    ring_bits: int


class MetricsPlan(Value):
    """Which figures leave the sites: confusion counts after the rounds in `evaluations`.

    `noise_multiplier` is per evaluation, relative to one unit's contribution of 1; None where no epsilon is claimed.
    """

    evaluations: tuple[int, ...]
    noise_multiplier: float | None


class SitePlan(Value):
    """One site: declared public constants and the noise derived from them.

    Attributes:
      rows: Declared training-set size in units of the claim; the weight in the average. Never compared with the data.
      weight: rows over the sum of rows.
      local_steps: Optimiser steps in one round; None where `local_epochs` counts passes over the site's real data.
      epsilon: Certified epsilon of everything this site may release under the plan, at the plan's delta: what its
        ledger is charged. The plan's guarantee covers a person at several sites, and may be larger.
    """

    name: str
    rows: int
    weight: float
    population: str
    dataset: str
    local_steps: int | None
    local_epochs: float | None
    sampling_probability: float | None
    expected_batch_size: float | None
    noise_multiplier: float | None
    epsilon: float | None


class Visibility(Value):
    """One row of the table *who sees what*."""

    party: str
    sees: str
    does_not_see: str


class Cost(Value):
    """Predicted traffic of one site: bytes in one round, to and from the coordinator, and in the whole run."""

    download_per_round: int
    upload_per_round: int
    total_per_site: int


class Plan(Value):
    """Everything that a run will do, frozen; see the classes above for its parts.

    `why_no_promise` is the study's reason for claiming no epsilon, empty where one is claimed.
    """

    version: Literal[1] = 1
    study: str
    purpose: str
    contact: str
    contract: Contract
    model: ModelFacts
    training: TrainingPlan
    privacy: PrivacyPlan | None
    why_no_promise: str = ""
    aggregation: AggregationPlan
    computation: ComputationPlan | None = None
    split: SplitPlan | None = None
    metrics: MetricsPlan
    statistics: StatisticsPlan | None = None
    sites: tuple[SitePlan, ...]
    guarantee: Guarantee | None
    public_data: bool
    round_deadline: float
    who_sees: tuple[Visibility, ...]
    assumptions: tuple[str, ...]
    not_covered: tuple[str, ...]
    cost: Cost

    @property
    def federated(self) -> bool:
        """Whether this is federated learning, the only method in which updates are summed."""
        return self.split is None and self.computation is None

    def columns(self, site: str) -> tuple[str, ...]:
        """Return the columns of `site`, where sites hold columns of the same rows; else none."""
        part = self.split or self.computation
        return part.columns.get(site, ()) if part else ()

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical text of the plan, in hexadecimal."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()

    def canonical(self) -> str:
        """Return the plan as JSON with sorted keys: what is hashed, stored and signed.

        Parts of techniques that the plan does not use are left out, so that adding a technique changes no other plan.
        """
        table = self.model_dump(mode="json")
        for part in (table, table["model"]):
            for name in _TECHNIQUES:
                if name in part and part[name] is None:
                    del part[name]
        if table["privacy"] and table["privacy"]["contribution"] == "gradient":
            del table["privacy"]["contribution"]
        if table["guarantee"] and table["guarantee"]["protects"] == "records":
            del table["guarantee"]["protects"]
        return json.dumps(table, sort_keys=True, separators=(",", ":"), allow_nan=False)

    def site(self, name: str) -> SitePlan:
        """Return the part of the site called `name`."""
        return next(site for site in self.sites if site.name == name)

    def execution(self, site: str) -> Event | None:
        """Return what one execution of local training, or one pass, releases; None where no epsilon is claimed."""
        if self.split is not None:
            return self.split.boundary[site].one_pass() if site in self.split.boundary else None
        part = self.site(site)
        if part.noise_multiplier is None or part.sampling_probability is None or part.local_steps is None:
            return None
        return Repeated(PoissonSampled(part.sampling_probability, Gaussian(part.noise_multiplier)), part.local_steps)

    def evaluation(self) -> Event | None:
        """Return what one evaluation at any site releases; None where no epsilon is claimed."""
        return None if self.metrics.noise_multiplier is None else Gaussian(self.metrics.noise_multiplier)

    def described(self) -> Event | None:
        """Return what the statistics of any site release; None where there are none, or no epsilon is claimed."""
        part = self.statistics
        return None if part is None or part.noise_multiplier is None else Gaussian(part.noise_multiplier)

    def discloses(self, task: str, site: str) -> Event | None:
        """Return what `site` releases in one task `train`, `evaluate` or `statistics`; None without an epsilon."""
        return {"train": self.execution(site), "evaluate": self.evaluation(), "statistics": self.described()}[task]

    def release(self, site: str) -> Release | None:
        """Return all that `site` may release under this plan, spare executions included: what its ledger reserves."""
        execution, evaluation, privacy = self.execution(site), self.evaluation(), self.privacy
        if privacy is None or execution is None:
            return None
        spare = privacy.spare_executions
        events: list[Event] = [Repeated(execution, self.training.rounds + spare)]
        if evaluation is not None and self.metrics.evaluations:
            events.append(Repeated(evaluation, len(self.metrics.evaluations) + spare))
        described = self.described()
        if described is not None:
            events.append(Repeated(described, 1 + spare))
        part = self.site(site)
        return Release(
            events=(Composed(tuple(events)),),
            unit=privacy.unit,
            relation=privacy.relation,
            population=part.population,
            dataset=part.dataset,
        )

    def who_sees_what(self) -> str:
        """Return the table *who sees what* as text."""
        lines = [f"{row.party}\n  sees: {row.sees}\n  does not see: {row.does_not_see}" for row in self.who_sees]
        return "\n".join(lines)
