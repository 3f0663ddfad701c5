"""A realistic run folder of four hospitals with its ledger, written as `runs` lays it out."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from reticent.ledger import Ledger
from reticent.report import Facts, gather
from reticent.study import load_study
from reticent.study.derive import derive
from reticent.study.plan import ModelFacts, Plan

RUN = "5f2c9a1be07d4c11"
SITES = {"east": 62, "north": 148, "south": 105, "west": 84}
STUDY = """
schema = 1
[study]
name = "breast-cancer-four-sites"
purpose = "Tell malignant from benign breast masses, from measurements of cell nuclei"
contact = "Dr Ines Okafor, data protection officer, dpo@north.example"
[data]
kind = "table"
label = "diagnosis"
person = "row"
test_fraction = 0.25
split_key = "bc-1"
public = true
columns = [
  { name = "mean_radius", kind = "number", unit = "mm", range = [0, 40] },
  { name = "mean_texture", kind = "number", range = [0, 60] },
  { name = "mean_smoothness", kind = "number", range = [0, 0.3] },
  { name = "worst_area", kind = "number", range = [0, 5000] },
  { name = "diagnosis", kind = "label", values = ["malignant", "benign"] },
]
[model]
factory = "reticent.training.models:two_layer"
loss = "cross_entropy"
[learning]
method = "fedavg"
rounds = 20
local_steps = 5
learning_rate = 0.5
seed = 1
[privacy]
guarantee = "differential-privacy"
unit = "person"
relation = "add_or_remove_one"
target = { epsilon = 3.0, delta = 1e-5 }
max_grad_norm = 1.0
sampling_probability = 0.1
spare_executions = 1
[secure_aggregation]
protocol = "secagg"
dropouts = 1
[release]
metrics = { every = 4, epsilon = 0.6 }
[run]
directory = "runs"
[sites.east]
rows = 62
file = "east.csv"
population = "east-clinic-patients"
[sites.north]
rows = 148
file = "north.csv"
population = "north-hospital-patients"
[sites.south]
rows = 105
file = "south.csv"
population = "south-hospital-patients"
[sites.west]
rows = 84
file = "west.csv"
population = "west-hospital-patients"
"""


@dataclass(frozen=True)
class Written:
    """A run folder and the database of its ledger."""

    folder: Path
    database: Path

    @property
    def ledger(self) -> Ledger:
        return Ledger(f"sqlite:///{self.database}")

    @property
    def plan(self) -> Plan:
        return Plan.model_validate_json((self.folder / "plan.json").read_bytes())


def plan_of(folder: Path, text: str = STUDY) -> Plan:
    (folder / "study.toml").write_text(text)
    facts = ModelFacts(
        factory="reticent.training.models:two_layer",
        code_hash=hashlib.sha256(b"code").hexdigest(),
        parameters=226,
        vector_length=226,
        outputs=2,
    )
    return derive(load_study(folder / "study.toml", {}), facts)


def _absent(number: int) -> dict[str, str]:
    return {7: {"west": "late"}, 12: {"south": "no answer"}, 13: {"south": "no answer"}}.get(number, {})


def _save_model(path: Path, plan: Plan, number: int, lines: list[dict[str, object]], name: str) -> None:
    path.parent.mkdir(exist_ok=True)
    values = {"weight": np.full((4, 2), number, np.float32)}
    save_file(values, path, metadata={"plan_hash": plan.hash, "round": str(number), "attempt": str(number)})
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    lines.append({"event": "checkpoint", "when": "after", "round": number, "file": name, "sha256": digest})


def write_run(folder: Path, plan: Plan, database: Path | None) -> None:
    """Write the run folder of `plan`, and its grants, reservations and commits where a database is given."""
    (folder / "plan.json").write_text(plan.canonical())
    _write_descriptions(folder, plan)
    charges = {} if database is None else _reserve(plan, Ledger(f"sqlite:///{database}"))
    lines: list[dict[str, object]] = []
    evaluations = set(plan.metrics.evaluations)
    for number in range(1, plan.training.rounds + 1):
        for task in ("train", "evaluate") if number in evaluations else ("train",):
            absent = _absent(number) if task == "train" else {}
            here = [site.name for site in plan.sites if site.name not in absent]
            for name in here:
                event = plan.execution(name) if task == "train" else plan.evaluation()
                if name in charges and event is not None:
                    charges[name].commit(f"{RUN}/{name}/{task}/update/{number}/{number}", [event])
            lines.append(
                {"time": f"2026-11-24T09:{number:02}:10.000+00:00", "event": "round", "when": "after", "site": None}
                | {"round": number, "attempt": number, "phase": None, "task": task, "contributors": here}
                | {"absent": absent, "seconds": 0.41 + 0.03 * (number % 5)}
                | {"bytes_up": dict.fromkeys(here, 3904), "bytes_down": dict.fromkeys(here, 2712)}
            )
            if task == "evaluate":
                lines.append(_metrics(number, here))
        name = f"checkpoints/round-{number:05}.safetensors"
        _save_model(folder / name, plan, number, lines, name)
    _save_model(folder / "model.safetensors", plan, plan.training.rounds, lines, "model.safetensors")
    end = {"time": "2026-11-24T09:21:02.512+00:00", "event": "finished", "status": "finished", "reason": None}
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [*lines, end]))


def _reserve(plan: Plan, ledger: Ledger) -> dict[str, object]:
    charges = {}
    for site in plan.sites:
        release = plan.release(site.name)
        assert plan.privacy is not None
        assert release is not None
        ledger.grant(
            site.population,
            epsilon=8.0 if site.name == "north" else 4.0,
            delta=1e-4,
            unit="person",
            relation="add_or_remove_one",
            reason="Approved by the ethics board, protocol 2026-114, for this study and its first replication",
            signer="I. Okafor",
        )
        charges[site.name] = ledger.reserve(
            release, delta=plan.privacy.delta, purpose=plan.purpose, plan_hash=plan.hash, key=f"{RUN}/{site.name}"
        )
    return charges


def _metrics(number: int, here: list[str]) -> dict[str, object]:
    right = 0.70 + 0.22 * (1 - 0.82**number) + 0.012 * (-1) ** (number // 4)
    rows = 133.0
    confusion = [[0.37 * rows * right, 0.37 * rows * (1 - right)], [0.63 * rows * (1 - right), 0.63 * rows * right]]
    figures = {"confusion": confusion, "loss": None, "accuracy": right, "contributors": here}
    return {"event": "metrics", "when": "after", "round": number, "attempt": number} | figures


def _write_descriptions(folder: Path, plan: Plan) -> None:
    run = {"run": RUN, "started": "2026-11-24T09:00:41+00:00", "engine": "local", "public_data": plan.public_data}
    versions = {"reticent": "0.1.0", "torch": "2.13.0", "numpy": "2.4.0", "dp-accounting": "0.6.0"}
    (folder / "run.json").write_text(json.dumps(run | {"versions": versions, "base": "/srv", "settings": {}}))
    rows = [
        ("north alone", 0.902, 0.021),
        ("south alone", 0.891, 0.026),
        ("west alone", 0.884, 0.031),
        ("east alone", 0.861, 0.038),
        ("pooled, no privacy", 0.958, 0.009),
        ("federated, no privacy", 0.951, 0.011),
        ("federated, as planned", 0.914, 0.017),
    ]
    table = [{"name": n, "accuracy": a, "spread": s, "seeds": 5} for n, a, s in rows]
    (folder / "baselines.json").write_text(json.dumps({"rows": table, "metric": "accuracy"}))


@pytest.fixture(scope="session")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """The plan of the study above."""
    return plan_of(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="session")
def written(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """The folder of a finished run, not to be changed."""
    place = tmp_path_factory.mktemp("written")
    folder = place / "breast-cancer-four-sites-20261124T090041-5f2c"
    folder.mkdir()
    (folder / "study.toml").write_text(STUDY)
    write_run(folder, plan, place / "budget.db")
    return Written(folder, place / "budget.db")


@pytest.fixture(scope="session")
def facts(written: Written) -> Facts:
    """The facts of that run."""
    return gather(written.folder, written.ledger)


@pytest.fixture
def copied(written: Written, tmp_path: Path) -> Written:
    """A copy of the folder and the ledger that a test may tamper with."""
    shutil.copytree(written.folder, tmp_path / "run")
    shutil.copy(written.database, tmp_path / "budget.db")
    return Written(tmp_path / "run", tmp_path / "budget.db")


@pytest.fixture
def run_of(tmp_path: Path) -> Callable[[str], Written]:
    """Write the run of another study text."""

    def make(text: str) -> Written:
        folder = tmp_path / "other"
        folder.mkdir()
        plan = plan_of(folder, text)
        write_run(folder, plan, None if plan.privacy is None else tmp_path / "other.db")
        return Written(folder, tmp_path / "other.db")

    return make


@pytest.fixture(scope="session")
def unprotected() -> str:
    """A study like the one above that claims no epsilon."""
    start, end = STUDY.index("[privacy]"), STUDY.index("[secure_aggregation]")
    claim = '[privacy]\nguarantee = "none"\nreason = "the data are public"\n'
    text = STUDY[:start] + claim + STUDY[end:]
    return text.replace("{ every = 4, epsilon = 0.6 }", "{ every = 4 }").replace(
        "local_steps = 5", "local_epochs = 1\nbatch_size = 16"
    )
