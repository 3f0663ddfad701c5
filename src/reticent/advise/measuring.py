"""Runs each technique once, small, on this machine, and writes down what it took. No figure is a constant.

The runs stand in `RUNS`. What needs an extra that is not installed is listed as missing, and the rest goes on.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

from reticent.advise.figures import Figure, Measurements, Missing, Outcome
from reticent.advise.techniques import Technique
from reticent.advise.trial import Trial, example_trial
from reticent.errors import EnvironmentFault

if TYPE_CHECKING:
    from reticent.advise.run_plain import Baseline

__all__ = ["Run", "measure", "runs"]

T = Technique
_REPEATS = 3
_QUICK = 1.0


@dataclass(frozen=True, slots=True)
class Run:
    """One technique on one task and model; `activation` is that of the plain run it is compared with."""

    techniques: tuple[Technique, ...]
    task: Literal["train", "predict"]
    model: Literal["logistic", "mlp"]
    function: Callable[[Trial, Baseline], Outcome]
    activation: str = "relu"

    @property
    def name(self) -> str:
        """For people: techniques, task and model."""
        return f"{' + '.join(self.techniques)}, {self.task}, {self.model}"


def runs() -> tuple[Run, ...]:
    """Return everything that can be measured; imports torch."""
    return tuple(_runs())


def measure(
    trial: Trial | None = None,
    *,
    only: Collection[tuple[Technique, ...]] | None = None,
    models: Collection[str] = ("logistic", "mlp"),
    say: Callable[[str], object] = str,
) -> Measurements:
    """Run the techniques and return what they took.

    Args:
      trial: The data; Breast Cancer Wisconsin if not given.
      only: Combinations of techniques to run; all if not given. The plain run is always made.
      models: `logistic`, `mlp` or both.
      say: Is told the name of each run before it starts.

    Raises:
      EnvironmentFault: If no data are given and scikit-learn is not installed.
    """
    start, machine = time.perf_counter(), _machine()
    trial = example_trial() if trial is None else trial
    chosen = [run for run in runs() if run.model in models and (only is None or run.techniques in {(T.plain,), *only})]
    known: dict[tuple[str, str], Baseline] = {}
    figures, missing = [], []
    with _one_thread():
        for run in chosen:
            say(run.name)
            try:
                figures.append(_figure(run, trial, known))
            except EnvironmentFault as error:
                missing.append(Missing(run.name, f"{error.message}; {error.hint}"))
    data = f"{trial.name}: {len(trial.train)} rows to train on, {len(trial.test)} to judge by, {trial.width} columns"
    return Measurements(data, machine, tuple(figures), tuple(missing), time.perf_counter() - start)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch use one thread: on models this small a second one only waits, and the waiting depends on the machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _figure(run: Run, trial: Trial, known: dict[tuple[str, str], Baseline]) -> Figure:
    from reticent.advise.run_plain import baseline

    key = (run.model, run.activation)
    if key not in known:
        if not known:
            baseline(trial, "logistic")  # what torch does once, at its first step, is nobody's overhead
        known[key] = baseline(trial, *key)
    plain = known[key]
    outcome = _best(run, trial, plain)
    beside = plain.train if run.task == "train" else plain.predict
    per_row = outcome.rows / beside.rows if run.task == "predict" else 1.0
    return Figure(run.techniques, run.task, run.model, outcome, beside.seconds * per_row, beside.accuracy)


def _best(run: Run, trial: Trial, plain: Baseline) -> Outcome:
    """Run once, or a few times if it is quick: other work on the machine makes a run slower and never faster."""
    outcomes = [run.function(trial, plain)]
    while len(outcomes) < _REPEATS and sum(outcome.seconds for outcome in outcomes) < _QUICK:
        outcomes.append(run.function(trial, plain))
    return min(outcomes, key=lambda outcome: outcome.seconds)


def _runs() -> Iterator[Run]:
    from reticent.advise.run_encryption import predict_encrypted
    from reticent.advise.run_federated import federation
    from reticent.advise.run_sharing import predict_shared, train_shared
    from reticent.advise.run_split import u_shape, vertical

    for model in ("logistic", "mlp"):
        yield Run((T.plain,), "train", model, _plain_training)
        yield Run((T.federated,), "train", model, federation(private=False, masked=False))
        yield Run((T.federated, T.privacy), "train", model, federation(private=True, masked=False))
        yield Run((T.federated, T.masks), "train", model, federation(private=False, masked=True))
        yield Run((T.federated, T.privacy, T.masks), "train", model, federation(private=True, masked=True))
        if model != "logistic":  # a single layer has no place to cut
            yield Run((T.cut,), "train", model, u_shape)
        yield Run((T.vertical,), "train", model, vertical(private=False))
        yield Run((T.vertical, T.privacy), "train", model, vertical(private=True))
        if model == "logistic":
            yield Run((T.sharing,), "train", model, train_shared)
        yield Run((T.plain,), "predict", model, _plain_prediction)
        yield Run((T.sharing,), "predict", model, predict_shared)
        yield Run((T.encryption,), "predict", model, predict_encrypted, "relu" if model == "logistic" else "square")


def _plain_training(_trial: Trial, plain: Baseline) -> Outcome:
    return plain.train


def _plain_prediction(_trial: Trial, plain: Baseline) -> Outcome:
    return plain.predict


def _machine() -> str:
    """Say what the machine is, without its name, and how busy it was."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("reticent", "torch", "numpy"))
    python = f"Python {platform.python_version()}"
    load = f"load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"
    return f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}, {python}, {versions}, {load}"
