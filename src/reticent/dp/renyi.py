"""The Renyi bound on sampled Gaussians under add-or-remove-one: looser, quick, and good at any delta.

Integer orders only: for those the moment is a finite sum of positive terms (Mironov, Talwar, Zhang 2019, section 3.3),
free of the cancellation and of the convergence failures of fractional orders.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["renyi_epsilon"]

_ORDERS = np.unique(np.concatenate([np.arange(2, 65), np.round(np.geomspace(65, 4096, 60)).astype(int)]))


def renyi_epsilon(sampled: Iterable[tuple[float, float, int]], *, energy: float, delta: float) -> float:
    """Return an upper bound on epsilon under add-or-remove-one.

    Args:
      sampled: (noise multiplier, sampling probability below 1, count).
      energy: Sum of 1 / noise_multiplier^2 over the unsampled Gaussians.
      delta: In (0, 1).
    """
    divergences = _ORDERS * energy / 2
    for multiplier, probability, count in sampled:
        divergences = divergences + count * _divergences(multiplier, probability)
    # Conversion: Canonne, Kamath, Steinke 2020, proposition 12.
    bounds = divergences + np.log1p(-1 / _ORDERS) - np.log(delta * _ORDERS) / (_ORDERS - 1)
    return max(0.0, float(np.min(bounds)))


def _divergences(multiplier: float, probability: float) -> NDArray[np.float64]:
    log_q, log_stay = math.log(probability), math.log1p(-probability)
    out = np.empty(len(_ORDERS))
    for index, order in enumerate(_ORDERS):
        k = np.arange(order + 1)
        exponents = _log_binomials(int(order)) + k * log_q + (order - k) * log_stay
        exponents += k * (k - 1) / (2 * multiplier**2)
        top = exponents.max()
        log_moment = top + math.log(float(np.exp(exponents - top).sum()))
        # The sum of order + 1 terms is off by less than 1e-15 * its own size for each doubling of their number.
        out[index] = (max(log_moment, 0.0) + 1e-13 * (1 + abs(top))) / (order - 1)
    return out


@cache
def _log_binomials(order: int) -> NDArray[np.float64]:
    from scipy.special import gammaln

    k = np.arange(order + 1)
    return np.asarray(gammaln(order + 1) - gammaln(k + 1) - gammaln(order - k + 1), dtype=np.float64)
