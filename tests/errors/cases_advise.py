"""How each error code of advise is raised."""

from __future__ import annotations

import io
import pathlib
import sys
from collections.abc import Callable
from unittest import mock

from reticent import advise
from reticent.cli.advice import advise as verb


def _needs(**changes: object) -> object:
    base: dict[str, object] = {
        "data": "rows",
        "parties": 3,
        "task": "train",
        "protect": [],
        "trusted_party": False,
        "published": False,
    }
    return advise.parse_needs({**base, **changes}, where="needs.toml")


def _without_scikit_learn() -> object:
    with mock.patch.dict(sys.modules, {"sklearn": None, "sklearn.datasets": None}):
        return advise.example_trial()


def _without_terminal() -> object:
    with mock.patch.object(sys, "stdin", io.StringIO()):
        return verb(None, None, measure=False)


def _no_label(folder: pathlib.Path) -> object:
    (folder / "t.csv").write_text("a,b\n1,2\n")
    return advise.table_trial(folder / "t.csv", "label")


CASES: dict[str, Callable[[pathlib.Path], object]] = {
    "measure-data": _no_label,
    "needs-contradict": lambda _: _needs(parties=1),
    "needs-missing": lambda _: _without_terminal(),
    "needs-unreadable": lambda folder: advise.load_needs(folder / "needs.toml"),
    "no-example-data": lambda _: _without_scikit_learn(),
}
