"""Every layer and every kind of model under sharing, against the float64 program, within the stated bound."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from reticent import lowering, mpc
from reticent.errors import IdentityError
from reticent.lowering import ops
from reticent.mpc.nn_bound import fixed_point_bound
from reticent.mpc.nn_convolution import Convolution
from reticent.mpc.nn_windows import pool_table
from reticent.mpc.recipes import decode_request, encode_request


class Through(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


class Residual(nn.Module):
    """Batch norm, a skip connection, an average over all pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.skip, self.head = nn.Conv2d(2, 4, 1), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.norm(self.one(x))) + self.skip(x)
        return self.head(y.mean((2, 3)))


class Learned(nn.Module):
    """A polynomial with learned coefficients and a gain for each feature."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.gain = nn.Parameter(torch.tensor(0.3)), nn.Parameter(torch.randn(5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.a * x**2 + 0.5 * x) * self.gain - x


CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "average_pool": (lambda: nn.AvgPool2d(3, stride=2, padding=1), (2, 7, 6)),
    "batch_norm_alone": (lambda: nn.BatchNorm2d(2), (2, 3, 3)),
    "constants": (lambda: Through(lambda x: (x - 0.25) / 0.7), (5,)),
    "convolution": (lambda: nn.Conv2d(2, 4, (3, 2), stride=(1, 2), padding=(2, 1), dilation=(2, 1)), (2, 6, 7)),
    "convolution_grouped": (lambda: nn.Conv2d(4, 6, 4, padding="same", groups=2, bias=False), (4, 5, 5)),
    "learned": (Learned, (5,)),
    "max_pool": (lambda: nn.MaxPool2d(3, stride=2, padding=1), (2, 7, 6)),
    "mlp_relu": (lambda: nn.Sequential(nn.Linear(7, 9), nn.ReLU(), nn.Linear(9, 4), nn.ReLU(), nn.Linear(4, 2)), (7,)),
    "mlp_sigmoid": (lambda: nn.Sequential(nn.Linear(7, 5), nn.Sigmoid(), nn.Linear(5, 2), nn.Sigmoid()), (7,)),
    "mlp_softmax": (lambda: nn.Sequential(nn.Linear(7, 4), nn.Softmax(dim=1)), (7,)),
    "mlp_tanh": (lambda: nn.Sequential(nn.Linear(7, 5), nn.Tanh(), nn.Linear(5, 2)), (7,)),
    "polynomial": (lambda: Through(lambda x: 0.5 + 0.197 * x - 0.004 * x**3 + 0.01 * x**4), (6,)),
    "residual": (Residual, (2, 5, 5)),
    "sequence": (lambda: nn.Sequential(nn.Linear(5, 3), nn.Flatten(), nn.Linear(12, 2)), (4, 5)),
    "silu": (lambda: nn.Sequential(nn.Linear(4, 4), nn.SiLU()), (4,)),
    "square": (lambda: nn.Sequential(nn.Linear(4, 6), Through(torch.square), nn.Linear(6, 2)), (4,)),
}
PARTIES = {"replicated": 3, "additive": 2}


def prepared(name: str) -> tuple[nn.Module, np.ndarray]:
    """Return the module with weights and statistics that are not the initial ones, and three samples."""
    torch.manual_seed(2)
    make, shape = CASES[name]
    module = make().eval()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 0.5, 2.0)
            nn.init.normal_(layer.weight)
    return module, np.random.default_rng(3).normal(size=(3, *shape)) * 2


@pytest.mark.parametrize("protocol", sorted(PARTIES))
@pytest.mark.parametrize("name", sorted(CASES))
def test_a_model_under_sharing_stays_within_its_bound(name: str, protocol: str) -> None:
    """Within the bound of the forward error analysis, which itself is no empty one: below 0.05 for these sizes."""
    module, x = prepared(name)
    program = lowering.lower(module, torch.zeros(1, *x.shape[1:]))

    def run(session: mpc.Session) -> object:
        network = session.compile(program, owner=1)
        return network(session.input("x", owner=0, shape=x.shape)).reveal()

    found, _ = mpc.run_local(run, inputs=[{"x": x}, {}, {}][: PARTIES[protocol]], protocol=protocol)
    bound = fixed_point_bound(program, x)
    assert bound.max() < 0.05
    assert (np.abs(found - program.run(x)) <= bound).all()


def test_the_bound_is_broken_by_a_layer_that_is_wrong() -> None:
    """The comparison above would notice a bias that is left out, and weights with eight bits."""
    module, x = prepared("mlp_relu")
    program = lowering.lower(module, torch.zeros(1, 7))
    first = program.ops[0]
    assert isinstance(first, ops.Linear)
    bound = fixed_point_bound(program, x)
    for weight, bias in ((first.weight, first.bias * 0), (np.rint(first.weight * 256) / 256, first.bias)):
        changed = ops.Linear(name=first.name, inputs=first.inputs, shape=first.shape, weight=weight, bias=bias)
        wrong = lowering.Program(program.input_shape, (changed, *program.ops[1:]), program.output)
        assert (np.abs(wrong.run(x) - program.run(x)) > bound).any()


@pytest.mark.parametrize("name", ["average_pool", "convolution", "convolution_grouped", "max_pool"])
def test_windows_cover_what_the_reference_covers(name: str) -> None:
    """The tables of positions, applied in clear text, give the reference's result; whole numbers exactly."""
    module, x = prepared(name)
    program = lowering.lower(module, torch.zeros(1, *x.shape[1:]))
    (op,) = program.ops
    channels, height, width = x.shape[1:]
    if isinstance(op, ops.Conv2d):
        product = Convolution.of(op, (channels, height, width))
        weight = op.weight.reshape(op.groups, len(op.weight) // op.groups, -1).transpose(0, 2, 1)
        whole = [np.rint(part * 1000).astype(np.int64) for part in (x.reshape(len(x), -1), weight)]
        found = product(*(np.ascontiguousarray(part).view(np.uint64) for part in whole)).view(np.int64)
        rounded = dataclasses.replace(op, weight=np.rint(op.weight * 1000), bias=op.bias * 0)
        np.testing.assert_array_equal(
            found.transpose(0, 2, 1).reshape(len(x), *op.shape), np.rint(lowering.evaluate(rounded, np.rint(x * 1000)))
        )
        assert Convolution.parse(product.kind) == product
        return
    table = pool_table(op, height, width)
    flat = np.concatenate([x.reshape(len(x), channels, -1), np.zeros((len(x), channels, 1))], axis=2)[:, :, table]
    found = (flat.max(axis=-1) if isinstance(op, ops.MaxPool2d) else flat.mean(axis=-1)).reshape(len(x), *op.shape)
    np.testing.assert_allclose(found, program.run(x), atol=1e-12)


@pytest.mark.parametrize(
    "kind",
    [
        "convolve",
        "convolve 1 2",
        "other",
        "convolve 1 4 4 3 3 0 1 0 0 0 0 1 1 1",
        "convolve 1 4 4 3 3 1 1 0 0 0 0 1 1 99999",
    ],
)
def test_a_dealer_deals_no_other_product(kind: str) -> None:
    """What is no product is refused where the dealer reads requests."""
    request = encode_request((1, 1), "x", "triple", {"kind": kind, "left": (1, 16), "right": (1, 9, 2)})
    with pytest.raises(IdentityError, match="asks the dealer for nothing"):
        decode_request(request)


def test_masked_images_are_opened_once() -> None:
    """A 5 by 5 convolution between an owner of images and one of weights sends each pixel about once, not 25 times."""
    x = np.random.default_rng(1).normal(size=(8, 1, 20, 20))
    module = nn.Conv2d(1, 2, 5)

    def run(session: mpc.Session) -> object:
        network = session.compile(module, torch.zeros(1, 1, 20, 20), owner=1)
        return network(session.input("x", owner=0, shape=x.shape)).reveal()

    _, cost = mpc.run_local(run, inputs=[{"x": x}, {}], protocol="additive", truncation="probabilistic")
    (entry,) = [one for one in cost.entries if one.name.startswith("convolve")]
    results = 8 * 2 * 16 * 16
    assert entry.bytes_sent < 8 * (x.size + 2 * 25) + 2 * 8 * results + 2000
