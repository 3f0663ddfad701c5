"""Shared by the tests of `training`: architectures, rows and the reference that clips one example at a time."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations

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


class WordsPadded(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(11, 5, padding_idx=0)

    def forward(self, x):
        return self.words(x.long())


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


class Bags(nn.Module):
    def __init__(self, mode="mean"):
        super().__init__()
        self.bag, self.out = nn.EmbeddingBag(11, 5, mode=mode), nn.Linear(5, 3)

    def forward(self, x):
        return self.out(self.bag(x.long()))


class Positions(nn.Module):
    """A transformer with learned positions, a class token and a causal mask, as language models have them."""

    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(11, 4), nn.Parameter(torch.randn(8, 4) * 0.1)
        self.first = nn.Parameter(torch.zeros(1, 1, 4))
        self.layer = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True, norm_first=True)
        self.out = nn.Linear(4, 3)

    def forward(self, x):
        made = torch.cat([self.first.expand(len(x), 1, 4), self.words(x.long())], dim=1) + self.places
        mask = torch.triu(torch.full((8, 8), float("-inf"), dtype=made.dtype), diagonal=1)
        return self.out(self.layer(made, src_mask=mask)[:, -1])


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 3, batch_first=True, add_bias_kv=True)
        self.out = nn.Linear(6, 3)

    def forward(self, x):
        return self.out(self.attention(x, x, x)[0].mean(1))


class Translator(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Transformer(4, 2, 1, 1, 6, dropout=0.0, batch_first=True)
        self.out = nn.Linear(4, 3)

    def forward(self, x):
        return self.out(self.inner(x[:, :3], x[:, 3:])[:, -1])


class Pairs(nn.Module):
    def __init__(self):
        super().__init__()
        self.product, self.out = nn.Bilinear(3, 3, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.out(torch.tanh(self.product(x[:, :3], x[:, 3:])))


class TiedWords(nn.Module):
    """Input and output embedding share their weight, as in language models."""

    def __init__(self):
        super().__init__()
        self.words, self.out = nn.Embedding(11, 5), nn.Linear(5, 11, bias=False)
        self.out.weight = self.words.weight

    def forward(self, x):
        return self.out(torch.tanh(self.words(x.long()).mean(1)))[:, :3]


class Cells(nn.Module):
    """Recurrence written out, with a cell."""

    def __init__(self, kind=nn.GRUCell):
        super().__init__()
        self.cell, self.out = kind(2, 4), nn.Linear(4, 3)

    def forward(self, x):
        state = None
        for step in range(x.shape[1]):
            state = self.cell(x[:, step], state)
        return self.out(state[0] if isinstance(state, tuple) else state)


class Squeezed(nn.Module):
    """A residual block with squeeze and excitation (Hu et al. 2018)."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 4, 3, padding=1), nn.GroupNorm(2, 4)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4), nn.Sigmoid())
        self.skip, self.out = nn.Conv2d(2, 4, 1), nn.Linear(4, 3)

    def forward(self, x):
        made = torch.relu(self.norm(self.conv(x)))
        made = made * self.gate(made)[:, :, None, None] + self.skip(x)
        return self.out(made.mean((2, 3)))


