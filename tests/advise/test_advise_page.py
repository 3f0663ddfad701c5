"""docs/choose.md is the same decision as the command: its tables are those that the rules write."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reticent.advise import TECHNIQUES, offers, page_sections, rewrite_page, runs, sections_of
from reticent.advise.techniques import Technique

PAGE = Path(__file__).resolve().parents[2] / "docs" / "choose.md"


@pytest.fixture(scope="module")
def found() -> dict[str, str]:
    return sections_of(PAGE.read_text(encoding="utf-8"))


def test_the_page_says_what_the_rules_say(found: dict[str, str]) -> None:
    """After a change of the rules: python -c "from reticent import advise; advise.rewrite_page('docs/choose.md')"."""
    for name, body in page_sections().items():
        assert found[name] == body, name
    assert set(found) == {*page_sections(), "techniques", "figures"}


def test_a_changed_rule_is_noticed(found: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken copy: another rule, the same page."""
    monkeypatch.setattr(offers, "FEW_ROWS", 10)
    monkeypatch.setattr(offers, "OFFERS", offers.OFFERS[:6] + offers.OFFERS[7:])
    assert page_sections()["situations"] != found["situations"]


def test_the_figures_are_there_for_every_run(found: dict[str, str]) -> None:
    """One line for each run that can be made, in order, with time, bytes, rounds and accuracy; machine and versions."""
    rows = [line for line in found["figures"].splitlines() if line.startswith("| ")][1:]
    shown = [(cells[0], "predict" if "predictions" in cells[1] else "train", cells[2]) for cells in map(cells_of, rows)]
    assert shown == [(" + ".join(run.techniques), run.task, run.model) for run in runs()]
    for word in ("cores", "torch", "numpy", "Breast Cancer Wisconsin"):
        assert word in found["figures"]
    seconds = re.search(r"took (\d+) s", found["figures"])
    assert seconds is not None
    assert int(seconds[1]) < 120


def test_the_guides_table_is_complete(found: dict[str, str]) -> None:
    rows = [cells_of(line) for line in found["techniques"].splitlines()[2:]]
    assert [row[:3] for row in rows] == [[entry.title, entry.use, entry.complexity] for entry in TECHNIQUES.values()]
    for technique, row in zip(TECHNIQUES, rows, strict=True):
        measured = technique not in (Technique.plain, Technique.local_model)
        assert ("times" in row[3]) == measured, technique


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_rewriting_changes_only_what_is_between_the_marks(tmp_path: Path) -> None:
    copy = tmp_path / "choose.md"
    text = PAGE.read_text(encoding="utf-8")
    copy.write_text(text.replace("secure-computation | vertical-split", "nothing | vertical-split"))
    rewrite_page(copy)
    assert copy.read_text(encoding="utf-8") == text
