"""How a bottom learns behind a noised boundary: by clipped and noised sums, never by the gradients themselves.

The gradient of one row is `J(x)^T g`, of the bottom's Jacobian at the row and the gradient that came back for it. It
looks at the row's features a second time, exactly, so it is clipped and noised as in DP-SGD (Abadi et al. 2016), and
charged beside the noise on the activations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reticent import dp
from reticent.errors import PolicyRefused, UsageError
from reticent.training import PerExampleGradients, Rows, check_model, clipped_sum, refuse_mixing, unchanged

__all__ = ["NoisedBottom", "refuse_mixing_frozen"]


class NoisedBottom:
    """Trains one bottom from the gradients that come back for its noised activations.

    Args:
      bottom: Trained in place.
      shape: Of one row's features.
      max_norm: The clip of the activations, through which the gradient passes as the activations did.

    Raises:
      PolicyRefused: If the bottom mixes the rows of a batch; tried on made-up rows, never on real ones.
      UsageError: If it cannot be used at all.
    """

    def __init__(self, bottom: nn.Module, shape: tuple[int, ...], *, max_norm: float) -> None:
        self._bottom = bottom
        clipped = _Clipped(bottom, max_norm)
        features, made_up, outputs = check_model(clipped, _product, shape, classes=None)
        self._width = outputs[0].numel()
        refuse_mixing(clipped, _product, features, made_up)
        self._gradients = PerExampleGradients(clipped, _product)
        self._gradients.choose_way(features, made_up)

    def update(
        self,
        optimizer: torch.optim.Optimizer,
        features: Tensor,
        returned: Tensor,
        units: NDArray[np.int64],
        *,
        max_norm: float,
        event: dp.Gaussian,
        grant: dp.Grant,
    ) -> None:
        """Take one step of the optimizer on the noised mean of the rows' clipped gradients.

        Args:
          optimizer: Over the bottom's parameters; it sees noised gradients only.
          features: Shape `(n, *shape)`.
          returned: What came back for these rows, shape `(n, *activation)`. Anything at all: what an attacker sends
            here is clipped like the rest.
          units: Whose rows they are, shape `(n,)`; the rows of one person are summed, then clipped.
          max_norm: Largest L2 norm of one unit's gradient.
          event, grant: The noise on the sum, and the permission to draw it once.
        """
        if returned.flatten(1).shape[1] != self._width:
            raise UsageError(
                "boundary-rows",
                f"gradients of shape {tuple(returned.shape)} came back for activations of {self._width} values each",
                hint="return one gradient for each row, of the shape of its activations",
            )
        trained = list(self._gradients.trained.values())
        _refuse_optimizer(optimizer, trained)
        grid = dp.grid_for(max_norm, self._gradients.parameters)
        order = np.argsort(units, kind="stable")
        together = torch.from_numpy(order).to(features.device)
        counts = np.unique(units, return_counts=True)[1].tolist()
        self._bottom.train()
        with unchanged(self._bottom):
            rows = Rows(features[together], returned.flatten(1)[together], counts)
            total = clipped_sum(self._gradients, rows, max_norm=max_norm, grid=grid)
        noised = dp.add_gaussian(
            total.numpy(),
            event=event,
            sensitivity=dp.encoded_sensitivity(max_norm, grid, self._gradients.parameters),
            grid=grid,
            grant=grant,
        )
        _step(optimizer, self._bottom, trained, torch.from_numpy(noised / max(1, len(units))))


def refuse_mixing_frozen(bottom: nn.Module, shape: tuple[int, ...]) -> None:
    """Refuse a frozen bottom in which exchanging one made-up row changes what becomes of the others.

    In evaluation mode batch normalisation uses constants and is allowed.

    Raises:
      PolicyRefused: With code `mixes-examples`.
    """
    features, _, _ = check_model(bottom, _product, shape, classes=None)
    modes = [(layer, layer.training) for layer in bottom.modules()]
    try:
        bottom.eval()
        with torch.no_grad(), unchanged(bottom):
            first = bottom(features)
            exchanged = torch.cat([features[1:2], features[1:]])
            second = bottom(exchanged)
    finally:
        for layer, mode in modes:
            layer.training = mode
    if not torch.allclose(first[1:], second[1:], rtol=1e-5, atol=1e-6 * float(first.abs().max() + 1e-30)):
        raise PolicyRefused(
            "mixes-examples",
            f"{type(bottom).__name__} mixes the rows of a batch, so no bound on one row's influence holds",
            hint="compute over the other dimensions, never over the first; torch.nn.GroupNorm and LayerNorm do",
        )


class _Clipped(nn.Module):
    """The bottom with the clip of its activations, differentiable, so that the chain rule sees what was sent."""

    def __init__(self, bottom: nn.Module, max_norm: float) -> None:
        super().__init__()
        self.bottom = bottom
        self._max_norm = max_norm

    def forward(self, features: Tensor) -> Tensor:
        outputs: Tensor = self.bottom(features).flatten(1)
        squares = outputs.square().sum(1, keepdim=True).clamp(min=self._max_norm**2)
        return outputs * (self._max_norm * squares.rsqrt())


def _product(outputs: Tensor, returned: Tensor) -> Tensor:
    """A function of the outputs whose gradient is `returned`: how `outputs.backward(returned)` is said as a loss."""
    return (outputs * returned.reshape(len(outputs), -1).to(outputs.dtype)).sum()


def _step(optimizer: torch.optim.Optimizer, model: nn.Module, trained: list[nn.Parameter], gradient: Tensor) -> None:
    # Gradients that were left behind, and never noised, must not reach the optimiser.
    optimizer.zero_grad(set_to_none=True)
    model.zero_grad(set_to_none=True)
    parts = torch.split(gradient, [value.numel() for value in trained])
    for value, part in zip(trained, parts, strict=True):
        value.grad = part.view(value.shape).to(value.device, value.dtype)
    step: Any = optimizer.step
    step()
    optimizer.zero_grad(set_to_none=True)


def _refuse_optimizer(optimizer: torch.optim.Optimizer, trained: list[nn.Parameter]) -> None:
    known = {id(value) for group in optimizer.param_groups for value in group["params"]}
    if isinstance(optimizer, torch.optim.LBFGS) or not known & {id(value) for value in trained}:
        raise UsageError(
            "boundary-optimizer",
            f"{type(optimizer).__name__} cannot train the bottom from one noised gradient for each step",
            hint="make a first-order optimiser, such as torch.optim.SGD, from the bottom's own parameters",
        )
