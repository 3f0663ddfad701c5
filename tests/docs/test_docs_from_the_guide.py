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


TESTS = ("test_docs_textbook.py", "test_docs_textbook_parties.py")


def test_every_test_that_is_named_exists_and_every_textbook_class_is_broken(page: str, root: Path) -> None:
    here = root / "tests" / "docs"
    tests = [ast.parse((here / name).read_text(encoding="utf-8")) for name in TESTS]
    known = {node.name for module in tests for node in module.body if isinstance(node, ast.FunctionDef)}
    named = set(re.findall(r"`(test_\w+)", page))
    assert len(named) >= 25
    assert sorted(named - known) == []
    book = ast.parse((here / "textbook.py").read_text(encoding="utf-8"))
    classes = {node.name for node in book.body if isinstance(node, ast.ClassDef)}
    used = {node.attr for module in tests for node in ast.walk(module) if isinstance(node, ast.Attribute)}
    assert sorted(classes - used) == []


def test_every_class_has_lines_to_write(page: str) -> None:
    """Each section that says what is wrong also shows what is right; the two halves of a federation share theirs."""
    for section in page.split("\n## ")[1:]:
        heading, _, body = section.partition("\n")
        if heading != "FederatedClient":
            assert "```python" in body, heading
