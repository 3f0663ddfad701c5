"""How much a sequence of events reveals: certified upper bounds on epsilon and delta.

Each event is described by dominating pairs of distributions (`pairs`), whose privacy losses are put on one shared grid,
never downwards (`discretise`, `evaluate`), and composed by one product of Fourier transforms in each direction of the
neighbouring relation (`transform`). Before that they are tilted towards the question (`tilt`), so that a delta of 1e-15
is as precise as one of 1e-5. Every error on the way is charged to the answer (`distribution`): of the grid, of what the
window leaves out, of every rounding, and of a sampler that is not exact (`SAMPLER_CHARGE`). NaN counts as infinity.

The bound on rounding inside the transforms is the proven one of Higham (2002), not a measured one; those on the special
functions of scipy are measured against 300 bits, with a margin of ten.

    >>> from reticent import dp
    >>> steps = dp.Repeated(dp.PoissonSampled(0.01, dp.Gaussian(1.0)), 1000)
    >>> round(dp.epsilon(steps, delta=1e-5, relation="add_or_remove_one"), 2)
    1.83
"""

from __future__ import annotations

from reticent.dp.accounting.answers import (
    LARGEST_EPSILON,
    SAMPLER_CHARGE,
    LossDistribution,
    Method,
    bound,
    delta,
    epsilon,
    loss_distribution,
)
from reticent.dp.accounting.line import COARSE, FINE
from reticent.dp.accounting.pairs import Atoms, Pair
from reticent.dp.accounting.terms import Term, pairs_of, terms_of

__all__ = [
    "COARSE",
    "FINE",
    "LARGEST_EPSILON",
    "SAMPLER_CHARGE",
    "Atoms",
    "LossDistribution",
    "Method",
    "Pair",
    "Term",
    "bound",
    "delta",
    "epsilon",
    "loss_distribution",
    "pairs_of",
    "terms_of",
]
