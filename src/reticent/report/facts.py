"""The facts of one run: one set for every reader. Page, statement, reviews and model card only format it.

The fields under `promise` and `protection` are those that NIST SP 800-226 (March 2025) asks a claim of differential
privacy to state: unit, neighbouring relation, epsilon and delta, trust model, mechanism, composition, side channels,
floating point, and how the data were exposed while they were collected.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from reticent.dp import Relation, Unit

__all__ = [
    "SCHEMA_VERSION",
    "Baseline",
    "Budget",
    "CurvePoint",
    "Evaluation",
    "Facts",
    "FileHash",
    "GrantFact",
    "LeakageFact",
    "ModelFact",
    "Odds",
    "ProfilePoint",
    "Promise",
    "Protection",
    "ReleaseFact",
    "RoundFact",
    "RunFact",
    "Seen",
    "SiteFact",
    "StudyFact",
    "Utility",
]

SCHEMA_VERSION = 1
"""Raised when a field is removed or changes its meaning; a new field alone does not raise it."""


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class StudyFact(_Fact):
    """What the run was for, in the words of the study, and who answers for it."""

    name: str
    purpose: str
    contact: str


class RunFact(_Fact):
    """Which run, when, and how it ended. Times are ISO 8601 with a zone."""

    name: str
    started: str
    ended: str
    status: str
    reason: str
    engine: str
    public_data: bool
    rounds_planned: int
    rounds_done: int
    damaged_log_lines: int


class Odds(_Fact):
    """What a perfect attacker can reach: from `before` (belief in [0, 1]) to at most `after`."""

    before: float
    after: float


class CurvePoint(_Fact):
    """At this rate of false alarms, the largest share of members that any attack finds.

    `promised` follows from the one promised (epsilon, delta); `derived` from all points of the profile together.
    """

    false_positives: float
    promised: float
    derived: float


class ProfilePoint(_Fact):
    """One point of the privacy profile: the smallest certified epsilon at this delta."""

    delta: float
    epsilon: float


class Promise(_Fact):
    """The (epsilon, delta) promise, and the same in odds.

    Attributes:
      sentence: The promise in one sentence.
      secret: What an attacker tries to find out, as a clause.
      in_a_hundred: Of 100 equally informed attackers who accept 1 false alarm in 100, how many at most are right about
        somebody who took part (rounded up).
      derived_epsilon: Epsilon computed again from the events of this plan, at the promised delta.
      in_words: What all releases together limit, sentence by sentence.
      advantage: Largest difference of found and wrongly found, from all releases together.
      gaussian_mu: One Gaussian release of this mu gives away as much, but for the promised delta; None if none does.
    """

    sentence: str
    secret: str = ""
    protects: Literal["records", "labels"] = "records"
    epsilon: float
    delta: float
    unit: Unit
    relation: Relation
    holds_against: str
    in_a_hundred: int
    odds: tuple[Odds, ...]
    curve: tuple[CurvePoint, ...]
    profile: tuple[ProfilePoint, ...]
    derived_epsilon: float
    in_words: tuple[str, ...] = ()
    advantage: float | None = None
    gaussian_mu: float | None = None


class Protection(_Fact):
    """How the promise is kept, in the terms of NIST SP 800-226."""

    trust_model: str
    mechanism: str
    composition: str
    side_channels: str
    floating_point: str
    data_collection_exposure: str


class Seen(_Fact):
    """One row of *who saw what*."""

    party: str
    sees: str
    does_not_see: str


class GrantFact(_Fact):
    """A budget that somebody granted, with the reason that was written down."""

    time: str
    epsilon: float
    delta: float
    reason: str
    signer: str


class Budget(_Fact):
    """The privacy budget of one population, as its ledger holds it."""

    population: str
    granted_epsilon: float
    granted_delta: float
    spent_epsilon: float
    spent_delta: float
    reserved_epsilon: float
    reserved_delta: float
    left_epsilon: float
    left_delta: float
    filter: str = "sum"
    grants: tuple[GrantFact, ...]


class ReleaseFact(_Fact):
    """One kind of message that leaves a site, and what it costs.

    Attributes:
      planned: How many the plan may release, spare executions included: this many were reserved.
      made: How many the ledger shows as committed; None without a ledger.
      epsilon_one: Epsilon of a single such message, at the promised delta; None where nothing is claimed.
      epsilon_all: Epsilon of all planned messages of this kind together.
    """

    what: str
    mechanism: str
    planned: int
    made: int | None
    epsilon_one: float | None
    epsilon_all: float | None


class SiteFact(_Fact):
    """One site: its declared constants, what it released, and its people's budget.

    `promised_epsilon` is the plan's; `planned_epsilon` is the same derived again from the plan's events;
    `committed_epsilon` is derived from the events that the ledger shows as committed for this run. `ledger_head` names
    the last entry that this run wrote into the site's ledger: kept elsewhere, it shows a ledger that was put back.
    """

    name: str
    population: str
    dataset: str
    declared_rows: int
    weight: float
    sampling_probability: float | None
    noise_multiplier: float | None
    local_steps: int | None
    releases: tuple[ReleaseFact, ...]
    promised_epsilon: float | None
    planned_epsilon: float | None
    committed_epsilon: float | None
    budget: Budget | None
    ledger_head: str = ""


class Evaluation(_Fact):
    """Released figures of one round; noised where an epsilon is claimed.

    `accuracy_deviation` is the standard deviation of `accuracy` that the noise alone causes; None without noise.
    """

    round: int
    accuracy: float | None
    accuracy_deviation: float | None = None
    loss: float | None
    auc: float | None = None


class Baseline(_Fact):
    """One line of the comparison, mean over `seeds`, `spread` is the standard deviation."""

    name: str
    value: float
    spread: float | None
    seeds: int


class Utility(_Fact):
    """How good the model is. `confusion[i][j]`: rows of class i that the model called j, in the last evaluation."""

    metric: str
    noised: bool
    evaluations: tuple[Evaluation, ...]
    baselines: tuple[Baseline, ...]
    classes: tuple[str, ...]
    confusion: tuple[tuple[float, ...], ...]


class StatisticFact(_Fact):
    """One released statistic; `label` is the category, level or cell of one that has several numbers.

    `noise` is the standard deviation of the noise in `value`, `low` and `high` are the ends of its interval.
    """

    statistic: str
    label: str
    value: float
    noise: float
    low: float
    high: float


class Statistics(_Fact):
    """The statistics that were released before the first round, over the sites `contributors`."""

    noised: bool
    confidence: float
    rows_per_person: int | None
    contributors: tuple[str, ...]
    rows: tuple[StatisticFact, ...]


class RoundFact(_Fact):
    """One completed round; `absent` maps a site to a reason. Bytes are summed over the sites.

    `repeats` counts how often its training was completed before, and done again after a crash: each was a release.
    """

    round: int
    attempt: int
    contributors: tuple[str, ...]
    absent: dict[str, str]
    repeats: int
    seconds: float
    bytes_up: int
    bytes_down: int


Technique = Literal["federated learning", "split learning", "secure computation"]


class LeakageFact(_Fact):
    """What known attacks found in the messages of a run: measured, no guarantee.

    Attributes:
      what: The attack or measure.
      value: Distance correlation (0 to 1), or area under the ROC curve (.5 is guessing).
      words: What the value means.
      measured_on: On which rows, and how many.
    """

    what: str
    value: float
    words: str
    measured_on: str


class ModelFact(_Fact):
    """What was trained, on which columns, and how; `crossing` says what of a site's messages others can read."""

    factory: str
    code_hash: str
    parameters: int
    inputs: tuple[str, ...]
    label: str
    method: str
    loss: str
    optimizer: str
    protocol: str
    threshold: int
    technique: Technique = "federated learning"
    crossing: str = ""


class FileHash(_Fact):
    """A file of the run and its SHA-256; `recorded` is the one that the log wrote down at the time."""

    file: str
    sha256: str
    recorded: str | None


class Facts(_Fact):
    """Everything that a page, a statement, a review or a model card about one run may say."""

    schema_version: Literal[1] = 1
    generated: str
    study: StudyFact
    run: RunFact
    model: ModelFact
    promise: Promise | None
    why_no_promise: str
    protection: Protection
    who_sees: tuple[Seen, ...]
    sites: tuple[SiteFact, ...]
    utility: Utility
    rounds: tuple[RoundFact, ...]
    leakage: tuple[LeakageFact, ...] = ()
    statistics: Statistics | None = None
    assumptions: tuple[str, ...]
    not_covered: tuple[str, ...]
    settings: dict[str, str]
    versions: dict[str, str]
    plan_hash: str
    files: tuple[FileHash, ...]
    legal_basis: str = ""
    retention: str = ""
