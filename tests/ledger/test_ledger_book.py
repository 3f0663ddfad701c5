"""Grants, reservations, commits, voids and balances in one process."""

from __future__ import annotations

import importlib.util
import math
import pathlib
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from reticent import dp
from reticent.errors import PolicyRefused, UsageError
from reticent.errors.explanations.ledger import EXPLANATIONS
from reticent.ledger import Balance, Charge, Ledger

REAL_EPSILON = dp.epsilon


def test_a_budget_from_grant_to_spent(book: Ledger, grant: Callable, reserve: Callable, step: dp.Event) -> None:
    grant(epsilon=2.0, delta=1e-5)
    grant(epsilon=0.5, delta=1e-5)
    charge = reserve("run-1", 4)
    assert (charge.key, charge.epsilon, charge.delta) == ("run-1", 1.0, 1e-5)
    held = book.balance("ward-7")
    assert (held.granted_epsilon, held.reserved_epsilon, held.spent_epsilon, held.left_epsilon) == (2.5, 1.0, 0, 1.5)

    permission = charge.commit("round 1", [step])
    spent = book.balance("ward-7")
    assert (spent.reserved_epsilon, spent.spent_epsilon, spent.left_epsilon) == (0, 1.0, 1.5)
    assert (spent.spent_delta, spent.left_delta) == (1e-5, 1e-5)
    permission.draw(step)
    with pytest.raises(PolicyRefused):
        permission.draw(step)

    charge.commit("round 2", [dp.Repeated(step, 2)])
    assert book.balance("ward-7") == spent  # the plan is paid for as a whole, by its first commit
    assert charge.committed() == Counter({step: 3})
    assert charge.remaining() == Counter({step: 1})
    assert [entry.kind for entry in book.entries()] == ["grant", "grant", "reserve", "commit", "commit"]
    assert book.verify() == 5


def test_entries_say_who_what_and_why(book: Ledger, grant: Callable, reserve: Callable, step: dp.Event) -> None:
    grant(reason="ethics vote 12", signer="Dr. Ada")
    reserve(purpose="sepsis@1", plan_hash="c0ffee").commit("round 1", [step])
    allowed, held, drawn = book.entries("ward-7")
    assert (allowed.reason, allowed.signer, allowed.epsilon, allowed.delta) == ("ethics vote 12", "Dr. Ada", 2.0, 1e-4)
    assert (held.purpose, held.plan_hash, held.dataset) == ("sepsis@1", "c0ffee", "2026-10")
    assert held.events == (dp.Repeated(step, 4),)
    assert (drawn.key, drawn.commit_key, drawn.events, drawn.epsilon) == ("run-1", "round 1", (step,), 1.0)
    assert (drawn.purpose, drawn.plan_hash, drawn.dataset) == ("sepsis@1", "c0ffee", "2026-10")
    assert allowed.time <= held.time <= drawn.time


def test_a_reopened_ledger_knows_everything(book: Ledger, grant: Callable, reserve: Callable, step: dp.Event) -> None:
    grant()
    reserve().commit("round 1", [step])
    again = Ledger(book._journal.url)
    assert again.balance("ward-7") == book.balance("ward-7")
    charge = again.charge("run-1")
    assert isinstance(charge, Charge)
    assert charge.remaining() == Counter({step: 3})
    assert again.charge("run-2") is None


def test_populations_are_kept_apart(book: Ledger, grant: Callable, reserve: Callable) -> None:
    grant("north")
    grant("east", unit="person")
    reserve(population="north")
    assert book.populations() == ("east", "north")
    assert book.balance("east").reserved_epsilon == 0
    assert {entry.population for entry in book.entries("east")} == {"east"}
    assert isinstance(book.balance("north"), Balance)


def test_reserving_again_under_the_same_key(book: Ledger, grant: Callable, reserve: Callable, step: dp.Event) -> None:
    grant()
    first = reserve()
    first.commit("round 1", [step])
    rows = len(book.entries())
    assert reserve().remaining() == first.remaining()
    assert len(book.entries()) == rows
    for changes in (
        {"steps": 5},
        {"delta": 2e-5},
        {"purpose": "other"},
        {"plan_hash": "cd34"},
        {"dataset": "2026-11"},
        {"population": "ward-8"},
        {"unit": "person"},
        {"relation": "replace_one"},
    ):
        with pytest.raises(UsageError) as error:
            reserve(**changes)
        assert error.value.code == "reservation-key-reused"
    assert len(book.entries()) == rows


