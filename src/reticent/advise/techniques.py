"""The one table that says what each technique guarantees: which concern it covers, with which partner, and when.

An answer may be given only if every stated concern stands here. "Covers" is meant strictly: a proof, a noise that is
accounted, a place that the data never leave, or a person who is trusted. "It is not sent" is no cover if it can be
computed from what is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from reticent.advise.needs import Concern, Needs

__all__ = ["COVERS", "TECHNIQUES", "Cover", "Entry", "Technique", "arises"]


class Technique(StrEnum):
    """The building blocks; an answer is one of them or a few together."""

    plain = "plain"
    local_model = "model-at-the-client"
    federated = "federated-learning"
    privacy = "differential-privacy"
    masks = "secure-aggregation"
    sharing = "secure-computation"
    encryption = "homomorphic-encryption"
    cut = "split-learning"
    vertical = "vertical-split"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the guides' table: what a technique is for, and how hard it is; `room` says where it is explained."""

    title: str
    use: str
    complexity: Literal["none", "low", "medium", "high"]
    room: str


TECHNIQUES: Mapping[Technique, Entry] = {
    Technique.plain: Entry(
        "everything in one place", "one party has, or may see, all records", "none", "reticent.training"
    ),
    Technique.local_model: Entry(
        "the model goes to the client", "prediction, if the client may have the model", "none", "reticent.training"
    ),
    Technique.federated: Entry(
        "federated learning", "training where the rows are; no protection by itself", "low", "reticent.federated"
    ),
    Technique.privacy: Entry(
        "differential privacy", "nobody can tell whether one person took part", "medium", "reticent.dp"
    ),
    Technique.masks: Entry(
        "secure aggregation", "a coordinator learns a sum and no part of it", "medium", "reticent.secagg"
    ),
    Technique.sharing: Entry(
        "secure computation", "a joint result of rows or columns that nobody may see", "high", "reticent.mpc"
    ),
    Technique.encryption: Entry(
        "homomorphic encryption", "prediction by a server that must not see the record", "high", "reticent.he"
    ),
    Technique.cut: Entry(
        "split learning", "a network too large for the party with the rows; leaks", "low", "reticent.split"
    ),
    Technique.vertical: Entry(
        "vertical split learning", "columns at several parties, any network; leaks", "medium", "reticent.split"
    ),
}

By = Literal["cryptography", "noise", "place", "trust"]


@dataclass(frozen=True, slots=True)
class Cover:
    """One guarantee of one technique.

    Attributes:
      by: What it rests on.
      words: The guarantee in a sentence.
      partner: The technique that must stand beside it; None if it holds alone.
      tasks: For which tasks it holds.
      data: For which layouts it holds.
      parties: How many parties it needs at least.
      trusted: Whether it holds only if there is a trusted party.
    """

    by: By
    words: str
    partner: Technique | None = None
    tasks: tuple[str, ...] = ("train", "predict", "statistics")
    data: tuple[str, ...] = ("rows", "columns", "one-party", "devices")
    parties: int = 1
    trusted: bool = False

    def holds(self, needs: Needs, together: tuple[Technique, ...]) -> bool:
        """Whether this guarantee holds for `needs` when the techniques `together` are used."""
        return (
            (self.partner is None or self.partner in together)
            and needs.task in self.tasks
            and needs.data in self.data
            and needs.parties >= self.parties
            and (needs.trusted_party or not self.trusted)
        )


_TRAIN, _STATS, _PREDICT = ("train",), ("statistics",), ("predict",)
_MANY = ("rows", "devices")
_EPSILON = "whatever others see of one {unit} is bounded by epsilon and delta, noise included in every message"
_NOISE_AT_EACH = "each party adds its noise before anything leaves it, so the coordinator is bounded by epsilon, too"
_SHARES = "computing parties hold shares that are uniform by themselves, and open the result alone"
_NOBODY_ELSE = Cover("place", "nobody else takes part", tasks=(*_TRAIN, *_STATS), data=("one-party",))
_BOUNDARY = (
    "what crosses the cut for a record, and what a record does to weights that others meet, is clipped and noised, once "
    "in a pass: what the record says is bounded by epsilon and delta, not that it is there"
)

