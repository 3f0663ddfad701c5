"""Needs and figures that the tests of this room share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from reticent.advise import Figure, Measurements, Needs, Outcome, Technique, Trial, example_trial, parse_needs


@pytest.fixture(scope="session")
def needs() -> Callable[..., Needs]:
    """Needs of four parties with rows who want to train, with changes."""

    def make(**changes: object) -> Needs:
        base: dict[str, object] = {
            "data": "rows",
            "parties": 4,
            "task": "train",
            "protect": (),
            "trusted_party": False,
            "published": False,
        }
        return parse_needs({**base, **changes}, where="test")

    return make


@pytest.fixture(scope="session")
def trial() -> Trial:
    """Breast Cancer Wisconsin."""
    return example_trial()


@pytest.fixture(scope="session")
def small(trial: Trial) -> Trial:
    """A part of it, for techniques that talk a lot."""
    return Trial("a part", trial.train.select(np.arange(96)), trial.test)


@pytest.fixture
def made_up() -> Measurements:
    """Two figures that nobody measured."""
    masked = (Technique.federated, Technique.masks)
    return Measurements(
        "made-up",
        "a machine",
        (
            Figure((Technique.federated,), "train", "logistic", Outcome(0.2, 1000, 10, 0.9, 400, 4), 0.1, 0.95),
            Figure(masked, "train", "logistic", Outcome(0.5, 10**6, 40, 0.9, 400, 4), 0.1, 0.95),
        ),
        (),
        0.7,
    )
