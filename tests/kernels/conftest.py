"""The compiled module and its levels. Without a compiler these tests are skipped, and say so."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from reticent.kernels import choice

_MODULE, _MISSING = choice._module()
SOURCES = Path(choice.__file__).parent / "native"


@pytest.fixture(params=["avx512", "avx2", "plain"])
def level(request: pytest.FixtureRequest) -> str:
    """Return one level after the other; one that this processor lacks is skipped, and does not count as tested."""
    if _MODULE is None:
        pytest.skip(f"{_MISSING}: nothing native was tested")
    if request.param not in _MODULE.levels():
        pytest.skip(f"this processor has no level {request.param}: it was not tested")
    return str(request.param)


@pytest.fixture
def native() -> ModuleType:
    """Return the compiled module."""
    if _MODULE is None:
        pytest.skip(f"{_MISSING}: nothing native was tested")
    return _MODULE


@pytest.fixture(scope="session")
def maker() -> Any:
    """Return the script that made the polynomials, as a module."""
    sys.path.insert(0, str(SOURCES))
    try:
        return importlib.import_module("make_inverse_normal")
    finally:
        sys.path.remove(str(SOURCES))