COVERS: Mapping[Technique, Mapping[Concern, tuple[Cover, ...]]] = {
    Technique.plain: {
        Concern.updates: (_NOBODY_ELSE,),
        Concern.persons_coordinator: (_NOBODY_ELSE,),
        Concern.cheating: (_NOBODY_ELSE,),
        Concern.rows: (_NOBODY_ELSE, Cover("trust", "the trusted party alone sees the rows", trusted=True)),
        Concern.labels: (_NOBODY_ELSE, Cover("trust", "the trusted party alone sees the labels", trusted=True)),
        Concern.membership: (
            Cover("trust", "the trusted party aligns the records and tells nobody which matched", trusted=True),
        ),
        Concern.input: (Cover("trust", "record and model meet at the trusted party", tasks=_PREDICT, trusted=True),),
        Concern.model: (
            Cover("place", "the model stays where it is; the client gets answers", tasks=_PREDICT),
            Cover("trust", "record and model meet at the trusted party", tasks=_PREDICT, trusted=True),
        ),
    },
    Technique.local_model: {
        Concern.input: (Cover("place", "the record never leaves the client", tasks=_PREDICT),),
        Concern.rows: (Cover("place", "the record never leaves the client", tasks=_PREDICT),),
    },
    Technique.federated: {},  # "the data never leave" is true and protects nothing: the updates speak
    Technique.privacy: {
        Concern.persons_result: (
            Cover("noise", _EPSILON, Technique.federated, _TRAIN, _MANY),
            Cover("noise", _EPSILON, Technique.masks, _STATS, _MANY),
            Cover("noise", _EPSILON, None, _STATS, _MANY),
            Cover("noise", "noise is added where the rows lie", Technique.plain, (*_TRAIN, *_STATS)),
        ),
        Concern.persons_coordinator: (
            Cover("noise", _NOISE_AT_EACH, Technique.federated, _TRAIN, _MANY),
            Cover("noise", _NOISE_AT_EACH, Technique.masks, _STATS, _MANY),
            Cover("noise", "each party adds its noise before it answers", None, _STATS, _MANY),
        ),
        Concern.rows: (
            Cover("noise", _EPSILON, Technique.federated, _TRAIN, _MANY),
            Cover("noise", _EPSILON, Technique.masks, _STATS, _MANY),
            Cover("noise", _EPSILON, None, _STATS, _MANY),
            Cover("noise", _BOUNDARY, Technique.cut, _TRAIN),
            Cover("noise", _BOUNDARY, Technique.vertical, _TRAIN),
        ),
        Concern.labels: (
            Cover("noise", _EPSILON, Technique.federated, _TRAIN, _MANY),
            Cover("noise", _EPSILON, Technique.masks, _STATS, _MANY),
            Cover("noise", _EPSILON, None, _STATS, _MANY),
            Cover("noise", _BOUNDARY, Technique.cut, _TRAIN),
            Cover("noise", _BOUNDARY, Technique.vertical, _TRAIN),
        ),
    },
    Technique.masks: {
        Concern.updates: (
            Cover("cryptography", "the coordinator learns the sum alone", Technique.federated, _TRAIN, _MANY, 3),
            Cover("cryptography", "the coordinator learns the sum alone", None, _STATS, _MANY, 3),
        ),
        Concern.rows: (Cover("cryptography", "nobody learns more than the sum", None, _STATS, _MANY, 3),),
        Concern.labels: (Cover("cryptography", "nobody learns more than the sum", None, _STATS, _MANY, 3),),
    },
    Technique.sharing: {
        Concern.updates: (Cover("cryptography", _SHARES, None, (*_TRAIN, *_STATS), ("rows", "columns")),),
        Concern.rows: (Cover("cryptography", _SHARES),),
        Concern.labels: (Cover("cryptography", _SHARES),),
        Concern.input: (Cover("cryptography", "the record is shared; no party sees it", tasks=_PREDICT),),
        Concern.model: (Cover("cryptography", "the weights are shared; no party sees them", tasks=_PREDICT),),
    },
    Technique.encryption: {
        Concern.input: (Cover("cryptography", "the server computes on ciphertexts", tasks=_PREDICT),),
        Concern.rows: (Cover("cryptography", "the server computes on ciphertexts", tasks=_PREDICT),),
    },
    Technique.cut: {},  # activations and gradients leak: measured in each run, and no guarantee
    Technique.vertical: {},
}


def arises(concern: Concern, needs: Needs) -> bool:
    """Whether `concern` can arise at all in this task and layout; what cannot arise needs no guarantee."""
    match concern:
        case Concern.updates | Concern.persons_coordinator | Concern.labels:
            return needs.task != "predict"
        case Concern.input | Concern.model:
            return needs.task == "predict"
        case Concern.membership:
            return needs.data == "columns"
    return True
