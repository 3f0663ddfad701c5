"""`reticent advise` as it is typed."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reticent import advise as room

NEEDS = """
[needs]
data = "one-party"
parties = 2
task = "predict"
protect = ["input-from-server"]
trusted_party = false
published = false
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "needs.toml"
    path.write_text(NEEDS)
    return path


def test_advice_in_words(cli: Callable[..., Any], file: Path) -> None:
    done = cli("advise", file, "--no-measure", "--set", "protect=input-from-server, model-from-client")
    assert done.status == 0
    assert "1. secure-computation" in done.out


def test_advice_as_json_with_figures(
    cli: Callable[..., Any], file: Path, monkeypatch: pytest.MonkeyPatch, made_up: room.Measurements
) -> None:
    monkeypatch.setattr(room, "measure", lambda trial, say: made_up)
    done = cli("advise", file, "--format", "json", "--set", "task=train")
    assert done.status == 0
    assert json.loads(done.out)["measured"]["figures"][0]["outcome"]["bytes"] == 1000


def test_without_needs_and_terminal_it_refuses(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert cli("advise", "--no-measure").status == 2
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    done = cli("advise", "--no-measure", "--format", "json")  # nobody reads questions beside JSON
    assert (done.status, json.loads(done.out)["error"]["code"]) == (2, "needs-missing")


class Terminal(io.StringIO):
    """Standard input with somebody in front of it."""

    def isatty(self) -> bool:
        return True


def test_questions_at_the_terminal(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong answer is asked again; Enter takes what stands in brackets."""
    answers = "train\nshelves\ncolumns\n2\n\nrows-from-parties\n\nfalse\n5\n\n"
    monkeypatch.setattr(sys, "stdin", Terminal(answers))
    done = cli("advise", "--no-measure")
    assert done.status == 0, done.err
    assert "1. secure-computation" in done.out
    assert "please answer with rows, columns" in done.err
