"""A study whose persons train alone runs, learns, and is verified."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

import reticent
from reticent.ledger import Ledger
from reticent.report import gather, verify

STUDY = """
schema = 1
[study]
name = "visits"
purpose = "test"
contact = "dpo@example.org"
[data]
kind = "table"
person = "id"
test_fraction = 0.25
split_key = "k"
columns = [
  { name = "age", kind = "number", range = [0, 100] },
  { name = "outcome", kind = "label", values = ["no", "yes"] },
]
[model]
factory = "reticent.training.models:logistic"
loss = "cross_entropy"
[learning]
method = "fedavg"
rounds = 6
local_epochs = 2
batch_size = 4
learning_rate = 1.0
[privacy]
guarantee = "differential-privacy"
unit = "person"
relation = "add_or_remove_one"
target = { epsilon = 8.0, delta = 1e-4 }
clipping_norm = 1.0
sampling_probability = 0.5
[secure_aggregation]
protocol = "plain"
[release]
metrics = { every = 0, epsilon = 2.0 }
[run]
deadline = 60
[sites]
north = { rows = 300 }
south = { rows = 300 }
"""


def visits(seed: int) -> pd.DataFrame:
    """Three rows a person; the outcome follows from age."""
    source = np.random.default_rng(seed)
    age = np.repeat(source.integers(10, 90, 400), 3).astype(float)
    ids = np.repeat(np.arange(400), 3)
    return pd.DataFrame({"id": ids, "age": age, "outcome": np.where(age > 50, "yes", "no")})


def test_persons_who_train_alone_teach_a_model(tmp_path: Path) -> None:
    """Accuracy without learning is one half; .75 was exceeded by more than .1 in every trial."""
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    book = Ledger(f"sqlite:///{tmp_path / 'budget.db'}")
    for site in ("north", "south"):
        book.grant(
            site, epsilon=8.0, delta=1e-4, unit="person", relation="add_or_remove_one", reason="test", signer="tests"
        )
    result = reticent.run(reticent.plan(path), data={"north": visits(1), "south": visits(2)})
    assert result.metrics[-1]["accuracy"] > 0.75
    assert all(check.result == "ok" for check in verify(result.folder, book))
    facts = gather(result.folder, book)
    assert "each sampled person trains alone" in facts.model_dump_json()
    assert facts.sites[0].releases[0].made == 6
