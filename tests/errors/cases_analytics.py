"""How each error code of private statistics is raised."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import pandas as pd

from reticent import analytics
from reticent.analytics.wire import Opening
from reticent.cli.describing import describe
from reticent.data import Contract
from reticent.identity import Roster, SigningKey
from reticent.messages import encode
from reticent.roles import Request

_FRAME = pd.DataFrame({"x": [1.0, 2.0], "who": ["a", "b"]})
_CONTRACT = Contract.model_validate(
    {
        "kind": "table",
        "standardise": "none",
        "columns": [
            {"name": "x", "kind": "number", "range": [0, 1]},
            {"name": "y", "kind": "label", "values": ["a", "b"]},
        ],
    }
)
_TENSORS = Contract.model_validate({"kind": "tensor", "shape": [2], "classes": 2, "standardise": "none"})


def _layout(*queries: Any, **changes: Any) -> analytics.Layout:
    how: dict[str, Any] = {"unit": "record", "relation": "add_or_remove_one"} | changes
    return analytics.Layout(queries=queries or (analytics.count(),), **how)


def _statistics(**changes: Any) -> analytics.Statistics:
    how: dict[str, Any] = {"layout": _layout(), "noise_multiplier": 1.0, "cohort": 3} | changes
    return analytics.Statistics(**how)


def _ask(**ask: Any) -> Any:
    return analytics.queries(_CONTRACT, [ask])


def _differ(_: pathlib.Path) -> object:
    key = SigningKey.generate()
    client = analytics.Client(
        _statistics(),
        analytics.Rows.of(_FRAME),
        analytics.Charged(population="ward", dataset="1"),
        name="east",
        key=key,
        roster=Roster({"east": key.public}),
    )
    return client.handle(Request("run", 1, 1, "statistics/keys", encode(Opening(("east",), b"other"))), None)


def _site(tmp_path: pathlib.Path) -> object:
    from reticent.study import new_study

    (tmp_path / "study.toml").write_text(new_study("look", sites=("north", "south", "east")))
    return describe(study=tmp_path / "study.toml", site="west")


CASES: dict[str, Callable[[pathlib.Path], object]] = {
    "describe-option": lambda _: describe(
        pathlib.Path("t.csv"), 1.0, 1e-6, "ward", "record", "add_or_remove_one", bounds=["age"]
    ),
    "describe-site": _site,
    "describe-undeclared": lambda _: describe(pathlib.Path("t.csv")),
    "statistics-bounds": lambda _: analytics.mean("x", bounds=(3, 1)),
    "statistics-categories": lambda _: analytics.histogram("x", categories=[]),
    "statistics-classes": lambda _: analytics.auroc("x", "y", classes=("a", "b", "c")),
    "statistics-column": lambda _: _layout(analytics.count("z")).total(analytics.Rows.of(_FRAME)),
    "statistics-confidence": lambda _: _layout().answers([0.0], noise_multiplier=1.0, confidence=95),  # type: ignore[arg-type]
    "statistics-differ": _differ,
    "statistics-edges": lambda _: analytics.histogram("x", edges=[3, 1]),
    "statistics-levels": lambda _: analytics.quantiles("x", [1.0], bounds=(0, 1)),
    "statistics-not-in-contract": lambda _: _ask(what="mean", column="z"),
    "statistics-nothing-asked": lambda _: analytics.Layout(queries=(), unit="record", relation="replace_one"),
    "statistics-of-tensors": lambda _: analytics.queries(_TENSORS, []),
    "statistics-persons": lambda _: analytics.Rows.of(_FRAME).persons,
    "statistics-rows-per-person": lambda _: _layout(unit="person"),
    "statistics-sites": lambda _: _statistics(dropouts=3),
    "statistics-table": lambda _: analytics.Rows.of([1, 2]),
    "statistics-too-many-cells": lambda _: analytics.histogram("x", edges=range(100_002)),
    "statistics-top": lambda _: analytics.top("x", 3, categories=["a", "b"]),
    "statistics-unit": lambda _: _layout(unit="site"),
    "statistics-unknown": lambda _: _ask(what="mode"),
    "statistics-unknown-key": lambda _: _ask(what="mean", column="x", bounds=[0, 1]),
    "statistics-weight": lambda _: analytics.count(weight=0),
    "statistics-without-noise": lambda _: _statistics(noise_multiplier=0.0),
}
