"""Every error code of `reticent.study`, raised once."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from reticent import dp
from reticent.study import ModelFacts, derive, load_study, new_study, study_from
from reticent.study.calibrate import calibrate
from reticent.study.file import parse_study
from reticent.study.toml import write_toml

Case = Callable[[Path], object]

FACTS = ModelFacts(factory="m:f", code_hash="0", parameters=6, vector_length=6, outputs=2)


def _table(tmp_path: Path, **dotted: Any) -> dict[str, Any]:
    import tomllib

    table = tomllib.loads(new_study("wards"))
    for key, value in dotted.items():
        *path, last = key.split("__")
        inner = table
        for part in path:
            inner = inner.setdefault(part, {})
        if value is None:
            inner.pop(last, None)
        else:
            inner[last] = copy.deepcopy(value)
    return table


def _with(**dotted: Any) -> Case:
    def case(tmp_path: Path) -> object:
        path = tmp_path / "study.toml"
        path.write_text(write_toml(_table(tmp_path, **dotted)))
        return load_study(path)

    return case


def _set(key: str, value: str) -> Case:
    def case(tmp_path: Path) -> object:
        path = tmp_path / "study.toml"
        path.write_text(new_study("wards"))
        return load_study(path, {key: value})

    return case


def _text(text: str) -> Case:
    def case(tmp_path: Path) -> object:
        (tmp_path / "study.toml").write_text(text)
        return load_study(tmp_path / "study.toml")

    return case


def _model(**facts: Any) -> Case:
    return lambda tmp_path: derive(parse_study(_table(tmp_path), where="study.toml"), FACTS.model_copy(update=facts))


def _names_alone(_: Path) -> object:
    table = _table(_)
    sections = {key: table[key] for key in ("model", "data", "learning", "privacy")}
    return study_from(sites=["north", "south", "east"], aggregation="secagg", **sections)


def _untrue_accounting(tmp_path: Path) -> object:
    study = parse_study(_table(tmp_path, privacy__sampling_probability=1.0), where="study.toml")
    with mock.patch.object(dp, "epsilon", return_value=99.0):
        return calibrate(study)


def _no_target(tmp_path: Path) -> object:
    private = {"privacy": {"guarantee": "none", "reason": "public"}, "learning__batch_size": 8}
    return calibrate(parse_study(_table(tmp_path, **private, release__metrics="none"), where="study.toml"))


def _computed(**dotted: Any) -> Case:
    """A regression on shares, with the given changes."""
    shared = {
        "secure_aggregation": None,
        "secure_computation": {"protocol": "additive", "holds": "rows"},
        "learning": {"method": "secure-computation", "rounds": 2, "batch_size": 8, "learning_rate": 0.1},
        "privacy": {"guarantee": "none", "reason": "public records"},
        "release__metrics": {"every": 0},
        "model": {"factory": "reticent.training.models:logistic", "loss": "binary_cross_entropy_with_logits"},
    }
    return _with(**(shared | dotted))


def _by_columns(**dotted: Any) -> Case:
    """The same on columns of the same rows."""
    columns = {
        "secure_computation": {"protocol": "additive", "holds": "columns"},
        "data__person": "number",
        "sites": {
            "north": {"rows": 9, "columns": ["age", "height"]},
            "south": {"rows": 9, "columns": ["smoker", "outcome"]},
        },
    }
    return _computed(**(columns | dotted))


def _cut(**dotted: Any) -> Case:
    """A U-shape with noise at the cut, with the given changes."""
    shared = {
        "secure_aggregation": None,
        "split": {"cut": "0", "head": "2"},
        "learning": {"method": "split", "rounds": 2, "batch_size": 8, "learning_rate": 0.1},
        "privacy": {
            "guarantee": "differential-privacy",
            "unit": "record",
            "relation": "replace_one",
            "target": {"epsilon": 1.0, "delta": 1e-6},
            "max_grad_norm": 1.0,
            "max_activation_norm": 1.0,
            "max_gradient_norm": 1.0,
        },
        "release__metrics": "none",
    }
    return _with(**(shared | dotted))


def _large_model(tmp_path: Path) -> object:
    path = tmp_path / "study.toml"
    _computed()(tmp_path)
    return derive(load_study(path), FACTS.model_copy(update={"outputs": 1, "parameters": 900}))


NONE = {"guarantee": "none", "reason": "public records"}
THREE = {name: {"rows": 100 + size} for size, name in enumerate("abcdefghijklmn")}

CASES: dict[str, Case] = {
    "batch-over-rows": _with(privacy__sampling_probability=None, privacy__expected_batch_size=900.0),
    "batch-size-with-epsilon": _with(learning__batch_size=32),
    "choose-one-key": _with(learning__local_epochs=1.0),
    "clients-over-sites": _with(learning__clients_per_round=5),
    "columns-not-divided": _by_columns(sites__north__columns=["age"]),
    "columns-not-split": _with(sites__north__columns=["age"]),
    "epsilon-under-sharing": _computed(
        privacy={
            "guarantee": "differential-privacy",
            "unit": "record",
            "relation": "replace_one",
            "target": {"epsilon": 1.0, "delta": 1e-6},
            "max_grad_norm": 1.0,
            "sampling_probability": 0.1,
        }
    ),
    "content-decides-the-split": _cut(),
    "figures-across-the-cut": _cut(release__metrics={"every": 0, "epsilon": 0.1}),
    "invalid-override": _set("study.name.first", "x"),
    "invalid-value": _with(learning__momentum=1.5),
    "keys-without-guarantee": _with(privacy__guarantee="none", privacy__reason="public"),
    "layers-mix-examples": _model(mixing_layers=("body.1 (BatchNorm1d)",)),
    "labels-travel": _cut(split={"cut": "0"}),
    "loss-under-sharing": _computed(model__loss="cross_entropy"),
    "loss-and-label": _with(model__loss="mse_loss"),
    "metrics-epsilon": _with(release__metrics={"every": 0}),
    "metrics-epsilon-too-large": _with(release__metrics={"every": 0, "epsilon": 3.0}),
    "metrics-every-over-rounds": _with(release__metrics={"every": 11, "epsilon": 0.3}),
    "missing-key": _with(privacy__unit=None),
    "model-outputs": _model(outputs=3),
    "model-under-sharing": _large_model,
    "momentum-and-optimizer": _with(learning__optimizer="adam", learning__momentum=0.9),
    "mu-and-method": _with(learning__method="fedprox"),
    "no-target": _no_target,
    "updates-of-persons": _with(privacy__clipping_norm=1.0, privacy__max_grad_norm=None, privacy__unit="record"),
    "statistics-clients-per-round": _with(
        statistics={"epsilon": 0.2, "ask": [{"what": "count"}]},
        learning__clients_per_round=2,
        secure_aggregation={"protocol": "plain"},
    ),
    "statistics-epsilon": _with(statistics={"ask": [{"what": "count"}]}),
    "statistics-epsilon-too-large": _with(statistics={"epsilon": 5.0, "ask": [{"what": "count"}]}),
    "noise-not-found": _untrue_accounting,
    "not-for-this-method": _computed(learning__local_steps=3),
    "nothing-to-evaluate": _with(data__test_fraction=0.0),
    "parties-and-protocol": _computed(secure_computation__protocol="replicated"),
    "person-with-many-rows": _cut(privacy__unit="person", data__person="number"),
    "presence-is-seen": _cut(privacy__relation="add_or_remove_one"),
    "person-not-declared": _with(data__person=None),
    "reason-missing": _with(privacy={"guarantee": "none"}, learning__batch_size=8),
    "regression-metrics": _with(
        data__columns=[
            {"name": "age", "kind": "number", "range": [0.0, 110.0]},
            {"name": "outcome", "kind": "label", "range": [0.0, 1.0]},
        ],
        model__loss="mse_loss",
    ),
    "reserved-name": _with(sites__coordinator={"rows": 500}),
    "rows-cannot-be-left-out": _by_columns(data__incomplete_rows="leave-out"),
    "rows-not-declared": _names_alone,
    "rows-not-named": _by_columns(data__person="row"),
    "same-people-everywhere": _cut(
        learning__method="vertical",
        split={"width": 4, "top": "m:f"},
        data__person="number",
        sites={
            "north": {"rows": 9, "columns": ["age", "height"]},
            "south": {"rows": 9, "columns": ["smoker", "outcome"]},
        },
    ),
    "scaling-from-data": _with(data__standardise="per-site"),
    "section-of-another-method": _with(secure_computation={"protocol": "additive", "holds": "rows"}),
    "shared-population": _with(sites__north__population="town", sites__south__population="town"),
    "site-without-columns": _by_columns(
        sites__north__columns=["age", "height", "smoker"], sites__south__columns=["outcome"]
    ),
    "sites-per-person-over-sites": _with(privacy__sites_per_person=5),
    "steps-under-sharing": _computed(learning__optimizer="adam"),
    "study-not-found": lambda tmp_path: load_study(tmp_path / "absent.toml"),
    "study-syntax": _text("[study]\nname = wards\n"),
    "study-unreadable": load_study,
    "sum-too-wide": _with(secure_aggregation__precision=2.0**-60),
    "target-delta-invalid": _with(privacy__target={"epsilon": 3.0, "delta": 0.0}),
    "target-delta-too-large": _with(privacy__target={"epsilon": 3.0, "delta": 1 / 500}),
    "target-epsilon-invalid": _with(privacy__target={"epsilon": float("nan"), "delta": 1e-5}),
    "threshold-over-sites": _with(secure_aggregation={"protocol": "secagg", "threshold": 5}),
    "threshold-under-half": _with(secure_aggregation__dropouts=2),
    "too-few-sites-to-hide": _with(sites={"north": {"rows": 500}, "south": {"rows": 500}}),
    "too-many-kinds-of-sites": lambda tmp_path: calibrate(
        parse_study(
            _table(
                tmp_path,
                sites=THREE,
                privacy__sampling_probability=None,
                privacy__expected_batch_size=10.0,
                privacy__sites_per_person=2,
            ),
            where="study.toml",
        )
    ),
    "unit-site": _with(privacy__unit="site"),
    "unknown-key": _with(learning__learning_rat=0.1),
    "override-unknown-site": _set("sites.nroth.rows", "10"),
}
