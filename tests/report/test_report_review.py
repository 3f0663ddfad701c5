"""Reviews name provisions, state facts beside them, and leave the judgement blank."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reticent.errors import UsageError
from reticent.report import REGULATIONS, Facts, model_card, review
from reticent.report.evidence import EVIDENCE
from reticent.report.provisions import LAWS

NAMED = {
    "gdpr": ("Art. 4(5)", "Art. 5(1)(a)", "Art. 5(1)(f)", "Art. 5(2)", "Art. 6", "Art. 9", "Art. 25", "Art. 30"),
    "hipaa": ("164.502(b)", "164.514(a)", "164.514(b)(1)", "164.514(e)", "164.308", "164.312", "164.530(j)"),
    "ccpa": ("1798.100", "1798.105", "1798.140(m)", "1798.140(v)", "1798.148", "1798.185"),
}


@pytest.mark.parametrize("law", REGULATIONS)
def test_a_review_names_provisions_and_leaves_each_judgement_blank(facts: Facts, law: Any) -> None:
    page = review(facts, law)
    for reference in NAMED[law]:
        assert reference in page
    judged = re.findall(r'aria-label="Judgement on [^"]+"></div>', page)
    assert len(judged) == len(LAWS[law].provisions), "a judgement is missing or not blank"
    assert facts.plan_hash in page


@pytest.mark.parametrize("law", REGULATIONS)
def test_the_facts_speak_in_the_review(facts: Facts, law: Any) -> None:
    page = review(facts, law)
    assert facts.promise is not None
    assert f"at most {facts.promise.in_a_hundred} would recognise a person who took part" in page
    assert "mean_radius" in page


def test_evidence_is_all_used_and_all_known() -> None:
    used = {name for law in LAWS.values() for provision in law.provisions for name in provision.evidence}
    assert used == set(EVIDENCE)


def test_an_unknown_law_is_refused(facts: Facts) -> None:
    with pytest.raises(UsageError, match="lex") as caught:
        review(facts, "lex")  # type: ignore[arg-type]
    assert caught.value.code == "unknown-regulation"


def test_a_review_without_a_promise_says_that_nothing_bounds(run_of: Any, unprotected: str) -> None:
    from reticent.report import gather

    page = review(gather(run_of(unprotected).folder), "gdpr")
    assert "No bound on what the released model reveals" in page
    assert "Art. 25" in page


def test_the_card_says_what_the_model_is_and_promises(facts: Facts) -> None:
    card = model_card(facts)
    for part in ("# breast\\-cancer\\-four\\-sites", "## Promise", "epsilon 3.00", "226 parameters", facts.plan_hash):
        assert part in card
    assert "Uses that are not intended:" in card


def test_a_hostile_text_cannot_become_markdown(facts: Facts) -> None:
    attack = "[click](javascript:alert(1)) <b>x</b>\n\n# heading\n![](http://evil) `code` | a |"
    study = facts.study.model_copy(update={"name": attack, "purpose": attack, "contact": attack})
    card = model_card(facts.model_copy(update={"study": study, "not_covered": (attack,)}))
    assert "](" not in card.replace("\\]\\(", "")
    assert "<b>" not in card.replace("\\<b\\>", "")
    assert "\n# heading" not in card
    assert len(re.findall(r"^# ", card, flags=re.MULTILINE)) == 1


def test_error_cases_raise_their_codes(tmp_path: Path) -> None:
    import importlib.util

    from reticent.errors import ReticentError
    from reticent.errors.explanations.report import EXPLANATIONS

    place = Path(__file__).parents[1] / "errors" / "cases_report.py"
    spec = importlib.util.spec_from_file_location("cases_report", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    cases: dict[str, Callable[[Path], object]] = module.CASES
    assert set(cases) == set(EXPLANATIONS)
    for code, case in cases.items():
        with pytest.raises(ReticentError) as caught:
            case(tmp_path)
        assert caught.value.code == code
