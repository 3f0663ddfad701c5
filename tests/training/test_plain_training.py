"""Plain training equals the loop that everybody writes, and leaves out what is not finite."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from reticent.data import Examples
from reticent.errors import UsageError
from reticent.training import fit_plain, logistic, mcmahan_cnn, mnist_2nn, two_layer


def trained(kit, examples, **options):
    torch.manual_seed(0)
    model = two_layer(6, 3, hidden=4)
    schedule = {"batch_size": 8, "local_epochs": 2, "seed": 7} | options
    fit_plain(model, kit.loss, torch.optim.SGD(model.parameters(), lr=0.1), examples, **schedule)
    return torch.cat([value.detach().flatten() for value in model.parameters()])


def by_hand(kit, examples, *, steps, size, mu=0.0):
    torch.manual_seed(0)
    model = two_layer(6, 3, hidden=4)
    start = [value.detach().clone() for value in model.parameters()]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    features, labels = torch.from_numpy(examples.features), torch.from_numpy(examples.labels)
    order = torch.Generator().manual_seed(7)
    while steps:
        shuffled = torch.randperm(len(labels), generator=order)
        for rows in torch.split(shuffled, size):
            if not steps:
                break
            optimizer.zero_grad()
            pull = sum((v - s).square().sum() for v, s in zip(model.parameters(), start, strict=True))
            (kit.loss(model(features[rows]), labels[rows]) + mu / 2 * pull).backward()
            optimizer.step()
            steps -= 1
    return torch.cat([value.detach().flatten() for value in model.parameters()])


@pytest.mark.parametrize(
    ("options", "steps", "size"),
    [
        ({}, 6, 8),  # 20 rows: batches of 8, 8 and 4, twice
        ({"local_epochs": 0.5}, 2, 8),
        ({"local_epochs": None, "local_steps": 5}, 5, 8),
        ({"batch_size": None, "local_epochs": 3}, 3, 20),
        ({"batch_size": 100}, 2, 20),
        ({"proximal": 0.5}, 6, 8),
    ],
)
def test_equals_a_loop_by_hand(kit, options, steps, size):
    examples = kit.rows((6,), 20)
    expected = by_hand(kit, examples, steps=steps, size=size, mu=options.get("proximal", 0.0))
    torch.testing.assert_close(trained(kit, examples, **options), expected, rtol=0, atol=1e-6)


def test_same_seed_same_result_and_no_seed_another(kit):
    examples = kit.rows((6,), 20)
    assert torch.equal(trained(kit, examples), trained(kit, examples))
    assert not torch.equal(trained(kit, examples, seed=None), trained(kit, examples, seed=None))


def test_rows_that_are_not_finite_are_left_out(kit):
    examples = kit.rows((6,), 20)
    spoilt = examples.features.copy()
    spoilt[[2, 11], 3] = [math.nan, math.inf]
    kept = examples.select(~np.isin(np.arange(20), [2, 11]))
    with_bad = trained(kit, Examples(spoilt, examples.labels, examples.units))
    assert torch.equal(with_bad, trained(kit, kept))


def test_training_mode_is_set_so_that_dropout_works(kit):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 4), nn.Dropout(1.0), nn.Linear(4, 3)).eval()
    before = model[0].weight.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    fit_plain(model, kit.loss, optimizer, kit.rows((6,), 20), batch_size=5, local_steps=2, seed=1)
    assert torch.equal(before, model[0].weight)


def test_no_rows_change_nothing(kit):
    torch.manual_seed(0)
    untouched = torch.cat([value.detach().flatten() for value in two_layer(6, 3, hidden=4).parameters()])
    assert torch.equal(trained(kit, kit.rows((6,), 0)), untouched)


@pytest.mark.parametrize(
    "options",
    [
        {"local_steps": 3},
        {"local_epochs": None},
        {"batch_size": 0},
        {"local_epochs": -1.0},
        {"local_epochs": math.nan},
        {"local_epochs": None, "local_steps": 0},
    ],
)
def test_impossible_schedules_are_refused(kit, options):
    with pytest.raises(UsageError) as caught:
        trained(kit, kit.rows((6,), 20), **options)
    assert caught.value.code == "invalid-schedule"


def test_models_of_mcmahan_have_the_published_sizes():
    sizes = [sum(v.numel() for v in model.parameters()) for model in (mnist_2nn(), mcmahan_cnn())]
    assert sizes == [199_210, 1_663_370]
    assert mcmahan_cnn()(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert logistic(4, 2)(torch.zeros(3, 2, 2)).shape == (3, 2)


def test_regression_and_momentum(kit):
    examples = Examples.of(np.linspace(-1, 1, 50)[:, None], np.linspace(-3, 3, 50))
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 1), nn.Flatten(0))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    fit_plain(model, nn.MSELoss(), optimizer, examples, batch_size=10, local_epochs=30, seed=1)
    assert model[0].weight.item() == pytest.approx(3.0, abs=0.05)
