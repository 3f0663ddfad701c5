"""From needs to a ranked answer, by rules that can be read: nothing is learnt, weighed in secret or guessed.

1. An offer must be built for the layout, the task and the model (`offers.misfits`).
2. Every stated concern that can arise must be covered by a guarantee in the table (`techniques.COVERS`).
3. What is left is ordered by its burden (`offers.burden`): points with their reasons, smallest first.
"""

from __future__ import annotations

from dataclasses import dataclass

from reticent.advise.needs import CONCERNS, Concern, Needs
from reticent.advise.offers import Mark, Offer, burden, considered, misfits, reasons_against, uncovered
from reticent.advise.techniques import COVERS, Technique, arises
from reticent.advise.views import View, limits, views
from reticent.advise.wishes import Reply, reply_to

__all__ = ["Advice", "Answer", "Refused", "advise"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: what to use, why it fits, who sees what, what stays open, and why it stands at its rank."""

    techniques: tuple[Technique, ...]
    why: tuple[str, ...]
    who_sees: tuple[View, ...]
    not_protected: tuple[str, ...]
    marks: tuple[Mark, ...]

    @property
    def name(self) -> str:
        """The techniques joined by plus signs."""
        return " + ".join(self.techniques)

    @property
    def burden(self) -> float:
        """Sum of the marks; smaller is better."""
        return sum(mark.points for mark in self.marks)


@dataclass(frozen=True, slots=True)
class Refused:
    """An offer that is not recommended, with every reason; `fits` says whether it could do the task at all."""

    techniques: tuple[Technique, ...]
    reasons: tuple[str, ...]
    fits: bool


@dataclass(frozen=True, slots=True)
class Advice:
    """The ranked answers, best first, and everything that was left out with its reason.

    Attributes:
      none: Why nothing fits and what would help; empty if there are answers.
      notes: What was stated and cannot arise here, and what a published result means.
      wish: The reply to the technique that somebody had in mind.
    """

    needs: Needs
    answers: tuple[Answer, ...]
    refused: tuple[Refused, ...]
    none: str
    notes: tuple[str, ...]
    wish: Reply | None


def advise(needs: Needs) -> Advice:
    """Return the ranked answer to `needs`; pure, and the same for the same needs."""
    answers: list[Answer] = []
    refused: list[Refused] = []
    for offer in considered(needs):
        if reasons := reasons_against(offer, needs):
            refused.append(Refused(offer.techniques, reasons, not any(misfits(offer, needs))))
        else:
            answers.append(
                Answer(
                    offer.techniques,
                    _why(offer, needs),
                    views(offer, needs),
                    limits(offer, needs),
                    burden(offer, needs),
                )
            )
    answers.sort(key=lambda answer: (answer.burden, len(answer.techniques)))
    return Advice(
        needs,
        tuple(answers),
        tuple(refused),
        "" if answers else _none(needs),
        _notes(needs),
        reply_to(needs, [answer.techniques for answer in answers]),
    )


def _why(offer: Offer, needs: Needs) -> tuple[str, ...]:
    found = [
        f"{concern.value}: {cover.words.format(unit=needs.unit)} ({cover.by})"
        for concern in needs.concerns
        for technique in offer.techniques
        for cover in COVERS[technique].get(concern, ())
        if arises(concern, needs) and cover.holds(needs, offer.techniques)
    ]
    return tuple(dict.fromkeys(found)) or ("nothing was named that has to be protected, and this does the task",)


def _none(needs: Needs) -> str:
    """Say that nothing fits, and which of the stated concerns has to be given up or met by other means."""
    fitting = [offer for offer in considered(needs) if not any(misfits(offer, needs))]
    if not fitting:
        return f"None of these does that: nothing here is built for {needs.task!r} on data that lie as {needs.data!r}."
    stuck = [concern for concern in needs.concerns if all(concern in uncovered(offer, needs) for offer in fitting)]
    if not stuck:
        ways = " ".join(dict.fromkeys(_way_out(concern, needs) for concern in needs.concerns))
        return (
            "None of these does that: each of your concerns is met by something, and nothing meets all of them. "
            f"Give up one of: {'; '.join(CONCERNS[concern] for concern in needs.concerns)}. {ways}"
        )
    ways = " ".join(_way_out(concern, needs) for concern in stuck)
    open_ones = "; ".join(f"{concern.value} ({CONCERNS[concern]})" for concern in stuck)
    return f"None of these does that: nothing here has a guarantee for {open_ones}. {ways}"


def _way_out(concern: Concern, needs: Needs) -> str:
    match concern:
        case Concern.cheating:
            return (
                "All parties are taken to follow the protocol: bind them by contract and by audit, and check results."
            )
        case Concern.membership:
            return (
                "Alignment tells the parties whom they share: let a party align that all trust, or state who may know."
            )
        case Concern.persons_result if needs.task == "predict":
            return 'That is settled when the model is trained: ask again with task = "train", and use that model.'
        case Concern.persons_result | Concern.persons_coordinator if needs.data == "columns":
            return (
                "Noise with a promise about persons is built for rows: bring the columns together at a trusted party, "
                "or keep the result inside the circle."
            )
        case Concern.updates:
            return "Masks need three parties or more: find a third, or use secure computation for a linear model."
        case _:
            return "Choose a simpler model, find a trusted party, or accept a measured leak knowingly."


def _notes(needs: Needs) -> tuple[str, ...]:
    notes = [
        f"{concern.value} does not arise here: {CONCERNS[concern]}"
        for concern in needs.concerns
        if not arises(concern, needs)
    ]
    if needs.published and Concern.persons_result not in needs.concerns and needs.task != "predict":
        notes.append(
            "the result is published and persons-from-result is not in protect: only differential privacy bounds what "
            "a reader learns about one person"
        )
    return tuple(notes)
