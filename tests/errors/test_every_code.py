"""Every error code is raised once by the tests, in a class that the source gives it, with its fix and explanation."""

from __future__ import annotations

import pickle
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from reticent.errors import PolicyRefused, QuorumLost, ReticentError, UsageError
from reticent.errors.explanations import explain, known_codes

STATUSES = {
    "UsageError": 2,
    "PolicyRefused": 3,
    "PrivacyBudgetExhausted": 3,
    "IdentityError": 4,
    "QuorumLost": 5,
    "DataError": 6,
    "EnvironmentFault": 6,
    "InternalError": 70,
}


def test_every_code_that_the_source_raises_is_raised_by_a_case(
    raised: dict[str, set[str]], case_codes: set[str]
) -> None:
    """Neither a code without a case nor a case of a code that is gone."""
    assert sorted(set(raised) - case_codes) == []
    assert sorted(case_codes - set(raised)) == []


def test_the_case_raises_its_code(
    error_case: tuple[str, str, Callable[[Path], object]], raised: dict[str, set[str]], tmp_path: Path
) -> None:
    """The code, a class that the source uses for it, the blueprint's exit status, a fix, and a text for `help`."""
    code, _, case = error_case
    with pytest.raises(ReticentError) as caught:
        case(tmp_path)
    error = caught.value
    assert error.code == code
    assert type(error).__name__ in raised[code]
    assert error.exit_status == STATUSES[type(error).__name__]
    assert error.message.strip()
    assert error.hint.strip()
    assert code in str(error)
    assert explain(code)


def statuses(raised: dict[str, set[str]]) -> dict[str, str]:
    """Return from each code to its exit statuses, as exit_statuses.toml spells them."""
    found = {code: sorted({STATUSES[kind] for kind in kinds}) for code, kinds in raised.items()}
    return {code: " or ".join(map(str, numbers)) for code, numbers in found.items()}


def test_exit_statuses_are_kept(raised: dict[str, set[str]]) -> None:
    """Scripts depend on them. Codes that are not yet in the list are free."""
    listed = tomllib.loads(Path(__file__).with_name("exit_statuses.toml").read_text(encoding="utf-8"))["codes"]
    wanted = {code: status for status, codes in listed.items() for code in codes}
    found = statuses(raised)
    assert {code: found.get(code) for code in wanted} == wanted
    assert statuses({"some-code": {"UsageError", "DataError"}}) == {"some-code": "2 or 6"}


def test_errors_cross_process_boundaries() -> None:
    """A site in its own process hands its refusal on unchanged. (The test pickles; the product never does.)"""
    for kind in (UsageError, PolicyRefused, QuorumLost):
        error = kind("some-code", "what is wrong", hint="what to do")
        copied = pickle.loads(pickle.dumps(error))
        assert type(copied) is kind
        assert (copied.code, copied.message, copied.hint, str(copied)) == (
            "some-code",
            "what is wrong",
            "what to do",
            str(error),
        )


def test_explanations_say_what_why_and_what_to_do() -> None:
    """Each is a short text of whole sentences, not a repetition of its name."""
    for code, text in known_codes().items():
        assert text.rstrip().endswith((".", "`")), code
        assert 40 < len(text) < 700, code
