"""Plans of split learning and secure computation: who sees what, noise within the target, one hash."""

from __future__ import annotations

import copy
import tomllib
from typing import Any

import pytest

from reticent import dp
from reticent.errors import ReticentError
from reticent.study import ComputationFacts, ModelFacts, Plan, SplitFacts, Study, derive, in_words, new_study
from reticent.study.file import parse_study

FACTS = ModelFacts(factory="m:f", code_hash="0", parameters=6, vector_length=6, outputs=2)
CUT = FACTS.model_copy(update={"split": SplitFacts(cut_width=8, head_width=2, parts_bytes=0)})
SHARED = FACTS.model_copy(
    update={
        "outputs": 1,
        "computation": ComputationFacts(steps=10, bytes_once=1000, bytes_per_step=100, rounds_per_step=9),
    }
)
COLUMNS = {
    "north": {"rows": 400, "columns": ["age", "height"]},
    "south": {"rows": 400, "columns": ["smoker", "outcome"]},
}
EPSILON = {
    "guarantee": "differential-privacy",
    "unit": "record",
    "relation": "replace_one",
    "target": {"epsilon": 2.0, "delta": 1e-6},
    "max_grad_norm": 1.0,
    "max_activation_norm": 2.0,
    "max_gradient_norm": 0.5,
}


def study(method: str, *, columns: bool = False, **sections: Any) -> Study:
    table = tomllib.loads(new_study("wards"))
    del table["secure_aggregation"]
    table["learning"] = {"method": method, "rounds": 4, "batch_size": 16, "learning_rate": 0.1}
    table["privacy"] = {"guarantee": "none", "reason": "made up"}
    table["release"] = {"metrics": "none"}
    if method == "secure-computation":
        holds = "columns" if columns else "rows"
        table["secure_computation"] = {"protocol": "additive", "holds": holds}
        table["model"]["loss"] = "binary_cross_entropy_with_logits"
    else:
        table["split"] = {"width": 4, "top": "m:g"} if method == "vertical" else {"cut": "0", "head": "1"}
    if sections.get("privacy", {}).get("guarantee") == "differential-privacy":
        table["data"]["person"] = "number"  # a row's content must not decide whether it is trained on
    if columns:
        table["sites"], table["data"]["person"] = copy.deepcopy(COLUMNS), "number"
    return parse_study(table | sections, where="study.toml")


def plan(method: str, **settings: Any) -> Plan:
    return derive(study(method, **settings), SHARED if method == "secure-computation" else CUT)


ALL = [
    ("split", {}),
    ("split", {"split": {"cut": "0"}}),
    ("split", {"privacy": EPSILON}),
    ("vertical", {"columns": True}),
    ("vertical", {"columns": True, "privacy": EPSILON | {"sites_per_person": 2}}),
    ("secure-computation", {}),
    ("secure-computation", {"columns": True}),
]


@pytest.mark.parametrize(("method", "settings"), ALL)
def test_a_plan_survives_its_file_and_says_everything(method: str, settings: dict[str, Any]) -> None:
    made = plan(method, **settings)
    assert Plan.model_validate_json(made.canonical()) == made
    assert Plan.model_validate_json(made.canonical()).hash == made.hash
    text = in_words(made)
    assert "None" not in text
    parties = [row.party for row in made.who_sees]
    assert "the coordinator" in parties
    assert "the other sites" in parties
    assert made.assumptions
    assert made.not_covered
    assert ("Measured, no guarantee" in text) == (method != "secure-computation" and made.guarantee is None)


def test_adding_techniques_changed_no_plan_of_federated_learning() -> None:
    table = tomllib.loads(new_study("wards"))
    canonical = derive(parse_study(table, where="study.toml"), FACTS).canonical()
    assert '"split"' not in canonical
    assert '"computation"' not in canonical
    assert '"protects"' not in canonical


def test_test_rows_that_cross_the_cut_are_listed_among_what_leaves() -> None:
    figures = {"release": {"metrics": {"every": 0}}}
    vanilla = in_words(plan("split", split={"cut": "0"}, **figures))
    assert "activation of every test row and its label, after round 4" in vanilla
    stays = in_words(plan("split", **figures))
    assert "activation of every test row, after round 4" in stays
    for text in (vanilla, stays):
        assert "loss and area under the ROC curve exactly" in text


def test_what_a_liar_learns_is_said_for_each_promise() -> None:
    labels = {key: value for key, value in EPSILON.items() if key not in ("max_grad_norm", "max_activation_norm")}
    said = {
        "none": plan("split"),
        "labels": plan("split", privacy=labels | {"protects": "labels"}),
        "records": plan("split", privacy=EPSILON),
    }
    lines = {name: next(line for line in made.not_covered if "false records" in line) for name, made in said.items()}
    assert lines["none"].endswith("and learn more.")
    assert lines["labels"].endswith("and learn more of all but labels.")
    assert lines["records"].endswith("it can spoil the model.")
    assert any("has a label at all" in line for line in said["labels"].not_covered)


