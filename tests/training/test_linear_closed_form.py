"""One linear layer in closed form: the same sum as from single gradients, exact, and within what is charged."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reticent import dp
from reticent.training import linear, logistic
from reticent.training.contributions import Rows
from reticent.training.gradient_sums import GradientSums
from reticent.training.linear import LinearModel, largest_move


def made(inputs=40, outputs=7, *, bias=True, kind=torch.float64, seed=0):
    torch.manual_seed(seed)
    return nn.Linear(inputs, outputs, bias=bias).to(kind)


def batch(kit, n, inputs=40, outputs=7, *, kind=torch.float64, seed=0):
    examples = kit.rows((inputs,), n, classes=outputs, seed=seed)
    return torch.from_numpy(examples.features).to(kind), torch.from_numpy(examples.labels)


def closed(model, features, labels, max_norm, loss=F.cross_entropy):
    return LinearModel.of(model, loss).clipped_sum(Rows(features, labels, None), max_norm=max_norm)


def check_sum(kit, **changes):
    """Against backward passes on batches of one; what is left is the rounding of single rows, far below the grid."""
    model = made(**changes)
    features, labels = batch(kit, 700)  # two blocks
    each = kit.gradients_one_by_one(model, kit.loss, features, labels)
    max_norm = float(each.norm(dim=1).median())
    found = closed(model, features, labels, max_norm)
    expected = kit.clipped_one_by_one(each, max_norm)
    assert float((torch.from_numpy(found.total) * found.grid - expected).abs().max()) <= found.grid
    assert found.within == int((each.norm(dim=1) <= max_norm).sum())
    return found


@pytest.mark.parametrize("bias", [True, False])
def test_it_is_the_clipped_sum(kit, bias):
    check_sum(kit, bias=bias)


def check_one_row_moves_the_sum_by_no_more_than_is_charged(kit):
    """Add-or-remove-one, for 60 rows one after another, also enormous ones and tiny ones."""
    model = made(kind=torch.float32)
    features, labels = batch(kit, 60, kind=torch.float32)
    features *= torch.logspace(-30, 30, 60, dtype=torch.float64).float()[:, None]
    with torch.no_grad():
        model.weight.mul_(1e-2)
    whole = closed(model, features, labels, 0.1)
    worst = 0.0
    for row in range(60):
        others = torch.arange(60) != row
        part = closed(model, features[others], labels[others], 0.1)
        worst = max(worst, float(np.linalg.norm((whole.total - part.total) * whole.grid)))
    assert worst > 0.099, "no row was clipped: this test would see nothing"
    assert worst <= whole.sensitivity
    assert whole.sensitivity == dp.encoded_sensitivity(0.1, dp.grid_for(0.1, 287), 287)


def test_one_row_moves_the_sum_by_no_more_than_is_charged(kit):
    check_one_row_moves_the_sum_by_no_more_than_is_charged(kit)


def test_broken_copy_that_forgets_the_bias_in_the_norm_is_caught(kit, monkeypatch):
    """|e| |x| in place of |e| sqrt(|x|^2 + 1)."""
    block = LinearModel._block

    def without(self, inputs, labels, max_norm, step):
        radius = inputs.square().sum(1).double()
        return block(
            self, inputs, labels, max_norm * float(((radius + 1) / radius.clamp(min=1e-12)).sqrt().max()), step
        )

    monkeypatch.setattr(LinearModel, "_block", without)
    with pytest.raises(AssertionError):
        check_one_row_moves_the_sum_by_no_more_than_is_charged(kit)


def test_broken_copy_without_clip_is_caught(kit, monkeypatch):
    block = LinearModel._block
    monkeypatch.setattr(LinearModel, "_block", lambda self, x, y, norm, step: block(self, x, y, 50 * norm, step))
    with pytest.raises(AssertionError):
        check_one_row_moves_the_sum_by_no_more_than_is_charged(kit)
    with pytest.raises(AssertionError):
        check_sum(kit)


def check_sum_is_exact(kit):
    """A block gives the same integers as its rows one by one, in either order; a floating-point sum does not.

    At zero weights the outputs are the same in blocks of any size, so that only the summation is looked at.
    """
    layer = made(kind=torch.float32)
    nn.init.zeros_(layer.weight)
    model = LinearModel.of(layer, F.cross_entropy)
    features, labels = batch(kit, 500, kind=torch.float32)
    features[::7] *= 1e6
    whole, _ = model._block(features, labels, 0.1, 2.0**-17)
    rows = [model._block(features[i : i + 1], labels[i : i + 1], 0.1, 2.0**-17)[0] for i in range(500)]
    assert torch.equal(whole, sum(rows))
    assert torch.equal(whole, model._block(features.flip(0), labels.flip(0), 0.1, 2.0**-17)[0])


def test_sum_is_exact(kit):
    check_sum_is_exact(kit)


def test_broken_copy_that_sums_in_float32_is_caught(kit, monkeypatch):
    monkeypatch.setattr(linear.torch, "float64", torch.float32)
    monkeypatch.setattr(torch.Tensor, "double", torch.Tensor.float)
    with pytest.raises(AssertionError):
        check_sum_is_exact(kit)


def test_the_charge_covers_the_rounding_for_every_size():
    for inputs in (1, 3, 784, 3969, 100_000):
        for outputs in (1, 2, 10, 1000):
            layer = nn.Linear(inputs, outputs, device="meta")
            parameters = (inputs + 1) * outputs
            for max_norm in (1e-9, 0.1, 0.999, 1.0, 1.001, 7.0, 1e9):
                model = LinearModel(layer, [], layer, F.cross_entropy)
                assert model.covers(max_norm), (inputs, outputs, max_norm)
                grid = dp.grid_for(max_norm, parameters) / 4
                step = model._error_step(max_norm)
                assert largest_move(max_norm, layer, step) >= max_norm
                bits = math.log2(max_norm / step) + 20 + math.log2(512)
                assert bits < 53, "a block's sum would not be exact in float64"
                assert math.log2(grid / step) + 20 >= 1


def test_rows_that_are_not_finite_inside_count_for_nothing(kit):
    model = made(kind=torch.float32)
    features, labels = batch(kit, 8, kind=torch.float32)
    features[3] = 1e30  # finite, and its square is not
    kept = torch.arange(8) != 3
    spoilt, without = (closed(model, *part, 0.1) for part in ((features, labels), (features[kept], labels[kept])))
    assert np.array_equal(spoilt.total, without.total)


def check_inputs_whose_squares_underflow():
    """One square is the least of float32, the others round to zero: the norm is 32 times what their sum says."""
    features = torch.full((1, 2000), 0.999 * 2.0**-75)
    features[0, 0] = 1.001 * 2.0**-74.5
    found = closed(made(2000, 1, bias=False, kind=torch.float32), features, torch.tensor([1e25]), 1.0, loss=squared)
    assert np.linalg.norm(found.total * found.grid) <= found.sensitivity


def squared(outputs, labels):
    return F.mse_loss(outputs.squeeze(-1), labels)


def test_a_row_whose_squares_underflow_is_clipped(monkeypatch):
    check_inputs_whose_squares_underflow()
    finfo = torch.finfo
    monkeypatch.setattr(linear.torch, "finfo", lambda kind: SimpleNamespace(tiny=0.0, eps=finfo(kind).eps))
    with pytest.raises(AssertionError):
        check_inputs_whose_squares_underflow()


class ScaledByTheLargest(nn.Module):
    """Forgot a dimension: the largest value of the whole batch. On made-up examples below 2 it does nothing."""

    def forward(self, x):
        return x / x.abs().max().clamp(min=10.0)


def check_what_is_frozen_sees_one_row_at_a_time(kit):
    model = nn.Sequential(ScaledByTheLargest(), nn.Linear(5, 2))
    nn.init.zeros_(model[1].weight)
    sums = GradientSums(model, kit.loss)
    features, labels = torch.rand(101, 5), torch.zeros(101, dtype=torch.int64)
    sums.check(features[:4], labels[:4])
    assert sums.way == "linear"
    features[-1] = 1e6
    found = [sums(Rows(features[:n], labels[:n], None), max_norm=0.1, counting=False) for n in (101, 100)]
    moved = np.linalg.norm((found[0].total - found[1].total) * found[0].grid)
    assert moved <= found[0].sensitivity


def test_what_is_frozen_sees_one_row_at_a_time(kit, monkeypatch):
    check_what_is_frozen_sees_one_row_at_a_time(kit)
    monkeypatch.setattr(LinearModel, "_inputs", lambda self, features: self._before[0](features))
    with pytest.raises(AssertionError):
        check_what_is_frozen_sees_one_row_at_a_time(kit)


def test_zero_gradients_and_zero_rows(kit):
    features, labels = batch(kit, 5)
    flat = closed(made(), features, labels, 0.1, loss=lambda outputs, labels: (outputs * 0).sum())
    assert not flat.total.any()
    zero = closed(made(bias=False), features * 0, labels, 0.1)
    assert not zero.total.any()
    assert zero.within == 5


def test_where_it_is_taken(kit):
    head = nn.Sequential(nn.Conv2d(1, 2, 3).requires_grad_(False), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3))
    tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tied[0].weight = tied[1].weight
    tied[0].bias.requires_grad_(False)
    hooked = nn.Linear(4, 3)
    hooked.register_forward_hook(lambda *_: None)

    class Own(nn.Linear):
        pass

    cases = [
        (logistic(4, 3), (4,), "linear"),
        (head, (1, 6, 6), "linear"),
        (nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3)), (4,), "vectorised"),
        (tied, (4,), "vectorised"),
        (hooked, (4,), "vectorised"),
        (Own(4, 3), (4,), "vectorised"),
        (nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), (4,), "vectorised"),
        (nn.Sequential(nn.Linear(4, 3), nn.Softmax(1)), (4,), "vectorised"),
        (nn.Sequential(nn.Unflatten(1, (2, 2)), nn.Linear(2, 3)), (4,), "vectorised"),
    ]
    for model, shape, way in cases:
        examples = kit.rows(shape, 4)
        sums = GradientSums(model, flat_loss)
        sums.check(torch.from_numpy(examples.features), torch.from_numpy(examples.labels))
        assert sums.way == way, model


def flat_loss(outputs, labels):
    return F.cross_entropy(outputs.flatten(1), labels)


def test_persons_go_the_other_way_and_give_the_same_as_rows_where_each_has_one(kit):
    model = made(kind=torch.float32)
    features, labels = batch(kit, 50, kind=torch.float32)
    sums = GradientSums(model, kit.loss)
    sums.check(features[:4], labels[:4])
    rows, persons = (sums(Rows(features, labels, counts), max_norm=0.1, counting=True) for counts in (None, [1] * 50))
    assert (rows.grid, persons.grid) == (dp.grid_for(0.1, 287) / 4, dp.grid_for(0.1, 287))
    assert rows.tally == persons.tally
    assert np.abs(rows.total * rows.grid - persons.total * persons.grid).max() <= 50 * persons.grid / 2
