"""Studies to derive plans from: small, and quick to calibrate where sampling is not the point."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from reticent.study import ModelFacts, Plan, Study, derive
from reticent.study.file import parse_study
from reticent.study.toml import write_toml

TABLE: dict[str, Any] = {
    "schema": 1,
    "study": {"name": "wards", "purpose": "Predict an outcome", "contact": "dpo@example.org"},
    "data": {
        "kind": "table",
        "label": "outcome",
        "person": "row",
        "test_fraction": 0.25,
        "split_key": "wards-1",
        "columns": [
            {"name": "age", "kind": "number", "unit": "year", "range": [0, 110]},
            {"name": "smoker", "kind": "category", "values": ["no", "yes"], "other": True},
            {"name": "outcome", "kind": "label", "values": ["no", "yes"]},
        ],
    },
    "model": {"factory": "reticent.training.models:logistic", "loss": "cross_entropy"},
    "learning": {"method": "fedavg", "rounds": 4, "local_steps": 5, "learning_rate": 0.5, "seed": 1},
    "privacy": {
        "guarantee": "differential-privacy",
        "unit": "person",
        "relation": "add_or_remove_one",
        "target": {"epsilon": 3.0, "delta": 1e-5},
        "max_grad_norm": 1.0,
        "sampling_probability": 1.0,
        "spare_executions": 1,
    },
    "secure_aggregation": {"protocol": "secagg", "dropouts": 1},
    "release": {"metrics": {"every": 0, "epsilon": 0.5}},
    "sites": {
        "north": {"rows": 600},
        "south": {"rows": 300},
        "east": {"rows": 150},
        "west": {"rows": 150},
    },
}

Change = Callable[[dict[str, Any]], object]


def changed(**dotted: Any) -> dict[str, Any]:
    """Return the table with `section__key` set, or removed where the value is None."""
    table = copy.deepcopy(TABLE)
    for key, value in dotted.items():
        *path, last = key.split("__")
        inner = table
        for part in path:
            inner = inner.setdefault(part, {})
        if value is None:
            inner.pop(last, None)
        else:
            inner[last] = value
    return table


WITHOUT: dict[str, Any] = {
    "privacy": {"guarantee": "none", "reason": "public records"},
    "learning__batch_size": 16,
    "release": {"metrics": {"every": 2}},
}


@pytest.fixture(scope="session")
def facts() -> ModelFacts:
    return ModelFacts(
        factory="reticent.training.models:logistic", code_hash="0" * 64, parameters=10, vector_length=10, outputs=2
    )


@pytest.fixture(scope="session")
def study() -> Callable[..., Study]:
    """Return a maker of studies: `study(learning__rounds=2)`."""
    return lambda **dotted: parse_study(changed(**dotted), where="study.toml")


@pytest.fixture(scope="session")
def plan(study: Callable[..., Study], facts: ModelFacts) -> Callable[..., Plan]:
    """Return a maker of plans, each derived once."""
    made: dict[str, Plan] = {}

    def make(**dotted: Any) -> Plan:
        key = repr(sorted(dotted.items()))
        if key not in made:
            made[key] = derive(study(**dotted), facts)
        return made[key]

    return make


@pytest.fixture(scope="session")
def table() -> Callable[..., dict[str, Any]]:
    """Return a maker of raw tables, as `tomllib` would read them."""
    return changed


@pytest.fixture(scope="session")
def without() -> dict[str, Any]:
    """Return the changes that make a study without a promise."""
    return WITHOUT


@pytest.fixture
def written(tmp_path: Any) -> Callable[..., Any]:
    """Return a writer of study files."""

    def write(**dotted: Any) -> Any:
        path = tmp_path / "study.toml"
        path.write_text(write_toml(changed(**dotted)))
        return path

    return write
