"""Per-example clipped sums equal a loop over batches of one, in float64, for every kind of layer."""

import pytest
import torch
from torch import nn

from reticent.errors import UsageError
from reticent.training import DPSGD, per_example
from reticent.training.clipping import clip
from reticent.training.contributions import Rows, unit_gradients
from reticent.training.parametrized import weights_held
from reticent.training.per_example import PerExampleGradients

pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop")
NAMES = [
    "linear",
    "mlp_tanh",
    "mlp_relu",
    "mlp_dropout_0",
    "conv",
    "conv1d",
    "groupnorm",
    "instancenorm",
    "layernorm",
    "embedding",
    "lstm",
    "gru",
    "attention",
    "tied",
    "frozen",
    "residual",
    "linear_without_bias",
    "linear_head",
    "conv3d",
    "conv_groups",
    "conv_reflect",
    "transposed1d",
    "transposed2d",
    "transposed3d",
    "bag_mean",
    "bag_sum",
    "padded_words",
    "tied_words",
    "rnn",
    "lstm_deep_both_ways",
    "gru_cell",
    "lstm_cell",
    "multihead",
    "transformer",
    "language_model",
    "bilinear",
    "prelu",
    "rmsnorm",
    "instancenorm1d",
    "local_response",
    "weight_norm",
    "spectral_norm",
    "orthogonal",
    "pixel_shuffle",
    "upsampling",
    "adaptive_pooling",
    "adaptive_max",
    "pooled",
    "unfolded",
    "squeeze_excitation",
    "dropout_of_frozen_seed",
    "softmax_gate",
    "unflattened",
]
LOOPED = {"lstm", "gru", "rnn", "lstm_deep_both_ways", "gru_cell", "lstm_cell"}
"""What vmap cannot follow in float64: one backward pass after another gives their gradients."""


def sum_of_blocks(gradients, rows, max_norm):
    total = None
    for block in unit_gradients(gradients, rows):
        clip(block, max_norm)
        part = torch.cat([value.flatten(1).sum(0) for value in block])
        total = part if total is None else total + part
    return total


def prepared(kit, name, n=9):
    shape, factory = kit.architectures[name]
    torch.manual_seed(3)
    model = factory().double().train()
    examples = kit.rows(shape, n, seed=len(name), scale=9.0 if name in kit.tokens else 2.0)
    return model, torch.from_numpy(examples.features).double(), torch.from_numpy(examples.labels)


def test_the_list_is_complete(kit):
    assert list(kit.architectures) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_sum_equals_loop_over_batches_of_one(kit, name, monkeypatch):
    monkeypatch.setattr("reticent.training.contributions.physical_rows", lambda *_: 4)
    model, features, labels = prepared(kit, name)
    with weights_held(model):  # the power iteration of spectral_norm goes on once a step, not once a row
        each = kit.gradients_one_by_one(model, kit.loss, features, labels)
        max_norm = float(each.norm(dim=1).median())  # some are clipped and some are not
        gradients = PerExampleGradients(model, kit.loss)
        gradients.choose_way(features, labels)
        found = sum_of_blocks(gradients, Rows(features, labels, None), max_norm)
    assert gradients.vectorised == (name not in LOOPED)
    assert gradients.parameters == each.shape[1] == sum(v.numel() for v in kit.trained_values(model))
    torch.testing.assert_close(found, kit.clipped_one_by_one(each, max_norm), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["linear", "conv", "embedding", "language_model", "spectral_norm", "lstm"])
def test_broken_copy_that_misses_one_row_is_caught(kit, name, monkeypatch):
    def all_but_the_first(parts, max_norm):
        first = [part[:1].clone() for part in parts]
        clip(parts, max_norm)
        for part, kept in zip(parts, first, strict=True):
            part[:1] = kept * 1.01

    clip = globals()["clip"]
    monkeypatch.setitem(globals(), "clip", all_but_the_first)
    with pytest.raises(AssertionError):
        test_sum_equals_loop_over_batches_of_one(kit, name, monkeypatch)