def test_a_void_gives_back_only_what_was_never_committed(
    book: Ledger, grant: Callable, reserve: Callable, step: dp.Event
) -> None:
    grant()
    unused, used = reserve("a"), reserve("b")
    used.commit("round 1", [step])
    unused.void("cancelled")
    unused.void("cancelled")
    assert book.balance("ward-7").reserved_epsilon == 0
    assert sum(entry.kind == "void" for entry in book.entries()) == 1
    assert unused.voided()
    assert unused.remaining() == Counter()
    for refused, code in (
        (lambda: unused.commit("round 1", [step]), "reservation-void"),
        (lambda: reserve("a"), "reservation-void"),
        (lambda: used.void("stopped early"), "cannot-void"),
    ):
        with pytest.raises(PolicyRefused) as error:
            refused()
        assert error.value.code == code
    assert book.balance("ward-7").spent_epsilon == 1.0
    assert book.verify() == 5


def test_commits_stay_within_the_reservation(grant: Callable, reserve: Callable, step: dp.Event) -> None:
    grant()
    charge = reserve(steps=4)
    charge.commit("round 1", [step, step, step])
    for events in (
        [step, step],
        [dp.Gaussian(2.0)],
        [dp.PoissonSampled(0.1, dp.Gaussian(1.9))],
        [step, dp.Gaussian(9)],
    ):
        with pytest.raises(PolicyRefused) as error:
            charge.commit("round 2", events)
        assert error.value.code == "reservation-spent"
    charge.commit("round 2", [step])
    with pytest.raises(PolicyRefused) as error:
        charge.commit("round 3", [step])
    assert error.value.code == "reservation-spent"
    with pytest.raises(UsageError):
        charge.commit("round 3", [])


def test_a_commit_key_belongs_to_its_reservation(grant: Callable, reserve: Callable, step: dp.Event) -> None:
    grant("north")
    grant("east")
    north, east = reserve("n", population="north"), reserve("e", population="east")
    north.commit("round 1", [step])
    east.commit("round 1", [step])
    for charge in (north, east):
        with pytest.raises(PolicyRefused) as error:
            charge.commit("round 1", [step])
        assert error.value.code == "already-committed"


def test_the_command_in_a_refusal_allows_the_plan(
    book: Ledger, reserve: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dp, "epsilon", lambda events, *, delta, relation: math.pi / 3)
    refused = []
    for _ in range(2):
        with pytest.raises(PolicyRefused) as error:
            reserve(delta=math.e * 1e-3, purpose="it's; $(rm -rf)")
        refused.append(error.value.code)
        words = shlex.split(
            str(error.value.hint).partition("allow it: ")[2] or error.value.hint.partition("allowed: ")[2]
        )
        assert words[:4] == ["reticent", "ledger", "grant", "ward-7"]
        given = dict(zip(words[4::2], words[5::2], strict=True))
        assert set(given) == {"--epsilon", "--delta", "--unit", "--relation", "--reason", "--ledger", "--signer"}
        share = 0.5 if refused == ["no-grant"] else 1.0
        Ledger(given["--ledger"]).grant(
            words[3],
            epsilon=float(given["--epsilon"]) * share,
            delta=float(given["--delta"]) * share,
            unit=given["--unit"],
            relation=given["--relation"],
            reason=given["--reason"],
            signer="Dr. Ada",
        )
    assert refused == ["no-grant", "budget-exhausted"]
    reserve(delta=math.e * 1e-3, purpose="it's; $(rm -rf)")
    assert book.balance("ward-7").left_epsilon < 1e-8


def test_nothing_granted_changes_nothing(book: Ledger, reserve: Callable) -> None:
    with pytest.raises(PolicyRefused):
        reserve()
    assert not book._journal.path.exists()
    assert book.entries() == []
    assert book.populations() == ()
    assert book.charge("run-1") is None
    assert book.verify() == 0


def test_a_near_name_is_suggested(grant: Callable, reserve: Callable) -> None:
    grant("ward-7")
    with pytest.raises(PolicyRefused, match="a budget exists for 'ward-7'"):
        reserve(population="Ward-7")


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.nan, math.inf, -math.inf, 1e-10, 1e7, np.float64("nan")])
def test_impossible_epsilons_are_not_granted(book: Ledger, grant: Callable, epsilon: float) -> None:
    with pytest.raises(UsageError) as error:
        grant(epsilon=epsilon)
    assert error.value.code == "invalid-budget"
    assert not book._journal.path.exists()


@pytest.mark.parametrize("delta", [-1e-9, 1.0, 2.0, math.nan, math.inf])
def test_impossible_deltas_are_not_granted(grant: Callable, delta: float) -> None:
    with pytest.raises(UsageError) as error:
        grant(delta=delta)
    assert error.value.code == "invalid-budget"


