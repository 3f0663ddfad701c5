r"""How many guesses can be right, if a claim is true: the two tests behind the audit of one run.

m canaries are put in or left out by independent fair coins, an auditor sees the output and guesses r of the coins.

`p_value_of_pair` is theorem 5.2 of Steinke, Nasr, Jagielski (NeurIPS 2023), as their appendix computes it.

`refute` tests a whole trade-off curve F (most true positives at each rate of false positives), in the manner of
Mahloujifar, Melis, Chaudhuri (2024). Proof, complete: let W be the number of right guesses, A_i the event that guess i
is right and W >= c. Turning coin i over turns A_i into the event that guess i is wrong and W >= c - 1, with the same
output. So P(A_i) <= F(P(guess i is wrong, W >= c - 1)), for every value of the other coins; the mean over these values
and over i, with F concave (Jensen), gives for every c

    E[W; W >= c] / m  <=  F( E[r - W; W >= c - 1] / m ).                                             (1)

Write p_c = P(W = c), a_c = E[W; W >= c] / m, b_c = E[r - W; W >= c] / m. From (1), b_(c-1) >= F^-1(a_c), so a tail
of probability t at v forces mass below it: p_(c-1) >= m (F^-1(a_c) - b_c) / (r - c + 1). All mass of the tail at v
itself forces least, by induction: for 0 <= k <= (c - 1) / (r - c + 1) the quantity a_c - k b_c is never smaller than
along the recursion that starts with p_v = t and takes equality in every step, and neither is the mass P(W >= c). If
that recursion exceeds 1, P(W >= v) = t is impossible.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from reticent.dp import TradeOff

__all__ = ["Guesses"]

_SMALLEST = 1e-30
"""A p-value below is reported as this."""

_LARGEST_EPSILON = 60.0


@dataclass(frozen=True, slots=True)
class Guesses:
    """What an auditor did: of `guesses` about `canaries` coins, `correct` were right."""

    canaries: int
    guesses: int
    correct: int

    def p_value_of_pair(self, epsilon: float, delta: float) -> float:
        """Return an upper bound on the probability of so many right guesses under (epsilon, delta)-privacy.

        Steinke, Nasr, Jagielski 2023, theorem 5.2: under epsilon alone the number is at most binomial; delta adds
        2 * canaries * delta * max_i P(correct > W >= correct - i) / i.
        """
        from scipy.stats import binom

        share = 1 / (1 + math.exp(-epsilon))
        tail = float(binom.sf(self.correct - 1, self.guesses, share))
        if delta == 0 or self.correct == 0:
            return min(1.0, tail)
        steps = np.arange(1, self.correct + 1)
        near = np.cumsum(binom.pmf(self.correct - steps, self.guesses, share)) / steps
        return min(1.0, tail + 2 * self.canaries * delta * float(near.max()))

    def p_value_of_curve(self, curve: TradeOff) -> float:
        """Return an upper bound on the probability of so many right guesses if the curve is true.

        It is the smallest level at which `refute` holds, rounded up by less than 1 %, and at least 1e-30.
        """
        fewest = _fewest_false(curve)
        low, high = math.log(_SMALLEST), 0.0
        if not self._impossible(fewest, 1.0):
            return 1.0
        while high - low > 0.01:
            middle = (low + high) / 2
            low, high = (low, middle) if self._impossible(fewest, math.exp(middle)) else (middle, high)
        return math.exp(high)

    def refute(self, curve: TradeOff, level: float) -> bool:
        """Return whether this many right guesses have a probability below `level` if the curve is true."""
        return self._impossible(_fewest_false(curve), level)

    def epsilon_at_least(self, delta: float, level: float, *, pair: bool) -> float:
        """Return the largest epsilon that is refuted at `delta`, rounded down by less than 1e-4.

        Args:
          delta: Of the claims that are tried.
          level: Error probability.
          pair: Whether by theorem 5.2, or by the curve that (epsilon, delta) gives.
        """

        def refuted(epsilon: float) -> bool:
            if pair:
                return self.p_value_of_pair(epsilon, delta) <= level
            return self.refute(TradeOff.claim(epsilon, delta), level)

        low, high = 0.0, _LARGEST_EPSILON
        if not refuted(low):
            return 0.0
        while high - low > 1e-4:
            middle = (low + high) / 2
            low, high = (middle, high) if refuted(middle) else (low, middle)
        return low

    def mu_at_least(self, level: float) -> float:
        """Return the largest mu of Gaussian privacy that is refuted, within 1e-4; that of the mechanism if it is one."""
        low, high = 0.0, 40.0
        while high - low > 1e-4:
            middle = (low + high) / 2
            low, high = (middle, high) if self.refute(TradeOff.gaussian(middle), level) else (low, middle)
        return low

    def _impossible(self, fewest_false: Callable[[float], float], tail: float) -> bool:
        """Return whether a tail of this probability at `correct` forces more than all of the probability."""
        right = tail * self.correct / self.canaries  # a_c
        wrong = tail * (self.guesses - self.correct) / self.canaries  # b_c
        mass = tail
        for c in range(self.correct, 0, -1):
            forced = fewest_false(right) - wrong
            if forced <= 0:  # nothing is forced here, and then nothing further down
                return False
            new = self.canaries * forced / (self.guesses - c + 1)
            wrong += forced
            right += (c - 1) * new / self.canaries
            mass += new
            if mass > 1 + 1e-9:  # the slack covers the rounding of some thousand steps
                return True
            if new < 1e-9 * mass / self.guesses:  # all that can follow does not matter
                return False
        return False


def _fewest_false(curve: TradeOff) -> Callable[[float], float]:
    """Return F^-1 for one number, fast: straight between the corners of the curve, rounded down."""
    rates, found = (corner.tolist() for corner in curve.corners())

    def inverse(share: float) -> float:
        at = bisect_left(found, share)
        if at == 0:
            return 0.0
        if at == len(found):
            return 1.0
        part = (share - found[at - 1]) / (found[at] - found[at - 1])
        return float((rates[at - 1] + part * (rates[at] - rates[at - 1])) * (1 - 1e-10))

    return inverse
