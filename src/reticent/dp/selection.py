"""Choosing one of several candidates by a utility that depends on the data: exact selection mechanisms.

With g_i = epsilon * (largest utility - u_i) / (2 * sensitivity), without the 2 for monotonic utilities:

    exponential         P(i) proportional to exp(-g_i)           McSherry and Talwar, FOCS 2007
    permute and flip    flip a coin exp(-g_i) for each in        McKenna and Sheldon, NeurIPS 2020: epsilon-private,
                        random order, return the first head      and the expected utility is never lower
    report noisy max    argmax of u_i + discrete Laplace         Dwork and Roth 2014, section 3.3

Numbers given as floats are rational numbers, and g_i is computed as a fraction wherever floating point could not tell
on which side of its coin a uniform real lies (`samplers.bernoulli_exp`); nothing overflows, and no rounding decides a
choice (Ilvento, CCS 2020, gives the attack, and base 2 as another way out).

A utility computed in floating point may differ between neighbours by more than its sensitivity on paper. Pass `grid`:
the utilities are then rounded to it, and the sensitivity is widened by one step. Whole numbers need no grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reticent.dp.encoding import exact_numbers, steps_apart, to_integers, to_steps
from reticent.dp.events import BoundedRange, DiscreteLaplace, PureDP
from reticent.dp.mechanisms import add_integer_noise
from reticent.dp.precision import scale_for
from reticent.dp.release import Grant
from reticent.dp.samplers import bernoulli_exp, integers
from reticent.dp.target import require_epsilon
from reticent.errors import UsageError
from reticent.randomness import Keystream

__all__ = ["exponential", "permute_and_flip", "report_noisy_max"]

T = TypeVar("T")

_MOST_TRIALS = 1 << 15
_LEAST = Fraction(1, 2**900)


class _Gaps:
    """The exponents g_i, each as a float64 good to 2^-50 of itself and, on demand, as the exact fraction."""

    def __init__(
        self,
        utilities: NDArray[np.int64] | NDArray[np.float64],
        *,
        sensitivity: Fraction,
        epsilon: float,
        monotonic: bool,
    ) -> None:
        self._utilities, self._best = utilities, int(utilities.argmax())
        self._factor = Fraction(epsilon) / (sensitivity if monotonic else 2 * sensitivity)
        if _LEAST < self._factor < 1 / _LEAST:
            with np.errstate(over="ignore"):  # a gap beyond the range of floats is never kept, either way
                self.gamma = (utilities.max() - utilities).astype(np.float64) * float(self._factor)
        else:
            capped = [float(min(self.exact(index), Fraction(1 << 20))) for index in range(len(utilities))]
            self.gamma = np.array(capped)

    def exact(self, index: int) -> Fraction:
        """Return g_i of one candidate."""
        best, own = (Fraction(self._utilities[i].item()) for i in (self._best, index))
        return (best - own) * self._factor


def exponential(
    candidates: Sequence[T],
    utility: ArrayLike | Callable[[T], float],
    *,
    sensitivity: float,
    epsilon: float,
    grid: float | None = None,
    monotonic: bool = False,
    grant: Grant | None = None,
) -> T:
    """Return one of `candidates` by the exponential mechanism, charged as `BoundedRange(epsilon)`.

    Candidates are drawn uniformly and kept with probability exp(-g_i), which is that mechanism and needs no sum of
    exponentials. How long it takes depends on the utilities.

    Args:
      candidates: At least one; which there are must not depend on the data.
      utility: One finite number for each candidate, or a function from a candidate to its own.
      sensitivity: How much one utility can differ between neighbouring data sets, under the relation of the claim.
      epsilon: Above 0.
      grid: Power of two to which utilities are rounded first; None takes them exactly as given.
      monotonic: True only if between neighbours all utilities move in the same direction, as counts do under
        `add_or_remove_one` (never under `replace_one`). It doubles g_i.
      grant: Paid for `BoundedRange(epsilon)`; None releases without a ledger.

    Raises:
      UsageError: If an argument is out of range; the text never says a utility.
      PolicyRefused: If the event was not paid for.

    >>> exponential(["a", "b", "c"], [0, 1000, 3], sensitivity=1, epsilon=2.0)
    'b'
    """
    utilities, apart = _utilities(candidates, utility, sensitivity, epsilon, grid)
    gaps = _Gaps(utilities, sensitivity=apart, epsilon=epsilon, monotonic=monotonic)
    _draw(grant, BoundedRange(epsilon))
    keystream = Keystream.fresh()
    while True:
        trials = integers(len(candidates), min(max(len(candidates), 16), _MOST_TRIALS), keystream)
        kept = np.flatnonzero(_flip(gaps, trials, keystream))
        if kept.size:
            return candidates[int(trials[kept[0]])]


def permute_and_flip(
    candidates: Sequence[T],
    utility: ArrayLike | Callable[[T], float],
    *,
    sensitivity: float,
    epsilon: float,
    grid: float | None = None,
    monotonic: bool = False,
    grant: Grant | None = None,
) -> T:
    """Return one of `candidates` by permute-and-flip, charged as `PureDP(epsilon)`.

    The first head in a random order is a uniform one among all heads, so every coin is flipped once; a best candidate
    always shows a head. For a single choice it is better than `exponential`; many choices add up to less with that
    one, whose bounded range composes better.

    Args:
      candidates: At least one; which there are must not depend on the data.
      utility: One finite number for each candidate, or a function from a candidate to its own.
      sensitivity: How much one utility can differ between neighbouring data sets, under the relation of the claim.
      epsilon: Above 0.
      grid: Power of two to which utilities are rounded first; None takes them exactly as given.
      monotonic: True only if between neighbours all utilities move in the same direction; see `exponential`.
      grant: Paid for `PureDP(epsilon)`; None releases without a ledger.

    Raises:
      UsageError: If an argument is out of range; the text never says a utility.
      PolicyRefused: If the event was not paid for.
    """
    utilities, apart = _utilities(candidates, utility, sensitivity, epsilon, grid)
    gaps = _Gaps(utilities, sensitivity=apart, epsilon=epsilon, monotonic=monotonic)
    _draw(grant, PureDP(epsilon))
    keystream = Keystream.fresh()
    heads = np.flatnonzero(_flip(gaps, np.arange(len(candidates)), keystream))
    return candidates[int(heads[int(integers(heads.size, 1, keystream)[0])])]


def report_noisy_max(
    candidates: Sequence[T],
    utility: ArrayLike | Callable[[T], float],
    *,
    sensitivity: float,
    epsilon: float,
    grid: float,
    monotonic: bool = False,
    grant: Grant | None = None,
) -> T:
    """Return the candidate of the largest utility after discrete Laplace noise, charged as `PureDP(epsilon)`.

    The noisy utilities themselves are not released: only who won. Ties go to the first of them; the proof of privacy
    holds for whole numbers and any fixed rule. (With Gumbel noise it would be `exponential`, with exponential noise
    `permute_and_flip`, which chooses better at the same epsilon.)

    Args:
      candidates: At least one; which there are must not depend on the data.
      utility: One finite number for each candidate, or a function from a candidate to its own.
      sensitivity: How much one utility can differ between neighbouring data sets, under the relation of the claim.
      epsilon: Above 0.
      grid: Power of two to which utilities are rounded; 1 for whole numbers, which it leaves as they are.
      monotonic: True only if between neighbours all utilities move in the same direction; see `exponential`.
      grant: Paid for `PureDP(epsilon)`; None releases without a ledger.

    Raises:
      UsageError: If an argument is out of range; the text never says a utility.
      PolicyRefused: If the event was not paid for.
    """
    utilities, apart = _utilities(candidates, utility, sensitivity, epsilon, grid)
    steps = to_integers(utilities)
    noise = DiscreteLaplace(scale_for((1 if monotonic else 2) * math.ceil(apart), epsilon))
    event = PureDP(epsilon)
    noised = add_integer_noise(steps, noise=noise, event=event, grant=_paid(grant, event))
    return candidates[int(np.argmax(noised))]


def _utilities(
    candidates: Sequence[T],
    utility: ArrayLike | Callable[[T], float],
    sensitivity: float,
    epsilon: float,
    grid: float | None,
) -> tuple[NDArray[np.int64] | NDArray[np.float64], Fraction]:
    """Return the utilities, in steps if there is a grid, and their sensitivity in the same unit."""
    require_epsilon(epsilon)
    if not 0 < sensitivity < math.inf:
        raise UsageError("invalid-sensitivity", f"sensitivity is {sensitivity}", hint="give a finite number above 0")
    given = [utility(candidate) for candidate in candidates] if callable(utility) else utility
    numbers = exact_numbers(given)
    if len(candidates) == 0 or numbers.shape != (len(candidates),):
        raise UsageError(
            "utilities-differ",
            f"{len(candidates)} candidates have utilities of shape {numbers.shape}",
            hint="give at least one candidate, and one number for each",
        )
    if grid is not None and (numbers.dtype != np.int64 or grid != 1):
        return to_steps(numbers, grid), Fraction(steps_apart(sensitivity, grid, 1))
    if numbers.dtype == np.int64:
        return to_steps(numbers, 1.0), Fraction(sensitivity)
    if not np.isfinite(numbers).all():
        raise UsageError("invalid-total", "a utility is not finite", hint="clip utilities to a declared range")
    return numbers, Fraction(sensitivity)


def _flip(gaps: _Gaps, indices: NDArray[np.int64], keystream: Keystream) -> NDArray[np.bool_]:
    return bernoulli_exp(gaps.gamma[indices], lambda index: gaps.exact(int(indices[index])), keystream)


def _paid(grant: Grant | None, event: BoundedRange | PureDP) -> Grant:
    return Grant.without_ledger([event]) if grant is None else grant


def _draw(grant: Grant | None, event: BoundedRange | PureDP) -> None:
    _paid(grant, event).draw(event)  # before any coin is flipped
