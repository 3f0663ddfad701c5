"""Split learning between one party and a server, and between two parties with different columns: nothing is noised."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from reticent import split
from reticent.advise.driving import drive
from reticent.advise.figures import Outcome
from reticent.advise.run_plain import BATCH, EPOCHS, HIDDEN, RATE, Baseline, make_model
from reticent.advise.trial import Trial
from reticent.data import Examples

__all__ = ["u_shape", "vertical"]

_LEAK = "no guarantee: activations and gradients of single records leave the party"


class _Sum(nn.Module):
    """Adds the two parties' scores up: the whole model is then one linear layer over all columns."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return `(n, 2)` from `(n, 4)`."""
        return x[:, :2] + x[:, 2:]


def u_shape(trial: Trial, plain: Baseline) -> Outcome:
    """Train the MLP with the middle at a server; rows and labels stay, and only tensors at the two cuts travel."""
    model = make_model(plain.kind, trial.width)
    bottom, middle, head = split.cut(_deeper(model), at=("bottom", "middle"))
    settings = _settings("u-shape", ("clinic",))
    clients = {"clinic": split.Client((bottom, head), trial.train, settings, site="clinic", test=trial.test)}
    return _outcome(split.Server(middle, settings), clients, trial)


def _deeper(model: nn.Sequential) -> nn.Module:
    """Return first layer, a middle of the same width, last layer, by name: a U-shape needs three parts."""
    named = nn.Sequential()
    named.add_module("bottom", nn.Sequential(model[0], model[1]))
    named.add_module("middle", nn.Sequential(nn.Linear(HIDDEN, HIDDEN), nn.ReLU()))
    named.add_module("head", model[2])
    return named


def vertical(trial: Trial, plain: Baseline) -> Outcome:
    """Train with half of the columns at each of two parties; one of them holds the labels, and they stay there."""
    left, right = trial.columns()
    settings = _settings("vertical", ("left", "right"), labels="right", middle=plain.kind != "logistic")
    ids = [f"row-{number}" for number in range(len(trial.train))]
    test_ids = [f"test-{number}" for number in range(len(trial.test))]
    clients = {}
    for site, part in (("left", left), ("right", right)):
        bottom = _bottom(plain.kind, part.stop - part.start)
        clients[site] = split.Client(
            (bottom, nn.Identity()) if site == "right" else bottom,
            _only(trial.train, part),
            settings,
            site=site,
            test=_only(trial.test, part),
            ids=ids,
            test_ids=test_ids,
        )
    top: nn.Module = _Sum() if plain.kind == "logistic" else nn.Linear(HIDDEN, 2)
    return _outcome(split.Server(top, settings), clients, trial)


def _bottom(kind: str, width: int) -> nn.Module:
    return nn.Linear(width, 2) if kind == "logistic" else nn.Sequential(nn.Linear(width, HIDDEN // 2), nn.ReLU())


def _only(examples: Examples, columns: slice) -> Examples:
    return Examples(np.ascontiguousarray(examples.features[:, columns]), examples.labels, examples.units)


def _settings(
    shape: str, sites: tuple[str, ...], *, labels: str | None = None, middle: bool = True
) -> split.SplitTraining:
    optimizer = split.Optimizer(name="sgd", learning_rate=RATE)
    return split.SplitTraining(
        shape=shape,  # type: ignore[arg-type]  # one of the two words above
        sites=sites,
        start="given",
        epochs=EPOCHS,
        batch_size=BATCH,
        classes=2,
        bottom_optimizer=optimizer,
        server_optimizer=optimizer if middle else None,
        head_optimizer=optimizer if labels is None else None,
        labels=labels,
        evaluations=(EPOCHS,),
    )


def _outcome(server: split.Server, clients: dict[str, split.Client], trial: Trial) -> Outcome:
    traffic = drive(server, clients)
    metrics = server.finished.metrics if server.finished is not None else None
    accuracy = metrics.accuracy if metrics is not None else None
    return Outcome(
        traffic.seconds, traffic.bytes, traffic.rounds, accuracy or 0.0, len(trial.train), len(clients) + 1, _LEAK
    )
