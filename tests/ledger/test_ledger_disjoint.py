"""Budgets of several populations add up, unless a named person vouched that nobody is in two of them."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from reticent.errors import EnvironmentFault, UsageError
from reticent.ledger import Ledger, disjoint


@pytest.fixture
def wards(book: Ledger, grant: Callable, reserve: Callable, step: Any) -> Ledger:
    """Three populations with grants of 3, 2 and 1, of which 1, 0.5 and 0.25 are held."""
    for name, epsilon, delta, steps in (("a", 3.0, 1e-5, 4), ("b", 2.0, 2e-5, 2), ("c", 1.0, 3e-5, 1)):
        grant(name, epsilon=epsilon, delta=delta)
        reserve(f"run-{name}", steps, population=name, delta=1e-6).commit("round 1", [step])
    return book


def test_without_a_word_everything_adds_up(wards: Ledger) -> None:
    total = wards.total(["a", "b", "c"])
    assert (total.granted_epsilon, total.held_epsilon) == (6.0, 1.75)
    assert total.granted_delta == pytest.approx(6e-5)
    assert total.groups == (("a",), ("b",), ("c",))
    assert total.assumptions == ()
    assert wards.total(["a", "a"]).granted_epsilon == 3.0


def test_a_copy_that_takes_disjointness_for_granted_is_caught(wards: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disjoint, "_vouched", lambda one, other, words_given: 0)
    with pytest.raises(AssertionError):
        test_without_a_word_everything_adds_up(wards)


def test_of_disjoint_populations_the_largest_counts(wards: Ledger) -> None:
    wards.declare_disjoint(["c", "a", "b"], reason="three towns, residents only", signer="Dr. Ada")
    total = wards.total(["a", "b", "c"])
    assert (total.granted_epsilon, total.held_epsilon, total.granted_delta) == (3.0, 1.0, 3e-5)
    assert total.groups == (("a", "b", "c"),)
    assert total.assumptions == (10,)
    (word,) = [entry for entry in wards.entries() if entry.kind == "disjoint"]
    assert (word.members, word.signer, word.reason) == (("a", "b", "c"), "Dr. Ada", "three towns, residents only")
    assert wards.verify() == 10
    assert wards.populations() == ("a", "b", "c")


def test_a_word_about_two_says_nothing_about_a_third(wards: Ledger) -> None:
    wards.declare_disjoint(["a", "c"], reason="two towns", signer="Dr. Ada")
    total = wards.total(["a", "b", "c"])
    assert total.granted_epsilon == 5.0
    assert total.groups == (("a", "c"), ("b",))
    wards.declare_disjoint(["b", "c"], reason="two towns", signer="Dr. Eve")
    # a and b may share people, so their budgets add up; c goes with one of them.
    assert wards.total(["a", "b", "c"]).granted_epsilon == 5.0
    assert wards.total(["b", "c"]).granted_epsilon == 2.0
    assert wards.total(["b", "c"]).assumptions == (11,)


def test_populations_of_different_units_have_no_total(wards: Ledger, grant: Callable) -> None:
    grant("d", unit="person")
    grant("e", relation="replace_one")
    for names in (["a", "d"], ["a", "e"], []):
        with pytest.raises(UsageError) as error:
            wards.total(names)
        assert error.value.code == "no-common-unit"
    with pytest.raises(UsageError) as error:
        wards.declare_disjoint(["a", "d"], reason="x", signer="y")
    assert error.value.code == "no-common-unit"


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["a"], "too-few-populations"),
        (["a", "a"], "too-few-populations"),
        ([], "too-few-populations"),
        (["a", "nobody"], "unknown-population"),
        (["a", "b c"], "invalid-population"),
    ],
)
def test_words_about_nothing(wards: Ledger, names: list[str], code: str) -> None:
    rows = len(wards.entries())
    with pytest.raises(UsageError) as error:
        wards.declare_disjoint(names, reason="x", signer="y")
    assert error.value.code == code
    assert len(wards.entries()) == rows


def test_a_word_needs_a_reason_and_a_signer(wards: Ledger) -> None:
    for words in ({"reason": "", "signer": "y"}, {"reason": "x", "signer": ""}, {"reason": "x", "signer": " "}):
        with pytest.raises(UsageError) as error:
            wards.declare_disjoint(["a", "b"], **words)
        assert error.value.code == "invalid-ledger-text"
    with pytest.raises(UsageError) as error:
        wards.declare_disjoint(["a", "b"], reason="x", signer="your name")
    assert error.value.code == "signer-missing"


def test_a_word_in_an_empty_ledger(book: Ledger) -> None:
    with pytest.raises(UsageError) as error:
        book.declare_disjoint(["a", "b"], reason="x", signer="y")
    assert error.value.code == "unknown-population"
    assert not book._journal.path.exists()


def test_a_word_that_was_slipped_in_is_found(wards: Ledger) -> None:
    wards.declare_disjoint(["a", "b"], reason="two towns", signer="Dr. Ada")
    with contextlib.closing(sqlite3.connect(wards._journal.path)) as other:
        other.execute("drop trigger reticent_no_update")
        other.execute("""update reticent_entries set members = '["a","b","c"]' where kind = 'disjoint'""")
        other.commit()
    with pytest.raises(EnvironmentFault) as error:
        wards.total(["a", "b", "c"])
    assert error.value.code == "ledger-damaged"
