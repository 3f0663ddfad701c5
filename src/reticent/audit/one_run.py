"""Audit by one run: many canaries at once, each in or out by a coin, and a guess of the coins from the output."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reticent import dp
from reticent.audit.claims import Claim
from reticent.audit.findings import Finding
from reticent.audit.guessing import Guesses
from reticent.dp import PoissonSampler
from reticent.errors import UsageError

__all__ = ["Mechanism", "Test", "guess_coins", "one_run", "planned_guesses"]

Mechanism = Callable[[NDArray[np.bool_]], NDArray[np.float64]]
"""Runs once on a data set with the canaries marked True, and returns a score for each: higher means more likely in."""

Test = Literal["curve", "pair"]
"""Against the claim's whole curve (`Guesses.refute`), or against its pair (Steinke et al., theorem 5.2)."""


def one_run(
    mechanism: Mechanism,
    *,
    canaries: int,
    claim: Claim,
    confidence: float,
    guesses: int | None = None,
    test: Test = "curve",
) -> Finding:
    """Run `mechanism` once and say whether its output refutes the claim.

    The coins come from the operating system. The auditor guesses "in" for the highest scores and "out" for the
    lowest, equally many, and abstains in between.

    Args:
      mechanism: Whatever makes the scores from the output must not know the coins.
      canaries: How many; each changes one unit of the claim's neighbouring relation.
      claim: About one canary in or out.
      confidence: In (0, 1). A true claim is flagged with a probability of at most 1 - confidence.
      guesses: How many, chosen before the run and not afterwards; by default `planned_guesses`.
      test: Which test; `pair` for comparison with published figures.

    Raises:
      UsageError: If an argument is out of range, or the scores are not one number for each canary.
    """
    _require(canaries, confidence, guesses)
    made = planned_guesses(claim, canaries=canaries, confidence=confidence, test=test) if guesses is None else guesses
    coins = np.zeros(canaries, dtype=np.bool_)
    coins[PoissonSampler(0.5).sample(canaries)] = True
    scores = np.asarray(mechanism(coins.copy()), dtype=np.float64)
    if scores.shape != (canaries,) or np.isnan(scores).any():
        raise UsageError(
            "invalid-audit",
            f"the mechanism returned scores of shape {scores.shape} for {canaries} canaries, or NaN among them",
            hint="return one number for each canary, higher where it is more likely in",
        )
    chosen, says_in = guess_coins(scores, made)
    correct = int(np.count_nonzero(coins[chosen] == says_in))
    seen = Guesses(canaries, made, correct)
    return Finding(
        claim=claim,
        confidence=confidence,
        p_value=_p_value(claim, seen, test),
        epsilon_at_least=seen.epsilon_at_least(claim.delta, 1 - confidence, pair=test == "pair"),
        evidence=f"in one run, {correct} of {made} guesses about {canaries} canaries were right",
    )


def guess_coins(scores: NDArray[np.float64], guesses: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return which coins are guessed and whether each is guessed to be in: the two ends of the scores."""
    order = np.argsort(scores, kind="stable")
    low, high = guesses // 2, guesses - guesses // 2
    chosen = np.concatenate([order[:low], order[len(order) - high :]])
    return chosen, np.arange(guesses) >= low


@lru_cache(maxsize=256)
def planned_guesses(claim: Claim, *, canaries: int, confidence: float, test: Test = "curve") -> int:
    """Return how many guesses to make: a rule that looks at the claim alone, and never at a score.

    It takes the number that makes the p-value smallest where a Gaussian mechanism has half the noise that it should,
    and as many guesses are right as are then expected.
    """
    least = max(2, math.ceil(math.log2(1 / (1 - confidence))))
    mu = _gaussian_mu(claim)
    if not 0 < mu < 20:  # nothing to plan with: guess all
        return canaries
    options = _options(mu, canaries, least)
    return min(options, key=lambda option: (_p_value(claim, Guesses(canaries, *option), test), option[0]))[0]


def _gaussian_mu(claim: Claim) -> float:
    """Return the mu of the Gaussian release that keeps the claimed pair and no better."""
    if claim.delta == 0:
        return claim.bound.gaussian_mu(slack=0)
    if claim.epsilon <= 0 or not math.isfinite(claim.epsilon):
        return claim.epsilon
    return 1 / dp.gaussian_sigma(sensitivity=1.0, epsilon=claim.epsilon, delta=claim.delta)


@lru_cache(maxsize=64)
def _options(mu: float, canaries: int, least: int) -> list[tuple[int, int]]:
    """Return (guesses, right ones expected) for thresholds on scores that are 2 mu standard deviations apart."""
    from scipy.stats import norm

    found: dict[int, int] = {}
    for cut in np.linspace(0.0, mu + 3.5, 24):
        right, wrong = norm.sf(cut - mu), norm.sf(cut + mu)
        guesses = min(canaries, int(canaries * (right + wrong)))
        if guesses >= least:
            found[guesses] = int(guesses * right / (right + wrong))
    return sorted(found.items()) or [(canaries, canaries)]


def _p_value(claim: Claim, seen: Guesses, test: Test) -> float:
    if test == "pair":
        return seen.p_value_of_pair(claim.epsilon, claim.delta)
    return seen.p_value_of_curve(claim.bound)


def _require(canaries: int, confidence: float, guesses: int | None) -> None:
    if canaries < 1 or not 0 < confidence < 1 or not (guesses is None or 1 <= guesses <= canaries):
        raise UsageError(
            "invalid-audit",
            f"canaries is {canaries}, guesses is {guesses}, confidence is {confidence}",
            hint="give at least one canary, from 1 to that many guesses, and a confidence such as 0.95",
        )
