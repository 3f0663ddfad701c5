"""Sparse vector: many questions whether a value reaches a threshold, of which only a few may be answered yes."""

from __future__ import annotations

import math
from fractions import Fraction

from numpy.typing import ArrayLike

from reticent.dp.encoding import steps_apart, to_steps
from reticent.dp.events import PureDP, Repeated
from reticent.dp.one_holder import OneHolder
from reticent.dp.precision import scale_for
from reticent.dp.release import Grant
from reticent.dp.samplers import discrete_laplace
from reticent.dp.target import require_epsilon
from reticent.errors import PolicyRefused, UsageError
from reticent.randomness import Keystream

__all__ = ["SparseVector", "sparse_vector_event"]

_THRESHOLD_SHARE = Fraction(387, 1000)
"""1 : 2^(2/3), the split of epsilon that makes the noise of a comparison smallest (Lyu, Su, Li 2017, section 4.2)."""


class SparseVector(OneHolder):
    """Answers "is this value at least the threshold?" until `positives` of the answers were yes.

    Algorithm 1 of Dwork and Roth 2014 (AboveThreshold), which stops at its first yes, run `positives` times with
    epsilon / positives each: a fresh threshold after every yes, and fresh noise of twice the sensitivity for every
    question. Noes are free. Published variants without noise on the values, without an end, or with noise that does not
    grow with `positives` are not private (Lyu, Su, Li, VLDB 2017, figure 1); tests attack copies of them. (Their own
    algorithm 1 keeps one threshold, which needs less noise at the same epsilon but is a single loss of epsilon; the
    parts here compose better than they add up.)

    It is charged as it costs: one `PureDP(epsilon / positives)` at the first question, and another at the first one after
    a yes.

    Args:
      threshold: Declared, never computed from the data.
      sensitivity: How much one value can differ between neighbouring data sets, under the relation of the claim.
      epsilon: Above 0, for everything that the object will ever answer.
      positives: How many answers may be yes, 1 or more.
      grid: Power of two to which threshold and values are rounded; values widen the sensitivity by a step.
      grant: Paid for `sparse_vector_event(...)`; None releases without a ledger.

    Raises:
      UsageError: If an argument is out of range.
      PolicyRefused: If the event was not paid for.
    """

    def __init__(
        self,
        *,
        threshold: float,
        sensitivity: float,
        epsilon: float,
        positives: int,
        grid: float,
        grant: Grant | None = None,
    ) -> None:
        each = _each(epsilon, positives)
        if not 0 < sensitivity < math.inf:
            raise UsageError(
                "invalid-sensitivity", f"sensitivity is {sensitivity}", hint="give a finite number above 0"
            )
        self._each, self._left, self._grid = each, int(positives), grid
        self._threshold = self._one(threshold)
        apart, share = steps_apart(sensitivity, grid, 1), Fraction(each.epsilon) * _THRESHOLD_SHARE
        self._threshold_scale = scale_for(apart, share)
        self._value_scale = scale_for(2 * apart, Fraction(each.epsilon) - share)
        discrete_laplace(self._value_scale, 0, Keystream.fresh())  # refuses a scale out of range; it is the larger one
        self._grant = Grant.without_ledger([Repeated(each, positives)]) if grant is None else grant
        self._noisy_threshold: int | None = None
        # Two threads must not take the last yes twice, nor may a copy or a forked process go on with the same threshold.
        super().__init__()

    def above(self, value: float) -> bool:
        """Return whether `value` with fresh noise reaches the noisy threshold.

        Args:
          value: One finite number; it is rounded to the grid first.

        Raises:
          UsageError: If the value is no single finite number; the text never says it.
          PolicyRefused: If all yeses were given, or the event was not paid for.
        """
        with self._lock:
            self.require_own_process()
            if self._left == 0:
                raise PolicyRefused(
                    "sparse-vector-exhausted",
                    "the sparse vector has given all the yeses that it was paid for",
                    hint="declare more positives, or pay for another one",
                )
            steps = self._one(value)
            if self._noisy_threshold is None:
                self._grant.draw(self._each)  # before the noise exists
                self._noisy_threshold = self._threshold + _draw(self._threshold_scale)
            reached = steps + _draw(self._value_scale) >= self._noisy_threshold
            if reached:
                self._noisy_threshold = None  # a threshold whose noise a yes has told something about is not used again
                self._left -= 1
            return reached

    @property
    def remaining(self) -> int:
        """How many yeses are left."""
        return self._left

    def _one(self, value: ArrayLike) -> int:
        steps = to_steps(value, self._grid)
        if steps.shape != ():
            raise UsageError("invalid-total", f"value has shape {steps.shape}", hint="ask about one number at a time")
        return int(steps)


def sparse_vector_event(*, epsilon: float, positives: int) -> Repeated:
    """Return what a `SparseVector` is charged as in all, if every yes is used up.

    Raises:
      UsageError: If an argument is out of range.

    >>> sparse_vector_event(epsilon=1.0, positives=4)
    Repeated(event=PureDP(epsilon=0.25), count=4)
    """
    return Repeated(_each(epsilon, positives), int(positives))


def _each(epsilon: float, positives: int) -> PureDP:
    """Return what every single yes is charged as."""
    require_epsilon(epsilon)
    if not (positives >= 1 and positives == int(positives)):
        raise UsageError("invalid-count", f"positives is {positives}", hint="give a whole number, 1 or larger")
    each = epsilon / positives
    if Fraction(each) * int(positives) > Fraction(epsilon):
        each = math.nextafter(each, 0.0)  # the parts never add up to more
    return PureDP(each)


def _draw(scale: float) -> int:
    return int(discrete_laplace(scale, 1, Keystream.fresh())[0])
