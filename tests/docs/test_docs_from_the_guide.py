"""docs/from-the-guide.md names every class of the usual tutorials, and only tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

CLASSES = (
    "FederatedClient",
    "FederatedServer",
    "DPFederatedClient",
    "DifferentialPrivacy",
    "PrivacyBudget",
    "PrivacyAccountant",
    "SecureMultiPartyComputation",
    "SecureAggregation",
    "HomomorphicEncryption",
    "SplitNetwork",
    "SplitClient",
    "SplitServer",
)


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "from-the-guide.md").read_text(encoding="utf-8")


def test_every_class_has_its_heading(page: str) -> None:
    headings = " ".join(re.findall(r"^## (.*)$", page, re.MULTILINE))
    assert [name for name in CLASSES if not re.search(rf"\b{name}\b", headings)] == []


def test_every_test_that_is_named_exists_and_every_textbook_class_is_broken(page: str, root: Path) -> None:
    here = root / "tests" / "docs"
    tests = ast.parse((here / "test_docs_textbook.py").read_text(encoding="utf-8"))
    known = {node.name for node in tests.body if isinstance(node, ast.FunctionDef)}
    named = set(re.findall(r"`(test_\w+)", page))
    assert len(named) >= 12
    assert sorted(named - known) == []
    book = ast.parse((here / "textbook.py").read_text(encoding="utf-8"))
    classes = {node.name for node in book.body if isinstance(node, ast.ClassDef)}
    used = {node.attr for node in ast.walk(tests) if isinstance(node, ast.Attribute)}
    assert sorted(classes - used) == []


def test_techniques_of_later_issues_promise_nothing(page: str) -> None:
    """They say so and nothing more: no code, no description."""
    for heading in ("SecureMultiPartyComputation", "HomomorphicEncryption", "SplitNetwork, SplitClient, SplitServer"):
        body = page.split(f"## {heading}\n")[1].split("\n## ", maxsplit=1)[0]
        assert body.strip() == "A later issue."
