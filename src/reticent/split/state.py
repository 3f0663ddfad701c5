"""A party's parts as bytes: weights, buffers and the state of the optimisers, as safetensors; never a pickle."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from reticent.errors import IdentityError
from reticent.messages import decode, record
from reticent.split.settings import SplitTraining
from reticent.split.sides import Side

__all__ = ["Checkpoint", "pack", "parts_bytes", "state_dicts", "unpack"]

_GENERATOR = "generator"


@record("split.checkpoint", version=1)
@dataclass(frozen=True)
class Checkpoint:
    """What a site needs to go on after an epoch: its parts, and the secret that orders its rows."""

    parts: bytes
    order_secret: bytes


def state_dicts(checkpoint: bytes) -> dict[str, Tensor]:
    """Return the weights in a site's checkpoint under the names of the model that was cut, bottom and head together.

    Raises:
      IdentityError: If the bytes are no checkpoint.
    """
    try:
        tensors = load(decode(checkpoint, Checkpoint, limit=len(checkpoint)).parts)
    except (SafetensorError, ValueError) as error:
        raise _malformed() from error
    named = ((key.split("/", 2), value) for key, value in tensors.items() if "/" in key)
    return {place[2]: value for place, value in named if place[1] == "weights"}


def pack(sides: Mapping[str, Side], *, generator: bool) -> bytes:
    """Return the state of `sides` as safetensors.

    Args:
      sides: The parts by name.
      generator: Whether torch's global generator is kept too, so that dropout goes on as it would have. Only for one's
        own checkpoints.
    """
    tensors: dict[str, Tensor] = {}
    for name, side in sides.items():
        for key, value in side.module.state_dict().items():
            tensors[f"{name}/weights/{key}"] = value
        if side.optimizer is not None:
            for index, state in side.optimizer.state_dict()["state"].items():
                for key, value in state.items():
                    if isinstance(value, Tensor):
                        tensors[f"{name}/optimizer/{index}/{key}"] = value
    if generator:
        tensors[_GENERATOR] = torch.get_rng_state()
    data: bytes = save({key: value.detach().cpu().clone().contiguous() for key, value in tensors.items()})
    return data


def unpack(sides: Mapping[str, Side], data: bytes, *, generator: bool) -> None:
    """Write what `pack` returned into `sides`.

    Args:
      sides: The parts by name.
      data: From `pack`.
      generator: Whether torch's global generator is set to what was kept. Never from another party's bytes: it would
        choose this party's dropout, and what else the process draws there.

    Raises:
      IdentityError: If the bytes are not the state of such parts; the parts may then be changed in part.
    """
    try:
        tensors = load(data)
        for name, side in sides.items():
            start = f"{name}/weights/"
            weights = {key[len(start) :]: value for key, value in tensors.items() if key.startswith(start)}
            side.module.load_state_dict(weights)
            _load_optimizer(side, name, tensors)
        if generator and _GENERATOR in tensors:
            torch.set_rng_state(tensors[_GENERATOR])
    except Exception as error:
        raise _malformed() from error


def _malformed() -> IdentityError:
    return IdentityError(
        "malformed-parts",
        "the state of a part does not fit the part that this party holds",
        hint="run the same version and the same model at every party; otherwise the bytes were damaged",
    )


def parts_bytes(bottom: nn.Module, head: nn.Module | None, settings: SplitTraining) -> int:
    """Return the size of what a site hands on, weights and optimisers, for `split.traffic`; nothing is changed."""
    sides = {"bottom": Side(copy.deepcopy(bottom), settings.bottom_optimizer)}
    if head is not None:
        sides["head"] = Side(copy.deepcopy(head), settings.head_optimizer)
    for side in sides.values():
        for value in side.module.parameters():
            value.grad = torch.zeros_like(value) if value.requires_grad else None
        side.step()
    return len(pack(sides, generator=False))


def _load_optimizer(side: Side, name: str, tensors: Mapping[str, Tensor]) -> None:
    if side.optimizer is None:
        return
    state: dict[int, dict[str, Tensor]] = {}
    start = f"{name}/optimizer/"
    for key, value in tensors.items():
        if key.startswith(start):
            index, _, field = key[len(start) :].partition("/")
            state.setdefault(int(index), {})[field] = value
    groups = side.optimizer.state_dict()["param_groups"]
    side.optimizer.load_state_dict({"state": state, "param_groups": groups})
