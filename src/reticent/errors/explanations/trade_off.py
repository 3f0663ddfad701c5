"""Refusals of trade-off curves and of audits."""

from __future__ import annotations

__all__ = ["EXPLANATIONS"]

EXPLANATIONS: dict[str, str] = {
    "invalid-audit": (
        "An audit needs at least one canary or a few runs, a confidence between 0 and 1, and one score for each canary "
        "or run. With anything else its error probability would not be what it says, so it does not begin."
    ),
    "invalid-mu": (
        "The mu of a Gaussian release is the distance between two neighbours in standard deviations of the noise: a "
        "finite number, 0 or larger. Give the sensitivity over the standard deviation."
    ),
    "invalid-profile": (
        "A privacy profile is a list of points, each an epsilon of 0 or more with a delta from 0 to 1. One of the "
        "points is outside. A curve drawn through it would bound nothing, so none is drawn."
    ),
    "invalid-share": (
        "A prior, a belief or a share of people is a number strictly between 0 and 1: at 0 or 1 there is nothing left "
        "to find out. Give 0.5 for somebody who knows nothing, 0.01 for one in a hundred."
    ),
    "invalid-slack": (
        "The slack is the probability mass for which the comparison with a Gaussian release need not hold. It cannot "
        "be negative. Give the delta of the claim, or 0 for a comparison without exception."
    ),
}
