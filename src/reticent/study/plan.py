"""The plan: what each party will do and see, what it costs, and what is promised. Values only, no data.

`derive` makes a plan from a study and the facts of its model; a run does what its plan says and nothing else. The
hash of a plan names it everywhere: in the ledger, in every message and in the report.
"""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from pydantic import BaseModel, ConfigDict

from reticent.data import Contract
from reticent.dp import Composed, Event, Gaussian, Guarantee, PoissonSampled, Relation, Release, Repeated, Unit

__all__ = [
    "AggregationPlan",
    "BoundaryPlan",
    "ComputationFacts",
    "ComputationPlan",
    "Cost",
    "MetricsPlan",
    "ModelFacts",
    "OptimizerPlan",
    "Plan",
    "PrivacyPlan",
    "SitePlan",
    "SplitFacts",
    "SplitPlan",
    "TrainingPlan",
    "Visibility",
]

Method = Literal["fedavg", "fedprox", "split", "vertical", "secure-computation"]
_TECHNIQUES = ("computation", "split")


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SplitFacts(_Value):
    """What the probe of a cut model found.

    Attributes:
      cut_width: Values that one row becomes where the sites' part ends.
      head_width: The same where the coordinator's part ends; 0 where labels go to the coordinator.
      parts_bytes: Size of what one site hands over to the next; 0 where nothing is handed over.
      code_hash: SHA-256 of the source of the part that is not the sites', where it is named by itself.
    """

    cut_width: int
    head_width: int
    parts_bytes: int
    code_hash: str = ""


class ComputationFacts(_Value):
    """What a rehearsal of a secure computation found: what parties send depends on shapes alone.

    Attributes:
      steps: Gradient steps of the whole computation, with rows as declared.
      bytes_once, bytes_per_step: Of all parties, any dealer included.
      rounds_per_step: Messages that must wait for each other.
    """

    steps: int
    bytes_once: int
    bytes_per_step: int
    rounds_per_step: int


class ModelFacts(_Value):
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


class OptimizerPlan(_Value):
    """The local optimiser, started anew in every round."""

    name: str
    learning_rate: float
    momentum: float = 0.0
    weight_decay: float = 0.0


class TrainingPlan(_Value):
    """How sites learn: FedAvg (McMahan et al. 2017), FedProx (Li et al. 2020, `mu`), or a technique of its own part."""

    method: Method
    mu: float
    rounds: int
    clients_per_round: int
    batch_size: int | None
    optimizer: OptimizerPlan
    loss: str
    seed: int | None


class PrivacyPlan(_Value):
    """The mechanism of every site's training, in noise mode `local`.

    Attributes:
      max_grad_norm: Clipping bound of one unit's summed gradient.
      grid: Every unit's clipped gradient is rounded to multiples of this before noise.
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


class AggregationPlan(_Value):
    """How updates are summed: `secagg` (masks, Bonawitz et al. 2017), `plain` (the coordinator sees each), or not."""

    protocol: Literal["secagg", "plain", "none"]
    threshold: int
    bound: float
    precision: float
    ring_bits: int


class ComputationPlan(_Value):
    """Secure computation: who computes, on what, and how wide the numbers are.

    Attributes:
      protocol: `replicated` (three parties, Araki et al. 2016) or `additive` (two or more, and a dealer).
      holds: What each site holds: `rows` of the same columns, or `columns` of the same rows.
      columns: By site, where sites hold columns, in the order of the contract.
      label_site: Who holds the label, where sites hold columns.
      dealer: Who deals triples; never a computing party. None where nobody does.
    """

    protocol: Literal["replicated", "additive"]
    holds: Literal["rows", "columns"]
    columns: dict[str, tuple[str, ...]]
    label_site: str | None
    fraction_bits: int
    dealer: str | None


class BoundaryPlan(_Value):
    """Noise where a site's part of the model ends: everything that one row moves is clipped and noised.

    Attributes:
      activation_norm: Largest L2 norm of what the site sends for one row; 0, as is the noise, if only labels are protected.
      activation_noise: Noise multiplier of it: standard deviation over the norm.
      update_norm: Largest L2 norm of one row's gradient of the site's part.
      update_noise: Noise multiplier of the sum by which that part learns.
      output_norm: Where the labels are: largest L2 norm of one row's gradient at the model's outputs; 0 elsewhere.
      output_noise: Noise multiplier of it; 0 elsewhere.
    """

    activation_norm: float = 0.0
    activation_noise: float = 0.0
    update_norm: float = 0.0
    update_noise: float = 0.0
    output_norm: float = 0.0
    output_noise: float = 0.0

    def one_pass(self) -> Event:
        """Return what one pass over the site's rows releases about one row, under relation `replace_one`."""
        noise = (self.activation_noise, self.update_noise, self.output_noise)
        return Composed(tuple(Gaussian(multiplier) for multiplier in noise if multiplier))


class SplitPlan(_Value):
    """Split learning: where the model is cut, and who holds which part.

    Attributes:
      shape: `vanilla`: labels go to the coordinator; `u-shape`: they stay; `vertical`: sites hold columns.
      cut, head: Names of the modules after which the model changes hands.
      width: Vertical: values that each site's part gives for one row.
      top: Vertical: `module:function` of the part after the sites' parts.
      columns, label_site: As in `ComputationPlan`; empty where sites hold rows.
      boundary: The noise of each site; empty where no epsilon is claimed.
    """

    shape: Literal["vanilla", "u-shape", "vertical"]
    cut: str
    head: str
    width: int
    top: str
    top_optimizer: OptimizerPlan
    columns: dict[str, tuple[str, ...]]
    label_site: str | None
    boundary: dict[str, BoundaryPlan]


class MetricsPlan(_Value):
    """Which figures leave the sites: confusion counts after the rounds in `evaluations`.

    `noise_multiplier` is per evaluation, relative to one unit's contribution of 1; None where no epsilon is claimed.
    """

    evaluations: tuple[int, ...]
    noise_multiplier: float | None


class SitePlan(_Value):
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


class Visibility(_Value):
    """One row of the table *who sees what*."""

    party: str
    sees: str
    does_not_see: str


class Cost(_Value):
    """Predicted traffic of one site: bytes in one round, to and from the coordinator, and in the whole run."""

    download_per_round: int
    upload_per_round: int
    total_per_site: int


class Plan(_Value):
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

    def release(self, site: str) -> Release | None:
        """Return all that `site` may release under this plan, spare executions included: what its ledger reserves."""
        execution, evaluation, privacy = self.execution(site), self.evaluation(), self.privacy
        if privacy is None or execution is None:
            return None
        spare = privacy.spare_executions
        events: list[Event] = [Repeated(execution, self.training.rounds + spare)]
        if evaluation is not None and self.metrics.evaluations:
            events.append(Repeated(evaluation, len(self.metrics.evaluations) + spare))
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
