"""What mixes the examples of a batch is found by type, and by exchanging one example."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reticent.errors import PolicyRefused
from reticent.training import mixing, mixing_layers, refuse_mixing

pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop")


def batch(shape, n=4):
    source = torch.Generator().manual_seed(1)
    return torch.rand((n, *shape), generator=source) * 2, torch.arange(n) % 3


def test_every_architecture_of_the_exact_tests_passes(kit):
    for name, (shape, factory) in kit.architectures.items():
        torch.manual_seed(0)
        assert mixing_layers(factory(), kit.loss, *batch(shape)) == (), name


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.BatchNorm1d(6), (6,)),
        (nn.BatchNorm2d(2), (2, 3, 3)),
        (nn.BatchNorm3d(2), (2, 3, 3, 3)),
        (nn.SyncBatchNorm(2), (2, 3, 3)),
    ],
)
def test_batch_norm_is_refused_by_name_with_its_replacement(kit, layer, shape):
    model = nn.Sequential(nn.Identity(), layer, nn.Flatten(), nn.LazyLinear(3))
    with pytest.raises(PolicyRefused, match=rf"1 \({type(layer).__name__}\)") as caught:
        refuse_mixing(model, kit.loss, *batch(shape))
    assert caught.value.code == "mixes-examples"
    assert "GroupNorm" in caught.value.hint


def test_instance_norm_is_refused_only_with_running_statistics(kit):
    def model(track):
        return nn.Sequential(nn.InstanceNorm2d(2, track_running_stats=track), nn.Flatten(), nn.Linear(18, 3))

    assert mixing_layers(model(False), kit.loss, *batch((2, 3, 3))) == ()
    assert mixing_layers(model(True), kit.loss, *batch((2, 3, 3))) == ("0 (InstanceNorm2d)",)


def check_finds_what_no_type_betrays(kit, find):
    subtracts = nn.Sequential(nn.Linear(6, 6), kit.MinusBatchMean(), nn.Linear(6, 3))
    assert find(subtracts, kit.loss, *batch((6,))) == ("1 (MinusBatchMean)",)
    remembers = nn.Sequential(nn.Linear(6, 6), kit.RunningMean(), nn.Linear(6, 3))
    assert len(find(remembers, kit.loss, *batch((6,)))) == 1
    assert remembers[1].seen.abs().sum() == 0, "the check itself changed the model"

    class OverBatch(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(6, 2)  # batch_first left out: it attends over the batch
            self.out = nn.Linear(6, 3)

        def forward(self, x):
            return self.out(self.attention(x, x, x)[0])

    assert find(OverBatch(), kit.loss, *batch((6,))) != ()


def test_mixing_that_no_type_betrays_is_found(kit):
    check_finds_what_no_type_betrays(kit, mixing_layers)


def test_broken_copy_that_knows_types_only_is_caught(kit, monkeypatch):
    monkeypatch.setattr(mixing, "_influenced", lambda *_: None)
    monkeypatch.setattr(mixing, "_close", lambda *_: True)
    with pytest.raises(AssertionError):
        check_finds_what_no_type_betrays(kit, mixing_layers)


def test_broken_copy_that_looks_at_outputs_but_not_buffers_is_caught(kit, monkeypatch):
    forward = mixing._forward
    monkeypatch.setattr(mixing, "_forward", lambda model, features: (forward(model, features)[0], []))
    with pytest.raises(AssertionError):
        check_finds_what_no_type_betrays(kit, mixing_layers)


def test_a_model_that_looks_at_the_batch_size_is_refused(kit):
    """No example changes another, and yet a batch of one gives something else."""

    class Shared(nn.Module):
        def forward(self, x):
            return x / len(x)

    assert mixing_layers(nn.Sequential(Shared(), nn.Linear(6, 3)), kit.loss, *batch((6,))) == ("Sequential",)


def test_batch_norm_is_also_found_without_looking_at_its_type(kit, monkeypatch):
    monkeypatch.setattr(mixing, "_mixes_by_type", lambda _: False)
    model = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Linear(6, 3))
    assert mixing_layers(model, kit.loss, *batch((6,))) == ("1 (BatchNorm1d)",)


def test_dropout_does_not_look_like_mixing(kit):
    model = nn.Sequential(nn.Linear(6, 20), nn.Dropout(0.5), nn.Linear(20, 3))
    assert mixing_layers(model, kit.loss, *batch((6,))) == ()


def test_checks_leave_modes_and_the_global_generator_alone(kit):
    model = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5), nn.Linear(6, 3))
    model[1].eval()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    mixing_layers(model, kit.loss, *batch((6,)))
    assert torch.equal(before, torch.get_rng_state())
    assert (model.training, model[1].training) == (True, False)


def test_losses_that_mix_are_refused(kit):
    model = nn.Linear(6, 3)
    weighted = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0, 9.0]))
    with pytest.raises(PolicyRefused, match="loss") as caught:
        refuse_mixing(model, weighted, *batch((6,)))
    assert "class weights" in caught.value.hint

    def contrastive(outputs, labels):
        return (outputs @ outputs.T).square().mean()

    assert mixing_layers(model, contrastive, *batch((6,))) != ()


def test_sums_means_and_penalties_are_accepted(kit):
    model = nn.Linear(6, 3)
    for loss in (
        nn.CrossEntropyLoss(),
        nn.CrossEntropyLoss(reduction="sum", weight=torch.tensor([1.0, 5.0, 9.0])),
        lambda outputs, labels: F.cross_entropy(outputs, labels) + 0.1 * model.weight.square().sum(),
        nn.CrossEntropyLoss(label_smoothing=0.1),
    ):
        assert mixing_layers(model, loss, *batch((6,))) == ()


def test_terms_that_cancel_are_accepted():
    """Rounding is all that is left of 1.57992 - 1.57992: it must not look like a loss that mixes."""

    def signed(outputs, labels):
        return (outputs * (2.0 * labels - 1)[:, None]).sum()

    spread = torch.linspace(-1, 1, 12).view(4, 3)  # what the check adds to the outputs
    for seed in range(50):
        outputs = torch.rand((4, 3), generator=torch.Generator().manual_seed(seed)) + 0.5
        outputs[2:] = outputs[:2].flip(1)
        assert mixing_layers(nn.Identity(), signed, outputs - spread, torch.tensor([0, 0, 1, 1])) == ()
