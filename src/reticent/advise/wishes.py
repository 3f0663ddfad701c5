"""The technique that somebody has in mind: whether it fits, and why not. The three usual wrong choices by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from reticent.advise.needs import Concern, Needs
from reticent.advise.offers import considered, reasons_against
from reticent.advise.techniques import Technique

__all__ = ["WRONG_CHOICES", "Reply", "WrongChoice", "reply_to"]

T = Technique


@dataclass(frozen=True, slots=True)
class WrongChoice:
    """A choice that is made often and does not do what is hoped for.

    Attributes:
      title: The choice in a few words.
      reason: Why it does not work.
      instead: What to look at in its place.
      made: Whether somebody with these needs is about to make it.
    """

    title: str
    reason: str
    instead: str
    made: Callable[[Needs], bool]


def _wants(needs: Needs, *concerns: Concern) -> bool:
    return bool(set(concerns) & set(needs.concerns))


WRONG_CHOICES: tuple[WrongChoice, ...] = (
    WrongChoice(
        "homomorphic encryption for training a deep network",
        "Each product of encrypted numbers uses up a level, levels are bought with a larger ring, and a single pass "
        "forward and back needs dozens. Without refreshing, the levels end inside the first step; with it, one pass "
        "takes minutes, for thousands of passes. A ReLU has to become a polynomial that is wrong outside of its range. "
        "And who decrypts the model sees it exactly: encryption says nothing about persons in the result.",
        "Train where the rows are (federated learning with differential privacy and secure aggregation), or under "
        "shares for a linear model; keep encryption for prediction.",
        lambda needs: needs.wish == "homomorphic-encryption" and needs.task == "train",
    ),
    WrongChoice(
        'split learning for "anonymity"',
        "The activations at the cut are computed from one record, and the gradients that return from one label. An "
        "inversion network reads the first, the norm of the second gives away the label, and a server that lies can "
        "steer the training until it reads records. Leaving out names changes nothing about this. Each run measures "
        "its leak; a measurement is not a bound.",
        "If nobody may recognise a person: differential privacy. If no party may learn the rows: secure computation. "
        "Split learning is for a network that does not fit where the rows are.",
        lambda needs: (
            needs.wish == "split-learning"
            and _wants(
                needs,
                Concern.rows,
                Concern.labels,
                Concern.persons_result,
                Concern.persons_coordinator,
                Concern.updates,
            )
        ),
    ),
    WrongChoice(
        "differential privacy to hide from the coordinator, with noise that the coordinator adds",
        "Central noise is added after the coordinator has seen the exact updates. It protects from readers of the "
        "result, and from the coordinator nothing at all. The epsilon on the report is true, for somebody else.",
        "Let each party add its noise before anything leaves it (local noise, as federated learning with differential "
        "privacy does here) or let the noise be complete only inside a secure sum (distributed noise); and add secure "
        "aggregation if single updates must not be seen, which no noise hides.",
        lambda needs: (
            needs.wish == "central-differential-privacy"
            and _wants(needs, Concern.updates, Concern.persons_coordinator, Concern.rows, Concern.labels)
        ),
    ),
)

_MEANS: Mapping[str, tuple[Technique, ...]] = {
    "federated-learning": (T.federated,),
    "differential-privacy": (T.privacy,),
    "central-differential-privacy": (T.plain, T.privacy),
    "secure-aggregation": (T.masks,),
    "secure-computation": (T.sharing,),
    "homomorphic-encryption": (T.encryption,),
    "split-learning": (T.cut, T.vertical),
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What is said to a wish.

    Attributes:
      fits: Whether a recommended answer uses it.
      reasons: Why not, or which answer uses it.
      instead: What to do in its place; empty if it fits.
    """

    wish: str
    fits: bool
    reasons: tuple[str, ...]
    instead: str = ""


def reply_to(needs: Needs, answers: Sequence[tuple[Technique, ...]]) -> Reply | None:
    """Return the reply to `needs.wish`, or None without one.

    Args:
      needs: With a wish or without.
      answers: The recommended answers, best first.
    """
    if needs.wish is None:
        return None
    using = [answer for answer in answers if _uses(needs.wish, answer)]
    together = tuple(f"it is part of: {' + '.join(answer)}" for answer in using)
    best = f"What fits: {' + '.join((using or answers)[0])}." if answers else ""
    wrong = next((choice for choice in WRONG_CHOICES if choice.made(needs)), None)
    if wrong is not None and not any(set(answer) <= set(_MEANS[needs.wish]) for answer in using):
        reasons = (wrong.reason, *(together or _against(needs)))
        return Reply(needs.wish, fits=False, reasons=reasons, instead=f"{wrong.instead} {best}".strip())
    if using:
        return Reply(needs.wish, fits=True, reasons=together)
    return Reply(
        needs.wish, fits=False, reasons=_against(needs), instead=best or "Nothing here fits; see the answer above."
    )


def _uses(wish: str, techniques: tuple[Technique, ...]) -> bool:
    wanted = set(_MEANS[wish])
    if wish == "split-learning":
        return bool(wanted & set(techniques))
    return wanted <= set(techniques)


def _against(needs: Needs) -> tuple[str, ...]:
    """Return the reasons against the combination with the wish that comes closest, and for the others if they differ."""
    wish = needs.wish or ""
    against = [reasons_against(offer, needs) for offer in considered(needs) if _uses(wish, offer.techniques)]
    return min((reasons for reasons in against if reasons), key=len, default=())
