"""A client behind boundaries: each pass is paid once, nothing passes beside them, and no promise is made in vain."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from reticent import split
from reticent.data import Examples
from reticent.dp import Gaussian, Grant, Release, flatten
from reticent.errors import IdentityError, PolicyRefused
from reticent.messages import decode, encode
from reticent.roles import Request
from reticent.split.wire import Activations, BatchRequest, Counts, HeadGradient, HeadRequest, Open

SITE = "north"


class Pass:
    """A pass that changes nothing and remembers what went through it."""

    def __init__(self, owner: Glass) -> None:
        self._owner = owner

    def release(self, values: torch.Tensor, *, rows: Any, units: Any) -> torch.Tensor:
        assert not values.requires_grad
        assert len(values) == len(rows) == len(units)
        self._owner.released += rows.tolist()
        return values.clone()

    def update(self, bottom: nn.Module, features: Any, returned: Any, optimizer: Any, *, rows: Any) -> None:
        """Learn as an undefended bottom does: from the mean of the rows' gradients."""
        optimizer.zero_grad()
        bottom(features).backward(returned / len(rows))
        optimizer.step()
        self._owner.learned += rows.tolist()


class Glass:
    """A boundary that lets everything through."""

    def __init__(self, *, trains: bool, noise: float) -> None:
        self.trains = trains
        self.event = Gaussian(noise)
        self.released: list[int] = []
        self.learned: list[int] = []
        self.tests: Glass | None = None

    def check_bottom(self, bottom: nn.Module, shape: tuple[int, ...]) -> None:
        assert shape == (6,)

    def check_loss(self, loss: Any, classes: int) -> frozenset[tuple[int, ...]]:
        assert classes in (2, 3)
        return frozenset({(classes,), (1,)})

    def for_tests(self, units: Any) -> Glass:
        self.tests = Glass(trains=False, noise=self.event.noise_multiplier + 100)
        return self.tests

    def cost(self) -> Release:
        return Release(events=(self.event,), unit="record", relation="replace_one", population="ward-7", dataset="1")

    def open(self, grant: Grant) -> Pass:
        grant.draw(self.event)
        return Pass(self)


def boundaries() -> tuple[Glass, Glass]:
    return Glass(trains=True, noise=3.0), Glass(trains=False, noise=5.0)


def settings_of(world: Any, **changes: Any) -> split.SplitTraining:
    return world.settings(**{"shape": "u-shape", "epochs": 2, **changes})


def test_open_boundaries_change_nothing(world: Any) -> None:
    """Every row passes each boundary once in a pass, with the numbers of an undefended run, and nothing beside it."""
    settings = settings_of(world)
    data = {SITE: world.rows((6,), 64)}
    plain, defended = world.model("mlp"), world.model("mlp")
    split.simulate(*world.parties(plain, ("0", "3"), data, settings))
    features, labels = boundaries()
    split.simulate(*world.parties(defended, ("0", "3"), data, settings, activations=features, outputs=labels))
    assert Counter(features.released) == Counter(labels.released) == Counter(list(range(64)) * 2)
    assert Counter(features.learned) == Counter(list(range(64)) * 2)
    # Batches of 16: multiplying and dividing by their size is exact.
    assert world.difference(plain, defended) == 0.0


def test_a_pass_is_paid_when_it_opens_and_never_for_a_batch(world: Any) -> None:
    settings = settings_of(world, evaluations=(2,))
    data = {SITE: world.rows((6,), 50)}
    features, labels = boundaries()
    clients, server = world.parties(
        world.model("mlp"),
        ("0", "3"),
        data,
        settings,
        test=data,
        activations=features,
        outputs=labels,
        metrics_noise_multiplier=2.0,
    )
    paid: list[tuple[str, Any]] = []
    while (exchange := server.step()) is not None:
        request = Request("run", exchange.round, exchange.attempt, exchange.phase, exchange.requests[SITE])
        cost = clients[SITE].cost(request)
        if cost is not None:
            assert (cost.unit, cost.relation, cost.population, cost.dataset) == ("record", "replace_one", "ward-7", "1")
            paid.append((exchange.phase, flatten(cost.events)))
        grant = None if cost is None else Grant.without_ledger(cost.events)
        server.feed({SITE: clients[SITE].handle(request, grant).message}, frozenset())
    training = ("train/open", Counter({Gaussian(3.0): 1, Gaussian(5.0): 1}))
    assert paid == [training, training, ("evaluate/open", Counter({Gaussian(103.0): 1, Gaussian(2.0): 1}))]
    assert features.tests is not None
    assert sorted(features.tests.released) == list(range(50))


