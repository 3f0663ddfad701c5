"""Split learning between one party and a server, and between two parties with different columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from reticent import split
from reticent.advise.driving import drive
from reticent.advise.figures import Outcome
from reticent.advise.run_federated import DELTA, EPSILON
from reticent.advise.run_plain import BATCH, EPOCHS, HIDDEN, RATE, Baseline, accuracy_of, make_model
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


def vertical(*, private: bool) -> Callable[[Trial, Baseline], Outcome]:
    """Return what trains with half of the columns at each of two parties; one of them holds the labels, which stay."""

    def run(trial: Trial, plain: Baseline) -> Outcome:
        return _vertical(trial, plain.kind, private=private)

    return run


def _vertical(trial: Trial, kind: str, *, private: bool) -> Outcome:
    settings = _settings("vertical", ("left", "right"), labels="right", middle=kind != "logistic", private=private)
    ids = [f"row-{number}" for number in range(len(trial.train))]
    test_ids = [f"test-{number}" for number in range(len(trial.test))]
    bottoms = {}
    clients = {}
    for site, part in zip(("left", "right"), trial.columns(), strict=True):
        bottoms[site] = _bottom(kind, part.stop - part.start)
        defences = _defences(site, len(trial.train)) if private else {}
        clients[site] = split.Client(
            (bottoms[site], nn.Identity()) if site == "right" else bottoms[site],
            _only(trial.train, part),
            settings,
            site=site,
            test=_only(trial.test, part),
            ids=ids,
            test_ids=test_ids,
            activations=defences.get("activations"),
            outputs=defences.get("outputs"),
        )
    top: nn.Module = _Sum() if kind == "logistic" else nn.Linear(HIDDEN, 2)
    server = split.Server(top, settings)
    if not private:
        return _outcome(server, clients, trial)
    traffic = drive(server, clients)
    with torch.no_grad():  # nothing was evaluated across the cut: that would be paid for, too
        parts = [
            bottoms[site].eval()(torch.from_numpy(trial.test.features[:, part].copy()))
            for site, part in zip(("left", "right"), trial.columns(), strict=True)
        ]
        scores = top.eval()(torch.cat(parts, dim=1)).numpy()
    note = f"epsilon {EPSILON:g} at delta {DELTA:g} for what a record says; accuracy of all parts put together"
    return Outcome(
        traffic.seconds, traffic.bytes, traffic.rounds, accuracy_of(scores, trial), len(trial.train), 3, note
    )


def _defences(site: str, rows: int) -> dict[str, split.Boundary]:
    """Return the boundaries of a site: its features, and the labels where they are; together they keep the target."""
    units = np.arange(rows)
    features = split.boundary_noise_multiplier(
        epsilon=EPSILON if site == "left" else EPSILON / 2,
        delta=DELTA if site == "left" else DELTA / 2,
        passes=EPOCHS,
        trains=True,
    )
    found: dict[str, split.Boundary] = {"activations": _boundary("activations", features, site, units)}
    if site == "right":
        labels = split.boundary_noise_multiplier(epsilon=EPSILON / 2, delta=DELTA / 2, passes=EPOCHS, trains=False)
        found["outputs"] = _boundary("outputs", labels, site, units)
    return found


def _boundary(
    kind: Literal["activations", "outputs"], noise: split.BoundaryNoise, site: str, units: NDArray[np.int64]
) -> split.Boundary:
    privacy = split.BoundaryPrivacy(
        kind=kind,
        passes=EPOCHS,
        noise=noise,
        max_norm=1.0,
        max_update_norm=1.0 if noise.updates is not None else None,
        unit="record",
        relation="replace_one",
        population=site,
        dataset="trial",
    )
    return split.GaussianBoundary(privacy, units=units)


def _bottom(kind: str, width: int) -> nn.Module:
    return nn.Linear(width, 2) if kind == "logistic" else nn.Sequential(nn.Linear(width, HIDDEN // 2), nn.ReLU())


def _only(examples: Examples, columns: slice) -> Examples:
    return Examples(np.ascontiguousarray(examples.features[:, columns]), examples.labels, examples.units)


def _settings(
    shape: str, sites: tuple[str, ...], *, labels: str | None = None, middle: bool = True, private: bool = False
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
        evaluations=() if private else (EPOCHS,),
    )


def _outcome(server: split.Server, clients: dict[str, split.Client], trial: Trial) -> Outcome:
    traffic = drive(server, clients)
    metrics = server.finished.metrics if server.finished is not None else None
    accuracy = metrics.accuracy if metrics is not None else None
    return Outcome(
        traffic.seconds, traffic.bytes, traffic.rounds, accuracy or 0.0, len(trial.train), len(clients) + 1, _LEAK
    )
