"""What each party will see under an answer, and what the answer does not protect. In the words of the reports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reticent.advise.needs import Needs
from reticent.advise.offers import Offer, bounds_persons
from reticent.advise.techniques import Technique

__all__ = ["View", "limits", "views"]

T = Technique


@dataclass(frozen=True, slots=True)
class View:
    """One row of the table *who sees what*."""

    party: str
    sees: str
    does_not_see: str


def views(offer: Offer, needs: Needs) -> tuple[View, ...]:
    """Return who sees what, one row for each kind of party."""
    lead = offer.techniques[0]
    if lead is T.federated:
        return _federated(offer)
    if lead is T.masks or offer.techniques == (T.privacy,):
        return _statistics(offer)
    if lead is T.sharing:
        return _sharing(needs)
    if lead is T.plain:
        return _plain(offer, needs)
    return _NOISED[lead] if T.privacy in offer.techniques else _SINGLE[lead]


def _federated(offer: Offer) -> tuple[View, ...]:
    noised = "noised" if T.privacy in offer.techniques else "exact"
    if T.masks in offer.techniques:
        coordinator = View(
            "the coordinator",
            f"the sum of the {noised} updates in each round, every model, who takes part and when",
            "a record; the update of a single party",
        )
    else:
        coordinator = View(
            "the coordinator", f"the {noised} update of every party in each round, every model", "a record as it is"
        )
    return (
        coordinator,
        View("the other parties", "the model of every round, names and declared sizes", "a record; another's update"),
        View("a reader of the result", "the last model and the released figures", "records and updates"),
    )


def _statistics(offer: Offer) -> tuple[View, ...]:
    noised = "noised " if T.privacy in offer.techniques else ""
    if T.masks in offer.techniques:
        sees, hidden = f"the {noised}sum and who contributed", "the part of a single party"
    else:
        sees, hidden = "the noised answer of every party", "an exact answer"
    return (
        View("the coordinator", sees, hidden),
        View("the other parties", f"the {noised}result", "a record; another's part"),
        View("a reader of the result", f"the {noised}result", "a record; the part of a single party"),
    )


def _sharing(needs: Needs) -> tuple[View, ...]:
    result = {"train": "the opened model", "predict": "the opened answer", "statistics": "the opened figures"}
    return (
        View(
            "each computing party",
            "shares that look like chance, shapes and sizes, the steps of the program",
            "inputs, weights and intermediate values of others",
        ),
        View("whoever the result is opened to", result[needs.task], "anything else"),
        View("a dealer, if there is one", "the shapes of the products", "any input, share of an input or result"),
    )


def _plain(offer: Offer, needs: Needs) -> tuple[View, ...]:
    if needs.task == "predict":
        return (
            View("whoever has the model", "every record that is sent, and its answer", "-"),
            View("the client", "its answers", "the model"),
        )
    noised = " noised" if T.privacy in offer.techniques else ""
    return (
        View("the one place", "every record", "-"),
        View("a reader of the result", f"the{noised} model or figures", "records"),
    )


_SINGLE: dict[Technique, tuple[View, ...]] = {
    T.local_model: (
        View("the client", "the model, its own record, the answer", "the data that the model was trained on"),
        View("whoever made the model", "that the model was fetched", "records and answers"),
    ),
    T.encryption: (
        View("the server", "ciphertexts, their number and size, when they come", "the record and the answer"),
        View("the client", "its answer, the model's shape, levels and bounds", "the weights, as they are not sent"),
    ),
    T.cut: (
        View(
            "the server",
            "the activations of every record at the cut and the gradients that return; not the labels (U-shape)",
            "records and labels as they are; both can be guessed from what it sees",
        ),
        View("the party with the rows", "its own side of the network", "the server's side"),
    ),
    T.vertical: (
        View(
            "the coordinator, which joins the parts",
            "the activations of every record from every party, the gradient at the output for every record",
            "columns and labels as they are; both can be guessed from what it sees",
        ),
        View("the party with the labels", "the outputs for every record, which records are common", "others' columns"),
        View(
            "the other parties",
            "the gradients for each of their records, which records are common",
            "others' columns; labels as they are, though gradients tell them apart",
        ),
    ),
}

_ROWS_NOISED = "what a record or a label says, beyond epsilon and delta"
_NOISED: dict[Technique, tuple[View, ...]] = {
    T.cut: (
        View("the server", "noised activations and noised gradients for every record", _ROWS_NOISED),
        View("the party with the rows", "its own side of the network", "the server's side"),
    ),
    T.vertical: (
        View(
            "the coordinator, which joins the parts",
            "noised activations and noised gradients for every record",
            _ROWS_NOISED,
        ),
        View(
            "the party with the labels",
            "outputs for every record, computed from noised activations; which records are common",
            "what others' columns say of a record, beyond epsilon and delta",
        ),
        View(
            "the other parties",
            "noised gradients for each of their records, which records are common",
            _ROWS_NOISED,
        ),
    ),
}

_LIMITS: dict[Technique, tuple[str, ...]] = {
    T.plain: ("anything from whoever breaks into the one place",),
    T.local_model: (
        "the model: the client can read it, copy it, and search it for the records that it was trained on",
    ),
    T.federated: (
        "the records: an update of few rows gives the rows away",
        "whether a party takes part, and when it answers",
    ),
    T.privacy: (
        "what is true of people in general; several persons together, beyond k times epsilon",
        "constants that were chosen by looking at the data; tuning that was not paid for",
    ),
    T.masks: (
        "the sum, which still speaks: the sum of two parties shows each the other's part",
        "parts of the sum from a coordinator that lies and has parties as accomplices",
    ),
    T.sharing: (
        "the result: an opened model is a release, and no epsilon is claimed for it",
        "inputs from two of three computing parties that put their shares together, or from a dealer that helps a party",
        "inputs and result from a party that deviates: all are taken to follow the protocol (semi-honest)",
    ),
    T.encryption: (
        "the model from a client that asks many questions, or that studies the error of what it decrypts",
        "the answer from a server that computes something else: nothing proves it",
        "the key, if decrypted answers are handed back to the server: their last digits depend on it",
    ),
    T.cut: (
        "the records and the labels: activations and gradients leak, which is measured and not bounded",
        "the records from a server that steers the training to read them (feature-space hijacking)",
    ),
    T.vertical: (
        "columns and labels: activations and gradients leak, which is measured and not bounded",
        "which persons the parties have in common: all of them have to know",
    ),
}


def limits(offer: Offer, needs: Needs) -> tuple[str, ...]:
    """Return what the answer does not protect: each starts with what is open."""
    return tuple(dict.fromkeys(_limits(offer, needs)))


def _limits(offer: Offer, needs: Needs) -> Iterator[str]:
    for technique in offer.techniques:
        if technique in (T.cut, T.vertical) and T.privacy in offer.techniques:
            yield "whether a person is among the rows, and how many rows there are: the noise hides what a row says"
            continue
        if technique is T.federated and len(offer.techniques) > 1:
            yield _LIMITS[technique][1]
            continue
        if technique is T.plain and needs.trusted_party:
            yield "anything from the trusted party, and from whoever breaks into it"
            continue
        yield from _LIMITS[technique]
    if not bounds_persons(offer, needs):
        what = "the published result" if needs.published else "the result"
        if needs.task != "predict":
            yield f"persons in {what}: it may tell that somebody took part, or parts of a record"
        else:
            yield "the persons that the model was trained on, unless it was trained under differential privacy"
    yield "the result from a party that feeds in wrong data"
