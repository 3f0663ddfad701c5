"""The three usual wrong choices are answered with the reason; a wish that fits is told so."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reticent.advise import WRONG_CHOICES, Concern, Needs, advise
from reticent.advise.needs import WISHES


@pytest.mark.parametrize(
    ("changes", "number", "words"),
    [
        ({"wish": "homomorphic-encryption", "model": "deep"}, 0, "level"),
        ({"wish": "homomorphic-encryption", "model": "logistic"}, 0, "level"),
        ({"wish": "split-learning", "goal": "anonymity", "model": "deep"}, 1, "activations"),
        ({"wish": "split-learning", "protect": (Concern.rows,), "data": "columns"}, 1, "activations"),
        (
            {"wish": "central-differential-privacy", "goal": "hide-from-coordinator"},
            2,
            "after the coordinator has seen",
        ),
        ({"wish": "central-differential-privacy", "protect": (Concern.persons_coordinator,)}, 2, "exact updates"),
    ],
)
def test_a_usual_wrong_choice_is_answered_with_its_reason(
    needs: Callable[..., Needs], changes: dict[str, object], number: int, words: str
) -> None:
    reply = advise(needs(**changes)).wish
    assert reply is not None
    assert not reply.fits
    assert reply.reasons[0] == WRONG_CHOICES[number].reason
    assert words in reply.reasons[0]
    assert reply.instead.startswith(WRONG_CHOICES[number].instead)


def test_noise_of_the_coordinator_is_right_where_the_coordinator_is_trusted(needs: Callable[..., Needs]) -> None:
    reply = advise(
        needs(wish="central-differential-privacy", protect=(Concern.persons_result,), trusted_party=True)
    ).wish
    assert reply is not None
    assert reply.fits


@pytest.mark.parametrize("wish", WISHES)
def test_every_wish_gets_a_reply_with_reasons(needs: Callable[..., Needs], wish: str) -> None:
    for task in ("train", "predict", "statistics"):
        for protect in ((), (Concern.persons_result,), tuple(Concern)):
            for data in ("rows", "columns", "one-party", "devices"):
                advice = advise(needs(wish=wish, task=task, protect=protect, data=data, model="mlp"))
                assert advice.wish is not None
                assert advice.wish.reasons
                assert advice.wish.fits or advice.wish.instead


def test_a_wish_that_fits_is_part_of_an_answer(needs: Callable[..., Needs]) -> None:
    advice = advise(needs(wish="secure-aggregation", protect=(Concern.updates,)))
    assert advice.wish is not None
    assert advice.wish.fits
    assert "federated-learning + secure-aggregation" in advice.wish.reasons[0]
    assert advise(needs()).wish is None
