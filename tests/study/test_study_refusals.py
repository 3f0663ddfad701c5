"""What a study may not ask: each refusal with its code, its exit status and a way forward."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from reticent.errors import PolicyRefused, ReticentError, UsageError
from reticent.errors.explanations.study import EXPLANATIONS
from reticent.study import ModelFacts, derive, without_privacy
from reticent.study.file import parse_study

_SPEC = importlib.util.spec_from_file_location("cases", Path(__file__).parents[1] / "errors" / "cases_study.py")
assert _SPEC is not None
assert _SPEC.loader is not None
_MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)
CASES: dict[str, Any] = _MODULE.CASES

POLICY = {
    "content-decides-the-split",
    "figures-across-the-cut",
    "labels-travel",
    "person-with-many-rows",
    "presence-is-seen",
    "same-people-everywhere",
    "epsilon-under-sharing",
    "layers-mix-examples",
    "metrics-epsilon-too-large",
    "statistics-epsilon-too-large",
    "updates-of-persons",
    "person-not-declared",
    "regression-metrics",
    "scaling-from-data",
    "shared-population",
    "target-delta-too-large",
    "threshold-under-half",
    "too-few-sites-to-hide",
    "unit-site",
}


@pytest.mark.parametrize("code", sorted(EXPLANATIONS))
def test_every_refusal_has_its_code_status_and_fix(code: str, tmp_path: Path) -> None:
    with pytest.raises(ReticentError) as caught:
        CASES[code](tmp_path)
    assert caught.value.code == code
    assert caught.value.hint
    assert (caught.value.exit_status == 3) == (code in POLICY)
    if isinstance(caught.value, UsageError):
        assert caught.value.exit_status == 2


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("choose-one-key", {"learning__local_steps": None}),
    ("choose-one-key", {"privacy__expected_batch_size": 10.0}),
    ("choose-one-key", {"privacy__sampling_probability": None}),
    ("choose-one-key", {"secure_aggregation__threshold": 3}),
    ("keys-without-guarantee", {"privacy__reason": "because"}),
    ("keys-without-guarantee", {"privacy": {"guarantee": "none", "reason": "x", "unit": "person"}}),
    ("missing-key", {"privacy__target": None}),
    ("missing-key", {"privacy__max_grad_norm": None}),
    ("missing-key", {"privacy": {"guarantee": "none", "reason": "x"}, "release": None}),
    ("mu-and-method", {"learning__mu": 0.1}),
    ("metrics-epsilon", {"privacy": {"guarantee": "none", "reason": "x"}, "learning__batch_size": 4}),
    ("reserved-name", {"sites__North": {"rows": 5}, "privacy__target": {"epsilon": 1.0, "delta": 1e-9}}),
    ("sum-too-wide", {"secure_aggregation__precision": 2.0**11}),
    ("target-delta-too-large", {"privacy__target": {"epsilon": 3.0, "delta": 1 / 150}}),
    ("threshold-over-sites", {"secure_aggregation__dropouts": 4}),
    ("threshold-over-sites", {"secure_aggregation": {"protocol": "plain", "dropouts": 9}}),
    ("threshold-over-sites", {"learning__clients_per_round": 3, "secure_aggregation__dropouts": 3}),
    ("threshold-under-half", {"secure_aggregation": {"protocol": "secagg", "threshold": 2}}),
    ("too-few-sites-to-hide", {"learning__clients_per_round": 2, "secure_aggregation__dropouts": 0}),
]


@pytest.mark.parametrize(("code", "changes"), REFUSED)
def test_what_does_not_fit_together_is_refused(table: Any, code: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ReticentError) as caught:
        parse_study(table(**changes), where="study.toml")
    assert caught.value.code == code
    assert caught.value.message.startswith("study.toml: ")


ALLOWED: list[dict[str, Any]] = [
    {"privacy__target": {"epsilon": 3.0, "delta": 0.999 / 150}},
    {"secure_aggregation": {"protocol": "plain"}, "sites": {"alone": {"rows": 50}}},
    {"secure_aggregation": {"protocol": "secagg", "threshold": 3}},
    {"privacy__sites_per_person": 2, "sites__north__population": "town", "sites__south__population": "town"},
    {"data__split_column": "fold", "data__test_fraction": None, "data__split_key": None},
    {"learning__method": "fedprox", "learning__mu": 0.01},
    {"learning__optimizer": "rmsprop", "learning__momentum": 0.5},
    {"sites__north": {"rows": 600, "file": "a.csv", "site": "a.toml"}},
]


@pytest.mark.parametrize("changes", ALLOWED)
def test_what_just_fits_is_allowed(table: Any, changes: dict[str, Any]) -> None:
    assert parse_study(table(**changes), where="study.toml")


def test_what_only_a_promise_forbids_is_open_to_studies_without_one(table: Any, without: dict[str, Any]) -> None:
    regression = [
        {"name": "age", "kind": "number", "range": [0.0, 110.0]},
        {"name": "outcome", "kind": "label", "range": [0.0, 1.0]},
    ]
    assert parse_study(table(**without, data__standardise="per-site"), where="study.toml")
    assert parse_study(table(**without, data__columns=regression, model__loss="mse_loss"), where="study.toml")
    shared = {"sites__north__population": "town", "sites__south__population": "town"}
    assert parse_study(table(**without, **shared), where="study.toml")


def test_a_broken_copy_without_the_check_of_delta_is_caught(
    table: Any, facts: ModelFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without that check a plan comes out whose delta allows publishing a record: nothing else stops it."""
    from reticent.study import refusals

    wrong = table(privacy__target={"epsilon": 3.0, "delta": 0.5})
    monkeypatch.setattr(refusals, "_promise_can_hold", lambda study, at: None)
    study = parse_study(wrong, where="study.toml")
    plan = derive(study, facts)
    assert plan.guarantee is not None
    assert any(plan.guarantee.delta * site.rows >= 1 for site in plan.sites)
    monkeypatch.undo()
    with pytest.raises(PolicyRefused, match="target-delta-too-large"):
        derive(study, facts)


def test_the_baseline_of_a_private_study(study: Any, facts: ModelFacts) -> None:
    private = study(privacy__sampling_probability=None, privacy__expected_batch_size=24.0)
    baseline = without_privacy(private, reason="public records")
    assert not baseline.privacy.claimed
    assert baseline.learning.batch_size == 24
    assert baseline.release.metrics is not None
    assert baseline.release.metrics.epsilon is None
    assert baseline.data == private.data
    assert without_privacy(baseline, reason="twice") is baseline
    plan = derive(baseline, facts)
    assert (plan.guarantee, plan.why_no_promise) == (None, "public records")
