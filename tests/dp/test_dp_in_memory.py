"""Budgets in memory: exact sums, refusals before the step, one holder; each safeguard with the copy that lacks it."""

from __future__ import annotations

import contextlib
import copy
import math
import multiprocessing
import pickle
import threading
import time
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reticent import dp
from reticent.dp import one_holder
from reticent.errors import PolicyRefused, PrivacyBudgetExhausted, UsageError

ADD: dp.Relation = "add_or_remove_one"
REPLACE: dp.Relation = "replace_one"


def budget(epsilon: float = 1.0, delta: float = 1e-5) -> dp.PrivacyBudget:
    return dp.PrivacyBudget(initial_epsilon=epsilon, initial_delta=delta)


def accountant(**changed: Any) -> dp.PrivacyAccountant:
    return dp.PrivacyAccountant(**{"target_epsilon": 3.0, "delta": 1e-5, "relation": ADD} | changed)


class Float:
    """Broken copy: sums of floats, checked after the spend."""

    def __init__(self, epsilon: float) -> None:
        self.limit, self.spent = epsilon, 0.0

    def consume(self, epsilon: float) -> None:
        self.spent += epsilon
        if self.spent > self.limit:
            raise PrivacyBudgetExhausted("privacy-budget-exhausted", "", hint="")


def test_a_budget_is_spent_to_the_last_digit() -> None:
    """Ten tenths are one. In floats ten tenths are less than one, and thirty more than three."""
    for size, times in ((1.0, 10), (3.0, 30), (0.3, 3)):
        held = budget(size)
        for _ in range(times):
            held.consume(epsilon=0.1)
        assert held.is_exhausted()
        assert held.remaining() == (0.0, 1e-5)
        with pytest.raises(PrivacyBudgetExhausted):
            held.consume(epsilon=5e-324)
    broken = Float(0.3)
    broken.consume(0.1)
    broken.consume(0.1)
    with pytest.raises(PrivacyBudgetExhausted):
        broken.consume(0.1)


def test_no_spend_vanishes_in_an_addition() -> None:
    """maziyarpanahi/openmed#2457: a subnormal spend beside a large one was free."""
    held, broken = budget(10.0), Float(10.0)
    held.consume(epsilon=9.0)
    broken.consume(9.0)
    for _ in range(100):
        held.consume(epsilon=1e-300, delta=1e-30)
        broken.consume(1e-300)
    assert held.remaining().epsilon < 1.0
    assert held.remaining().delta < 1e-5
    assert broken.spent == 9.0


def test_it_is_refused_before_the_step_and_charges_nothing() -> None:
    held = budget()
    held.consume(epsilon=0.75, delta=5e-6)
    for epsilon, delta in ((0.5, 0.0), (0.1, 6e-6), (1e9, 0.5)):
        with pytest.raises(dp.PrivacyBudgetExhausted) as caught:
            held.consume(epsilon=epsilon, delta=delta)
        assert isinstance(caught.value, PolicyRefused)
        assert held.remaining() == (0.25, 5e-6)
    held.consume(epsilon=0.25)
    assert held.is_exhausted()


@pytest.mark.parametrize("wrong", [-0.1, math.nan, math.inf, -math.inf, "much", None])
def test_spends_that_are_no_numbers_are_refused(wrong: Any) -> None:
    """A negative spend would fill the budget up, NaN compares as small, and an infinite one may become NaN."""
    held = budget()
    with pytest.raises(UsageError, match="epsilon is"):
        held.consume(epsilon=wrong)
    with pytest.raises(UsageError, match="delta is"):
        held.consume(epsilon=0.1, delta=wrong)
    with pytest.raises(UsageError):
        budget(wrong)
    with pytest.raises(UsageError):
        budget(1.0, wrong)
    assert held.remaining() == (1.0, 1e-5)


@given(st.lists(st.floats(0, 2, allow_subnormal=True), max_size=20))
def test_what_is_admitted_never_adds_up_to_more(spends: list[float]) -> None:
    held, admitted = budget(3.0, 0.0), Fraction(0)
    for spend in spends:
        try:
            held.consume(epsilon=spend)
        except PrivacyBudgetExhausted:
            assert admitted + Fraction(repr(spend)) > 3
        else:
            admitted += Fraction(repr(spend))
    assert admitted <= 3
    assert Fraction(repr(held.remaining().epsilon)) <= 3 - admitted


