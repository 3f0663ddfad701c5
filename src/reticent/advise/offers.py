"""What can be offered: techniques alone or together, for which needs they are built here, and why they do not fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reticent.advise.needs import Concern, Needs
from reticent.advise.techniques import COVERS, Technique, arises

__all__ = [
    "OFFERS",
    "Mark",
    "Offer",
    "bounds_persons",
    "burden",
    "considered",
    "covered",
    "misfits",
    "reasons_against",
    "uncovered",
]

T = Technique
MOST_CLIENTS = 16_384
FEW_ROWS = 2000


@dataclass(frozen=True, slots=True)
class Offer:
    """Techniques that are used together.

    Attributes:
      techniques: One to three of them.
      data, tasks, models: What this combination is built for, here and now.
      weight: How much work it is by itself; smaller is better.
    """

    techniques: tuple[Technique, ...]
    data: tuple[str, ...]
    tasks: tuple[str, ...]
    models: tuple[str, ...]
    weight: float

    @property
    def name(self) -> str:
        """The techniques joined by plus signs."""
        return " + ".join(self.techniques)


_ALL_DATA = ("rows", "columns", "one-party", "devices")
_ALL_MODELS = ("logistic", "mlp", "deep")
_MANY = ("rows", "devices")

OFFERS: tuple[Offer, ...] = (
    Offer((T.local_model,), _ALL_DATA, ("predict",), _ALL_MODELS, 0),
    Offer((T.plain,), _ALL_DATA, ("train", "predict", "statistics"), _ALL_MODELS, 1),
    Offer((T.plain, T.privacy), _ALL_DATA, ("train", "statistics"), _ALL_MODELS, 2),
    Offer((T.federated,), _MANY, ("train",), _ALL_MODELS, 2),
    Offer((T.federated, T.masks), _MANY, ("train",), _ALL_MODELS, 2.5),
    Offer((T.federated, T.privacy), _MANY, ("train",), _ALL_MODELS, 3),
    Offer((T.federated, T.privacy, T.masks), _MANY, ("train",), _ALL_MODELS, 3.5),
    Offer((T.masks,), _MANY, ("statistics",), _ALL_MODELS, 2),
    Offer((T.privacy,), _MANY, ("statistics",), _ALL_MODELS, 2.2),
    Offer((T.masks, T.privacy), _MANY, ("statistics",), _ALL_MODELS, 2.5),
    Offer((T.sharing,), ("rows", "columns"), ("train",), ("logistic",), 4),
    Offer((T.sharing,), ("rows", "columns"), ("statistics",), _ALL_MODELS, 4),
    Offer((T.sharing,), ("rows", "columns", "one-party", "devices"), ("predict",), _ALL_MODELS, 4.5),
    Offer((T.encryption,), ("rows", "one-party", "devices"), ("predict",), ("logistic", "mlp"), 4),
    Offer((T.cut,), ("rows", "one-party"), ("train",), ("mlp", "deep"), 3),
    Offer((T.cut, T.privacy), ("rows", "one-party"), ("train",), ("mlp", "deep"), 3.5),
    Offer((T.vertical,), ("columns",), ("train",), _ALL_MODELS, 3),
    Offer((T.vertical, T.privacy), ("columns",), ("train",), _ALL_MODELS, 3.5),
)

_NOT_BUILT: Mapping[tuple[Technique, str], str] = {
    (T.sharing, "train"): "training under shares is built for linear and logistic regression; a network needs "
    "millions of secure products and comparisons in each pass",
    (
        T.encryption,
        "train",
    ): "there is no training under encryption here: each product uses up a level, and a step needs several",
    (T.encryption, "statistics"): "a sum under one key shows everything to whoever has the key; secure aggregation "
    "gives the sum without such a key, at a fraction of the bytes",
    (T.encryption, "predict"): "depth is what encryption pays for: without refreshing, only a few layers with square "
    "or polynomial activations fit, and for each of them the ring grows",
    (T.cut, "train"): "a single layer has no place to cut, and the party with the rows can train it alone",
    (T.cut, "predict"): "the activations that are sent still speak of the record",
    (T.vertical, "predict"): "the activations that are sent still speak of the record",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """One reason that moves an answer down the ranking, by `points`, in words."""

    points: float
    words: str


def considered(needs: Needs) -> Iterator[Offer]:
    """Yield one offer for each combination of techniques: the one for this task where there are several."""
    best: dict[tuple[Technique, ...], Offer] = {}
    for offer in OFFERS:
        known = best.get(offer.techniques)
        if known is None or (needs.task in offer.tasks and needs.task not in known.tasks):
            best[offer.techniques] = offer
    yield from best.values()


def reasons_against(offer: Offer, needs: Needs) -> tuple[str, ...]:
    """Return every reason why the offer cannot be recommended; none if it can."""
    return (
        *misfits(offer, needs),
        *(f"no guarantee for {concern.value}" for concern in uncovered(offer, needs)),
    )


def uncovered(offer: Offer, needs: Needs) -> tuple[Concern, ...]:
    """Return the stated concerns that can arise and that no guarantee of the offer covers."""
    return tuple(concern for concern in needs.concerns if arises(concern, needs) and not covered(concern, offer, needs))


def bounds_persons(offer: Offer, needs: Needs) -> bool:
    """Whether the offer bounds what its result says about one person."""
    return covered(Concern.persons_result, offer, needs)


def covered(concern: Concern, offer: Offer, needs: Needs) -> bool:
    """Whether some guarantee of the offer covers `concern`, be it stated or not."""
    return any(
        cover.holds(needs, offer.techniques)
        for technique in offer.techniques
        for cover in COVERS[technique].get(concern, ())
    )


def misfits(offer: Offer, needs: Needs) -> Iterator[str]:
    """Yield the reasons why `offer` cannot do what is asked at all, whoever may see what."""
    lead = next((technique for technique in offer.techniques if (technique, needs.task) in _NOT_BUILT), None)
    if needs.data not in offer.data:
        yield f"it is not built for data that lie as {needs.data!r}"
    if needs.task not in offer.tasks:
        if lead is None:
            yield f"it is not built for the task {needs.task!r}"
        else:
            yield _NOT_BUILT[lead, needs.task]
    elif needs.task != "statistics" and needs.model not in offer.models:
        yield _NOT_BUILT[lead, needs.task] if lead else f"it is not built for a {needs.model} model"
    if T.masks in offer.techniques and needs.parties < 3:
        yield "with two parties each computes the other's part from the sum: masks hide nothing"
    if T.masks in offer.techniques and needs.task == "statistics" and needs.parties > MOST_CLIENTS:
        yield f"one masked sum is built for {MOST_CLIENTS} parties at most"


def burden(offer: Offer, needs: Needs) -> tuple[Mark, ...]:
    """Return what the offer costs for these needs; the points are added up, and the smallest sum comes first."""
    marks = [Mark(offer.weight, "how much there is to set up and to keep running")]
    marks.extend(_network(offer, needs))
    if T.privacy in offer.techniques:
        marks.extend(_noise(offer, needs))
    if needs.published and needs.task != "predict" and not bounds_persons(offer, needs):
        marks.append(Mark(2.0, "the result is published, and nothing bounds what it says about one person"))
    if (
        T.plain in offer.techniques
        and needs.task != "predict"
        and needs.data != "one-party"
        and not needs.trusted_party
    ):
        marks.append(Mark(2.0, "all records have to be moved to one place, and no party is trusted by all"))
    if T.sharing in offer.techniques and needs.parties == 2 and not needs.trusted_party:
        marks.append(Mark(0.5, "a third computing party, or a dealer, has to be found that helps neither side"))
    return tuple(marks)


def _network(offer: Offer, needs: Needs) -> Iterator[Mark]:
    latency, bandwidth = needs.latency_ms or 0.0, needs.bandwidth_mbit or float("inf")
    if latency >= 10 and {T.sharing, T.cut, T.vertical} & set(offer.techniques):
        points = 3.0 if latency >= 50 else 1.0
        yield Mark(points, f"it talks in hundreds to thousands of rounds, and each takes {latency:g} ms here")
    if bandwidth < 20 and {T.sharing, T.encryption} & set(offer.techniques):
        yield Mark(1.0, f"it sends far more than the data themselves, over {bandwidth:g} Mbit/s here")


def _noise(offer: Offer, needs: Needs) -> Iterator[Mark]:
    if {T.cut, T.vertical} & set(offer.techniques):
        yield Mark(
            2.0, "the noise is in every single activation, not in a sum of many: with few rows nothing is learnt"
        )
        return
    alone = T.plain in offer.techniques
    rows = None if needs.rows is None else needs.rows / (1 if alone else needs.parties)
    if needs.data == "devices" and not alone:
        yield Mark(2.0, "every device adds the whole noise by itself: expect little accuracy")
    elif rows is not None and rows < FEW_ROWS:
        yield Mark(1.5, f"about {rows:.0f} rows at a party are few for the noise: expect to lose accuracy")
