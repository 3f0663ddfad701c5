"""Split training is training: the same numbers, bit for bit, as the whole model on the same batches."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reticent import split
from reticent.split.sides import Side

ADAM = split.Optimizer(name="adam", learning_rate=0.01)
SGD = split.Optimizer(learning_rate=0.1, momentum=0.9)
NAMES = ["mlp", "lenet", "residual", "batch-norm", "dropout", "transformer", "gru", "group-norm"]


def difference(world: Any, name: str, shape: str, optimizer: split.Optimizer, *, epochs: int = 10) -> float:
    """Train split and unsplit for five steps an epoch, the last one on a smaller batch, and compare."""
    kind = world.architectures[name]
    model = world.model(name)
    whole = copy.deepcopy(model)
    data = {"north": world.rows(kind.shape, 76)}
    settings = world.settings(shape=shape, optimizer=optimizer, epochs=epochs)
    clients, server = world.parties(model, kind.at if shape == "vanilla" else kind.u_shape, data, settings)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        split.simulate(clients, server)
        torch.manual_seed(7)
        world.unsplit(whole, data, settings)
    return world.difference(model, whole)


@pytest.mark.parametrize("optimizer", [SGD, ADAM], ids=["momentum", "adam"])
@pytest.mark.parametrize("shape", ["vanilla", "u-shape"])
@pytest.mark.parametrize("name", NAMES)
def test_fifty_split_steps_equal_fifty_unsplit_steps(
    world: Any, name: str, shape: str, optimizer: split.Optimizer
) -> None:
    """The issue's acceptance: difference 0 in float64 on the CPU, with one client."""
    assert difference(world, name, shape, optimizer) == 0.0


def test_a_transposed_activation_is_equal_but_for_last_bits(world: Any) -> None:
    """Values cross in C order; a batch-first recurrent layer leaves them in another, and products end differently."""
    model = world.model("gru")
    whole = copy.deepcopy(model)
    data = {"north": world.rows((4, 3), 76)}
    split.simulate(*world.parties(model, "gru", data, world.settings()))
    assert world.difference(model, world.unsplit(whole, data, world.settings())) < 1e-13


@pytest.mark.parametrize("shape", ["vanilla", "u-shape"])
def test_training_moves_the_weights(world: Any, shape: str) -> None:
    """The comparison above is not of two models that never learned."""
    model = world.model("mlp")
    before = copy.deepcopy(model)
    at = "1" if shape == "vanilla" else ("0", "3")
    clients, server = world.parties(model, at, {"north": world.rows((6,), 76)}, world.settings(shape=shape))
    split.simulate(clients, server)
    moved = [not torch.equal(a, b) for a, b in zip(model.parameters(), before.parameters(), strict=True)]
    assert all(moved)


def _stale(side: Side) -> None:
    """A step that uses the gradients of the step before: an optimiser called too early."""
    held = getattr(side, "held", None)
    side.held = [None if p.grad is None else p.grad.clone() for p in side.module.parameters()]  # type: ignore[attr-defined]
    if held is not None and side.optimizer is not None:
        for value, gradient in zip(side.module.parameters(), held, strict=True):
            value.grad = gradient
        side.optimizer.step()
    side.module.zero_grad()


def test_a_stale_optimizer_is_caught(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Side, "step", _stale)
    assert difference(world, "mlp", "vanilla", SGD, epochs=2) > 1e-6


def test_gradients_that_pile_up_are_caught(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Side, "step", lambda side: side.optimizer.step())
    assert difference(world, "mlp", "u-shape", SGD, epochs=2) > 1e-6