@pytest.mark.parametrize("make", [budget, accountant])
def test_there_is_one_holder(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    held = make()
    for double in (copy.copy, copy.deepcopy, pickle.dumps, lambda one: type(one).from_json(one.to_json())):
        with pytest.raises(PolicyRefused, match="spent twice"):
            double(held)
    monkeypatch.setattr(one_holder.os, "getpid", lambda: -1)
    with pytest.raises(PolicyRefused, match="forked"):
        held.consume(epsilon=0.1) if isinstance(held, dp.PrivacyBudget) else held.charge(dp.Gaussian(9.0))


class SlowCounter(Counter[Any]):
    """Gives other threads time between the look and the step."""

    def __getitem__(self, key: Any) -> int:
        found = super().__getitem__(key)
        time.sleep(0.01)
        return found


def draws_at_once(grant: dp.Grant, threads: int = 4) -> int:
    """How many of several threads draw an event that was paid for once."""
    grant._left = SlowCounter(grant._left)
    drawn = []

    def draw() -> None:
        with contextlib.suppress(PolicyRefused):
            grant.draw(dp.Gaussian(1.0))
            drawn.append(1)

    working = [threading.Thread(target=draw) for _ in range(threads)]
    for thread in working:
        thread.start()
    for thread in working:
        thread.join()
    return len(drawn)


def test_threads_cannot_draw_one_grant_twice() -> None:
    """Between the look at what is left and the subtraction another thread may look; the copy without a lock lets it."""
    assert draws_at_once(dp.Grant.without_ledger([dp.Gaussian(1.0)])) == 1
    broken = dp.Grant.without_ledger([dp.Gaussian(1.0)])
    broken._lock = contextlib.nullcontext()  # type: ignore[assignment]
    assert draws_at_once(broken) > 1


def test_a_grant_is_not_copied_nor_carried_into_a_forked_process(monkeypatch: pytest.MonkeyPatch) -> None:
    grant = dp.Grant.without_ledger([dp.Gaussian(1.0)])
    for double in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(PolicyRefused, match="spent twice"):
            double(grant)
    monkeypatch.setattr(one_holder.os, "getpid", lambda: -1)
    with pytest.raises(PolicyRefused, match="forked"):
        grant.draw(dp.Gaussian(1.0))


def test_two_threads_cannot_read_one_saved_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both would find that nobody holds it; a registry without a lock lets both."""

    class SlowRegistry(WeakValueDictionary[str, Any]):
        def setdefault(self, name: str, holder: Any) -> Any:  # type: ignore[override]
            found = self.get(name)
            time.sleep(0.02)
            if found is None:
                self[name] = found = holder
            return found

    def holders() -> int:
        text, found = budget().to_json(), []

        def read() -> None:
            with contextlib.suppress(PolicyRefused):
                found.append(dp.PrivacyBudget.from_json(text))

        working = [threading.Thread(target=read) for _ in range(3)]
        for thread in working:
            thread.start()
        for thread in working:
            thread.join()
        return len(found)

    monkeypatch.setattr(one_holder.OneHolder, "_alive", SlowRegistry())
    assert holders() == 1
    monkeypatch.setattr(one_holder.OneHolder, "_registering", contextlib.nullcontext())
    assert holders() > 1


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_cannot_spend() -> None:
    held = budget()
    channel = multiprocessing.get_context("fork").Queue()

    def child() -> None:
        try:
            held.consume(epsilon=0.5)
        except PolicyRefused as error:
            channel.put(error.code)
        else:
            channel.put("spent")

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    assert channel.get(timeout=30) == "budget-copied"
    process.join()


def test_a_saved_budget_goes_on_where_it_stopped() -> None:
    held = budget()
    held.consume(epsilon=0.1, delta=1e-6)
    text = held.to_json()
    del held
    again = dp.PrivacyBudget.from_json(text)
    assert again.remaining() == (0.9, 9e-6)
    for wrong in (
        "",
        "[]",
        "{}",
        text.replace("1/10", "-9/10"),
        text.replace("1/10", "11/10"),
        text.replace("budget", "x"),
    ):
        with pytest.raises(UsageError, match="not the saved state"):
            dp.PrivacyBudget.from_json(wrong)


class Slow(Fraction):
    """A number that lets another thread run between the look at the budget and the spend."""

    def __add__(self, other: Any) -> Fraction:
        time.sleep(0.05)
        return Fraction(self) + other


def race(spend: Callable[[], None]) -> int:
    """Return how many of four threads at once were admitted."""
    admitted, start = [], threading.Barrier(4)

    def one() -> None:
        start.wait()
        with contextlib.suppress(PrivacyBudgetExhausted):
            spend()
            admitted.append(1)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(admitted)


def test_threads_do_not_overspend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each wants more than half; without the lock all four look before the first has spent."""
    held = budget(1.0)
    held._spent_epsilon = Slow(0)
    assert race(lambda: held.consume(epsilon=0.6)) == 1
    filter_, plain = accountant(), dp.PrivacyAccountant._with

    def slowly(self: dp.PrivacyAccountant, event: dp.Event) -> Any:
        after = plain(self, event)
        time.sleep(0.05)
        return after

    monkeypatch.setattr(dp.PrivacyAccountant, "_with", slowly)
    assert race(lambda: filter_.charge(dp.Gaussian(1.7))) == 1


def test_the_accountant_refuses_before_the_step() -> None:
    held = accountant()
    steps = held.remaining_steps(noise_multiplier=1.0, sampling_probability=0.02)
    for _ in range(steps // 200):
        held.charge(dp.Repeated(dp.PoissonSampled(0.02, dp.Gaussian(1.0)), 200))
    for _ in range(steps % 200):
        held.step(noise_multiplier=1.0, sampling_probability=0.02)
    assert 2.99 < held.epsilon() <= 3.0
    before = held.epsilon(), held.events()
    with pytest.raises(PrivacyBudgetExhausted, match="could exceed epsilon 3"):
        held.charge(dp.Repeated(dp.PoissonSampled(0.02, dp.Gaussian(1.0)), 2))
    assert held.remaining_steps(noise_multiplier=1.0, sampling_probability=0.02) == 0
    assert before == (held.epsilon(), held.events())
    held.charge(dp.PureDP(0.0))  # costs nothing, so it fits


def test_it_is_not_a_loss_distribution_composed_until_epsilon_is_hit() -> None:
    """That would admit more steps: it is proven for programs that were fixed before, not for adaptive ones."""
    held, event = accountant(), dp.PoissonSampled(0.02, dp.Gaussian(1.0))
    admitted = held.remaining_steps(noise_multiplier=1.0, sampling_probability=0.02)
    fixed = dp.epsilon(dp.Repeated(event, admitted), delta=1e-5, relation=ADD)
    assert fixed < 2.85  # a plan fixed beforehand could run on
    renyi = dp.renyi_epsilon(dp.renyi_curve(dp.Repeated(event, admitted), relation=ADD), delta=1e-5)
    assert 0.98 * 3 < renyi < 3.0  # and the price of being adaptive beside a fixed Renyi plan is below 2 %
    held.charge(dp.Repeated(event, admitted))
    assert held.epsilon() >= renyi > fixed


def test_relations_and_order_of_events_matter_as_they_should() -> None:
    assert accountant(relation=REPLACE).remaining_steps(
        noise_multiplier=1.0, sampling_probability=0.02
    ) < 0.6 * accountant().remaining_steps(noise_multiplier=1.0, sampling_probability=0.02)
    one, other = accountant(expecting=dp.Gaussian(10.0)), accountant(expecting=dp.Gaussian(10.0))
    mixed = [dp.Gaussian(9.0), dp.Laplace(20.0), dp.PoissonSampled(0.1, dp.Gaussian(1.0))]
    for event in mixed:
        one.charge(event)
    for event in reversed(mixed):
        other.charge(event)
    assert one.epsilon() == pytest.approx(other.epsilon())


def test_no_step_is_free_beside_a_large_total() -> None:
    held = accountant(target_epsilon=8.0)
    held.charge(dp.Gaussian(1.0))
    before = held._total.copy()
    held.step(noise_multiplier=1e4, sampling_probability=1e-6)
    assert np.all(held._total > before)


def test_events_without_a_bound_do_not_fit() -> None:
    held = accountant()
    for event in (dp.Gaussian(0.0), dp.ApproximateDP(0.1, 1e-9), dp.PoissonSampled(0.1, dp.Laplace(0.0))):
        with pytest.raises(PrivacyBudgetExhausted):
            held.charge(event)
    with pytest.raises(UsageError, match="no bound is proven"):
        held.charge(dp.RandomizedResponse(0.5))
    assert held.epsilon() == 0


def test_claims_use_the_delta_kept_for_them() -> None:
    held = accountant(delta_of_claims=2e-6)
    plain = accountant()
    for filter_ in (held, plain):
        filter_.charge(dp.Gaussian(5.0))
    assert held.epsilon() > plain.epsilon()
    for _ in range(2):
        held.charge(dp.ApproximateDP(0.01, 1e-6))
    with pytest.raises(PrivacyBudgetExhausted):
        held.charge(dp.ApproximateDP(0.01, 1e-12))
    with pytest.raises(UsageError, match="delta_of_claims is"):
        accountant(delta_of_claims=1e-5)


def test_a_saved_accountant_goes_on_where_it_stopped() -> None:
    held = accountant(delta_of_claims=1e-6)
    held.charge(dp.Repeated(dp.PoissonSampled(0.02, dp.Gaussian(1.0)), 300))
    held.charge(dp.ApproximateDP(0.1, 1e-7))
    before = held.epsilon(), held.remaining_steps(noise_multiplier=1.0, sampling_probability=0.02)
    text = held.to_json()
    del held
    again = dp.PrivacyAccountant.from_json(text)
    assert again.epsilon() == pytest.approx(before[0], rel=1e-9)
    assert abs(again.remaining_steps(noise_multiplier=1.0, sampling_probability=0.02) - before[1]) <= 1
    fresh = accountant().to_json()
    assert dp.PrivacyAccountant.from_json(fresh).epsilon() == 0
    for wrong in ("{}", text.replace('"orders": "1"', '"orders": "2"'), text.replace("spent", "sent")):
        with pytest.raises(UsageError, match="not the saved state"):
            dp.PrivacyAccountant.from_json(wrong)


@pytest.mark.parametrize(
    "wrong",
    [{"target_epsilon": 0.0}, {"target_epsilon": math.nan}, {"delta": 0.0}, {"relation": "swap"}],
)
def test_impossible_targets_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        accountant(**wrong)