def test_without_a_grant_no_pass_opens(world: Any) -> None:
    settings = settings_of(world)
    features, labels = boundaries()
    clients, _ = world.parties(
        world.model("mlp"), ("0", "3"), {SITE: world.rows((6,), 50)}, settings, activations=features, outputs=labels
    )
    opening = Request("run", 1, 1, "train/open", encode(Open(settings.digest())))
    for grant in (None, Grant.without_ledger([]), Grant.without_ledger([Gaussian(3.0)])):
        with pytest.raises(PolicyRefused) as caught:
            clients[SITE].handle(opening, grant)
        assert caught.value.code == "noise-not-granted"
        with pytest.raises(PolicyRefused) as caught:
            clients[SITE].handle(Request("run", 1, 1, "train/batch-0", encode(BatchRequest(None))), None)
        assert caught.value.code == "split-attempt-lost"


def test_counts_are_noised_and_exact_figures_stay(world: Any) -> None:
    """A defended evaluation sends counts with noise, no loss and no AUC; the exact ones are notes of the site."""
    settings = settings_of(world, epochs=1, evaluations=(1,), classes=2)
    data = {SITE: world.rows((6,), 50, classes=2)}
    features, labels = boundaries()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    clients, server = world.parties(
        model,
        ("0", "1"),
        data,
        settings,
        test=data,
        activations=features,
        outputs=labels,
        metrics_noise_multiplier=1.0,
    )
    states = []
    while (exchange := server.step()) is not None:
        request = Request("run", exchange.round, exchange.attempt, exchange.phase, exchange.requests[SITE])
        cost = clients[SITE].cost(request)
        reply = clients[SITE].handle(request, None if cost is None else Grant.without_ledger(cost.events))
        if exchange.phase == "evaluate/close":
            counts = decode(reply.message, Counts, limit=1 << 20)
            assert (counts.loss_sum, counts.rows, counts.auc) == (None, None, None)
            states.append(reply.state)
        server.feed({SITE: reply.message}, frozenset())
    metrics = server.finished.metrics
    assert metrics.confusion.sum() != 50
    assert abs(metrics.confusion.sum() - 50) < 40  # standard deviation 2: beyond 20 of them, under 1e-80
    assert b'"rows": 50' in states[0]


def test_a_real_boundary_trains_and_is_charged(world: Any) -> None:
    """GaussianBoundary behind the roles: a defended run ends, and what travelled is clipped and noised."""
    settings = settings_of(world, epochs=2, batch_size=20)
    data = world.rows((6,), 60)
    said = {"passes": 2, "unit": "record", "relation": "replace_one", "population": "ward-7", "dataset": "1"}
    features = split.BoundaryPrivacy(
        kind="activations",
        noise=split.BoundaryNoise(vectors=4.0, updates=2.0),
        max_norm=1.0,
        max_update_norm=1.0,
        **said,
    )
    labels = split.BoundaryPrivacy(kind="outputs", noise=split.BoundaryNoise(vectors=4.0), max_norm=0.5, **said)
    model = world.model("mlp").float()
    clients, server = world.parties(
        model,
        ("0", "3"),
        {SITE: data},
        settings,
        activations=split.GaussianBoundary(features, units=data.units),
        outputs=split.GaussianBoundary(labels, units=data.units),
    )
    recorded = world.Recorded()
    split.simulate(clients, server, witness=recorded)
    assert server.remaining == ()
    first = decode(recorded.bodies("train/batch-0", "up")[0], Activations, limit=1 << 20).values
    # 20 * 8 draws of standard deviation 4, means of norm at most 1: outside these bounds with less than 1e-6.
    assert 2.5 < np.sqrt((first**2).mean()) < 5.5
    assert all(torch.isfinite(value).all() for value in model.parameters())


def test_a_row_with_a_missing_value_still_passes(world: Any) -> None:
    """How many rows are complete would show in the number of batches: a defended site leaves none out."""
    settings = settings_of(world, epochs=1)
    data = world.rows((6,), 64)
    data.features[::2, 1] = np.nan
    features, labels = boundaries()
    model = world.model("mlp")
    split.simulate(*world.parties(model, ("0", "3"), {SITE: data}, settings, activations=features, outputs=labels))
    assert sorted(features.released) == list(range(64))
    assert all(torch.isfinite(value).all() for value in model.parameters())


def client(world: Any, settings: split.SplitTraining, **options: Any) -> split.Client:
    parts = split.cut(world.model("mlp"), "1" if settings.shape == "vanilla" else ("0", "3"))
    held = (parts[0], parts[2]) if SITE in settings.head_sites else parts[0]
    data: Examples = world.rows((6,), 64)
    return split.Client(held, data, settings, site=SITE, test=data, **options)


