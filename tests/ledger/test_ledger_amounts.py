"""Amounts are exact; and the ledger against a model of it, over random sequences of actions."""

from __future__ import annotations

import math
import pathlib
import tempfile
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from reticent import dp
from reticent.errors import PolicyRefused, UsageError
from reticent.ledger import Ledger
from reticent.ledger.amounts import Amount, charged, granted

STEP = dp.PoissonSampled(0.1, dp.Gaussian(2.0))


@settings(deadline=None)
@given(epsilon=st.floats(0, 1e6), delta=st.floats(1e-300, 1, exclude_max=True))
def test_a_charge_is_rounded_up_by_less_than_a_step(epsilon: float, delta: float) -> None:
    amount = charged(epsilon=epsilon, delta=delta)
    assert 0 <= Fraction(amount.nano_epsilon, 10**9) - Fraction(epsilon) < Fraction(1, 10**9)
    assert 0 <= Fraction(amount.atto_delta, 10**18) - Fraction(repr(delta)) < Fraction(1, 10**18)


@settings(deadline=None)
@given(epsilon=st.floats(1e-9, 1e6), delta=st.floats(0, 1, exclude_max=True))
def test_a_grant_is_rounded_down_by_less_than_a_step(epsilon: float, delta: float) -> None:
    amount = granted(epsilon=epsilon, delta=delta)
    assert 0 <= Fraction(repr(epsilon)) - Fraction(amount.nano_epsilon, 10**9) < Fraction(1, 10**9)
    assert 0 <= Fraction(repr(delta)) - Fraction(amount.atto_delta, 10**18) < Fraction(1, 10**18)


@settings(deadline=None)
@given(nano=st.integers(1, 10**15), atto=st.integers(0, 10**18 - 10**4))
def test_the_amount_that_a_command_names_covers_what_was_missing(nano: int, atto: int) -> None:
    missing = Amount(nano, atto)
    again = granted(epsilon=float(missing.epsilon_text()), delta=float(missing.delta_text()))
    assert again.covers(missing)
    assert again.nano_epsilon == nano


@pytest.mark.parametrize("epsilon", [5e-324, 1e-30, 2.2e-16])
def test_a_tiny_spend_does_not_vanish(epsilon: float) -> None:
    """A float sum of 1 and a subnormal is 1: such a spend once vanished elsewhere."""
    assert charged(epsilon=epsilon, delta=1e-300) == Amount(1, 1)


def test_decimal_shares_fill_a_decimal_grant() -> None:
    share = charged(epsilon=0.0, delta=1e-6)
    assert granted(epsilon=1.0, delta=1e-5).atto_delta == 10 * share.atto_delta
    assert granted(epsilon=0.3, delta=0.0).epsilon == 0.3


class LedgerAgainstModel(RuleBasedStateMachine):
    """Any sequence of actions leaves the ledger where plain arithmetic on fractions says."""

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.book = Ledger(f"sqlite:///{pathlib.Path(self.folder.name)}/budget.db")
        self.given = Fraction(0)
        self.plans: dict[str, list] = {}  # key -> [epsilon, steps, committed, voided]
        self.keys = Counter()

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    def held(self) -> Fraction:
        return sum((plan[0] for plan in self.plans.values() if not plan[3]), Fraction(0))

    @rule(thousandths=st.integers(1, 3000))
    def grant(self, thousandths: int) -> None:
        claim = {"unit": "record", "relation": "replace_one", "reason": "r", "signer": "s"}
        self.book.grant("w", epsilon=thousandths / 1000, delta=0.05, **claim)
        self.given += Fraction(thousandths, 1000)

    @rule(steps=st.integers(1, 5), key=st.sampled_from("abcdef"))
    def reserve(self, steps: int, key: str) -> None:
        events = (dp.Repeated(STEP, steps),)
        release = dp.Release(events=events, unit="record", relation="replace_one", population="w", dataset="1")
        price = Fraction(steps, 4)
        plan = self.plans.get(key)
        try:
            self.book.reserve(release, delta=1e-9, purpose="p", plan_hash="h", key=key)
        except UsageError:
            assert plan is not None
            assert plan[1] != steps
        except PolicyRefused as refusal:
            if refusal.code == "reservation-void":
                assert plan is not None
                assert plan[3]
            else:
                assert plan is None
                assert self.held() + price > self.given
        else:
            assert plan is None or (plan[1] == steps and not plan[3])
            self.plans.setdefault(key, [price, steps, 0, False])
            assert self.held() <= self.given

    @rule(key=st.sampled_from("abcdef"), steps=st.integers(1, 3))
    def commit(self, key: str, steps: int) -> None:
        charge, plan = self.book.charge(key), self.plans.get(key)
        assert (charge is None) == (plan is None)
        if charge is None:
            return
        self.keys[key] += 1
        try:
            charge.commit(str(self.keys[key]), [dp.Repeated(STEP, steps)])
        except PolicyRefused:
            assert plan[3] or plan[2] + steps > plan[1]
        else:
            plan[2] += steps
            assert not plan[3]
            assert plan[2] <= plan[1]

    @rule(key=st.sampled_from("abcdef"))
    def void(self, key: str) -> None:
        charge = self.book.charge(key)
        if charge is None:
            return
        try:
            charge.void("not needed")
        except PolicyRefused:
            assert self.plans[key][2] > 0
        else:
            assert self.plans[key][2] == 0
            self.plans[key][3] = True

    @rule()
    def reopen(self) -> None:
        self.book = Ledger(self.book._journal.url)

    @invariant()
    def agrees(self) -> None:
        if not self.given:
            return
        balance = self.book.balance("w")
        spent = sum((plan[0] for plan in self.plans.values() if plan[2]), Fraction(0))
        assert balance.granted_epsilon == float(self.given)
        assert balance.spent_epsilon == float(spent)
        assert balance.reserved_epsilon == float(self.held() - spent)
        assert math.isclose(balance.left_epsilon, self.given - self.held(), abs_tol=1e-12)
        self.book.verify()


LedgerAgainstModel.TestCase.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)
test_against_model = LedgerAgainstModel.TestCase
