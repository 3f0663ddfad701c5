"""How each error code of the kernels is raised."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from types import SimpleNamespace
from unittest import mock

from reticent import kernels
from reticent.kernels import choice


def _with(module: object, wanted: str) -> object:
    with mock.patch.object(choice, "_module", return_value=(module, "the compiled module was not built")):
        return kernels.choose(wanted)


CASES: dict[str, Callable[[pathlib.Path], object]] = {
    "kernels-level-missing": lambda _: _with(SimpleNamespace(levels=lambda: ["plain"]), "native:avx512"),
    "kernels-not-built": lambda _: _with(None, "native"),
    "unknown-kernels": lambda _: kernels.choose("gpu"),
}