def test_the_power_iteration_of_spectral_norm_goes_on_once_a_step_whatever_was_sampled(kit):
    """Once for each row would put the private number of rows into a buffer; never would let it go stale."""
    found = []
    for rows in (0, 3, 40):
        torch.manual_seed(3)
        model = kit.architectures["spectral_norm"][1]()
        dpsgd = DPSGD(
            population=40,
            expected_batch_size=40,
            steps=2,
            max_grad_norm=1.0,
            unit="record",
            relation="add_or_remove_one",
            noise_multiplier=0.0,
        )
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        dpsgd.trainer(model, kit.loss, optimizer).fit(kit.rows((6,), rows))
        found.append([value.clone() for value in model.buffers()])
    for buffers in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], buffers, strict=True))
    torch.manual_seed(3)
    fresh = kit.architectures["spectral_norm"][1]()
    assert not torch.equal(found[0][0], next(fresh.buffers()))


@pytest.mark.parametrize("name", ["mlp_tanh", "conv", "tied"])
@pytest.mark.parametrize("limit", [2, 100])
def test_persons_are_summed_before_they_are_clipped(kit, name, limit, monkeypatch):
    """Also when a person has more rows than are held at a time."""
    monkeypatch.setattr("reticent.training.contributions.physical_rows", lambda *_: limit)
    model, features, labels = prepared(kit, name)
    counts = [1, 5, 1, 2]
    each = kit.gradients_one_by_one(model, kit.loss, features, labels)
    persons = torch.stack([part.sum(0) for part in torch.split(each, counts)])
    max_norm = float(persons.norm(dim=1).median())
    found = sum_of_blocks(PerExampleGradients(model, kit.loss), Rows(features, labels, counts), max_norm)
    torch.testing.assert_close(found, kit.clipped_one_by_one(persons, max_norm), rtol=0, atol=1e-10)
    by_row = kit.clipped_one_by_one(each, max_norm)
    assert not torch.allclose(found, by_row, atol=1e-3), "this test cannot tell persons from rows"


def test_lstm_in_float32_goes_through_vmap(kit):
    torch.manual_seed(3)
    model, examples = kit.Recurrent(), kit.rows((5, 2), 6)
    features, labels = torch.from_numpy(examples.features), torch.from_numpy(examples.labels)
    gradients = PerExampleGradients(model, kit.loss)
    gradients.choose_way(features, labels)
    assert gradients.vectorised
    found = torch.cat([part.flatten(1) for part in gradients(features, labels)], dim=1)
    torch.testing.assert_close(found, kit.gradients_one_by_one(model, kit.loss, features, labels), rtol=0, atol=1e-6)


def test_a_model_without_gradients_is_refused(kit):
    class Detached(kit.Recurrent):
        def forward(self, x):
            return super().forward(x).detach()

    with pytest.raises(UsageError, match="detach") as caught:
        PerExampleGradients(Detached(nn.GRU), kit.loss).choose_way(torch.rand(2, 5, 2), torch.tensor([0, 1]))
    assert caught.value.code == "no-gradient"


def test_branches_on_values_work_one_by_one(kit):
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(6, 3)
            self.unused = nn.Linear(2, 2)

        def forward(self, x):
            return self.inner(x) * (2 if x.sum().item() > 6 else 1)

    torch.manual_seed(0)
    model, features = Branching().double(), torch.rand(5, 6, dtype=torch.float64) * 2
    labels = torch.tensor([0, 1, 2, 0, 1])
    gradients = PerExampleGradients(model, kit.loss)
    gradients.choose_way(features, labels)
    assert not gradients.vectorised
    weights = gradients(features, labels)
    assert [part.shape[0] for part in weights] == [5] * 4
    assert float(weights[2].abs().max()) == 0.0


def test_dropout_draws_a_mask_for_each_example(kit):
    model = nn.Sequential(nn.Linear(50, 50), nn.Dropout(0.5), nn.Linear(50, 3)).train()
    features = torch.rand(1, 50).expand(4, 50)
    weight_gradients = PerExampleGradients(model, kit.loss)(features, torch.zeros(4, dtype=torch.long))[2]
    assert len({tuple(row.flatten().tolist()) for row in weight_gradients}) == 4


def test_half_precision_gradients_are_widened_before_clipping(kit):
    model = nn.Linear(6, 3).to(torch.bfloat16)
    features = torch.rand(3, 6, dtype=torch.bfloat16)
    found = PerExampleGradients(model, kit.loss)(features, torch.tensor([0, 1, 2]))
    assert {value.dtype for value in found} == {torch.float32}


def test_blocks_fit_the_cache_and_large_models_still_get_some_rows():
    assert per_example.physical_rows(199_210) == 21
    assert per_example.physical_rows(100) == 512
    assert per_example.physical_rows(11_000_000) == 8
    assert per_example.physical_rows(2_000_000_000) == 1
