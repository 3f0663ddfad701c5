"""Canaries: rows that belong to nobody, on which every run states its leakage.

They are made from the data contract alone (declared ranges, vocabularies, classes) and from a public seed, so all
parties have the same ones and nothing about a person can be in them. What is measured on them is a function of the
weights: in a defended run it is post-processing and costs nothing; in an undefended one it is listed as a release.

They are uniform over what the contract allows, not distributed like real rows; labels are drawn independently of the
features. The figures therefore compare runs and defences; on real rows a leak can be larger.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reticent.data import Contract, Examples
from reticent.dp import Grant
from reticent.split.leakage import LeakageReport, leakage

if TYPE_CHECKING:
    from torch import Tensor, nn

    from reticent.data import Column
    from reticent.split.defence import GaussianBoundary
    from reticent.training import Loss

__all__ = ["Canaries", "canary_activations", "canary_gradients", "canary_leakage", "make_canaries"]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Canaries:
    """Synthetic rows; only `make_canaries` makes them.

    Attributes:
      features: float32, shape `(n, *contract.input_shape)`, scaled as the contract's rows are.
      labels: Class numbers, int64, shape `(n,)`; targets of a regression as float32.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64] | NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.features)

    def columns(self, chosen: NDArray[np.intp] | slice) -> Canaries:
        """Return the same rows with some of the features: those of one site of a vertical study."""
        return Canaries(self.features[:, chosen], self.labels)


def make_canaries(contract: Contract, *, rows: int = 512, seed: int = 0) -> Canaries:
    """Return `rows` canaries of a contract, the same at every party.

    Args:
      contract: Of a table or of tensors.
      rows: About 500 give figures within .03.
      seed: Public.
    """
    source = np.random.default_rng([seed, rows])
    if contract.kind == "table":
        features = np.concatenate([_column(column, contract, rows, source) for column in contract.features], axis=1)
    else:
        low, high = contract.range or (0.0, 1.0)
        features = source.uniform(low, high, size=(rows, *contract.shape))
    if contract.classes:
        labels = source.integers(0, len(contract.classes), size=rows)
    else:
        low, high = (contract.label_column.range if contract.kind == "table" else None) or (0.0, 1.0)
        labels = source.uniform(low, high, size=rows).astype(np.float32)
    made = Examples.of(features.astype(np.float32), labels)
    return Canaries(made.features, made.labels)


def canary_activations(
    canaries: Canaries, bottom: nn.Module, *, boundary: GaussianBoundary | None = None
) -> NDArray[np.float64]:
    """Return what a site would send for the canaries: run by the site with the bottom.

    Args:
      canaries: From `make_canaries`; noise is drawn for them without payment, since they are nobody's rows.
      bottom: Left as it is.
      boundary: The defence of its activations, if it has one.

    Returns:
      Shape `(n, *activation)`.
    """
    import torch

    with torch.no_grad():
        values = _quietly(bottom, _tensor(canaries.features, bottom))
    return _array(_noised(values, boundary, len(canaries)))


def canary_gradients(
    canaries: Canaries,
    activations: NDArray[np.float64],
    top: nn.Module,
    loss: Loss,
    *,
    boundary: GaussianBoundary | None = None,
) -> NDArray[np.float64]:
    """Return what the site with the labels would send back for the canaries: run by that site.

    Args:
      canaries: Their labels are used, and no others.
      activations: What came for them, shape `(n, *activation)`.
      top: From activations to outputs; left as it is.
      loss: A mean over rows.
      boundary: The defence of its outputs, if it has one.

    Returns:
      Each row's own gradient, shape of `activations`.
    """
    import torch

    entered = _tensor(activations, top).requires_grad_()
    outputs = _quietly(top, entered)
    alone = outputs.detach().requires_grad_()
    labels = torch.from_numpy(canaries.labels).to(alone.device)
    each = torch.autograd.grad(loss(alone, labels), alone)[0] * len(canaries)
    (back,) = torch.autograd.grad(outputs, entered, _noised(each, boundary, len(canaries)))
    return _array(back)


def canary_leakage(
    canaries: Canaries,
    bottom: nn.Module,
    top: nn.Module,
    loss: Loss,
    *,
    activations: GaussianBoundary | None = None,
    outputs: GaussianBoundary | None = None,
) -> LeakageReport:
    """Return the leakage of a whole split model on canaries, where one process holds both parts."""
    sent = canary_activations(canaries, bottom, boundary=activations)
    back = canary_gradients(canaries, sent, top, loss, boundary=outputs)
    classes = canaries.labels.dtype.kind == "i"
    return leakage(
        inputs=canaries.features,
        activations=sent,
        gradients=back if classes else None,
        labels=canaries.labels if classes else None,
        measured_on="canaries",
    )


def _column(column: Column, contract: Contract, rows: int, source: np.random.Generator) -> NDArray[np.float64]:
    if not column.is_numeric:
        places = len(column.values) + column.other
        one_hot = np.eye(places)[source.integers(0, places, size=rows)]
        return one_hot[:, 1:] if column.drop_first else one_hot
    if contract.standardise == "per-site" or column.range is None:
        return source.standard_normal((rows, 1))  # what standardised columns look like, whatever their range
    low, high = (-1.0, 1.0) if contract.standardise == "declared" else column.range
    return source.uniform(low, high, size=(rows, 1))


def _noised(values: Tensor, boundary: GaussianBoundary | None, rows: int) -> Tensor:
    if boundary is None:
        return values
    numbers = np.arange(rows)
    own = boundary.for_tests(numbers)
    crossing = own.open(Grant("canaries, which are nobody's rows", own.cost().events))
    return crossing.release(values.detach(), rows=numbers, units=numbers)


def _quietly(module: nn.Module, values: Tensor) -> Tensor:
    """Return the module's output in evaluation mode; its modes and running statistics stay as they are."""
    modes = [(layer, layer.training) for layer in module.modules()]
    module.eval()
    try:
        outputs: Tensor = module(values)
    finally:
        for layer, mode in modes:
            layer.training = mode
    return outputs


def _tensor(values: NDArray[np.floating], like: nn.Module) -> Tensor:
    import torch

    first = next(iter(like.parameters()), None)
    found = torch.from_numpy(np.ascontiguousarray(values))
    return found if first is None else found.to(first.device, first.dtype)


def _array(values: Tensor) -> NDArray[np.float64]:
    array: NDArray[np.float64] = values.detach().double().cpu().numpy()
    return array