@pytest.mark.parametrize("delta", [0.0, -1e-9, 1.0, math.nan, math.inf])
def test_impossible_deltas_are_not_reserved(grant: Callable, reserve: Callable, delta: float) -> None:
    grant()
    with pytest.raises(UsageError) as error:
        reserve(delta=delta)
    assert error.value.code == "invalid-budget"


@pytest.mark.parametrize("epsilon", [math.inf, math.nan, -0.1])
def test_an_accountant_that_finds_no_bound(
    book: Ledger, grant: Callable, reserve: Callable, monkeypatch: pytest.MonkeyPatch, epsilon: float
) -> None:
    grant()
    monkeypatch.setattr(dp, "epsilon", lambda events, *, delta, relation: epsilon)
    with pytest.raises(PolicyRefused) as error:
        reserve()
    assert error.value.code == "unbounded-release"
    assert len(book.entries()) == 1


def test_the_sum_of_grants_is_bounded(grant: Callable) -> None:
    grant(epsilon=9e5, delta=0.6)
    for changes in ({"epsilon": 2e5}, {"delta": 0.4}):
        with pytest.raises(UsageError) as error:
            grant(**changes)
        assert error.value.code == "invalid-budget"


def test_one_unit_and_relation_for_each_population(grant: Callable, reserve: Callable) -> None:
    grant()
    for act in (grant, reserve):
        for changes in ({"unit": "person"}, {"relation": "replace_one"}):
            with pytest.raises(PolicyRefused) as error:
                act(**changes)
            assert error.value.code == f"{next(iter(changes))}-mismatch"
    for changes in ({"unit": "patient"}, {"relation": "swap"}):
        with pytest.raises(UsageError):
            grant("ward-8", **changes)


@pytest.mark.parametrize(
    "name", ["", " ward", "ward 7", "-ward", "ward\n", "wärd", "wаrd", "w" * 101, "ward;x", "../x", "a'b", None, 7]
)
def test_population_names(grant: Callable, reserve: Callable, name: object) -> None:
    for act in (lambda: grant(name), lambda: reserve(population=name)):
        with pytest.raises(UsageError) as error:
            act()
        assert error.value.code == "invalid-population"


@pytest.mark.parametrize("text", ["", "two\nlines", "\x1b[2J", "\ud800", "x" * 501, None])
def test_texts_are_one_printable_line(grant: Callable, reserve: Callable, step: dp.Event, text: object) -> None:
    grant()
    charge = reserve("good")
    for act in (
        lambda: grant(reason=text),
        lambda: grant(signer=text),
        lambda: reserve(text),
        lambda: reserve(purpose=text),
        lambda: reserve(plan_hash=text),
        lambda: reserve(dataset=text),
        lambda: charge.commit(text, [step]),
        lambda: charge.void(text),
    ):
        with pytest.raises(UsageError) as error:
            act()
        assert error.value.code == "invalid-ledger-text"


@pytest.mark.parametrize(
    "url", ["", "budget.db", "sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///a.db?x=1"]
)
def test_addresses_that_name_no_file(url: str) -> None:
    with pytest.raises(UsageError) as error:
        Ledger(url)
    assert error.value.code == "invalid-ledger-url"


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(UsageError) as error:
        Ledger("mysql://ada:geheim@host/db")
    assert "geheim" not in str(error.value)


def test_the_default_is_a_file_in_the_current_folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Ledger().grant("w", epsilon=1, delta=0, unit="site", relation="replace_one", reason="trial", signer="Dr. Ada")
    assert [path.name for path in tmp_path.iterdir()] == ["budget.db"]
    assert (tmp_path / "budget.db").stat().st_mode & 0o077 == 0


def test_the_real_accountant_is_asked(
    book: Ledger, grant: Callable, release: Callable, reserve: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dp, "epsilon", REAL_EPSILON)
    grant(epsilon=10)
    charge = reserve(steps=50)
    exact = REAL_EPSILON(release(50).events, delta=1e-5, relation="add_or_remove_one")
    assert exact <= charge.epsilon <= exact + 1.1e-9


def test_each_code_is_explained_where_it_is_raised() -> None:
    """That each case raises its code is tested in tests/errors."""
    path = pathlib.Path(__file__).parents[1] / "errors" / "cases_ledger.py"
    spec = importlib.util.spec_from_file_location("cases_ledger", path)
    cases = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cases)
    assert set(cases.CASES) == set(EXPLANATIONS)


def test_importing_is_cheap() -> None:
    program = "import reticent.ledger, sys; sys.exit(bool({'sqlalchemy', 'torch', 'dp_accounting'} & set(sys.modules)))"
    source = str(pathlib.Path(__file__).parents[2] / "src")
    done = subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": source}, timeout=60, check=False)
    assert done.returncode == 0
