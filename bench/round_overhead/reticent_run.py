"""reticent's full path, `reticent.plan` and `reticent.run`: envelopes signed and checked, every reply journalled, every
round logged and checkpointed, all of it on disk before the next step; sums in the clear or under masks.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import workload

import reticent
from reticent.federated import learner


def plan_of(task: workload.Workload, protocol: str, folder: Path) -> Any:
    return reticent.plan(
        model=task.make_model,
        loss="cross_entropy",
        sites={f"site-{number:03}": task.rows for number in range(task.clients)},
        data={
            "kind": "tensor",
            "shape": list(workload.SHAPE),
            "classes": workload.CLASSES,
            "range": [0.0, 1.0],
            "person": "row",
        },
        learning={
            "method": "fedavg",
            "rounds": task.rounds,
            "local_epochs": 1.0,
            "batch_size": workload.BATCH,
            "learning_rate": workload.LEARNING_RATE,
            "seed": 0,
        },
        privacy={"guarantee": "none", "reason": "random numbers, for a measurement of time"},
        # One in five may vanish: the masks' keys are shared so that the other four restore a sum.
        aggregation={"protocol": protocol, "dropouts": task.clients // 5},
        release={"metrics": "none"},
        ledger={"url": f"sqlite:///{folder / 'budget.db'}"},
    )


def main() -> None:
    task, given = workload.arguments(protocol=("plain", "secagg"))
    clock = workload.Clock()
    learner.fit_plain = clock.timing(learner.fit_plain)

    def observer(event: Any) -> None:
        if (event.name, event.when) == ("round", "after"):
            clock.round_ended()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bound = plan_of(task, given.protocol, folder)
        data = dict(zip((site.name for site in bound.plan.sites), task.data, strict=True))
        result = reticent.run(bound, data=data, directory=folder / "runs", observer=observer)
        clock.report(task, result.model(), "reticent", "cryptography")


if __name__ == "__main__":
    main()
