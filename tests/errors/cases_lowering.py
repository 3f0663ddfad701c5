"""How each error code of the lowering room is raised."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from reticent import lowering


class _Branches(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


def _linear() -> lowering.Program:
    return lowering.lower(nn.Linear(2, 1), torch.zeros(1, 2))


CASES: dict[str, Callable[[pathlib.Path], object]] = {
    "lowering-example": lambda _: lowering.lower(nn.Linear(2, 1), torch.zeros(0, 2)),
    "lowering-mixes-examples": lambda _: lowering.lower(nn.Softmax(dim=0), torch.zeros(1, 2)),
    "module-not-exportable": lambda _: lowering.lower(_Branches(), torch.zeros(1, 2)),
    "program-input-shape": lambda _: _linear().run(np.zeros((1, 3))),
    "program-without-weights": lambda _: _linear().architecture().run(np.zeros((1, 2))),
    "unsupported-layer": lambda _: lowering.lower(nn.GELU(), torch.zeros(1, 2)),
}
