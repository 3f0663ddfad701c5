"""Secure computation between three parties in threads: training a regression, and prediction with a secret model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reticent import mpc
from reticent.advise.figures import Outcome
from reticent.advise.run_plain import BATCH, EPOCHS, RATE, Baseline, accuracy_of
from reticent.advise.trial import Trial

__all__ = ["predict_shared", "train_shared"]


def train_shared(trial: Trial, _plain: Baseline) -> Outcome:
    """Fit a logistic regression whose columns lie at two parties; a third one computes with them. The model is opened."""
    left, right = trial.columns()
    features, labels = trial.train.features.astype(np.float64), trial.train.labels.astype(np.float64)
    rows = len(trial.train)
    shapes = ((rows, left.stop - left.start), (rows, right.stop - right.start), None)
    batches = mpc.cyclic_batches(rows, BATCH, EPOCHS * -(-rows // BATCH))

    def program(session: mpc.Session) -> tuple[NDArray[np.float64], float] | None:
        fitted = mpc.logistic_regression(
            session, columns="split", shapes=shapes, labels=1, batches=batches, learning_rate=2 * RATE
        )
        opened: tuple[NDArray[np.float64], float] | None = fitted.reveal()
        return opened

    (weights, intercept), cost = mpc.run_local(
        program, inputs=[{"x": features[:, left]}, {"x": features[:, right], "y": labels}, {}]
    )
    scores = trial.test.features @ weights + intercept
    total = cost.total()
    return Outcome(
        total.seconds,
        total.bytes_sent,
        total.rounds,
        accuracy_of(np.stack([-scores, scores], axis=1), trial),
        rows,
        3,
        "no two of the three parties may put their shares together",
    )


def predict_shared(trial: Trial, plain: Baseline) -> Outcome:
    """Predict all test rows of one party with the model of another; neither sees what the other has."""
    import torch

    features = trial.test.features.astype(np.float64)
    example = torch.zeros((1, trial.width))

    def program(session: mpc.Session) -> NDArray[np.float64] | None:
        model = session.compile(plain.model, example, owner=1)
        opened: NDArray[np.float64] | None = model(session.input("x", owner=0, shape=features.shape)).reveal(to=0)
        return opened

    outputs, cost = mpc.run_local(program, inputs=[{"x": features}, {}, {}])
    total = cost.total()
    return Outcome(
        total.seconds,
        total.bytes_sent,
        total.rounds,
        accuracy_of(outputs[0], trial),
        len(features),
        3,
        "no two of the three parties may put their shares together",
    )
