"""`reticent help CODE` explains exactly the codes that the source raises."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest

from reticent.errors import explanations

SCAN = Path(__file__).resolve().parents[1] / "errors" / "conftest.py"

EXPLAINED_TWICE: set[str] = set()
"""Codes that two packages raise and both explain, of which `help` shows one text. May only become fewer."""


@pytest.fixture(scope="module")
def scan() -> ModuleType:
    """The scan of the source that the tests of errors use."""
    spec = importlib.util.spec_from_file_location("scan_of_error_codes", SCAN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_code_is_explained_and_every_explanation_is_of_a_code(scan: ModuleType) -> None:
    raised = set(scan.raised_codes())
    explained = set(explanations.known_codes())
    assert sorted(raised - explained) == []
    assert sorted(explained - raised) == []


def test_no_further_code_is_explained_in_two_files() -> None:
    """Two packages that use one code share one meaning, or `reticent help` explains the wrong thing."""
    found: dict[str, list[str]] = {}
    for module in pkgutil.iter_modules(explanations.__path__):
        for code in importlib.import_module(f"{explanations.__name__}.{module.name}").EXPLANATIONS:
            found.setdefault(code, []).append(module.name)
    assert {code for code, files in found.items() if len(files) > 1} <= EXPLAINED_TWICE


def test_the_scan_sees_a_new_code_and_refuses_one_that_it_cannot_read(scan: ModuleType, tmp_path: Path) -> None:
    """Broken copies: a code that nobody explained, a code made at run time, an error without a code."""
    module = tmp_path / "room.py"
    module.write_text("def f():\n    raise errors.UsageError('a-new-code', 'message', hint='fix')\n")
    assert scan.raised_codes(tmp_path) == {"a-new-code": {"UsageError"}}
    module.write_text("def f(name):\n    raise UsageError('invalid-' + name, 'message', hint='fix')\n")
    with pytest.raises(AssertionError, match="no literal"):
        scan.raised_codes(tmp_path)
    module.write_text("def f():\n    raise UsageError(code='a-new-code', message='message', hint='fix')\n")
    with pytest.raises(AssertionError, match="first positional"):
        scan.raised_codes(tmp_path)
