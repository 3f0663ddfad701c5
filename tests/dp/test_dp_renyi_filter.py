"""A Renyi filter and a program that adapts: the sharing of delta among the orders is what keeps the promise.

The program has two steps. First it runs a Gaussian; then, knowing its privacy loss, it picks the mechanism of two outputs
that gains most of all that the filter still admits. Its true delta is computed without sampling: a sum over the outputs
of the first step (cells of its loss, each counted at its lower end, so that the sum is a lower bound), and for each of
them the best second step.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from reticent import dp

ADD: dp.Relation = "add_or_remove_one"
ORDERS = np.array(dp.RENYI_ORDERS)


def budget_of_each_order_alone(epsilon: float, delta: float) -> Any:
    """Broken copy: all of delta at every order, and any order admits."""
    return epsilon - np.log1p(-1 / ORDERS) + np.log(delta * ORDERS) / (ORDERS - 1)


def best_gain(loss: float, room: Any, epsilon: float) -> float:
    """Return the most that one more mechanism adds to delta, after a loss, within the room at some order.

    It shows with probability h under the second neighbour (h e^l under the first) and is silent otherwise, which has the
    moment h e^(a l) + (1 - h) ((1 - h e^l) / (1 - h))^a at order a.
    """
    open_ = room > 0
    orders = ORDERS[open_][:, None]
    allowed = (ORDERS[open_] - 1)[:, None] * room[open_][:, None]
    if not open_.any():
        return 0.0
    losses = np.linspace(max(0.01, epsilon - loss + 0.01), epsilon - loss + 3.0, 24)[None, :]
    low, high = np.zeros((len(orders), losses.shape[1])), np.exp(-losses) + np.zeros((len(orders), 1))
    for _ in range(40):
        h = (low + high) / 2
        with np.errstate(divide="ignore"):
            silent = np.log1p(-h) * (1 - orders) + orders * np.log1p(-np.minimum(h * np.exp(losses), 1.0))
            fits = np.logaddexp(np.log(h) + orders * losses, silent) <= allowed
        low, high = np.where(fits, h, low), np.where(fits, high, h)
    gains = low * (np.exp(loss + losses) - math.exp(epsilon))
    return float(max(gains.max(), 0.0))


def true_delta(budget: Any, epsilon: float, mu: float) -> float:
    """Return a lower bound on the delta of the two-step program against a filter with this budget."""
    first = dp.renyi_curve(dp.Gaussian(1 / mu), relation=ADD)
    room = np.where(np.isfinite(budget), budget, -1.0) - first
    edges = np.linspace(-6 * mu, mu * mu / 2 + 14 * mu, 60)  # of the loss, normal(-mu^2 / 2, mu^2) under the second
    below = np.array([0.5 * math.erfc(-(edge + mu * mu / 2) / (mu * math.sqrt(2))) for edge in edges])
    return sum(
        mass * max(best_gain(float(edge), room, epsilon), math.exp(edge) - math.exp(epsilon), 0.0)
        for edge, mass in zip(edges[:-1], np.diff(below), strict=True)
        if mass > 0
    )


@pytest.mark.parametrize(("epsilon", "delta", "mu"), [(3.0, 1e-5, 0.2), (8.0, 1e-5, 0.2), (30.0, 1e-5, 1.0)])
def test_some_order_at_all_of_delta_breaks_its_promise(epsilon: float, delta: float, mu: float) -> None:
    assert true_delta(budget_of_each_order_alone(epsilon, delta), epsilon, mu) > 1.15 * delta
    assert true_delta(dp.renyi_budget(epsilon=epsilon, delta=delta), epsilon, mu) <= delta
    for expected in (dp.Laplace(30.0), dp.PoissonSampled(0.01, dp.Gaussian(1.0))):
        curve = dp.renyi_curve(expected, relation=ADD)
        budget = dp.renyi_budget(epsilon=epsilon, delta=delta, expecting=curve)
        assert true_delta(budget, epsilon, mu) <= delta


@pytest.mark.parametrize("expecting", [None, dp.Laplace(10.0), dp.PoissonSampled(0.001, dp.Gaussian(0.8))])
@pytest.mark.parametrize("epsilon", [0.1, 1.0, 8.0, 100.0])
@pytest.mark.parametrize("delta", [1e-3, 1e-5, 1e-12])
def test_the_shares_of_delta_add_up_to_one(expecting: Any, epsilon: float, delta: float) -> None:
    """Recomputed from the budget: the share of an order is what its conversion needs."""
    curve = None if expecting is None else dp.renyi_curve(expecting, relation=ADD)
    budget = dp.renyi_budget(epsilon=epsilon, delta=delta, expecting=curve)
    used = np.isfinite(budget)
    exponents = (ORDERS - 1) * (budget - epsilon + np.log1p(-1 / ORDERS)) - np.log(ORDERS)
    shares = np.exp(exponents[used]) / delta
    assert 0.85 < shares.sum() <= 1.0
    assert shares.max() > 0.85


def test_what_was_expected_loses_little_and_nothing_else_is_shut_out() -> None:
    """Beside the bound for a plan that was fixed before: 3 % of the steps at most, a third for another kind."""
    kinds = [dp.Gaussian(100.0), dp.PoissonSampled(0.01, dp.Gaussian(1.0)), dp.Laplace(50.0), dp.BoundedRange(0.02)]
    for epsilon, delta in ((1.0, 1e-6), (3.0, 1e-5), (8.0, 1e-5)):
        for kind in kinds:
            curve = dp.renyi_curve(kind, relation=ADD)
            fixed = np.max(budget_of_each_order_alone(epsilon, delta) / curve)
            for expected, least in ((kind, 0.97), (kinds[0], 0.78), (kinds[1], 0.7)):
                expecting = dp.renyi_curve(expected, relation=ADD)
                admitted = np.max(dp.renyi_budget(epsilon=epsilon, delta=delta, expecting=expecting) / curve)
                assert admitted >= least * fixed


def test_one_mechanism_is_admitted_up_to_its_conversion() -> None:
    budget = dp.renyi_budget(epsilon=3.0, delta=1e-5)
    curve = dp.renyi_curve(dp.Gaussian(1.4), relation=ADD)
    most = float(np.max(budget / curve))
    assert dp.renyi_epsilon(curve * most, delta=1e-5) <= 3.0
    assert np.any(curve * most * (1 - 1e-12) <= budget)
    assert not np.any(curve * most * (1 + 1e-9) <= budget)
