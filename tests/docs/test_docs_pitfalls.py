"""docs/pitfalls.md names only tests that exist, at least one for each pitfall, and its numbers run on."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def items(root: Path) -> list[str]:
    page = (root / "docs" / "pitfalls.md").read_text(encoding="utf-8")
    return re.split(r"^(?=\d+\. \*\*)", page, flags=re.MULTILINE)[1:]


@cache
def _tests_in(path: Path) -> frozenset[str]:
    if not path.is_file():
        return frozenset()
    module = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in module.body if isinstance(node, ast.FunctionDef))


def test_numbers_run_on(items: list[str]) -> None:
    assert [int(item.split(".")[0]) for item in items] == list(range(1, len(items) + 1))
    assert len(items) >= 20


def test_every_pitfall_is_pinned_by_tests_that_exist(items: list[str], root: Path) -> None:
    unpinned, missing = [], []
    for item in items:
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", item)
        unpinned += [] if named else [item[:60]]
        missing += [f"{file}::{test}" for file, test in named if test not in _tests_in(root / file)]
    assert unpinned == []
    assert missing == []
