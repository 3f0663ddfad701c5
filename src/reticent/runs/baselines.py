"""What the plan's model is worth: each site alone, pooled, federated without and with privacy, over several seeds.

Exact figures about data are releases. They are computed only where the study declares its data public, as on a
laptop with published records; a federation over protected records has no pooled baseline, and none is made up.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping
from typing import Any

import numpy as np

from reticent.data import AlignedColumns, Examples, Prepared
from reticent.errors import PolicyRefused
from reticent.federated import LocalTraining, simulate
from reticent.runs.binding import Binding
from reticent.runs.splitting import features_of_site
from reticent.study import Plan

__all__ = ["baselines"]


def baselines(binding: Binding, prepared: Mapping[str, Prepared | AlignedColumns], *, seeds: int) -> dict[str, Any]:
    """Return accuracy on all sites' held-out rows together, as mean and standard deviation over `seeds`.

    Every arm takes as many optimiser steps as the plan gives a site in the whole run. A model that is cut, or computed on
    shares, is trained here in one piece and in the clear; where sites hold columns, only on all of them together.

    Raises:
      PolicyRefused: If the study does not declare its data public.
    """
    plan = binding.plan
    if not plan.public_data:
        raise PolicyRefused(
            "baselines-need-public-data",
            "data.public is false: exact baselines would disclose what the plan protects",
            hint="compare on public or synthetic records; set data.public = true only if the records are published",
        )
    rows = {name: part for name, part in prepared.items() if isinstance(part, Prepared)}
    train, test = _pooled(plan, prepared)
    runs: dict[str, list[float]] = {}
    for seed in range(seeds):
        for name, part in rows.items():
            alone = _fit(binding, part.train, name, seed)
            runs.setdefault(f"{name} alone", []).append(_accuracy(binding, alone, test))
        pooled = _fit(binding, train, plan.sites[0].name, seed)
        runs.setdefault("pooled, no privacy", []).append(_accuracy(binding, pooled, test))
        if not plan.federated:
            continue
        for label, private in (("federated, no privacy", False), ("federated, as planned", True)):
            if private and plan.privacy is None:
                continue
            model = _federated(binding, rows, seed, private=private)
            runs.setdefault(label, []).append(_accuracy(binding, model, test))
    table = [
        {
            "name": name,
            "accuracy": statistics.fmean(values),
            "spread": statistics.stdev(values) if len(values) > 1 else None,
            "seeds": len(values),
        }
        for name, values in runs.items()
    ]
    return {"metric": "accuracy on the held-out rows of all sites", "rows": table}


def _pooled(plan: Plan, prepared: Mapping[str, Prepared | AlignedColumns]) -> tuple[Examples, Examples]:
    """Return the training and the test rows of all sites together."""
    rows = [part for part in prepared.values() if isinstance(part, Prepared)]
    if rows:
        return _join([part.train for part in rows]), _join([part.test for part in rows])
    columns = {name: part for name, part in prepared.items() if isinstance(part, AlignedColumns)}
    found = []
    for task in ("train", "test"):
        features = np.zeros((len(getattr(next(iter(columns.values())), task)), plan.contract.n_features), np.float32)
        labels: Any = None
        for name, part in columns.items():
            features[:, features_of_site(plan.contract, plan.columns(name))] = getattr(part, task)
            own = getattr(part, f"{task}_labels")
            labels = own if own is not None else labels
        found.append(Examples.of(features, labels))
    return found[0], found[1]


def _join(parts: list[Examples]) -> Examples:
    offset = np.cumsum([0, *(part.n_units for part in parts)])
    return Examples(
        features=np.concatenate([part.features for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        units=np.concatenate([part.units + start for part, start in zip(parts, offset, strict=False)]),
    )


def _steps(plan: Plan, rows: int) -> int:
    """Return the optimiser steps that a site takes in the whole run."""
    site = plan.sites[0]
    per_round = site.local_steps
    if per_round is None:
        per_round = max(1, round((site.local_epochs or 1.0) * rows / (plan.training.batch_size or rows)))
    return plan.training.rounds * per_round


def _plain(training: LocalTraining, seed: int, batch_size: int | None) -> LocalTraining:
    return dataclasses.replace(training, private=None, seed=seed, batch_size=training.batch_size or batch_size)


def _batch_size(plan: Plan, name: str) -> int | None:
    expected = plan.site(name).expected_batch_size
    return plan.training.batch_size or (None if expected is None else max(1, round(expected)))


def _fit(binding: Binding, train: Examples, name: str, seed: int) -> Any:
    from reticent.training import fit_plain

    model = binding.model()
    training = _plain(binding.training(name), seed, _batch_size(binding.plan, name))
    optimizer = training.optimizer([parameter for parameter in model.parameters() if parameter.requires_grad])
    fit_plain(
        model,
        training.loss,
        optimizer,
        train,
        batch_size=training.batch_size,
        local_epochs=None,
        local_steps=_steps(binding.plan, len(train)),
        seed=seed,
        proximal=0.0,
    )
    return model


def _federated(binding: Binding, prepared: Mapping[str, Prepared], seed: int, *, private: bool) -> Any:
    from reticent.training import load_flat

    server = binding.federated_server(run="baseline", roster=None, metrics=False)
    clients = {}
    for name, part in prepared.items():
        training = binding.training(name)
        if not private:
            training = _plain(training, seed, _batch_size(binding.plan, name))
        clients[name] = binding.federated_client(name, part, key=None, roster=None, training=training)
    simulate(server, clients)
    model = binding.model()
    load_flat(model, server.model)
    return model


def _accuracy(binding: Binding, model: Any, test: Examples) -> float:
    from reticent.training import evaluate

    found = evaluate(model, binding.training(binding.plan.sites[0].name).loss, test, len(binding.plan.contract.classes))
    return float(np.trace(found.confusion) / max(1, found.confusion.sum()))
