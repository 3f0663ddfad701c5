"""The examples in the docstrings of mechanisms and samplers run."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = [
    "reticent.dp.additive",
    "reticent.dp.answers",
    "reticent.dp.encoding",
    "reticent.dp.precision",
    "reticent.dp.samplers.uniform",
    "reticent.dp.selection",
    "reticent.dp.sparse",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.attempted > 0
    assert result.failed == 0
