"""What somebody needs: who holds what, who must not see what, and over which network. Values only.

The same table is written in a file (`[needs]`) or asked at the terminal (`QUESTIONS`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

__all__ = ["CONCERNS", "GOALS", "QUESTIONS", "WISHES", "Concern", "Needs", "Question"]


class Concern(StrEnum):
    """Who must not see what; each is read strictly, as "must not be able to learn", not as "is not sent"."""

    updates = "updates-from-coordinator"
    rows = "rows-from-parties"
    persons_coordinator = "persons-from-coordinator"
    persons_result = "persons-from-result"
    labels = "labels-from-parties"
    input = "input-from-server"
    model = "model-from-client"
    membership = "membership-from-parties"
    cheating = "cheating-parties"


CONCERNS: Mapping[Concern, str] = {
    Concern.updates: "whoever coordinates must not see what a single party contributes",
    Concern.rows: "no other party may learn the rows of a party, beyond what the result says",
    Concern.persons_coordinator: "whoever coordinates must not learn whether one person is in the data",
    Concern.persons_result: "a reader of the result must not learn whether one person is in the data",
    Concern.labels: "no other party may learn the labels",
    Concern.input: "the server must not see the record that it predicts for",
    Concern.model: "the client must not see the model, beyond its answers",
    Concern.membership: "no other party may learn which persons the parties have in common",
    Concern.cheating: "a party that deviates from the protocol must not be able to spoil or bend the result",
}

Data = Literal["rows", "columns", "one-party", "devices"]
Task = Literal["train", "predict", "statistics"]
Kind = Literal["logistic", "mlp", "deep"]
Wish = Literal[
    "federated-learning",
    "differential-privacy",
    "central-differential-privacy",
    "secure-aggregation",
    "secure-computation",
    "homomorphic-encryption",
    "split-learning",
]
Goal = Literal["anonymity", "hide-from-coordinator"]

WISHES: tuple[str, ...] = Wish.__args__  # type: ignore[attr-defined]

GOALS: Mapping[str, tuple[Concern, ...]] = {
    "anonymity": (Concern.rows, Concern.persons_result),
    "hide-from-coordinator": (Concern.updates, Concern.persons_coordinator),
}
"""What people call it, and what it asks for."""


def _listed(value: Any) -> Any:
    """Read `a, b` as `--set` and the terminal give it; a list stays as it is."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip() and part.strip() != "nothing"]
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        known = {concern.value: concern for concern in Concern}
        return tuple(dict.fromkeys(known.get(part, part) for part in value))
    return value


class Needs(BaseModel):
    """The `[needs]` table.

    Attributes:
      data: `rows`: each party has whole records of its own people; `columns`: several parties know different things
        about the same people; `one-party`: one party has the rows, or a client asks somebody else's model; `devices`:
        very many parties with few rows each, which come and go.
      parties: How many parties hold data; with `one-party` how many take part.
      task: `train` a model, `predict` with a finished one, or `statistics` (sums, means, counts).
      protect: Who must not see what.
      trusted_party: Whether there is a party to whom all others may and would show everything.
      published: Whether the result leaves the circle of the parties.
      model: `logistic`, `mlp` (one or two small hidden layers) or `deep`.
      rows: Records in all, if known.
      unit: `person`: a person may have several records, and a promise covers them all; `record`: each has just one.
      latency_ms: Time of one message between two parties, there and back, in milliseconds.
      bandwidth_mbit: Between two parties, in Mbit/s.
      wish: A technique that somebody has in mind: the answer says whether it fits, and why not.
      goal: What the wish is for, in everyday words; adds to `protect`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    data: Data
    parties: Annotated[int, Field(ge=1, le=10_000_000)]
    task: Task
    protect: Annotated[tuple[Concern, ...], BeforeValidator(_listed)]
    trusted_party: bool
    published: bool
    model: Kind = "logistic"
    rows: Annotated[int, Field(ge=1)] | None = None
    unit: Literal["record", "person"] = "person"
    latency_ms: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    bandwidth_mbit: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    wish: Wish | None = None
    goal: Goal | None = None

    @property
    def concerns(self) -> tuple[Concern, ...]:
        """What must be protected: what was stated, and what the goal means; in the order of `CONCERNS`."""
        wanted = {*self.protect, *GOALS.get(self.goal or "", ())}
        return tuple(concern for concern in CONCERNS if concern in wanted)


@dataclass(frozen=True, slots=True)
class Question:
    """One question at the terminal: which key it fills, the words, the answers that it takes, and the first offer."""

    key: str
    text: str
    answers: Mapping[str, str]
    default: str


QUESTIONS: tuple[Question, ...] = (
    Question(
        "task",
        "What shall be done?",
        {"train": "train a model", "predict": "use a finished model", "statistics": "sums, means, counts"},
        "train",
    ),
    Question(
        "data",
        "Who holds what?",
        {
            "rows": "each party has whole records of its own people",
            "columns": "parties know different things about the same people",
            "one-party": "one party has it all, or a client asks somebody else's model",
            "devices": "very many devices with few records each",
        },
        "rows",
    ),
    Question("parties", "How many parties?", {}, "3"),
    Question(
        "model",
        "Which kind of model?",
        {
            "logistic": "logistic or linear regression",
            "mlp": "one or two small hidden layers",
            "deep": "a deep network",
        },
        "logistic",
    ),
    Question(
        "protect",
        "Who must not learn what? (several, separated by commas; or nothing)",
        {**{concern.value: words for concern, words in CONCERNS.items()}, "nothing": "nothing of these"},
        "rows-from-parties",
    ),
    Question(
        "trusted_party",
        "Is there a party to whom all others may and would show everything?",
        {"false": "no", "true": "yes"},
        "false",
    ),
    Question(
        "published",
        "Will the result leave the circle of the parties?",
        {"false": "no", "true": "yes"},
        "true",
    ),
    Question("latency_ms", "How many milliseconds does a message take, there and back?", {}, "20"),
    Question("bandwidth_mbit", "How many Mbit/s are there between two parties?", {}, "100"),
)
"""The short form: every key without a default, and what decides most about cost."""