@pytest.mark.parametrize("epsilon", [0.3, 2.0, 20.0])
@pytest.mark.parametrize("sites_per_person", [1, 2, 4])
def test_what_sites_release_about_one_record_stays_within_the_target(epsilon: float, sites_per_person: int) -> None:
    privacy = EPSILON | {
        "target": {"epsilon": epsilon, "delta": 1e-6},
        "sites_per_person": sites_per_person,
        "spare_executions": 1,
    }
    made = plan("split", privacy=privacy)
    releases = [made.release(site.name) for site in made.sites[:sites_per_person]]
    events = [event for release in releases if release for event in release.events]
    together = dp.epsilon(events, delta=1e-6, relation="replace_one")
    assert 0.98 * epsilon < together <= epsilon
    assert made.guarantee is not None
    assert together <= made.guarantee.epsilon <= epsilon


def test_a_site_without_labels_spends_its_whole_part_on_its_columns() -> None:
    made = plan("vertical", columns=True, privacy=EPSILON | {"sites_per_person": 2})
    assert made.split is not None
    north, south = made.split.boundary["north"], made.split.boundary["south"]
    assert north.output_noise == 0 < south.output_noise
    assert north.activation_noise < south.activation_noise
    inverse = [sum(event.noise_multiplier**-2 for event in part.one_pass().events) for part in (north, south)]
    assert inverse[0] == pytest.approx(inverse[1], rel=1e-3)


def test_where_labels_alone_are_protected_the_promise_says_so() -> None:
    """The features travel as they are; only the site of the labels releases something that is paid for."""
    privacy = {key: value for key, value in EPSILON.items() if key not in ("max_grad_norm", "max_activation_norm")}
    made = plan("vertical", columns=True, privacy=privacy | {"protects": "labels"})
    assert made.release("north") is None
    release = made.release("south")
    assert release is not None
    assert sum(release.counts().values()) == 4
    assert made.guarantee is not None
    assert "which of two labels" in made.guarantee.sentence()
    assert any("Everything but the labels" in line for line in made.not_covered)


@pytest.mark.parametrize(
    "changes",
    [{"person": "row"}, {"person": "row", "test_fraction": 0.01}, {"incomplete_rows": "leave-out"}],
)
@pytest.mark.parametrize("protects", ["records", "labels"])
def test_no_epsilon_where_a_rows_content_decides_whether_it_is_trained_on(
    changes: dict[str, Any], protects: str
) -> None:
    """The number of rows that cross the cut is seen exactly: neighbours whose numbers differ are told apart for sure."""
    data = study("split", privacy=EPSILON).data.model_dump(exclude_unset=True) | changes
    privacy = EPSILON | {"protects": protects}
    if protects == "labels":
        privacy = {key: value for key, value in privacy.items() if key not in ("max_grad_norm", "max_activation_norm")}
    with pytest.raises(ReticentError) as caught:
        study("split", privacy=privacy, data=data)
    assert caught.value.code == "content-decides-the-split"
    fixed = {"test_fraction": 0.0, "split_key": "", "incomplete_rows": "zero"}
    assert study("split", privacy=privacy, data=data | fixed).privacy.claimed


@pytest.mark.parametrize(
    ("code", "method", "settings"),
    [
        ("not-for-this-method", "split", {"privacy": EPSILON | {"protects": "labels"}}),
        ("missing-key", "split", {"privacy": {**EPSILON, "max_gradient_norm": None}}),
        ("missing-key", "split", {"split": {}}),
        ("not-for-this-method", "split", {"split": {"cut": "0", "width": 4}}),
        ("not-for-this-method", "vertical", {"columns": True, "split": {"width": 4, "top": "m:g", "cut": "0"}}),
        ("unit-site", "split", {"privacy": EPSILON | {"unit": "site"}}),
        ("target-delta-too-large", "split", {"privacy": EPSILON | {"target": {"epsilon": 1.0, "delta": 0.01}}}),
        ("missing-key", "split", {"learning": {"method": "split", "rounds": 2, "learning_rate": 0.1}}),
        ("nothing-to-evaluate", "vertical", {"columns": True, "release": {"metrics": {"every": 0}}, "data": None}),
    ],
)
def test_what_does_not_fit_together_is_refused(code: str, method: str, settings: dict[str, Any]) -> None:
    if "data" in settings:
        data = study("vertical", columns=True).data.model_dump(exclude_unset=True) | {"test_fraction": 0.0}
        settings = {**settings, "data": data}
    if "privacy" in settings:
        settings = settings | {
            "privacy": {key: value for key, value in settings["privacy"].items() if value is not None}
        }
    with pytest.raises(ReticentError) as caught:
        study(method, **settings)
    assert caught.value.code == code
