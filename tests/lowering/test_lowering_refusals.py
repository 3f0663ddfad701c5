"""What cannot be lowered is refused with the layer's name, its place and what is offered; nothing is changed."""

from __future__ import annotations

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from reticent import lowering
from reticent.errors import UsageError
from reticent.lowering import ops


class Through(nn.Module):
    """Applies a function, so that a case is one line."""

    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


REFUSED = {
    "gelu": (nn.Sequential(nn.Linear(4, 4), nn.GELU()), (4,), "unsupported-layer", "gelu at 1 (GELU)"),
    "layer_norm": (nn.Sequential(nn.LayerNorm(4)), (4,), "unsupported-layer", "layer_norm at 0 (LayerNorm)"),
    "ceil_mode": (nn.Sequential(nn.MaxPool2d(2, ceil_mode=True)), (1, 5, 5), "unsupported-layer", "ceil_mode"),
    "average_without_padding": (
        nn.AvgPool2d(2, padding=1, count_include_pad=False),
        (1, 4, 4),
        "unsupported-layer",
        "count_include_pad",
    ),
    "uneven": (nn.AdaptiveAvgPool2d(2), (1, 5, 5), "unsupported-layer", "adaptive"),
    "negative_power": (Through(lambda x: x**-1), (4,), "unsupported-layer", "exponent -1"),
    "division": (Through(lambda x: 1 / x), (4,), "unsupported-layer", "reciprocal"),
    "attention": (Through(lambda x: x @ x.transpose(1, 2)), (3, 4), "unsupported-layer", "transpose"),
    "widened": (Through(lambda x: x + torch.ones(3, 4)), (4,), "lowering-mixes-examples", "mixes"),
    "dropout_that_stays": (Through(functional.dropout), (4,), "unsupported-layer", "evaluation mode"),
    "noise": (Through(lambda x: x + torch.rand(4)), (4,), "unsupported-layer", "rand"),
    "batch_statistics": (
        nn.BatchNorm1d(4, track_running_stats=False),
        (4,),
        "lowering-mixes-examples",
        "batch_norm",
    ),
    "softmax_over_the_batch": (nn.Softmax(dim=0), (4,), "lowering-mixes-examples", "softmax"),
    "batch_centred": (Through(lambda x: x - x.mean(0, keepdim=True)), (4,), "unsupported-layer", "mean"),
    "flattened_batch": (nn.Flatten(0), (4,), "lowering-mixes-examples", "flatten"),
    "pairs_of_samples": (Through(lambda x: x.reshape(-1, 2)), (4,), "lowering-mixes-examples", "mixes"),
    "constant_batch": (Through(lambda x: x.view(3, 4)), (4,), "lowering-mixes-examples", "constant batch"),
    "constant_result": (Through(lambda x: torch.ones(4)), (4,), "unsupported-layer", ""),
    "two_results": (Through(lambda x: (x, x + 1)), (4,), "module-not-exportable", "2 values"),
    "branch": (Through(lambda x: x if x.sum() > 0 else -x), (4,), "module-not-exportable", ""),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused_by_name_and_place(name: str) -> None:
    module, shape, code, said = REFUSED[name]
    with pytest.raises(UsageError) as caught:
        lowering.lower(module, torch.zeros(2, *shape))
    assert caught.value.code == code
    assert said in caught.value.message


def test_the_module_is_not_changed() -> None:
    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Dropout())
    before = copy.deepcopy(module.state_dict())
    program = lowering.lower(module, torch.randn(4, 3))
    assert module.training
    assert all(
        torch.equal(before[key], value) and before[key].dtype == value.dtype
        for key, value in module.state_dict().items()
    )
    with pytest.raises(ValueError, match="read-only"):
        program.parameters()["batch_norm.weight"][0, 0] = 1.0


def test_an_architecture_holds_no_weight() -> None:
    """Nothing of a weight is left, neither as a number nor behind a view; public constants stay."""
    module = nn.Sequential(nn.Linear(3, 2), Through(lambda x: 2 * x + 3 * x**3), nn.Linear(2, 1))
    program = lowering.lower(module, torch.randn(4, 3))
    bare = program.architecture()
    assert bare.fingerprint() == program.fingerprint()
    for name, array in bare.parameters().items():
        assert array.shape == program.parameters()[name].shape
        if "coefficients" not in name:
            assert np.isnan(array).all()
            assert not array.flags.writeable
            assert array.base is not None
            assert array.base.size <= 1 or np.isnan(array.base).all()
    found = next(op for op in bare.ops if isinstance(op, ops.Polynomial))
    assert found.coefficients.tolist() == [0, 2, 0, 3]
    with pytest.raises(UsageError) as caught:
        bare.run(np.zeros((1, 3)))
    assert caught.value.code == "program-without-weights"


def test_a_broken_copy_that_keeps_the_weights_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check above would fail if `architecture` handed out the weights."""
    monkeypatch.setattr("reticent.lowering.program._blank", lambda op: op)
    with pytest.raises(AssertionError):
        test_an_architecture_holds_no_weight()


def test_learned_and_written_coefficients_are_told_apart() -> None:
    class Learned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Parameter(torch.tensor(1.0))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.a * x**2 + 1

    (op,) = lowering.lower(Learned(), torch.zeros(1, 3)).ops
    assert isinstance(op, ops.Polynomial)
    assert not op.public
    (op,) = lowering.lower(Through(lambda x: 4 * x**2 + 1), torch.zeros(1, 3)).ops
    assert isinstance(op, ops.Polynomial)
    assert op.public


def test_equal_weights_do_not_change_the_architecture() -> None:
    """Two learned factors of one value stay two operations where they happen to be equal, or 0, or 1."""

    class Two(nn.Module):
        def __init__(self, a: float, b: float) -> None:
            super().__init__()
            self.a, self.b = nn.Parameter(torch.tensor(a)), nn.Parameter(torch.tensor(b))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.a * x) * torch.sigmoid(self.b * x)

    prints = {
        lowering.lower(Two(a, b), torch.zeros(1, 3)).fingerprint()
        for a, b in ((0.3, 0.4), (0.3, 0.3), (1.0, 0.0), (0.0, 0.0), (1.0, 1.0))
    }
    assert len(prints) == 1


def test_only_lower_loads_torch() -> None:
    code = "import sys, reticent.lowering; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