def test_the_wrong_input_gradient_is_caught(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that steps before it computes what goes back sends the gradient of other weights."""
    right = Side.backward

    def late(side: Side, gradient: Tensor) -> Tensor | None:
        entered, left = side._entered, side._left
        copied = copy.deepcopy(side.module)
        result = right(side, gradient)
        if result is None or entered is None or left is None:
            return result
        with torch.no_grad():
            for new, old in zip(copied.parameters(), side.module.parameters(), strict=True):
                new.copy_(old)
        again = entered.detach().requires_grad_()
        copied(again).backward(gradient)
        return again.grad

    monkeypatch.setattr(Side, "backward", late)
    assert difference(world, "mlp", "vanilla", SGD, epochs=2) > 1e-6


def test_a_frozen_part_keeps_its_weights_and_its_statistics(world: Any) -> None:
    model = world.model("batch-norm")
    before = copy.deepcopy(model)
    data = {"north": world.rows((2, 6), 64)}
    settings = world.settings(epochs=2, bottom_optimizer=None)
    clients, server = world.parties(model, "2", data, settings)
    split.simulate(clients, server)
    bottom, top = split.cut(model, "2")
    first, last = split.cut(before, "2")
    assert world.difference(bottom, first) == 0.0
    assert world.difference(top, last) > 0.0


def test_the_last_batch_is_kept_or_dropped(world: Any) -> None:
    kept, dropped = world.settings(), world.settings(last_batch="drop")
    assert kept.batch_sizes(76) == (16, 16, 16, 16, 12)
    assert dropped.batch_sizes(76) == (16, 16, 16, 16)
    assert [len(rows) for rows in split.epoch_batches(76, dropped, epoch=1, site="north")] == [16] * 4
    model = world.model("mlp")
    whole = copy.deepcopy(model)
    data = {"north": world.rows((6,), 76)}
    split.simulate(*world.parties(model, "1", data, dropped))
    assert world.difference(model, world.unsplit(whole, data, dropped)) == 0.0


def test_the_order_of_a_site_is_its_own(world: Any) -> None:
    """Every row once in an epoch, another order in the next; nobody can compute it from the settings."""
    settings = world.settings(order="site")
    one, two, other = (
        np.concatenate(split.epoch_batches(76, settings, epoch=epoch, site="north", secret=bytes([secret]) * 32))
        for epoch, secret in ((1, 1), (2, 1), (1, 2))
    )
    assert sorted(one) == sorted(two) == sorted(other) == list(range(76))
    assert not np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_a_public_order_is_new_in_every_epoch_and_common_in_vertical(world: Any) -> None:
    settings = world.settings()
    orders = [
        np.concatenate(split.epoch_batches(76, settings, epoch=epoch, site=site)).tolist()
        for epoch, site in ((1, "north"), (2, "north"), (1, "south"))
    ]
    assert all(sorted(order) == list(range(76)) for order in orders)
    assert orders[0] != orders[1]
    assert orders[0] != orders[2]
    common = world.settings(shape="vertical", sites=("north", "south"), labels="north")
    one, two = (np.concatenate(split.epoch_batches(76, common, epoch=1, site=site)) for site in common.sites)
    assert np.array_equal(one, two)


def test_an_evaluation_counts_what_the_whole_model_says(world: Any) -> None:
    """Confusion counts, loss and AUC of both shapes, over two sites, in evaluation mode."""
    sites = ("north", "south")
    data = {site: world.rows((6,), 40, seed=index) for index, site in enumerate(sites)}
    test = {site: world.rows((6,), 300, seed=index + 5) for index, site in enumerate(sites)}
    for shape, at in (("vanilla", "drop"), ("u-shape", ("first", "second"))):
        model = world.model("dropout")
        settings = world.settings(shape=shape, sites=sites, epochs=2, evaluations=(1, 2))
        clients, server = world.parties(model, at, data, settings, test=test)
        found = []
        split.simulate(clients, server, after_task=lambda done, found=found: found.append(done))
        assert [(done.task, done.round) for done in found] == list(settings.tasks())
        model.eval()
        features = torch.from_numpy(np.concatenate([test[site].features for site in sites])).double()
        labels = torch.from_numpy(np.concatenate([test[site].labels for site in sites]))
        with torch.no_grad():
            outputs = model(features)
        cells = labels * 3 + outputs.argmax(1)
        metrics = found[-1].metrics
        assert metrics.confusion.ravel().tolist() == torch.bincount(cells, minlength=9).tolist()
        assert metrics.loss == pytest.approx(float(nn.functional.cross_entropy(outputs, labels)), abs=1e-12)
        assert metrics.accuracy == pytest.approx(float((outputs.argmax(1) == labels).double().mean()))


def test_one_logit_and_an_auc(world: Any) -> None:
    """Two classes with one output: the loss of logistic regression, and the area under the curve by all pairs."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    data = {"north": world.rows((6,), 60, classes=2)}
    settings = world.settings(
        shape="u-shape", epochs=1, evaluations=(1,), classes=2, loss="binary_cross_entropy_with_logits"
    )
    clients, server = world.parties(model, ("0", "1"), data, settings, test=data)
    split.simulate(clients, server)
    metrics = server.finished.metrics
    model.eval()
    with torch.no_grad():
        scores = model(torch.from_numpy(data["north"].features).double())[:, 0].numpy()
    truth = data["north"].labels
    pairs = scores[truth == 1][:, None] - scores[truth == 0][None]
    assert metrics.auc == pytest.approx(float((pairs > 0).mean() + 0.5 * (pairs == 0).mean()), abs=1e-12)
    assert metrics.confusion.sum() == 60


def test_a_numeric_label(world: Any) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    whole = copy.deepcopy(model)
    rows = world.rows((6,), 48)
    targets = type(rows).of(rows.features, rows.labels.astype(np.float32) / 3)
    settings = world.settings(epochs=2, classes=0, loss="mse_loss", evaluations=(2,))
    clients, server = world.parties(model, "1", {"north": targets}, settings, test={"north": targets})
    split.simulate(clients, server)
    assert server.finished.metrics.confusion.shape == (0, 0)
    assert server.finished.metrics.accuracy is None
    assert server.finished.metrics.loss > 0
    optimizer = torch.optim.SGD(whole.parameters(), lr=0.1, momentum=0.9)
    features, labels = torch.from_numpy(targets.features).double(), torch.from_numpy(targets.labels).double()
    for epoch in (1, 2):
        for batch in split.epoch_batches(48, settings, epoch=epoch, site="north"):
            optimizer.zero_grad()
            nn.functional.mse_loss(whole(features[batch]).squeeze(-1), labels[batch]).backward()
            optimizer.step()
    assert world.difference(model, whole) == 0.0
