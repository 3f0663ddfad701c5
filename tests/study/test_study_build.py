"""Studies made in Python say the same as files, and pass the same checks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reticent.data import Column, Contract
from reticent.errors import UsageError
from reticent.study import ModelFacts, PrivacySection, Study, TargetSection, derive, dump_study, load_study, study_from
from reticent.study.file import rooted

PRIVATE = PrivacySection(
    guarantee="differential-privacy",
    unit="person",
    relation="add_or_remove_one",
    target=TargetSection(epsilon=3.0, delta=1e-5),
    max_grad_norm=1.0,
    sampling_probability=1.0,
)
NONE = {"guarantee": "none", "reason": "public records"}
LEARNING = {"method": "fedavg", "rounds": 4, "local_steps": 5, "learning_rate": 0.5}


def contract(*, regression: bool = False, **more: Any) -> Contract:
    label = {"range": (0.0, 1.0)} if regression else {"values": ("no", "yes")}
    return Contract(
        kind="table",
        columns=(
            Column(name="age", kind="number", range=(0.0, 110.0)),
            Column(name="outcome", kind="label", **label),  # type: ignore[arg-type]
        ),
        label="outcome",
        **more,
    )


def make(**changes: Any) -> Study:
    asked: dict[str, Any] = {
        "model": "reticent.training.models:logistic",
        "sites": {"north": 600, "south": 300, "east": 150},
        "data": contract(person="row"),
        "learning": LEARNING,
        "privacy": PRIVATE,
        "aggregation": "secagg",
    }
    return study_from(**{**asked, **changes})


def test_sections_may_be_dicts_objects_or_short_forms(table: Any) -> None:
    raw = table()
    whole = study_from(
        study=raw["study"],
        model=raw["model"],
        sites=raw["sites"],
        data=raw["data"],
        learning=raw["learning"],
        privacy=raw["privacy"],
        aggregation=raw["secure_aggregation"],
        release=raw["release"],
    )
    assert whole == Study.model_validate(rooted(raw, Path.cwd()))
    again = study_from(
        model=whole.model,
        sites=whole.sites,
        data=whole.data,
        learning=whole.learning,
        privacy=whole.privacy,
        aggregation=whole.secure_aggregation,
        release=whole.release,
        study=whole.study,
    )
    assert again == whole


def test_a_study_made_in_python_means_the_same_when_its_file_is_read_elsewhere(tmp_path: Path) -> None:
    """The run folder keeps the effective file; ledger and runs must not move there."""
    study = make()
    (tmp_path / "study.toml").write_text(dump_study(study))
    assert load_study(tmp_path / "study.toml") == study
    assert study.ledger.url == f"sqlite:///{Path.cwd() / 'budget.db'}"


def test_numpy_sizes_are_whole_numbers() -> None:
    study = make(sites={"a": np.int64(500), "b": {"rows": 400}, "c": 300})
    assert [site.rows for site in study.sites.values()] == [500, 400, 300]
    with pytest.raises(UsageError, match=r"study: sites\.a"):
        make(sites={"a": 1.5, "b": 400, "c": 300})


def test_names_alone_are_equal_weights_where_no_epsilon_is_claimed(facts: ModelFacts) -> None:
    study = make(sites=["a", "b", "c"], privacy=NONE, learning={**LEARNING, "batch_size": 8})
    assert {site.weight for site in derive(study, facts).sites} == {1 / 3}


def test_the_loss_follows_the_label() -> None:
    assert make().model.loss == "cross_entropy"
    assert make(loss="binary_cross_entropy_with_logits").model.loss == "binary_cross_entropy_with_logits"
    assert make(data=contract(person="row", regression=True)).model.loss == "mse_loss"


def test_python_objects_become_names_in_angle_brackets() -> None:
    def two_layers(inputs: int, outputs: int) -> None: ...

    assert make(model=two_layers).model.factory == "<two_layers>"
    assert make(model=lambda: None).model.factory == "<<lambda>>"
    assert make(model={"factory": "<Net>", "loss": "<focal>"}).model.loss == "<focal>"


def test_learning_may_be_any_object_that_knows_its_section() -> None:
    @dataclass
    class Method:
        section: dict[str, Any]

    assert make(learning=Method({**LEARNING, "method": "fedprox", "mu": 0.1})).learning.mu == 0.1


@pytest.mark.parametrize("section", ["data", "learning", "privacy", "aggregation", "model"])
def test_a_missing_section_is_named(section: str) -> None:
    with pytest.raises(UsageError) as caught:
        make(**{section: None})
    name = "secure_aggregation" if section == "aggregation" else section
    assert caught.value.code == "missing-key"
    assert f"study: {name} is missing" in caught.value.message


def test_what_the_study_is_for_may_be_left_open() -> None:
    assert make().study.purpose == "not stated"
    assert make(study={"purpose": "a trial"}).study.purpose == "a trial"
    with pytest.raises(UsageError, match="study: study is 'wards'"):
        make(study="wards")


def test_unknown_sections_and_keys_are_errors() -> None:
    with pytest.raises(UsageError, match="deploy is not a known key"):
        make(deploy={"engine": "flare"})
    with pytest.raises(UsageError, match=r"learning\.steps is not a known key"):
        make(learning={**LEARNING, "steps": 3})


def test_a_contract_that_does_not_say_whose_rows_are_whose_is_refused() -> None:
    with pytest.raises(Exception, match="person-not-declared"):
        make(data=contract())
