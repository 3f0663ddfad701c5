"""The sections of a study file, as frozen values: what is wanted, in the words of the file.

Single values are checked here (types, ranges); what must fit together is checked in `refusals`, and what follows from
it is computed in `derive`. Numbers that decide about privacy have no default.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StringConstraints

from reticent.data import Contract
from reticent.dp import Relation, Unit
from reticent.study.plan import Method

__all__ = [
    "AggregationSection",
    "DataSection",
    "LearningSection",
    "LedgerSection",
    "MetricsSection",
    "ModelSection",
    "PrivacySection",
    "ReleaseSection",
    "RunSection",
    "SecureComputationSection",
    "SiteSection",
    "SplitSection",
    "StatisticsSection",
    "Study",
    "StudySection",
    "TargetSection",
]

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
"""Names become folders, keys of tables and senders of messages: letters, digits, hyphen and underscore."""
Factory = Annotated[str, StringConstraints(pattern=r"^([A-Za-z_][\w.]*:[A-Za-z_][\w.]*|<.+>)$")]
"""`module:function`, or a name in angle brackets for a Python object, which only the local engine can run."""
_LOSSES = "cross_entropy|binary_cross_entropy_with_logits|mse_loss"
Loss = Annotated[str, StringConstraints(pattern=rf"^({_LOSSES}|[A-Za-z_][\w.]*:[A-Za-z_][\w.]*|<.+>)$")]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Whole = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]
Optimizer = Literal["sgd", "adam", "adamw", "adagrad", "rmsprop"]


class Section(BaseModel):
    """Frozen, and without keys that nobody reads: a misspelt key must never be a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class StudySection(Section):
    """What the study is for, and who answers for it."""

    name: Name
    purpose: Text
    contact: Text


class DataSection(Contract):
    """The schema contract; `public` says that the records are published anyway, so that baselines may be shown."""

    public: bool = False

    def contract(self) -> Contract:
        """Return the contract alone, as the plan keeps it."""
        return Contract.model_validate({name: getattr(self, name) for name in Contract.model_fields})


class ModelSection(Section):
    """The model and its loss; `outputs` overrides the number of outputs that follows from the label."""

    factory: Factory
    loss: Loss
    outputs: Whole | None = None


class LearningSection(Section):
    """How sites learn. `seed` is public: initial model, choice of sites, and shuffling where no epsilon is claimed.

    In split learning and secure computation a round is one pass over the training rows.
    """

    method: Method
    rounds: Whole
    clients_per_round: Whole | None = None
    local_steps: Whole | None = None
    local_epochs: Positive | None = None
    batch_size: Whole | None = None
    optimizer: Optimizer = "sgd"
    learning_rate: Positive
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    mu: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None


class TargetSection(Section):
    """The promise that is wanted; the noise is computed from it, never typed."""

    epsilon: Positive
    delta: Fraction


class PrivacySection(Section):
    """The promise, or the reason why none is made.

    Attributes:
      max_grad_norm: How far one unit may move the model in a step, by its gradient.
      clipping_norm: In place of it: how far one person may move the model in a round, by an update. Each sampled person
        then trains alone for `learning.local_epochs`, and noise is added once a round (McMahan et al. 2018).
      protects: Split learning: everything in a row (`records`), or its label alone (`labels`).
      max_activation_norm, max_gradient_norm: Split learning: largest L2 norm of the activation that leaves a site for one
        row, and of the gradient of one row's loss that leaves the site of the labels.
    """

    guarantee: Literal["differential-privacy", "none"]
    reason: Text | None = None
    unit: Unit | None = None
    relation: Relation | None = None
    target: TargetSection | None = None
    max_grad_norm: Positive | None = None
    clipping_norm: Positive | None = None
    protects: Literal["records", "labels"] = "records"
    max_activation_norm: Positive | None = None
    max_gradient_norm: Positive | None = None
    sampling_probability: Share | None = None
    expected_batch_size: Positive | None = None
    spare_executions: NotNegative = 0
    sites_per_person: Whole = 1

    @property
    def claimed(self) -> bool:
        """Whether an epsilon is claimed."""
        return self.guarantee == "differential-privacy"

    @property
    def by_update(self) -> bool:
        """Whether a person gives one clipped update in a round, and not a gradient in each step."""
        return self.clipping_norm is not None


class SplitSection(Section):
    """Where the model is cut, in split and vertical learning.

    Attributes:
      cut: Of one model: the module whose output leaves the sites. Everything after it belongs to the coordinator.
      head: Of one model: the module after which it comes back to the site, so that labels never leave (U-shape).
      width: Vertical: how many values each site's part gives for one row.
      top: Vertical: `module:function` that makes the part after all sites' parts.
      top_optimizer, top_learning_rate: Of the part that is not the sites'; as in [learning] if not given.
    """

    cut: Text | None = None
    head: Text | None = None
    width: Whole | None = None
    top: Factory | None = None
    top_optimizer: Optimizer | None = None
    top_learning_rate: Positive | None = None


