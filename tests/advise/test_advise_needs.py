"""Needs are read from a file, from `--set` and from answers; whatever is wrong is named with its fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from reticent.advise import CONCERNS, QUESTIONS, Concern, Needs, load_needs
from reticent.errors import UsageError

FILE = """
[needs]
data = "rows"
parties = 4
task = "train"
protect = ["persons-from-result", "updates-from-coordinator"]
trusted_party = false
published = true
latency_ms = 20
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "needs.toml"
    path.write_text(FILE)
    return path


def test_a_file_and_settings(file: Path) -> None:
    needs = load_needs(
        file, {"needs.latency_ms": "5.5", "parties": "7", "protect": "rows-from-parties, labels-from-parties"}
    )
    assert needs.latency_ms == 5.5
    assert needs.parties == 7
    assert needs.protect == (Concern.rows, Concern.labels)
    assert load_needs(file).concerns == (Concern.updates, Concern.persons_result)


def test_a_study_file_may_hold_the_needs(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text("schema = 1\n[study]\nname = 'x'\n" + FILE)
    assert load_needs(path).parties == 4


def test_settings_alone_are_enough() -> None:
    given = {
        "data": "columns",
        "parties": "2",
        "task": "train",
        "protect": "",
        "trusted_party": "false",
        "published": "false",
    }
    assert load_needs(None, given).protect == ()


def test_a_goal_adds_what_it_means(file: Path) -> None:
    needs = load_needs(file, {"wish": "split-learning", "goal": "anonymity", "protect": "[]"})
    assert needs.concerns == (Concern.rows, Concern.persons_result)


@pytest.mark.parametrize(
    ("settings", "code", "words"),
    [
        ({"latncy_ms": "3"}, "unknown-key", "did you mean latency_ms?"),
        ({"data": "row"}, "invalid-value", '"rows"'),
        ({"parties": "0"}, "invalid-value", "1 or larger"),
        ({"parties": "2.5"}, "invalid-value", "1 or larger"),
        ({"published": "maybe"}, "invalid-value", "true or false"),
        ({"protect": "everything"}, "invalid-value", "rows-from-parties"),
        ({"latency_ms": "-1"}, "invalid-value", "not negative"),
        ({"bandwidth_mbit": "nan"}, "invalid-value", "not negative"),
        ({"parties": "1"}, "needs-contradict", "one-party"),
        ({"goal": "anonymity"}, "needs-contradict", "wish"),
    ],
)
def test_a_fault_is_named_with_its_fix(file: Path, settings: dict[str, str], code: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_needs(file, settings)
    assert caught.value.code == code
    assert words in caught.value.hint
    assert next(iter(settings)) in caught.value.message


@pytest.mark.parametrize("text", [None, "data = 'rows'", "[needs", "needs = 3", "\xff"])
def test_a_file_without_needs_is_refused(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "needs.toml"
    if text is not None:
        path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"needs\.toml") as caught:
        load_needs(path)
    assert caught.value.code == "needs-unreadable"


def test_a_missing_key_says_what_it_takes(tmp_path: Path) -> None:
    path = tmp_path / "needs.toml"
    path.write_text(FILE.replace('task = "train"', ""))
    with pytest.raises(UsageError) as caught:
        load_needs(path)
    assert (caught.value.code, caught.value.hint) == (
        "missing-key",
        'add task: one of "train", "predict", "statistics"',
    )


def test_the_questions_ask_for_everything_that_has_no_default() -> None:
    """And every answer that they offer is one that the table takes."""
    asked = {question.key: question for question in QUESTIONS}
    required = {name for name, field in Needs.model_fields.items() if field.is_required()}
    assert required <= set(asked)
    assert {concern.value for concern in CONCERNS} < set(asked["protect"].answers)
    first = {key: question.default for key, question in asked.items()}
    for key, question in asked.items():
        for answer in question.answers or (question.default,):
            load_needs(None, {**first, key: answer})
