"""The textbook classes, and where the documents are."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def documents() -> tuple[Path, ...]:
    """Every document of the project."""
    found = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))
    assert len(found) >= 8
    return found


@pytest.fixture(scope="session")
def textbook() -> ModuleType:
    """The classes of the usual tutorials."""
    path = Path(__file__).with_name("textbook.py")
    spec = importlib.util.spec_from_file_location("textbook", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
