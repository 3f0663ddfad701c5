"""A private training as bytes, and back: one record of `reticent.messages` around safetensors; nothing is unpickled.

What must never be in it is not within reach here: samples, noise and keys exist inside a step only.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from reticent.errors import UsageError
from reticent.messages import decode, encode, record
from reticent.training.progress import Progress

__all__ = ["load_state", "save_state"]


@record("training.state", version=1)
@dataclass(frozen=True)
class _State:
    """A training after `done` steps.

    Attributes:
      mechanism: `SampledMechanism.settings` as text.
      done: Steps that are not to be done again.
      firsts, stops: What was spent, as pairs of steps; more than `done` where steps were lost in a crash.
      clip: The adaptive clip, or None.
      plain: JSON of the optimiser's and the scheduler's states, tensors named by their place in `tensors`.
      tensors: safetensors of the model, the optimiser and the origin of the proximal term.
    """

    mechanism: str
    done: int
    firsts: tuple[int, ...]
    stops: tuple[int, ...]
    clip: float | None
    plain: str
    tensors: bytes


def save_state(
    progress: Progress,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: object,
    *,
    start: list[Tensor],
    ahead: int,
) -> bytes:
    """Return the training as bytes; see `Trainer.state`.

    Raises:
      UsageError: With code `state-not-portable`, if an optimiser or scheduler keeps more than tensors and numbers.
    """
    if ahead < 0:
        raise UsageError("invalid-count", f"ahead is {ahead}", hint="give 0 or a larger whole number")
    tensors = {f"model/{name}": value for name, value in _named(model)}
    tensors |= {f"start/{index}": value for index, value in enumerate(start)}
    schedule = scheduler.state_dict() if hasattr(scheduler, "state_dict") else None
    plain = [_flat(optimizer.state_dict(), tensors), _flat(schedule, tensors)]
    # Tied weights are one parameter, but views of one storage are not allowed in the file: copies are.
    held = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    done, spans, clip = progress.save(ahead)
    state = _State(
        progress.mechanism.settings,
        done,
        tuple(first for first, _ in spans),
        tuple(stop for _, stop in spans),
        clip,
        json.dumps(plain, allow_nan=False),
        save(held),
    )
    return encode(state)


def load_state(
    data: bytes,
    progress: Progress,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: Any,
    *,
    start: list[Tensor],
) -> None:
    """Put a training back where `save_state` found it.

    Raises:
      UsageError: With code `state-of-other-training`, if it was another mechanism, model or optimiser.
      IdentityError: If the bytes are no state at all.
    """
    state = decode(data, _State, limit=len(data))
    settings = progress.mechanism.settings
    if state.mechanism != settings:
        before, now = json.loads(state.mechanism), json.loads(settings)
        name = next(key for key in now if before.get(key) != now[key])
        raise _other(f"{name} was {before.get(name)} and is {now[name]}")
    try:
        tensors = load(state.tensors)
        found, schedule = json.loads(state.plain)
        _fill(_named(model), tensors, "model/")
        _fill([(str(index), value) for index, value in enumerate(start)], tensors, "start/")
        optimizer.load_state_dict(_deep(found, tensors))
        if (scheduler is None) != (schedule is None):
            raise _other("the learning-rate scheduler was given in one of both trainings only")
        if scheduler is not None:
            scheduler.load_state_dict(_deep(schedule, tensors))
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise _other(f"its values do not fit this model and optimizer ({type(error).__name__})") from error
    progress.load(state.done, tuple(zip(state.firsts, state.stops, strict=True)), state.clip)


def _named(model: nn.Module) -> list[tuple[str, Tensor]]:
    return [*model.named_parameters(), *model.named_buffers()]


def _fill(named: list[tuple[str, Tensor]], tensors: dict[str, Tensor], prefix: str) -> None:
    if {prefix + name for name, _ in named} != {name for name in tensors if name.startswith(prefix)}:
        raise _other("the model has other parameters or buffers, or the proximal term was left out")
    with torch.no_grad():
        for name, value in named:
            if tensors[prefix + name].shape != value.shape:
                raise _other(f"{name} had shape {tuple(tensors[prefix + name].shape)} and has {tuple(value.shape)}")
            value.copy_(tensors[prefix + name])


def _flat(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Return `value` as JSON allows it, its tensors put into `tensors`."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, Tensor):
        name = f"state/{len(tensors)}"
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [_flat(part, tensors) for part in value]}
    if isinstance(value, dict):
        kind = "counter" if isinstance(value, Counter) else "dict"
        return {kind: [[_flat(key, tensors), _flat(part, tensors)] for key, part in value.items()]}
    raise UsageError(
        "state-not-portable",
        f"an optimizer or scheduler keeps a {type(value).__name__} in its state",
        hint="use one whose state_dict holds tensors, numbers, texts, lists and dictionaries only: no code is saved",
    )


def _deep(plain: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(plain, dict):
        return plain
    ((kind, content),) = plain.items()
    match kind:
        case "float":
            return float.fromhex(content)
        case "tensor":
            return tensors[content]
        case "list":
            return [_deep(part, tensors) for part in content]
        case "tuple":
            return tuple(_deep(part, tensors) for part in content)
        case "dict" | "counter":
            pairs = {_deep(key, tensors): _deep(part, tensors) for key, part in content}
            return Counter(pairs) if kind == "counter" else pairs
    raise ValueError(kind)


def _other(why: str) -> UsageError:
    return UsageError(
        "state-of-other-training",
        f"the state is of another training: {why}",
        hint="make the same mechanism, model, optimizer and scheduler as when the state was saved",
    )
