"""Rows on which a model or a loss raises count for nothing and stop nothing; and each row is looked at alone.

An error in the middle of a run tells that such a row was sampled, and a model that mixes rows only where values are
large passes every check on made-up examples.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reticent.data import Examples
from reticent.training import DPSGD, DPFedAvg, LocalSteps, alone, evaluate, evaluation, unit_confusion
from reticent.training.contributions import Rows
from reticent.training.gradient_sums import GradientSums
from reticent.training.local_updates import UpdateSums

BAD = 7


class Words(nn.Module):
    """Made-up examples are words 0 and 1; word 50 is none of the eleven."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 5)

    def forward(self, x):
        return self.embedding(x.long()).mean(1)


class Branching(nn.Module):
    """Cannot be followed by vmap, so examples go one after another."""

    def forward(self, x):
        if x.max() > 5:
            raise ValueError("too large")
        return x[:, :3]


MODELS = {
    "vectorised": lambda: nn.Sequential(Words(), nn.Linear(5, 3)),
    "one by one": lambda: nn.Sequential(Branching(), nn.Linear(3, 3), nn.Tanh()),
    "linear": lambda: nn.Sequential(Words().requires_grad_(False), nn.Linear(5, 3)),
}


def rows():
    source = np.random.default_rng(0)
    features = source.integers(0, 2, (20, 4)).astype(np.float32)
    features[BAD, 1] = 50
    return torch.from_numpy(features), torch.from_numpy(source.integers(0, 3, 20))


def made(name):
    torch.manual_seed(0)
    return MODELS[name]()


@pytest.mark.parametrize("way", MODELS)
def test_a_row_on_which_the_model_raises_counts_for_nothing(way):
    features, labels = rows()
    sums = GradientSums(made(way), F.cross_entropy)
    sums.check(features[:4] % 2, labels[:4])
    assert sums.way == way
    kept = torch.arange(20) != BAD
    spoilt, without = (
        sums(Rows(*part, None), max_norm=0.1, counting=True)
        for part in ((features, labels), (features[kept], labels[kept]))
    )
    # One after another and all at once can differ in the last bit of a float, and so by one step for a row.
    assert np.abs(spoilt.total - without.total).max() <= 19
    assert (spoilt.grid, spoilt.sensitivity) == (without.grid, without.sensitivity)
    assert without.total.any()


def test_a_loss_that_raises_silences_its_row():
    features, labels = rows()

    def picky(outputs, label):
        if (label == 2).any():
            raise RuntimeError("not this class")
        return F.cross_entropy(outputs, label)

    model = nn.Linear(4, 3)
    sums = GradientSums(model, picky)
    sums.way = "linear"
    found = sums(Rows(features, labels, None), max_norm=0.1, counting=False)
    kept = labels != 2
    assert np.array_equal(
        found.total, sums(Rows(features[kept], labels[kept], None), max_norm=0.1, counting=False).total
    )


def test_a_person_on_whose_rows_the_model_raises_contributes_nothing():
    features, labels = rows()
    local = LocalSteps(optimizer=lambda values: torch.optim.SGD(values, lr=0.1), epochs=1)
    sums = UpdateSums(made("vectorised"), F.cross_entropy, local)
    kept = torch.arange(20) // 4 != BAD // 4
    spoilt, without = (
        sums(Rows(*part, counts), max_norm=0.1, counting=True)
        for part, counts in (((features, labels), [4] * 5), ((features[kept], labels[kept]), [4] * 4))
    )
    assert np.array_equal(spoilt.total, without.total)
    assert (spoilt.tally.units, without.tally.units) == (5, 4)


@pytest.mark.parametrize("way", MODELS)
@pytest.mark.parametrize("unit", ["record", "person"])
def test_the_trainer_goes_on(way, unit):
    features, labels = (value.numpy() for value in rows())
    data = Examples.of(features, labels, np.arange(20) // 4)
    given = {"population": 40, "expected_batch_size": 40, "steps": 2, "relation": "add_or_remove_one"}
    model = made(way)
    dpsgd = DPSGD(**given, max_grad_norm=0.1, unit=unit, noise_multiplier=1.0)
    dpsgd.trainer(model, F.cross_entropy, torch.optim.SGD(model.parameters(), lr=0.1)).fit(data)
    if unit == "person" and way == "vectorised":
        dpfedavg = DPFedAvg(**given, clipping_norm=0.1, unit=unit, noise_multiplier=1.0)
        local = LocalSteps(optimizer=lambda values: torch.optim.SGD(values, lr=0.1), epochs=1)
        dpfedavg.trainer(model, F.cross_entropy, local).fit(data)


def test_short_memory_is_nobodys_row():
    def greedy(row):
        raise torch.OutOfMemoryError("no memory")

    with pytest.raises(torch.OutOfMemoryError):
        alone.each_alone(greedy, torch.zeros(2, 3))


@pytest.mark.parametrize("way", MODELS)
def test_figures_leave_out_a_row_on_which_the_model_raises(way):
    features, labels = rows()
    kept = torch.arange(20) != BAD
    model = made(way)
    spoilt, without = (
        Examples.of(features[part].numpy(), labels[part].numpy()) for part in (torch.arange(20) >= 0, kept)
    )
    found = unit_confusion(model, spoilt, 3)
    assert not found[BAD].any()
    assert np.array_equal(found[kept.numpy()], unit_confusion(model, without, 3))
    exact, expected = (evaluate(model, F.cross_entropy, part, 3) for part in (spoilt, without))
    assert np.array_equal(exact.confusion, expected.confusion)
    assert (exact.rows, round(exact.loss_sum, 4)) == (19, round(expected.loss_sum, 4))


class ScaledByTheLargest(nn.Module):
    """Forgot a dimension: divides by the largest value of the whole batch, which does nothing below 10."""

    def forward(self, x):
        return x / x.abs().max().clamp(min=10.0)


def check_one_row_moves_the_counts_by_one():
    torch.manual_seed(0)
    model = nn.Sequential(ScaledByTheLargest(), nn.Linear(3, 3))
    with torch.no_grad():
        model[1].weight.copy_(torch.diag(torch.tensor([300.0, 0.0, 0.0])))
        model[1].bias.copy_(torch.tensor([-1.0, 0.0, -9.0]))
    features, labels = torch.rand(30, 3) + 0.5, torch.zeros(30, dtype=torch.int64)
    features[-1] = 1e9
    with_it, without = (
        unit_confusion(model, Examples.of(features[:n].numpy(), labels[:n].numpy()), 3).sum(0) for n in (30, 29)
    )
    assert np.linalg.norm(with_it - without) <= 1


def test_one_row_moves_the_counts_by_one(monkeypatch):
    check_one_row_moves_the_counts_by_one()

    def together(function, features):
        """The broken copy: the model is given the whole batch, as it was."""
        model = function.__closure__[0].cell_contents
        return evaluation.predict_classes(model(features)).double()

    monkeypatch.setattr(evaluation, "each_alone", together)
    with pytest.raises(AssertionError):
        check_one_row_moves_the_counts_by_one()
