"""Small studies of split learning and secure computation: one made-up table, by rows or by columns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reticent.ledger import Ledger

HEAD = """
schema = 1
[study]
name = "KIND"
purpose = "test"
contact = "dpo@example.org"
[data]
kind = "table"
person = "id"
test_fraction = 0.25
split_key = "k"
columns = [
  { name = "age", kind = "number", range = [0, 100] },
  { name = "height", kind = "number", range = [100, 220] },
  { name = "smoker", kind = "category", values = ["no", "yes"] },
  { name = "outcome", kind = "label", values = ["no", "yes"] },
]
[release]
metrics = { every = 0 }
[run]
deadline = 60
"""
NONE = '[privacy]\nguarantee = "none"\nreason = "made up"\n'
EPSILON = """
[privacy]
guarantee = "differential-privacy"
unit = "record"
relation = "replace_one"
target = { epsilon = 8.0, delta = 1e-4 }
max_grad_norm = 1.0
max_activation_norm = 2.0
max_gradient_norm = 0.5
spare_executions = 1
"""
LEARNING = '[learning]\nmethod = "METHOD"\nrounds = 3\nbatch_size = 8\nlearning_rate = 0.3\nseed = 1\n'
SPLIT = """
[model]
factory = "reticent.training.models:two_layer"
loss = "cross_entropy"
[split]
cut = "1"
head = "2"
"""
VERTICAL = """
[model]
factory = "reticent.training.models:logistic"
loss = "cross_entropy"
[split]
width = 3
top = "reticent.training.models:two_layer"
"""
SHARED = """
[model]
factory = "reticent.training.models:logistic"
loss = "binary_cross_entropy_with_logits"
[secure_computation]
protocol = "PROTOCOL"
holds = "HOLDS"
"""
COLUMNS = {"lab": ["age"], "scan": ["height"], "clinic": ["smoker", "outcome"]}
ROWS = ("east", "north", "south")


@pytest.fixture
def people() -> pd.DataFrame:
    """Return 120 made-up people, whose age tells the outcome."""
    return made_up(120)


def made_up(count: int) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    age = rng.uniform(20, 90, count)
    return pd.DataFrame(
        {
            "id": [f"p{number:03d}" for number in range(count)],
            "age": age,
            "height": rng.uniform(150, 200, count),
            "smoker": rng.choice(["no", "yes"], count),
            "outcome": np.where(age + rng.normal(0, 6, count) > 55, "yes", "no"),
        }
    )


@pytest.fixture
def technique(tmp_path: Path) -> Callable[..., Path]:
    """Return what writes a study of a kind, its tables, and where an epsilon is claimed a ledger with grants."""

    def write(kind: str, changes: dict[str, str] | None = None, *, epsilon: bool = False) -> Path:
        method, _, holds = kind.partition(" ")
        text = HEAD.replace("KIND", method) + LEARNING.replace("METHOD", method)
        body = {"split": SPLIT, "vertical": VERTICAL, "secure-computation": SHARED}[method]
        text += body.replace("HOLDS", holds or "rows").replace("PROTOCOL", "replicated")
        text += EPSILON if epsilon else NONE
        frame = made_up(120)
        by_columns = method == "vertical" or holds == "columns"
        if by_columns and epsilon:
            text = text.replace("spare_executions = 1", "spare_executions = 1\nsites_per_person = 3")
        if epsilon:
            text = text.replace("metrics = { every = 0 }", 'metrics = "none"')
        for number, site in enumerate(COLUMNS if by_columns else ROWS):
            part = frame[["id", *COLUMNS[site]]].sample(frac=1, random_state=number) if by_columns else frame[number::3]
            part.to_csv(tmp_path / f"{site}.csv", index=False)
            text += f'[sites.{site}]\nrows = {90 if by_columns else 30}\nfile = "{site}.csv"\n'
            text += f"columns = {COLUMNS[site]}\n".replace("'", '"') if by_columns else ""
            if epsilon:
                Ledger(f"sqlite:///{tmp_path}/budget.db").grant(
                    site, epsilon=20.0, delta=1e-3, unit="record", relation="replace_one", reason="test", signer="t"
                )
        for old, new in (changes or {}).items():
            assert old in text, old
            text = text.replace(old, new)
        path = tmp_path / "study.toml"
        path.write_text(text)
        return path

    return write
