"""Answers that are randomised one by one, where they are given: randomized response."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reticent.dp.encoding import to_integers
from reticent.dp.events import RandomizedResponse
from reticent.dp.release import Grant
from reticent.dp.samplers import bernoulli, integers
from reticent.dp.target import require_epsilon
from reticent.errors import UsageError
from reticent.randomness import Keystream

__all__ = ["randomized_response", "randomized_response_event"]

_MOST_EPSILON = 700.0
_MOST_CATEGORIES = 2**62


def randomized_response(
    answers: ArrayLike, *, categories: int, epsilon: float, grant: Grant | None = None
) -> NDArray[np.int64]:
    """Return `answers`, each kept or, with the flip probability of the event, replaced by a uniform one of all.

    Warner (JASA 1965) for two categories; k of them as in Kairouz, Bonawitz, Ramage (ICML 2016, section 3). Private
    under `replace_one` only: whose answer it is, and that there is one, may be seen. Array entries are answers of
    different units, so that the array is one event; several answers of one unit are several events.

    Args:
      answers: Whole numbers from 0 to `categories` - 1, a number or an array.
      categories: How many answers are possible, 2 or more, declared.
      epsilon: Above 0; the odds of an answer to another one are e^epsilon at most.
      grant: Paid for `randomized_response_event(...)`; None releases without a ledger.

    Returns:
      int64 of the shape of `answers`.

    Raises:
      UsageError: If an argument is out of range; the text never says the answer.
      PolicyRefused: If the event was not paid for.
    """
    event = randomized_response_event(categories=categories, epsilon=epsilon)
    given = np.asarray(answers)
    coded = to_integers(given.astype(np.int64) if given.dtype == np.bool_ else given)
    if coded.size and not 0 <= int(coded.min()) <= int(coded.max()) < categories:
        raise UsageError(
            "unknown-answer",
            f"an answer is not one of the {categories} categories",
            hint=f"code answers as whole numbers from 0 to {categories - 1}",
        )
    (Grant.without_ledger([event]) if grant is None else grant).draw(event)  # before any coin is flipped
    keystream = Keystream.fresh()
    replaced = bernoulli(Fraction(event.flip_probability), coded.size, keystream).reshape(coded.shape)
    # As many as there are answers: how many are replaced does not show in the time.
    return np.where(replaced, integers(categories, coded.size, keystream).reshape(coded.shape), coded)


def randomized_response_event(*, categories: int, epsilon: float) -> RandomizedResponse:
    """Return what `randomized_response` draws and is charged as: flip probability k / (e^epsilon - 1 + k), rounded up.

    Raises:
      UsageError: If an argument is out of range.

    >>> event = randomized_response_event(categories=2, epsilon=1.0)
    >>> round(event.flip_probability, 4)
    0.5379
    """
    require_epsilon(epsilon)
    if not (2 <= categories <= _MOST_CATEGORIES and categories == int(categories)):
        raise UsageError(
            "invalid-categories", f"categories is {categories}", hint="give the number of possible answers, 2 or more"
        )
    exact = categories / (math.expm1(min(epsilon, _MOST_EPSILON)) + categories)
    return RandomizedResponse(min(1.0, exact * (1 + 2**-48)), int(categories))
