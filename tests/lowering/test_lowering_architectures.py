"""The lowered program equals the module in float64, for every architecture that the project names."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from reticent import lowering
from reticent.training import models

Case = tuple[Callable[[], nn.Module], tuple[int, ...]]


class Residual(nn.Module):
    """A residual block with batch norm, an in-place activation and a projection."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.two = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))
        self.skip = nn.Conv2d(3, 8, 1)
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.two(self.one(x))
        y += self.skip(x)
        return self.head(functional.relu(y).mean((2, 3)))


class InPlace(nn.Module):
    """Changes values in place, so that torch's graph must be made functional first, every kind of layer with it."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d((7, 7))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(x * 1).mul_(2.0)
        flat = x.view(x.size(0), 49)
        flat.add_(1.0)  # changes x too
        return torch.softmax(functional.dropout(flat, 0.5, self.training), 1) + x.flatten(1)


class Learned(nn.Module):
    """A polynomial activation with learned coefficients, standardised inputs and parameters that broadcast."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("centre", torch.randn(6))
        self.a = nn.Parameter(torch.tensor(0.3))
        self.b = nn.Parameter(torch.tensor([0.7]))
        self.gain = nn.Parameter(torch.randn(8))
        self.one, self.two = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.one((x - self.centre) / 2.0)
        x = self.a * x**2 + self.b * x + 0.1
        return self.two(x * torch.exp(self.gain))


class Functional(nn.Module):
    """Functional forms only, and a view that names the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(4, 1, 3, 3) / 3)
        self.matrix = nn.Parameter(torch.randn(36, 5) / 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.conv2d(1 - x, self.kernel, stride=2)
        x = functional.avg_pool2d(torch.square(x), 2)
        x = functional.dropout(x.view(x.size(0), -1), training=self.training)
        return functional.softmax(x @ self.matrix, dim=-1)


class Cubes(nn.Module):
    """Powers and sums that collapse into one polynomial."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0.5 + 0.197 * x - 0.004 * x**3 + x * x / 4


