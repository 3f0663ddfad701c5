"""One linear layer in closed form: norms and the clipped sum of all examples, without any example's gradient.

The gradient of one example is the outer product of the loss' gradient at the outputs and the inputs (with a 1 for the
bias), `e (x) x`, and its norm is |e| |x|. That is the whole cost of clipping a model with one trained linear layer,
whatever is frozen before it: logistic regression, or a linear head on features (Tramer and Boneh, ICLR 2021). What is
frozen is given one example at a time, by vmap: a check on made-up examples does not prove that it never mixes real ones.

The sum must be exact all the same, or it would carry floating-point error of all rows (Casacuberta et al., CCS 2022).
So both factors are rounded first: `u = e |x| min(1, C / (|e| |x|))`, of norm at most C, to multiples of a, and
`v = x / |x|`, of norm 1, to multiples of b, a and b powers of two. Then every product is a whole number of a b, and a
matrix product in float64 adds them without error, in any order and any block size. The exact total is rounded to the
grid at last. Rounding it moves neighbours apart by up to sqrt(d) grid, twice of what rounding each example would do,
so the grid is a quarter of `dp.grid_for`, and `dp.encoded_sensitivity` covers both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import grad, vmap

from reticent.dp import encoded_sensitivity, grid_for
from reticent.training.alone import each_alone
from reticent.training.contributions import Rows
from reticent.training.per_example import Loss

__all__ = ["LinearModel", "LinearSum", "largest_move"]

_INPUT_BITS = 20
"""v is rounded to 2^-20: whole numbers that float32 still holds."""

_ERROR_BITS = 12
_BLOCK = 512
_PIECE = 96
_NORM_MARGIN = 1.01e-4
"""Error of a norm in float32, as in `reticent.dp.precision`, and of the products around it. It holds where squares do
not underflow; inputs so small that theirs do count as zero (a row of them would else be clipped to many times C)."""


@dataclass(frozen=True, slots=True, eq=False)
class LinearSum:
    """As `EncodedSum`."""

    total: NDArray[np.int64]
    grid: float
    sensitivity: float
    within: int


class LinearModel:
    """A model whose only trained layer is its last, and linear; made by `of`."""

    def __init__(self, model: nn.Module, before: list[nn.Module], layer: nn.Linear, loss: Loss) -> None:
        self._model = model
        self._before = before
        self._layer = layer
        self.parameters = sum(value.numel() for value in layer.parameters())

        def loss_of_one(outputs: Tensor, label: Tensor) -> Tensor:
            return loss(outputs.unsqueeze(0), label.unsqueeze(0))

        def inputs_of_one(features: Tensor) -> Tensor:
            found = features.unsqueeze(0)
            for module in before:
                found = module(found)
            return found.squeeze(0)

        self._error_of_one = grad(loss_of_one)
        self._inputs_of_one = inputs_of_one

    @classmethod
    def of(cls, model: nn.Module, loss: Loss) -> LinearModel | None:
        """Return `model` as such a model; None if it is none."""
        layers = list(model) if type(model) is nn.Sequential else [model]
        last = layers[-1] if layers else None
        if type(last) is not nn.Linear or not all(value.requires_grad for value in last.parameters()):
            return None
        own = {id(value) for value in last.parameters()}
        trained = {id(value) for value in model.parameters() if value.requires_grad}
        tied = any(id(value) in own for layer in layers[:-1] for value in layer.parameters())
        wide = last.weight.dtype in (torch.float32, torch.float64)
        return cls(model, layers[:-1], last, loss) if trained == own and wide and not tied else None

    def fits(self, features: Tensor, labels: Tensor) -> bool:
        """Return whether the closed form can be used, by made-up examples: hooks or odd shapes forbid it."""
        if any(_hooked(layer) for layer in self._model.modules()):
            return False
        try:
            inputs = features if not self._before else vmap(self._inputs_of_one, randomness="different")(features)
            if inputs.shape != (len(features), self._layer.in_features) or inputs.dtype != self._layer.weight.dtype:
                return False
            outputs = self._layer(inputs).detach()
            found = vmap(self._error_of_one, randomness="different")(outputs, labels)
        except (RuntimeError, NotImplementedError, ValueError):
            return False
        return tuple(found.shape) == (len(features), self._layer.out_features)

    def _inputs(self, features: Tensor) -> Tensor:
        if not self._before:
            return features
        with torch.no_grad():
            return each_alone(self._inputs_of_one, features, shape=(self._layer.in_features,))

    def clipped_sum(self, rows: Rows, *, max_norm: float) -> LinearSum:
        """Return the clipped and encoded sum over `rows`, each a unit, and how many were within the clip."""
        grid = grid_for(max_norm, self.parameters)
        sensitivity = encoded_sensitivity(max_norm, grid, self.parameters)
        grid /= 4
        step = self._error_step(max_norm)
        total = torch.zeros(self._layer.out_features, self._width, dtype=torch.int64)
        within = 0
        for start in range(0, len(rows.labels), _BLOCK):
            part = slice(start, start + _BLOCK)
            inputs = self._inputs(rows.features[part])
            exact, inside = self._block(inputs, rows.labels[part], max_norm, step)
            total += exact.cpu()
            within += inside
        shift = round(math.log2(grid / step)) + _INPUT_BITS
        rounded = (total + (1 << (shift - 1))) >> shift
        weight = rounded[:, : self._layer.in_features].reshape(-1)
        flat = weight if self._layer.bias is None else torch.cat([weight, rounded[:, -1]])
        return LinearSum(flat.numpy(), grid, sensitivity, within)

    def covers(self, max_norm: float) -> bool:
        """Return whether the sensitivity that is charged covers what one example can move: so it does, but for tests."""
        grid = grid_for(max_norm, self.parameters)
        moved = largest_move(max_norm, self._layer, self._error_step(max_norm))
        return moved + math.sqrt(self.parameters) * grid / 4 <= encoded_sensitivity(max_norm, grid, self.parameters)

    @property
    def _width(self) -> int:
        return self._layer.in_features + (self._layer.bias is not None)

    def _error_step(self, max_norm: float) -> float:
        """Return a, the power of two that errors are rounded to; finer where there are many of them."""
        bits = _ERROR_BITS + math.ceil(math.log2(self._layer.out_features) / 2)
        return math.ldexp(1.0, math.frexp(max_norm)[1] - 1 - bits)

    def _block(self, inputs: Tensor, labels: Tensor, max_norm: float, step: float) -> tuple[Tensor, int]:
        """Return the exact sum of one block in units of a * b, int64 `(outputs, width)`, and how many were within."""
        with torch.no_grad():
            outputs = self._layer(inputs)
        errors = each_alone(self._error_of_one, outputs, labels, shape=(self._layer.out_features,)).double()
        bias = float(self._layer.bias is not None)
        squares = torch.cat([piece.square().sum(1) for piece in torch.split(inputs, _PIECE)])
        kind = torch.finfo(squares.dtype)
        radius = (torch.where(squares < kind.tiny / kind.eps, 0.0, squares).double() + bias).sqrt()
        scaled = errors * radius.unsqueeze(1)
        lengths = scaled.norm(dim=1)
        finite = lengths.isfinite() & radius.isfinite()
        lengths = torch.where(finite, lengths, 0.0)
        scaled *= (max_norm / lengths).clamp(max=1.0).unsqueeze(1)  # THE line that clips
        left = (scaled / step).round_()
        unit = torch.where(finite & (radius > 0), 2.0**_INPUT_BITS / radius, 0.0)
        if not finite.all():
            left[~finite] = 0.0  # not a product: NaN times zero is NaN
            inputs = torch.where(finite.unsqueeze(1), inputs, 0.0)
        return self._product(left, inputs, unit.unsqueeze(1)).long(), int((lengths <= max_norm).sum())

    def _product(self, left: Tensor, inputs: Tensor, unit: Tensor) -> Tensor:
        """Return `left.T @ round([inputs, 1] * unit)`, whole numbers below 2^53: without any rounding error."""
        total = left.new_zeros((self._layer.out_features, self._width))
        # Pieces that stay in the cache: the conversion to float64 would else cost more than the product.
        whole = inputs.new_empty((min(_PIECE, len(inputs)), self._layer.in_features))
        right = left.new_empty((len(whole), self._width))
        for start in range(0, len(inputs), _PIECE):
            part = slice(start, start + _PIECE)
            rows = len(inputs[part])
            torch.mul(inputs[part], unit[part].to(inputs.dtype), out=whole[:rows]).round_()
            right[:rows, : self._layer.in_features] = whole[:rows]
            right[:rows, self._layer.in_features :] = unit[part].round()
            total.addmm_(left[part].T, right[:rows])
        return total


def largest_move(max_norm: float, layer: nn.Linear, step: float) -> float:
    """Return the largest L2 norm of one example's rounded outer product."""
    left = max_norm + math.sqrt(layer.out_features) * step / 2
    right = 1 + math.sqrt(layer.in_features + 1) * 2.0 ** -(_INPUT_BITS + 1)
    return left * right * (1 + _NORM_MARGIN)


def _hooked(layer: nn.Module) -> bool:
    names = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(layer, name) for name in names)
