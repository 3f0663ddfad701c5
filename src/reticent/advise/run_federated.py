"""Federated learning alone, under differential privacy, under masks, and all three: the roles, with messages counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from reticent import dp, federated, training
from reticent.advise.driving import drive
from reticent.advise.figures import Outcome
from reticent.advise.run_plain import BATCH, EPOCHS, RATE, Baseline, make_model
from reticent.advise.trial import PARTIES, Trial
from reticent.identity import Roster, SigningKey

__all__ = ["DELTA", "EPSILON", "federation"]

EPSILON, DELTA = 3.0, 1e-5
_SAMPLING = 0.25
_STEPS = 4  # local steps in a round: as many as one pass at this sampling probability
_CLIP = 1.0


def federation(*, private: bool, masked: bool) -> Callable[[Trial, Baseline], Outcome]:
    """Return what runs FedAvg over `PARTIES` sites with these protections."""

    def run(trial: Trial, plain: Baseline) -> Outcome:
        return _run(trial, plain.kind, private=private, masked=masked)

    return run


def _run(trial: Trial, kind: str, *, private: bool, masked: bool) -> Outcome:
    sites = trial.sites()
    weights = {name: len(part) / len(trial.train) for name, part in sites.items()}
    keys = {name: SigningKey.generate() for name in sites}
    roster = Roster({name: key.public for name, key in keys.items()})
    aggregation = federated.Aggregation(protocol="secagg" if masked else "plain", cohort=PARTIES)
    noise = _noise_multiplier() if private else 0.0  # part of planning, so not part of the time
    clients = {
        name: federated.Client(
            _model(trial, kind, private=private),
            _local(weights[name], len(part), noise, name),
            aggregation,
            train=part,
            test=part,
            name=name,
            key=keys[name],
            roster=roster,
        )
        for name, part in sites.items()
    }
    server = federated.Server(
        training.flatten(_model(trial, kind, private=private)),
        weights=weights,
        schedule=federated.Schedule(rounds=EPOCHS),
        aggregation=aggregation,
        classes=2,
        private=private,
        roster=roster if masked else None,
    )
    traffic = drive(server, clients)
    model = _model(trial, kind, private=private)
    training.load_flat(model, server.model)
    accuracy = training.evaluate(model, nn.functional.cross_entropy, trial.test, 2).accuracy
    return Outcome(
        traffic.seconds,
        traffic.bytes,
        traffic.rounds,
        accuracy or 0.0,
        len(trial.train),
        PARTIES + 1,
        f"epsilon {EPSILON:g} at delta {DELTA:g} for every record of every site" if private else "",
    )


def _model(trial: Trial, kind: str, *, private: bool) -> nn.Sequential:
    return make_model(kind, trial.width, "tanh" if private else "relu")


def _noise_multiplier() -> float:
    return dp.noise_multiplier(
        epsilon=EPSILON,
        delta=DELTA,
        sampling_probability=_SAMPLING,
        steps=EPOCHS * _STEPS,
        relation="add_or_remove_one",
    )


def _local(weight: float, rows: int, noise: float, name: str) -> federated.LocalTraining:
    private = None
    if noise:
        private = federated.PrivateTraining(
            unit="record",
            relation="add_or_remove_one",
            population_size=rows,
            expected_batch_size=_SAMPLING * rows,
            sampling_probability=_SAMPLING,
            noise_multiplier=noise,
            metrics_noise_multiplier=None,
            max_grad_norm=_CLIP,
            population=name,
            dataset="trial",
        )
    return federated.LocalTraining(
        weight=weight,
        classes=2,
        loss=nn.functional.cross_entropy,
        optimizer=_optimizer(5 * RATE if private else RATE),
        batch_size=None if private else BATCH,
        local_steps=_STEPS if private else None,
        local_epochs=None if private else 1,
        seed=None if private else 1,
        private=private,
    )


def _optimizer(rate: float) -> Callable[[Any], torch.optim.Optimizer]:
    return training.optimizer_factory("sgd", learning_rate=rate)