class Twice(nn.Module):
    """A value that two layers read, so that batch norm may not fold into the first."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm, self.two = nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.one(x)
        return self.two(self.norm(y)) * torch.sigmoid(y) - y


def mlp(activation: Callable[[], nn.Module]) -> nn.Module:
    return nn.Sequential(nn.Linear(7, 9), activation(), nn.Dropout(0.3), nn.Linear(9, 4), activation(), nn.Linear(4, 2))


def lenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding="same"),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 5 * 5, 84),
        nn.BatchNorm1d(84),
        nn.ReLU(),
        nn.Linear(84, 10),
        nn.LogSoftmax(dim=1),
    )


def lenet_in_place() -> nn.Module:
    layers = list(lenet())
    return nn.Sequential(*layers[:2], nn.ReLU(inplace=True), nn.Dropout2d(0.1), *layers[3:-1], nn.Softmax(dim=1))


def odd_convolutions() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(4, 8, (3, 2), stride=(1, 2), padding=(2, 1), dilation=(2, 1), groups=2),
        nn.SiLU(),
        nn.Conv2d(8, 8, 4, padding="same", groups=8),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Softmax(dim=1),
    )


def norms_first() -> nn.Module:
    return nn.Sequential(
        nn.BatchNorm2d(4),
        nn.Conv2d(4, 6, 3, groups=2),
        nn.ReLU(),
        nn.BatchNorm2d(6),
        nn.Conv2d(6, 4, 3, padding=1),
        nn.AvgPool2d(2, padding=1),
        nn.Flatten(),
        nn.BatchNorm1d(64),
        nn.Linear(64, 3),
    )


CASES: dict[str, Case] = {
    "cubes": (Cubes, (5,)),
    "functional": (Functional, (1, 14, 14)),
    "in_place": (InPlace, (1, 14, 14)),
    "lenet_in_place": (lenet_in_place, (1, 28, 28)),
    "learned": (Learned, (6,)),
    "lenet": (lenet, (1, 28, 28)),
    "logistic": (lambda: models.logistic(12, 2), (12,)),
    "mcmahan_cnn": (models.mcmahan_cnn, (1, 28, 28)),
    "mnist_2nn": (models.mnist_2nn, (1, 28, 28)),
    "norms_first": (norms_first, (4, 8, 8)),
    "odd_convolutions": (odd_convolutions, (4, 9, 10)),
    "residual": (Residual, (3, 6, 6)),
    "sequence": (lambda: nn.Sequential(nn.Linear(5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)), (4, 5)),
    "twice": (Twice, (4,)),
    "two_layer": (lambda: models.two_layer(6, 3), (6,)),
    **{f"mlp_{kind.__name__}": ((lambda kind=kind: mlp(kind)), (7,)) for kind in (nn.ReLU, nn.Sigmoid, nn.Tanh)},
    "mlp_leaky": (lambda: mlp(lambda: nn.LeakyReLU(0.2)), (7,)),
}


def prepared(make: Callable[[], nn.Module]) -> nn.Module:
    """Return the module with weights and batch statistics that are not the initial ones."""
    torch.manual_seed(1)
    module = make()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 0.5, 2.0)
            nn.init.normal_(layer.weight)
            nn.init.normal_(layer.bias)
    return module


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_program_equals_the_module_for_any_batch(name: str) -> None:
    """Lowered with one sample in training mode and float32; run with five and with one."""
    make, shape = CASES[name]
    module = prepared(make)
    program = lowering.lower(module, torch.zeros(1, *shape))
    assert module.training
    assert next(module.parameters(), torch.zeros(1)).dtype == torch.float32
    oracle = module.eval().double()
    x = torch.randn(5, *shape, dtype=torch.float64)
    with torch.no_grad():
        wanted = oracle(x).numpy()
    assert program.output_shape == wanted.shape[1:]
    np.testing.assert_allclose(program.run(x.numpy()), wanted, rtol=0, atol=1e-10)
    np.testing.assert_allclose(program.run(x[:1].numpy()), wanted[:1], rtol=0, atol=1e-10)


KINDS = {
    "cubes": ["Polynomial"],
    "learned": ["Linear", "Polynomial", "Linear"],
    "lenet": [
        "Conv2d",
        "MaxPool2d",
        "Relu",
        "Conv2d",
        "Tanh",
        "AvgPool2d",
        "Reshape",
        "Linear",
        "Relu",
        "Linear",
        "LogSoftmax",
    ],
    "norms_first": ["Conv2d", "Relu", "Affine", "Conv2d", "AvgPool2d", "Reshape", "Linear"],
    "residual": ["Conv2d", "Relu", "Conv2d", "Conv2d", "Add", "Relu", "AvgPool2d", "Reshape", "Linear"],
    "twice": ["Linear", "Linear", "Sigmoid", "Multiply", "Subtract"],
}


@pytest.mark.parametrize("name", sorted(KINDS))
def test_what_folds_and_what_stays(name: str) -> None:
    make, shape = CASES[name]
    program = lowering.lower(prepared(make), torch.zeros(1, *shape))
    assert [op.kind for op in program.ops] == KINDS[name]


def test_architectures_agree_whatever_the_weights() -> None:
    """Another party's lowering of the same layers with other weights, zeros included, is the same architecture."""
    for name, (make, shape) in sorted(CASES.items()):
        mine, theirs = prepared(make), make()
        for tensor in theirs.parameters():
            nn.init.zeros_(tensor)
        found = [lowering.lower(module, torch.zeros(2, *shape)).fingerprint() for module in (mine, theirs)]
        assert found[0] == found[1], name


def test_different_architectures_differ() -> None:
    prints = {
        name: lowering.lower(make(), torch.zeros(2, *shape)).fingerprint() for name, (make, shape) in CASES.items()
    }
    for one, other in itertools.combinations(sorted(prints), 2):
        assert prints[one] != prints[other], (one, other)