class SecureComputationSection(Section):
    """How a regression is computed on shares.

    Attributes:
      protocol: `replicated`: three sites, of which no two collude; `additive`: two or more, with a dealer.
      holds: What each site holds: `rows` of the same columns, or `columns` of the same rows.
      fraction_bits: Binary digits after the point.
    """

    protocol: Literal["replicated", "additive"]
    holds: Literal["rows", "columns"]
    fraction_bits: Annotated[int, Field(ge=8, le=24)] = 16


class AggregationSection(Section):
    """How updates are summed; `threshold` is the other way to say `dropouts`: chosen sites less dropouts."""

    protocol: Literal["secagg", "plain"]
    dropouts: NotNegative | None = None
    threshold: Whole | None = None
    precision: Positive = 2.0**-24
    bound: Positive = 2.0**10


class MetricsSection(Section):
    """Which figures leave the sites: confusion counts after every k-th round and the last; `every = 0`: the last."""

    every: NotNegative = 0
    epsilon: Positive | None = None


def _metrics(value: Any) -> Any:
    return None if value == "none" else value


Metrics = Annotated[
    MetricsSection | None,
    BeforeValidator(_metrics),
    PlainSerializer(lambda value: "none" if value is None else value.model_dump(exclude_none=True)),
]


class ReleaseSection(Section):
    """What leaves the sites besides the model: metrics, or `"none"`."""

    metrics: Metrics = None


class StatisticsSection(Section):
    """Private statistics over all sites, released once before the first round.

    Attributes:
      ask: Questions, each a table with `what` (count, mean, quantiles, ...) and mostly `column`; bounds and categories are
        those that [data] declares for the column.
      epsilon: Their part of the target, where an epsilon is claimed.
      rows_per_person: Under unit person: how many rows of one person count. Those beyond are left out.
      confidence: Probability, over the noise, that each interval holds.
    """

    ask: Annotated[tuple[dict[str, Any], ...], Field(min_length=1, strict=False)]
    epsilon: Positive | None = None
    rows_per_person: Whole | None = None
    confidence: Fraction = 0.95


class SiteSection(Section):
    """One site: public constants that it declares, and where this machine finds its data, if it does.

    Attributes:
      rows: Declared training-set size, in units of the claim; the weight in the average, never compared with the data.
      file: A table.
      site: The site's own `site.toml`, which maps its columns, units and codes to the contract, and may name its table.
      columns: Where sites hold columns of the same rows: those of this site; the label is in one site's list.
      population: The people whose budget is charged; the site's name if not given.
      dataset: Version of the data.
    """

    rows: Whole
    file: Text | None = None
    site: Text | None = None
    columns: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    population: Text | None = None
    dataset: Text = "1"


class LedgerSection(Section):
    """Where the budgets are kept."""

    url: Text = "sqlite:///budget.db"


class RunSection(Section):
    """How the local engine runs the study; nothing here changes what is promised."""

    directory: Text = "runs"
    deadline: Positive = 600.0
    separate_processes: bool = False


class Study(Section):
    """A whole study file."""

    file_version: Annotated[Literal[1], Field(alias="schema")] = 1
    study: StudySection
    data: DataSection
    model: ModelSection
    learning: LearningSection
    privacy: PrivacySection
    secure_aggregation: AggregationSection | None = None
    secure_computation: SecureComputationSection | None = None
    split: SplitSection | None = None
    release: ReleaseSection = ReleaseSection()
    statistics: StatisticsSection | None = None
    sites: Annotated[dict[Name, SiteSection], Field(min_length=1)]
    ledger: LedgerSection = LedgerSection()
    run: RunSection = RunSection()

    @property
    def federated(self) -> bool:
        """Whether the study is federated learning, the only method whose updates are summed."""
        return self.learning.method in ("fedavg", "fedprox")

    @property
    def aggregation(self) -> AggregationSection:
        """How updates are summed; without a section (other methods than federated learning) nothing is masked."""
        return self.secure_aggregation or AggregationSection(protocol="plain")

    @property
    def by_columns(self) -> bool:
        """Whether sites hold columns of the same rows, and not rows of the same columns."""
        computation = self.secure_computation
        return self.learning.method == "vertical" or (computation is not None and computation.holds == "columns")

    @property
    def label_site(self) -> str | None:
        """The site that holds the label, where sites hold columns."""
        return next((name for name, site in self.sites.items() if self.data.label in site.columns), None)

    @property
    def clients(self) -> int:
        """How many sites are summed in one round."""
        return self.learning.clients_per_round or len(self.sites)

    @property
    def dropouts(self) -> int:
        """How many of the chosen sites may fail in one round."""
        section = self.aggregation
        if section.threshold is not None:
            return self.clients - section.threshold
        return section.dropouts or 0

    @property
    def threshold(self) -> int:
        """The smallest number of sites whose sum is ever revealed."""
        return self.clients - self.dropouts

    def population(self, site: str) -> str:
        """Return the population whose budget `site` charges."""
        return self.sites[site].population or site
