"""Shared by the tests of `training`: architectures, rows and the reference that clips one example at a time."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reticent.data import Examples


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(6, 6), nn.Tanh())
        self.out = nn.Linear(6, 3)

    def forward(self, x):
        return self.out(x + self.inner(x))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.out = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.out(torch.tanh(self.second(torch.tanh(self.first(x)))))


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.out = nn.Embedding(11, 5), nn.Linear(5, 3)

    def forward(self, x):
        return self.out(self.embedding(x.long()).mean(1))


class Recurrent(nn.Module):
    def __init__(self, kind=nn.LSTM):
        super().__init__()
        self.cells, self.out = kind(2, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, x):
        return self.out(self.cells(x)[0][:, -1])


class MinusBatchMean(nn.Module):
    """No type of layer betrays it; Opacus accepts it silently (field/dp.md, section 1)."""

    def forward(self, x):
        return x - x.mean(0, keepdim=True)


class RunningMean(nn.Module):
    """Outputs are per example, but a buffer remembers the rows."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(6))

    def forward(self, x):
        if self.training:
            self.seen.mul_(0.9).add_(0.1 * x.detach().mean(0))
        return x


def frozen():
    model = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 3))
    model[0].requires_grad_(False)
    return model


ARCHITECTURES = {
    "linear": ((6,), lambda: nn.Linear(6, 3)),
    "mlp_tanh": ((6,), lambda: nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))),
    "mlp_relu": ((6,), lambda: nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))),
    "mlp_dropout_0": ((6,), lambda: nn.Sequential(nn.Linear(6, 5), nn.Dropout(0.0), nn.GELU(), nn.Linear(5, 3))),
    "conv": (
        (1, 6, 6),
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3)),
    ),
    "conv1d": ((2, 8), lambda: nn.Sequential(nn.Conv1d(2, 4, 3, stride=2), nn.Tanh(), nn.Flatten(), nn.Linear(12, 3))),
    "groupnorm": (
        (2, 5, 5),
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3)),
    ),
    "instancenorm": (
        (2, 5, 5),
        lambda: nn.Sequential(nn.InstanceNorm2d(2, affine=True), nn.Flatten(), nn.Linear(50, 3)),
    ),
    "layernorm": ((6,), lambda: nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 3))),
    "embedding": ((7,), Words),
    "lstm": ((5, 2), Recurrent),
    "gru": ((5, 2), lambda: Recurrent(nn.GRU)),
    "attention": (
        (4, 6),
        lambda: nn.Sequential(
            nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True), nn.Flatten(), nn.Linear(24, 3)
        ),
    ),
    "tied": ((6,), Tied),
    "frozen": ((6,), frozen),
    "residual": ((6,), Residual),
}


def rows(shape, n, *, classes=3, seed=0, scale=2.0, persons=None):
    """Rows in [0, scale), which are token numbers too; Examples of float32."""
    source = np.random.default_rng(seed)
    features = (source.random((n, *shape)) * scale).astype(np.float32)
    return Examples.of(features, source.integers(0, classes, n), persons)


def trained_values(model):
    return [value for value in model.parameters() if value.requires_grad]


def gradients_one_by_one(model, loss, features, labels):
    """A backward pass for each example alone: the specification, float64 `(n, parameters)`."""
    found = []
    for row in range(len(labels)):
        model.zero_grad()
        loss(model(features[row : row + 1]), labels[row : row + 1]).backward()
        found.append(torch.cat([value.grad.flatten() for value in trained_values(model)]))
    model.zero_grad()
    return torch.stack(found)


def clipped_one_by_one(contributions, max_norm):
    total = torch.zeros_like(contributions[0])
    for contribution in contributions:
        length = contribution.norm()
        total += contribution * min(1.0, max_norm / float(length)) if length > 0 else contribution
    return total


class Kit:
    architectures = ARCHITECTURES
    rows = staticmethod(rows)
    trained_values = staticmethod(trained_values)
    gradients_one_by_one = staticmethod(gradients_one_by_one)
    clipped_one_by_one = staticmethod(clipped_one_by_one)
    loss = staticmethod(F.cross_entropy)
    MinusBatchMean, RunningMean, Recurrent = MinusBatchMean, RunningMean, Recurrent


@pytest.fixture(scope="session")
def kit():
    return Kit
