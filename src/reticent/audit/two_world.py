"""Audit by many runs in two worlds: without the canary and with it, and an attack that tells them apart.

Rates of the attack are bounded by Clopper and Pearson (Biometrika 1934) and compared with the claimed curve, as Nasr
et al. (USENIX Security 2023) do for Gaussian mechanisms: much stronger than a comparison with one pair
(epsilon, delta), and as valid, because what is refuted is what was claimed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from reticent import dp
from reticent.audit.claims import Claim
from reticent.audit.findings import Finding
from reticent.errors import UsageError

if TYPE_CHECKING:
    from reticent.dp import TradeOff

__all__ = ["Rates", "World", "alone", "two_world"]


class World(Protocol):
    """Runs the mechanism once, and returns a score: higher means more likely with the canary."""

    def __call__(self, *, present: bool) -> float:
        """Run it with the canary, or without it."""


_SMALLEST = 1e-30


def alone(mechanism: Callable[[NDArray[np.bool_]], NDArray[np.float64]]) -> World:
    """Return the two worlds of a mechanism of one canary, made for `one_run`."""

    def world(*, present: bool) -> float:
        return float(mechanism(np.array([present]))[0])

    return world


@dataclass(frozen=True, slots=True)
class Rates:
    """What an attack did: `found` of `runs` with the canary were told, and so were `alarms` of `runs` without it."""

    runs: int
    found: int
    alarms: int

    def bounds(self, level: float) -> tuple[float, float]:
        """Return (false positives at most, true positives at least); both hold but for a probability of `level`."""
        from scipy.stats import beta

        most = 1.0 if self.alarms == self.runs else beta.isf(level / 2, self.alarms + 1, self.runs - self.alarms)
        least = 0.0 if self.found == 0 else beta.ppf(level / 2, self.found, self.runs - self.found + 1)
        return float(most), float(least)

    def refute(self, curve: TradeOff, level: float) -> bool:
        """Return whether no attack could do this well if the curve were true, but for a probability of `level`."""
        most, least = self.bounds(level)
        return bool(least > curve.true_positives(most))

    def p_value(self, curve: TradeOff) -> float:
        """Return the smallest level at which the curve is refuted, rounded up by less than 1 %, at least 1e-30."""
        low, high = math.log(_SMALLEST), 0.0
        if not self.refute(curve, 1.0):
            return 1.0
        while high - low > 0.01:
            middle = (low + high) / 2
            low, high = (low, middle) if self.refute(curve, math.exp(middle)) else (middle, high)
        return math.exp(high)

    def epsilon_at_least(self, delta: float, level: float) -> float:
        """Return the largest epsilon that is refuted at `delta`, from both lines of its curve."""
        most, least = self.bounds(level)
        one = math.log((least - delta) / most) if least > delta else 0.0
        other = math.log((1 - most - delta) / (1 - least)) if 1 - most > delta and least < 1 else 0.0
        return max(0.0, one, other)

    def mu_at_least(self, level: float) -> float:
        """Return the largest mu of Gaussian privacy that is refuted; that of the mechanism if it is a Gaussian one."""
        from scipy.special import ndtri

        most, least = self.bounds(level)
        return max(0.0, float(ndtri(least) - ndtri(most))) if most < 1 and least > 0 else 0.0

    def epsilon_if_gaussian(self, delta: float, level: float) -> float:
        """Return the epsilon at `delta` of `mu_at_least`: a lower bound for Gaussian mechanisms, no claim about others."""
        mu = self.mu_at_least(level)
        return dp.epsilon(dp.Gaussian(1 / mu), delta=delta, relation="add_or_remove_one") if mu > 0 else 0.0


def two_world(world: World, *, runs: int, claim: Claim, confidence: float) -> Finding:
    """Run a mechanism `runs` times in either world and say whether an attack refutes the claim.

    The first half of the runs chooses the threshold of the attack, the second half alone is counted.

    Args:
      world: Any randomness in it must be that of the mechanism; canary and attack are fixed.
      runs: In each world, at least 4. With n counted runs no epsilon above about log(n) can be shown.
      claim: About the two worlds.
      confidence: In (0, 1). A true claim is flagged with a probability of at most 1 - confidence.

    Raises:
      UsageError: If an argument is out of range, or a score is NaN.
    """
    if runs < 4 or not 0 < confidence < 1:
        raise UsageError(
            "invalid-audit",
            f"runs is {runs}, confidence is {confidence}",
            hint="give at least 4 runs in each world, and a confidence such as 0.95",
        )
    without = np.array([world(present=False) for _ in range(runs)], dtype=np.float64)
    present = np.array([world(present=True) for _ in range(runs)], dtype=np.float64)
    if np.isnan(without).any() or np.isnan(present).any():
        raise UsageError("invalid-audit", "a score is NaN", hint="return one number for each run")
    half = runs // 2
    cut = _threshold(without[:half], present[:half], claim)
    rates = _rates(without[half:], present[half:], cut)
    return Finding(
        claim=claim,
        confidence=confidence,
        p_value=rates.p_value(claim.bound),
        epsilon_at_least=rates.epsilon_at_least(claim.delta, 1 - confidence),
        evidence=(
            f"of {rates.runs} runs in either world, {rates.found} with the canary were recognised, and {rates.alarms} "
            "without it were mistaken for them"
        ),
    )


def _threshold(without: NDArray[np.float64], present: NDArray[np.float64], claim: Claim) -> float:
    """Return the threshold that exceeds the claim most on these runs, once their rates are bounded."""
    values = np.unique(np.concatenate([without, present]))
    cuts = (values[1:] + values[:-1]) / 2 if len(values) > 1 else values  # amid a gap: new scores differ a little
    cuts = cuts[np.linspace(0, len(cuts) - 1, min(len(cuts), 400)).astype(int)]

    def excess(cut: float) -> float:
        most, least = _rates(without, present, cut).bounds(0.05)
        return least - float(claim.bound.true_positives(most))

    return float(max(cuts, key=excess))


def _rates(without: NDArray[np.float64], present: NDArray[np.float64], cut: float) -> Rates:
    return Rates(len(present), int(np.count_nonzero(present >= cut)), int(np.count_nonzero(without >= cut)))
