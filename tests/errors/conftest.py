"""What the source raises, and how the tests raise it."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from reticent import errors

HERE = Path(__file__).resolve().parent
SOURCE = Path(errors.__file__).resolve().parents[1]
CLASSES = {name: getattr(errors, name) for name in errors.__all__}

SPELLED_AT_RUN_TIME: Mapping[tuple[str, str], frozenset[tuple[str, str]]] = MappingProxyType(
    {
        # The one code that is put together: `invalid-{name}` for the two literal names in the loop above it.
        ("dp/release.py", "f'invalid-{name}'"): frozenset(
            {("invalid-unit", "UsageError"), ("invalid-relation", "UsageError")}
        )
    }
)

Case = Callable[[Path], object]


def raised_codes(source: Path = SOURCE) -> dict[str, set[str]]:
    """Return from each code to the names of the classes with which the source raises it.

    A code is the first argument of an error class, as a literal; or the keyword `code` of the answer by which a
    site refuses. Codes that are handed on (`error.code`, `answer.code`) are raised elsewhere.
    """
    found: dict[str, set[str]] = {}
    for path in sorted(source.rglob("*.py")):
        name = path.relative_to(source).as_posix()
        for code, kind in _in_module(ast.parse(path.read_text(encoding="utf-8")), name):
            found.setdefault(code, set()).add(kind)
    return found


def _in_module(tree: ast.Module, name: str) -> Iterator[tuple[str, str]]:
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        called = getattr(call.func, "id", getattr(call.func, "attr", ""))
        if called in CLASSES:
            assert call.args, f"{name}:{call.lineno}: {called} without a code as its first positional argument"
            yield from _codes(call.args[0], called, f"{name}", call.lineno)
        elif called == "Answer":
            for keyword in call.keywords:
                if keyword.arg == "code" and isinstance(keyword.value, ast.Constant):
                    yield keyword.value.value, "QuorumLost"


def _codes(code: ast.expr, called: str, name: str, line: int) -> Iterator[tuple[str, str]]:
    if isinstance(code, ast.Constant) and isinstance(code.value, str):
        yield code.value, called
    elif isinstance(code, ast.Attribute) and code.attr == "code":
        return
    else:
        known = SPELLED_AT_RUN_TIME.get((name, ast.unparse(code)))
        assert known is not None, f"{name}:{line}: the code of {called} is no literal: {ast.unparse(code)}"
        yield from known


def all_cases() -> list[tuple[str, str, Case]]:
    """Return (code, file, case) for every case in `cases_*.py`."""
    found = []
    for path in sorted(HERE.glob("cases_*.py")):
        spec = importlib.util.spec_from_file_location(f"error_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for table in (module.CASES, getattr(module, "ALSO", {})):
            found += [(code, path.stem, case) for code, case in table.items()]
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give one test to each case."""
    if "error_case" in metafunc.fixturenames:
        cases = all_cases()
        names = [f"{code}-{file.removeprefix('cases_')}" for code, file, _ in cases]
        metafunc.parametrize("error_case", cases, ids=names)


@pytest.fixture(scope="session")
def raised() -> dict[str, set[str]]:
    """From each code to the classes with which the source raises it."""
    return raised_codes()


@pytest.fixture(scope="session")
def scan() -> Callable[[Path], dict[str, set[str]]]:
    """The scan, for other sources."""
    return raised_codes


@pytest.fixture(scope="session")
def case_codes() -> set[str]:
    """The codes that have a case."""
    return {code for code, _, _ in all_cases()}
