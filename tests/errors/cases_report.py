"""How each error code of the report is raised."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable

from reticent.data import Contract
from reticent.dp import Guarantee
from reticent.report import gather, review
from reticent.report.rederive import promise_of
from reticent.study.plan import (
    AggregationPlan,
    Cost,
    MetricsPlan,
    ModelFacts,
    OptimizerPlan,
    Plan,
    PrivacyPlan,
    SitePlan,
    TrainingPlan,
)


def _incomplete(folder: pathlib.Path) -> object:
    return gather(folder / "nothing-here")


def _damaged(folder: pathlib.Path) -> object:
    (folder / "log.jsonl").write_text("")
    (folder / "plan.json").write_text(json.dumps({"version": 1}))
    return gather(folder)


def _unknown_regulation(_: pathlib.Path) -> object:
    return review(None, "lex-julia")  # type: ignore[arg-type]


def _without_noise(_: pathlib.Path) -> object:
    site = SitePlan(
        name="north",
        rows=100,
        weight=1.0,
        population="north",
        dataset="1",
        local_steps=1,
        local_epochs=None,
        sampling_probability=0.5,
        expected_batch_size=50.0,
        noise_multiplier=0.0,
        epsilon=1.0,
    )
    relation = "add_or_remove_one"
    plan = Plan(
        study="s",
        purpose="p",
        contact="c",
        contract=Contract(kind="tensor", shape=(2,), classes=("a", "b"), range=(0.0, 1.0)),
        model=ModelFacts(factory="m:f", code_hash="0", parameters=2, vector_length=2, outputs=2),
        training=TrainingPlan(
            method="fedavg",
            mu=0.0,
            rounds=1,
            clients_per_round=1,
            batch_size=None,
            optimizer=OptimizerPlan(name="sgd", learning_rate=0.1),
            loss="cross_entropy",
            seed=None,
        ),
        privacy=PrivacyPlan(
            unit="record",
            relation=relation,
            target_epsilon=1.0,
            delta=1e-5,
            max_grad_norm=1.0,
            grid=0.001,
            sensitivity=1.0,
            spare_executions=0,
            sites_per_person=1,
        ),
        aggregation=AggregationPlan(protocol="plain", threshold=1, bound=1.0, precision=0.001, ring_bits=0),
        metrics=MetricsPlan(evaluations=(), noise_multiplier=None),
        sites=(site,),
        guarantee=Guarantee(epsilon=1.0, delta=1e-5, unit="record", relation=relation, holds_against="everyone"),
        public_data=False,
        round_deadline=1.0,
        who_sees=(),
        assumptions=(),
        not_covered=(),
        cost=Cost(download_per_round=0, upload_per_round=0, total_per_site=0),
    )
    return promise_of(plan)


CASES: dict[str, Callable[[pathlib.Path], object]] = {
    "promise-without-bound": _without_noise,
    "run-folder-damaged": _damaged,
    "run-folder-incomplete": _incomplete,
    "unknown-regulation": _unknown_regulation,
}
