"""Prediction under homomorphic encryption: the roles of client and server, every message counted."""

from __future__ import annotations

import time

import numpy as np

from reticent import he
from reticent.advise.figures import Outcome
from reticent.advise.run_plain import Baseline, accuracy_of
from reticent.advise.trial import LARGEST, Trial
from reticent.identity import Roster, SigningKey

__all__ = ["predict_encrypted"]

PRECISION = 1e-2


def predict_encrypted(trial: Trial, plain: Baseline) -> Outcome:
    """Predict all test rows of a client with a server's model; compiling the model is planning, and not counted."""
    program = he.compile(plain.model, input_bounds=(-LARGEST, LARGEST), precision=PRECISION)
    keys = {name: SigningKey.generate() for name in ("client", "server")}
    roster = Roster({name: key.public for name, key in keys.items()})
    start = time.perf_counter()
    server = he.PredictionServer(
        program, he.Signed(keys["server"], roster, me="server", peer="client", session="trial")
    )
    client = he.PredictionClient(
        trial.test.features.astype(np.float64),
        he.Signed(keys["client"], roster, me="client", peer="server", session="trial"),
    )
    sent, rounds = 0, 0
    message: bytes | None = client.start()
    while message is not None:
        reply = server.answer(message)
        sent, rounds = sent + len(message) + len(reply), rounds + 1
        message = client.answer(reply)
    seconds = time.perf_counter() - start
    return Outcome(
        seconds,
        sent,
        rounds,
        accuracy_of(client.values, trial),
        len(trial.test),
        2,
        f"ring degree {program.parameters.degree}, {program.rows} rows in a ciphertext; "
        f"{client.evaluation_key_bytes / 1e6:.1f} MB of evaluation keys are sent once",
    )
