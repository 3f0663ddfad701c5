"""Filters: when the plans of a population, each chosen after seeing the last, stay within what was granted.

`sum` adds up each plan's epsilon and delta. It holds for plans chosen adaptively (Rogers, Roth, Ullman, Vadhan, NeurIPS
2016, section 3), and lets every plan use the tightest accountant for itself.

`renyi` adds up each plan's Renyi curve and converts the total at the grant's delta. For one order that is fixed in
advance this is a filter (Feldman, Zrnic, NeurIPS 2021, section 4), for interleaved plans too (Haney et al., CCS 2023).
The order that is best at the end may however depend on what was released, and no theorem lets one choose it afterwards
for nothing. So delta is shared out among the orders beforehand: nine tenths go to the order that is best for Gaussians,
the rest equally to ten others around it. Let A be the transcripts in which order a, with share d, is the first to keep
within the budget. On A the process is the one that is stopped at order a alone, hence P(S and A) <= e^epsilon Q(S and A)
+ d; summed over the orders, P(S) <= e^epsilon Q(S) + delta.

A grant added later raises epsilon and delta in both filters. The shares stay those of the first grant: every transcript
keeps within the largest budget, so what holds is the sum of all grants, whatever the later ones depended on.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from reticent import dp
from reticent.errors import UsageError
from reticent.ledger.amounts import DELTA_STEPS, EPSILON_STEPS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "FILTERS",
    "Curve",
    "Filter",
    "check_filter",
    "curve_of",
    "curve_text",
    "favoured_order",
    "parse_curve",
    "plus",
    "spent",
    "zcdp_left",
]

Filter = Literal["sum", "renyi"]
FILTERS: tuple[Filter, ...] = ("sum", "renyi")

Curve = tuple[int, ...]
"""Renyi divergences at `dp.RENYI_ORDERS` in steps of 1e-9, rounded up; empty where nothing was added yet."""

UNBOUNDED = 10**30
"""Stands for infinity at an order. It is a number, so that a void takes exactly out what its reservation put in."""

_LARGEST = 10**18

_ORDERS = "1"
"""Names the list of orders; `dp.RENYI_ORDERS` is frozen."""

_FAVOURED_SHARE = 0.9
_OTHERS = (0.25, 0.4, 0.63, 0.8, 1.26, 1.6, 2.5, 4.0, 10.0, 60.0)
"""Where the orders stand that share the rest of delta: times (favoured order - 1), plus 1. Never to be changed: ledgers
would be read otherwise than they were written."""


def check_filter(name: object) -> None:
    """Refuse names of filters that do not exist.

    Raises:
      UsageError: With code `invalid-filter`.
    """
    if name not in FILTERS:
        raise UsageError("invalid-filter", f"filter is {str(name)[:40]!r}", hint=f"use one of {', '.join(FILTERS)}")


def curve_of(release: dp.Release) -> Curve:
    """Return the Renyi curve of a release, rounded up."""
    return tuple(map(_up, dp.renyi_curve(release.events, relation=release.relation).tolist()))


def _up(divergence: float) -> int:
    if not divergence * EPSILON_STEPS < _LARGEST:  # NaN, too
        return UNBOUNDED
    return max(0, math.ceil(Fraction(divergence) * EPSILON_STEPS))


def plus(total: Curve, more: Curve, sign: int = 1) -> Curve:
    """Return the total with `more` added, or taken out with sign -1."""
    if not more:
        return total
    pairs = zip(total or (0,) * len(more), more, strict=True)
    return tuple(a + sign * b for a, b in pairs)


def spent(total: Curve, *, atto_delta: int, favoured: int) -> int | None:
    """Return the epsilon of a total at a delta, in steps of 1e-9, rounded up; None where there is no bound.

    Args:
      total: Curves of all plans, added up.
      atto_delta: The delta of all grants together, in steps of 1e-18.
      favoured: Index of the order that has most of delta.
    """
    if not any(total):
        return 0
    epsilon = _epsilon(total, atto_delta, favoured) if atto_delta else math.inf
    return math.ceil(Fraction(epsilon) * EPSILON_STEPS) if math.isfinite(epsilon) else None


@functools.lru_cache(maxsize=256)
def _epsilon(total: Curve, atto_delta: int, favoured: int) -> float:
    return _converted(_floats(total), atto_delta, favoured)


def _converted(curve: NDArray[np.float64], atto_delta: int, favoured: int) -> float:
    delta = atto_delta / DELTA_STEPS * (1 - 1e-15)
    others = _others(favoured)
    shares = (([favoured], delta * _FAVOURED_SHARE), (others, delta * (1 - _FAVOURED_SHARE) / len(others)))
    return min(dp.renyi_epsilon(_only(curve, orders), delta=share) for orders, share in shares)


@functools.cache
def _others(favoured: int) -> list[int]:
    """Return the indexes of the orders that share what the favoured one leaves of delta; at least one."""
    import numpy as np

    orders = dp.RENYI_ORDERS
    wanted = 1 + (orders[favoured] - 1) * np.array(_OTHERS)
    found = np.unique(np.minimum(np.searchsorted(orders, wanted), len(orders) - 1))
    return [index for index in found.tolist() if index != favoured]


def _floats(total: Curve) -> NDArray[np.float64]:
    """Return a curve in floats that are not below it."""
    import numpy as np

    plain = np.array([value / EPSILON_STEPS if value < UNBOUNDED else math.inf for value in total])
    raised: NDArray[np.float64] = np.nextafter(plain, math.inf)
    return raised


def _only(curve: NDArray[np.float64], orders: list[int]) -> NDArray[np.float64]:
    """Return a curve that has no bound but at `orders`."""
    import numpy as np

    kept = np.full_like(curve, math.inf)
    kept[orders] = curve[orders]
    return kept


def favoured_order(*, epsilon: float, delta: float) -> int:
    """Return the index of the order at which a budget allows the most zCDP, and so the most Gaussians."""
    import numpy as np

    return int(np.argmax(dp.renyi_budget(epsilon=epsilon, delta=delta) / dp.RENYI_ORDERS))


def zcdp_left(total: Curve, *, nano_epsilon: int, atto_delta: int, favoured: int) -> float:
    """Return the largest rho for which a rho-zCDP plan (Bun, Steinke 2016) still fits, to 1 in 10^6.

    A Gaussian of noise multiplier z is 1 / (2 z^2)-zCDP under add-or-remove-one.

    Args:
      total: Curves of all plans, added up.
      nano_epsilon: The epsilon of all grants together, in steps of 1e-9.
      atto_delta: The delta of all grants together, in steps of 1e-18.
      favoured: Index of the order that has most of delta.
    """
    used = _floats(total) if total else 0.0

    def fits(rho: float) -> bool:
        return _converted(used + rho * dp.RENYI_ORDERS, atto_delta, favoured) * EPSILON_STEPS <= nano_epsilon

    low, high = 0.0, nano_epsilon / EPSILON_STEPS  # no order allows more than epsilon itself
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def curve_text(curve: Sequence[int]) -> str:
    """Return a curve as the ledger stores it: the number of the list of orders, and one whole number for each.

    A value of k * `UNBOUNDED` + rest is written as `k*rest`. The empty curve is the empty text.
    """
    return f"{_ORDERS}:{','.join(map(_value_text, curve))}" if curve else ""


def _value_text(value: int) -> str:
    infinities, rest = divmod(value, UNBOUNDED)
    return f"{infinities}*{rest}" if infinities else str(rest)


@functools.lru_cache(maxsize=256)
def parse_curve(text: str) -> Curve:
    """Return the curve that `curve_text` wrote.

    Raises:
      ValueError: If it is none.
    """
    if not text:
        return ()
    parts = [part.rpartition("*") for part in text.removeprefix(f"{_ORDERS}:").split(",")]
    curve = tuple(int(infinities or 0) * UNBOUNDED + int(rest) for infinities, _, rest in parts)
    if len(curve) != len(dp.RENYI_ORDERS) or min(curve) < 0 or curve_text(curve) != text:
        raise ValueError(text[:40])
    return curve