def chain(*layers, out):
    return lambda: nn.Sequential(*[layer() for layer in layers], nn.Flatten(), nn.Linear(out, 3))


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
    "linear_without_bias": ((6,), lambda: nn.Linear(6, 3, bias=False)),
    "linear_head": ((6,), lambda: nn.Sequential(nn.Linear(6, 5).requires_grad_(False), nn.ReLU(), nn.Linear(5, 3))),
    "conv3d": ((1, 4, 4, 4), chain(lambda: nn.Conv3d(1, 2, 2), nn.ReLU, out=54)),
    "conv_groups": ((4, 5, 5), chain(lambda: nn.Conv2d(4, 8, 3, groups=4, dilation=2, bias=False), nn.SiLU, out=8)),
    "conv_reflect": ((1, 4, 4), chain(lambda: nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect"), out=32)),
    "transposed1d": ((2, 4), chain(lambda: nn.ConvTranspose1d(2, 3, 3, stride=2), nn.Tanh, out=27)),
    "transposed2d": ((2, 3, 3), chain(lambda: nn.ConvTranspose2d(2, 2, 2, stride=2), nn.Tanh, out=72)),
    "transposed3d": ((1, 2, 2, 2), chain(lambda: nn.ConvTranspose3d(1, 2, 2), nn.Tanh, out=54)),
    "bag_mean": ((7,), Bags),
    "bag_sum": ((7,), lambda: Bags("sum")),
    "padded_words": ((7,), lambda: nn.Sequential(WordsPadded(), nn.Flatten(), nn.Linear(35, 3))),
    "tied_words": ((7,), TiedWords),
    "rnn": ((5, 2), lambda: Recurrent(nn.RNN)),
    "lstm_deep_both_ways": (
        (5, 2),
        lambda: Recurrent(lambda i, h, batch_first: nn.LSTM(i, h // 2, 2, bidirectional=True, batch_first=batch_first)),
    ),
    "gru_cell": ((4, 2), Cells),
    "lstm_cell": ((4, 2), lambda: Cells(nn.LSTMCell)),
    "multihead": ((4, 6), Attention),
    "transformer": ((6, 4), Translator),
    "language_model": ((7,), Positions),
    "bilinear": ((6,), Pairs),
    "prelu": ((6,), chain(lambda: nn.Linear(6, 5), lambda: nn.PReLU(5), out=5)),
    "rmsnorm": ((6,), chain(lambda: nn.Linear(6, 5), lambda: nn.RMSNorm(5), nn.Tanh, out=5)),
    "instancenorm1d": ((2, 6), chain(lambda: nn.InstanceNorm1d(2, affine=True), out=12)),
    "local_response": ((4, 3, 3), chain(lambda: nn.Conv2d(4, 4, 1), lambda: nn.LocalResponseNorm(2), out=36)),
    "weight_norm": (
        (6,),
        lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(6, 5)), nn.Tanh(), nn.Linear(5, 3)),
    ),
    "spectral_norm": (
        (6,),
        lambda: nn.Sequential(parametrizations.spectral_norm(nn.Linear(6, 5)), nn.Tanh(), nn.Linear(5, 3)),
    ),
    "orthogonal": (
        (6,),
        lambda: nn.Sequential(parametrizations.orthogonal(nn.Linear(6, 6)), nn.Tanh(), nn.Linear(6, 3)),
    ),
    "pixel_shuffle": (
        (4, 3, 3),
        chain(lambda: nn.Conv2d(4, 4, 1), lambda: nn.PixelShuffle(2), lambda: nn.PixelUnshuffle(2), out=36),
    ),
    "upsampling": (
        (1, 3, 3),
        chain(lambda: nn.Conv2d(1, 2, 2), lambda: nn.Upsample(scale_factor=2, mode="bilinear"), out=32),
    ),
    "adaptive_pooling": ((2, 5, 5), chain(lambda: nn.Conv2d(2, 3, 2), lambda: nn.AdaptiveAvgPool2d(2), out=12)),
    "adaptive_max": ((2, 7), chain(lambda: nn.Conv1d(2, 3, 2), lambda: nn.AdaptiveMaxPool1d(2), out=6)),
    "pooled": ((2, 6, 6), chain(lambda: nn.Conv2d(2, 3, 1), lambda: nn.AvgPool2d(2), lambda: nn.LPPool2d(2, 3), out=3)),
    "unfolded": ((1, 4, 4), chain(lambda: nn.Unfold(2), lambda: nn.Linear(9, 4), nn.Mish, out=16)),
    "squeeze_excitation": ((2, 4, 4), Squeezed),
    "dropout_of_frozen_seed": ((6,), chain(lambda: nn.Linear(6, 5), lambda: nn.AlphaDropout(0.0), nn.ELU, out=5)),
    "softmax_gate": ((6,), chain(lambda: nn.Linear(6, 8), lambda: nn.GLU(1), lambda: nn.Softmax(1), out=4)),
    "unflattened": (
        (6,),
        chain(lambda: nn.Linear(6, 8), lambda: nn.Unflatten(1, (2, 4)), lambda: nn.Conv1d(2, 2, 2), out=6),
    ),
}
TOKENS = {"embedding", "bag_mean", "bag_sum", "padded_words", "tied_words", "language_model"}
"""Architectures whose inputs are token numbers."""


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
    tokens = TOKENS
    rows = staticmethod(rows)
    trained_values = staticmethod(trained_values)
    gradients_one_by_one = staticmethod(gradients_one_by_one)
    clipped_one_by_one = staticmethod(clipped_one_by_one)
    loss = staticmethod(F.cross_entropy)
    MinusBatchMean, RunningMean, Recurrent = MinusBatchMean, RunningMean, Recurrent


@pytest.fixture(scope="session")
def kit():
    return Kit