def test_defences_that_could_not_keep_their_promise_are_refused(world: Any) -> None:
    """Each is a way to claim an epsilon that would be false."""
    features, labels = boundaries()
    frozen_only = Glass(trains=False, noise=3.0)
    other = Glass(trains=False, noise=5.0)
    other.cost = lambda: Release(  # type: ignore[method-assign]
        events=(other.event,), unit="person", relation="replace_one", population="ward-7", dataset="1"
    )
    u_shape, both = settings_of(world), {"activations": features, "outputs": labels}
    columns = world.settings(shape="vertical", sites=(SITE, "south"), labels="south")
    refused = {
        "labels travel": (world.settings(), both),
        "no labels here": (columns, both),
        "features in the clear": (u_shape, {"outputs": labels}),
        "labels in the clear": (u_shape, {"activations": features}),
        "both, and labels alone are claimed": (u_shape, {**both, "covers": "labels"}),
        "a bottom that learns exactly": (u_shape, {"activations": frozen_only, "outputs": labels}),
        "two units": (u_shape, {"activations": features, "outputs": other}),
        "exact counts": (settings_of(world, evaluations=(1,)), both),
        "noise without a budget": (u_shape, {"metrics_noise_multiplier": 1.0}),
    }
    for why, (settings, options) in refused.items():
        with pytest.raises(PolicyRefused) as caught:
            client(world, settings, **options)
        assert caught.value.code == "defence-without-effect", why
    client(world, u_shape, **both)
    client(world, u_shape, outputs=labels, covers="labels")
    client(world, settings_of(world, bottom_optimizer=None), activations=frozen_only, outputs=labels)
    client(world, columns, activations=features)


def _asked_with(outputs: Any, labels: Any, *, classes: int, loss: str) -> Any:
    """Return what a site with defended labels answers to a coordinator that makes up the model's outputs."""
    rows = len(labels)
    settings = split.SplitTraining(
        shape="vertical",
        sites=("a", SITE),
        labels=SITE,
        start="given",
        epochs=1,
        batch_size=rows,
        classes=classes,
        loss=loss,
    )
    privacy = split.BoundaryPrivacy(
        kind="outputs",
        passes=1,
        noise=split.BoundaryNoise(vectors=1e-6),
        max_norm=1.0,
        unit="record",
        relation="replace_one",
        population="ward-7",
        dataset="1",
    )
    client = split.Client(
        (nn.Linear(2, 2), nn.Identity()),
        Examples.of(np.zeros((rows, 2), np.float32), labels),
        settings,
        site=SITE,
        outputs=split.GaussianBoundary(privacy, units=np.arange(rows)),
        covers="labels",
    )
    steps = {"open": Open(settings.digest()), "batch-0": BatchRequest(None), "head-0": HeadRequest(outputs)}
    for phase, body in steps.items():
        request = Request("run", 1, 1, f"train/{phase}", encode(body))
        cost = client.cost(request)
        reply = client.handle(request, None if cost is None else Grant.without_ledger(cost.events)).message
    return decode(reply, HeadGradient, limit=1 << 20).gradient


@pytest.mark.parametrize(
    ("loss", "classes", "outputs"),
    [
        ("mse_loss", 0, np.zeros((4, 4), np.float32)),  # broadcast: every label in every row's gradient
        ("mse_loss", 0, np.zeros((4, 4, 1), np.float32)),
        ("cross_entropy", 2, np.zeros((4, 1), np.float32)),  # fails if and only if there is a label 1
        ("binary_cross_entropy_with_logits", 2, np.zeros((4, 2), np.float32)),
        ("cross_entropy", 2, np.zeros((4, 2), np.int64)),
    ],
)
def test_made_up_outputs_are_refused_in_the_same_words_whatever_the_labels(
    loss: str, classes: int, outputs: Any
) -> None:
    """The coordinator chooses the outputs' shape: neither an answer nor a refusal may depend on an unnoised label."""
    said = set()
    for labels in ([0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 1, 1]):
        with pytest.raises(IdentityError) as caught:
            _asked_with(outputs, np.array(labels, np.int64 if classes else np.float32), classes=classes, loss=loss)
        said.add((caught.value.code, str(caught.value)))
    assert len(said) == 1
    assert said.pop()[0] == "wrong-activations"


@pytest.mark.parametrize(
    ("loss", "classes", "width"),
    [("mse_loss", 0, 1), ("cross_entropy", 2, 2), ("binary_cross_entropy_with_logits", 2, 1)],
)
def test_a_label_moves_its_own_rows_gradient_alone(loss: str, classes: int, width: int) -> None:
    kind = np.int64 if classes else np.float32
    outputs = np.zeros((4, width), np.float32)
    ask = {"classes": classes, "loss": loss}
    apart = _asked_with(outputs, np.array([0, 1, 0, 0], kind), **ask) - _asked_with(outputs, np.zeros(4, kind), **ask)
    moved = np.sort(np.abs(apart).max(axis=1))
    assert moved[-1] > 0.1
    assert moved[-2] < 1e-4  # the noise
