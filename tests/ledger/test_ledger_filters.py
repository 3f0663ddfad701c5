"""The two filters: what they admit, what they cannot, and that the Renyi filter is the one that is proven."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reticent import dp
from reticent.errors import PolicyRefused, UsageError
from reticent.ledger import Ledger, filters
from reticent.ledger.filters import UNBOUNDED, curve_text, parse_curve, plus, spent, zcdp_left

ORDERS = dp.RENYI_ORDERS
NOISE = 10.0
RENYI = {"filter": "renyi", "epsilon": 2.0, "delta": 1e-5}
CURVES = st.lists(st.integers(0, 10**12) | st.just(UNBOUNDED), min_size=len(ORDERS), max_size=len(ORDERS)).map(tuple)


def gaussians(book: Ledger, *, limit: int = 1000, noise: float = NOISE) -> int:
    """Reserve plans of one Gaussian each until the ledger refuses; returns how many it admitted."""
    for number in range(limit):
        try:
            reserve_gaussian(book, f"run-{number}", noise)
        except PolicyRefused:
            return number
    return limit


def reserve_gaussian(book: Ledger, key: str, noise: float = NOISE, **changes: Any) -> Any:
    claim = {"unit": "record", "relation": "add_or_remove_one", "population": "ward-7", "dataset": "1", **changes}
    release = dp.Release(events=(dp.Gaussian(noise),), **claim)
    return book.reserve(release, delta=1e-7, purpose="p", plan_hash="h", key=key)


def by_formula(multiplier: float, *, delta: float, favoured: int) -> float:
    """Canonne, Kamath, Steinke 2020, proposition 12, for a Gaussian, written down anew with the shares of delta."""
    best = math.inf
    wanted = [1 + (ORDERS[favoured] - 1) * times for times in (0.25, 0.4, 0.63, 0.8, 1.26, 1.6, 2.5, 4, 10, 60)]
    others = {min(sum(order > ORDERS), len(ORDERS) - 1) for order in wanted} - {favoured}
    for index in [favoured, *others]:
        order = ORDERS[index]
        share = 0.9 * delta if index == favoured else 0.1 * delta / len(others)
        rho = multiplier * order / 2
        best = min(best, rho + math.log1p(-1 / order) - (math.log(share) + math.log(order)) / (order - 1))
    return best


def test_many_small_plans_fit_more_under_renyi(book: Ledger, grant: Callable) -> None:
    """Each costs 0.25 by itself, so that the sum admits 8; together, as Renyi counts them, 21 fit."""
    grant(**RENYI)
    grant("ward-8", epsilon=2.0, delta=1e-5)
    for number in range(8):
        reserve_gaussian(book, f"sum-{number}", population="ward-8")
    with pytest.raises(PolicyRefused):
        reserve_gaussian(book, "sum-8", population="ward-8")
    admitted = gaussians(book)
    with book._journal.reading() as pages:
        order = pages.standing("ward-7").favoured
    assert by_formula(admitted / NOISE**2, delta=1e-5, favoured=order) <= 2.0
    assert by_formula((admitted + 1) / NOISE**2, delta=1e-5, favoured=order) > 2.0
    assert admitted == 21
    assert book.verify() == 2 + 8 + 21


def test_the_balance_is_the_epsilon_of_all_plans_together(book: Ledger, grant: Callable) -> None:
    grant(**RENYI)
    empty = book.balance("ward-7")
    assert (empty.filter, empty.spent_epsilon, empty.reserved_epsilon, empty.left_epsilon) == ("renyi", 0, 0, 2.0)
    with book._journal.reading() as pages:
        order = pages.standing("ward-7").favoured
    for number in range(3):
        reserve_gaussian(book, f"run-{number}").commit("round 1", [dp.Gaussian(NOISE)])
    reserve_gaussian(book, "run-3")
    balance = book.balance("ward-7")
    assert balance.spent_epsilon == pytest.approx(by_formula(3 / NOISE**2, delta=1e-5, favoured=order), abs=1e-8)
    together = by_formula(4 / NOISE**2, delta=1e-5, favoured=order)
    assert balance.spent_epsilon + balance.reserved_epsilon == pytest.approx(together, abs=1e-8)
    assert balance.left_epsilon == pytest.approx(2.0 - together, abs=1e-8)
    assert (balance.spent_delta, balance.reserved_delta, balance.left_delta) == (1e-5, 0.0, 1e-5)


def test_a_void_takes_out_what_the_reservation_put_in(book: Ledger, grant: Callable) -> None:
    grant(**RENYI)
    reserve_gaussian(book, "kept")
    before = book.balance("ward-7")
    claim = {"unit": "record", "relation": "add_or_remove_one", "population": "ward-7", "dataset": "1"}
    # A sampled Gaussian of little noise: finite at low orders, enormous or infinite at high ones.
    release = dp.Release(events=(dp.PoissonSampled(0.001, dp.Gaussian(1.0)),), **claim)
    charge = book.reserve(release, delta=1e-7, purpose="p", plan_hash="h", key="gone")
    assert book.balance("ward-7") != before
    charge.void("not needed")
    assert book.balance("ward-7") == before
    assert book.verify() == 4


def test_a_later_grant_raises_what_all_plans_together_may_cost(book: Ledger, grant: Callable) -> None:
    grant(**RENYI)
    with book._journal.reading() as pages:
        order = pages.standing("ward-7").favoured
    first = gaussians(book)
    grant(epsilon=1.0, delta=0.0)  # the filter is that of the first grant
    with book._journal.reading() as pages:
        assert pages.standing("ward-7").favoured == order
    assert book.balance("ward-7").granted_epsilon == 3.0
    for number in range(first, 1000):
        try:
            reserve_gaussian(book, f"run-{number}")
        except PolicyRefused:
            break
    assert by_formula(number / NOISE**2, delta=1e-5, favoured=order) <= 3.0
    assert by_formula((number + 1) / NOISE**2, delta=1e-5, favoured=order) > 3.0
    book.verify()


def test_the_command_in_a_refusal_is_enough(book: Ledger, grant: Callable) -> None:
    grant(**RENYI)
    admitted = gaussians(book)
    with pytest.raises(PolicyRefused) as error:
        reserve_gaussian(book, "one more")
    words = error.value.hint.partition("allowed: ")[2].split()
    missing = float(words[words.index("--epsilon") + 1])
    assert words[words.index("--delta") + 1] == "0"
    grant(epsilon=missing, delta=0.0)
    reserve_gaussian(book, "one more")
    assert book.balance("ward-7").left_epsilon < 1e-8
    assert len(book.entries()) == admitted + 3


def test_what_has_no_renyi_bound_is_refused_by_name(book: Ledger, grant: Callable) -> None:
    grant(**RENYI)
    claim = {"unit": "record", "relation": "add_or_remove_one", "population": "ward-7", "dataset": "1"}
    release = dp.Release(events=(dp.ApproximateDP(0.1, 1e-9),), **claim)
    with pytest.raises(PolicyRefused, match="no Renyi bound") as error:
        book.reserve(release, delta=1e-7, purpose="p", plan_hash="h", key="k")
    assert error.value.code == "unbounded-release"


def test_one_population_has_one_filter(grant: Callable) -> None:
    grant(**RENYI)
    grant("ward-8")
    for population, other in (("ward-7", "sum"), ("ward-8", "renyi")):
        with pytest.raises(PolicyRefused) as error:
            grant(population, filter=other)
        assert error.value.code == "filter-mismatch"
    grant(filter="renyi", delta=0.0)


@pytest.mark.parametrize("name", ["moments", "", "SUM", 3, ["sum"]])
def test_other_filters_do_not_exist(grant: Callable, name: object) -> None:
    if name == "":
        return  # the same as none given
    with pytest.raises(UsageError) as error:
        grant(filter=name)
    assert error.value.code == "invalid-filter"


def test_the_first_grant_under_renyi_needs_a_delta(book: Ledger, grant: Callable) -> None:
    with pytest.raises(UsageError) as error:
        grant(filter="renyi", delta=0.0)
    assert error.value.code == "invalid-budget"
    assert book.populations() == ()


def test_a_grant_between_pricing_and_reserving(book: Ledger, grant: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    """The filter is known only inside the transaction; what was priced before it is priced again."""
    from reticent.ledger import book as module

    price = module.price

    def granting(release: Any, *, delta: float, curve: bool) -> Any:
        if not book.populations():
            grant(**RENYI)
        return price(release, delta=delta, curve=curve)

    monkeypatch.setattr(module, "price", granting)
    charge = reserve_gaussian(book, "run-1")
    assert charge.entry.curve
    assert book.verify() == 2


_SPELLED = tuple(("1:", end) for end in ("-1", "00", "0*1", " 1", "1_0"))

# curves as numbers --------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=20)
@given(CURVES, CURVES)
def test_curves_are_exact(one: filters.Curve, other: filters.Curve) -> None:
    assert plus(plus(one, other), other, -1) == one
    assert parse_curve(curve_text(plus(one, other))) == plus(one, other)


@settings(deadline=None)
@given(st.text(max_size=40) | st.text("0123456789,:*-_ ", max_size=600))
def test_texts_that_are_no_curve(text: str) -> None:
    try:
        curve = parse_curve(text)
    except ValueError:
        return
    assert curve_text(curve) == text


@pytest.mark.parametrize("text", [start + "0," * 232 + end for start, end in (*_SPELLED, ("2:", "0"))])
def test_curves_have_one_spelling(text: str) -> None:
    with pytest.raises(ValueError, match=r"^[0-9]|invalid literal"):
        parse_curve(text)


@settings(deadline=None)
@given(st.floats(0, 1e30) | st.just(math.inf) | st.just(math.nan))
def test_a_divergence_is_rounded_up(divergence: float) -> None:
    steps = filters._up(divergence)
    if divergence < 1e9:
        assert 0 <= steps - divergence * 1e9 < 1 + 1e-6 * steps
    else:
        assert steps == UNBOUNDED


@settings(deadline=None, max_examples=20)
@given(CURVES, CURVES, st.integers(1, 10**18 - 1), st.integers(0, 232))
def test_more_never_costs_less(one: filters.Curve, other: filters.Curve, atto_delta: int, favoured: int) -> None:
    cost = spent(one, atto_delta=atto_delta, favoured=favoured)
    more = spent(plus(one, other), atto_delta=atto_delta, favoured=favoured)
    if cost:  # rounded up, by less than a step
        assert 0 <= cost - Fraction(filters._epsilon(one, atto_delta, favoured)) * 10**9 < 1
    assert more is None or (cost is not None and cost <= more)


def test_shares_of_delta_add_up_to_delta() -> None:
    """Nine tenths to the favoured order, the rest to ten around it, fewer at the ends: never more than delta in all."""
    asked: list[tuple[float, int]] = []
    real = dp.renyi_epsilon

    def watch(curve: np.ndarray, *, delta: float) -> float:
        asked.append((delta, int(np.isfinite(curve).sum())))
        return real(curve, delta=delta)

    for favoured in range(len(ORDERS)):
        asked.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dp, "renyi_epsilon", watch)
            filters._converted(np.ones(len(ORDERS)), 10**13, favoured)
        assert len(asked) == 2
        assert 0.9e-5 < sum(delta * orders for delta, orders in asked) < 1e-5


def test_a_copy_that_gives_every_order_all_of_delta_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The filter of which no theorem speaks: any order may be chosen afterwards, each at the full delta."""
    monkeypatch.setattr(
        filters, "_converted", lambda curve, atto_delta, favoured: dp.renyi_epsilon(curve, delta=atto_delta / 1e18)
    )
    with pytest.raises(AssertionError):
        test_shares_of_delta_add_up_to_delta()


def test_what_zcdp_is_left_fits_and_a_little_more_does_not(book: Ledger, grant: Callable) -> None:
    grant(**RENYI)
    for number in range(10):
        reserve_gaussian(book, f"run-{number}")
    rho = book.balance("ward-7").left_rho
    with pytest.raises(PolicyRefused):
        reserve_gaussian(book, "too much", noise=math.sqrt(1 / (2 * rho)) * 0.999)
    reserve_gaussian(book, "the rest", noise=math.sqrt(1 / (2 * rho)) * 1.001)
    assert book.balance("ward-7").left_rho < rho / 100


def test_nothing_left_is_nothing(book: Ledger) -> None:
    full = tuple(10**18 for _ in ORDERS)
    assert zcdp_left(full, nano_epsilon=10**9, atto_delta=10**13, favoured=60) == 0.0
    assert spent((), atto_delta=10**13, favoured=60) == 0
    assert spent(full, atto_delta=0, favoured=60) is None
