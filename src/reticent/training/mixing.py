"""Refuses models and losses that mix the examples of a batch.

Clipping bounds one unit's influence only if a gradient depends on one example. `vmap` computes it on batches of one,
so a mixing layer could not break the claim here; but it would silently train another model than the one written, and
its running statistics would carry rows out unprotected. So: BatchNorm and its kin are refused by type, and whatever no
type betrays (a module that subtracts the batch's mean, a loss with normalised class weights) is found by exchanging one
example and looking at the others (field: Opacus accepts such modules silently).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from reticent.errors import PolicyRefused
from reticent.training.per_example import Loss

__all__ = ["mixing_layers", "refuse_mixing", "refuse_remembering"]

_TOLERANCE = 1e-5
_REPLACEMENTS = (
    ("BatchNorm", "use torch.nn.GroupNorm(groups, channels), or LayerNorm, in place of BatchNorm"),
    ("InstanceNorm", "set track_running_stats=False, or use torch.nn.GroupNorm(groups, channels)"),
    ("Embedding", "leave max_norm out: it rescales, in place and for all, the rows that an example looks up"),
    ("loss", "use a loss that is a mean or a sum over the batch of one term for each example, without class weights"),
    ("", "compute over the other dimensions, never over the first; torch.nn.GroupNorm and LayerNorm do"),
)


def refuse_mixing(model: nn.Module, loss: Loss, features: Tensor, labels: Tensor) -> None:
    """Refuse a model or loss in which one example influences another; see `mixing_layers`.

    Raises:
      PolicyRefused: With code `mixes-examples`, naming the layers and what to use in their place.
    """
    layers = mixing_layers(model, loss, features, labels)
    if layers:
        hint = next(text for name, text in _REPLACEMENTS if any(name in layer for layer in layers))
        raise PolicyRefused(
            "mixes-examples",
            f"{', '.join(layers)} of {type(model).__name__} mixes the examples of a batch, "
            "so no bound on one example's influence holds",
            hint=hint,
        )


def mixing_layers(model: nn.Module, loss: Loss, features: Tensor, labels: Tensor) -> tuple[str, ...]:
    """Return the layers that mix examples, as "name (Type)"; empty if none was found.

    Args:
      model: Any module; left as it was.
      loss: Called on the batch and on each example alone.
      features: At least two synthetic or public examples, shape `(n, *shape)`.
      labels: Shape `(n,)`.
    """
    by_type = tuple(_label(name, layer) for name, layer in model.named_modules() if _mixes_by_type(layer))
    if by_type:
        return by_type
    with _undisturbed(model):
        for train in (True, False):
            model.train(train)
            for row in (0, len(features) - 1):
                found = _influenced(model, features, row)
                if found is not None:
                    return (found,)
        alone = torch.cat([_forward(model, features[row : row + 1])[0] for row in range(len(features))])
        together = _forward(model, features)[0]
        if not _close(alone, together):
            return (_label("", model),)
    return () if _loss_is_sum_or_mean(loss, together, labels) else (_label("loss", loss),)


def refuse_remembering(model: nn.Module, loss: Loss, features: Tensor, labels: Tensor) -> None:
    """Refuse a model whose buffers depend on the rows that went through it, and whatever else remembers them.

    Args:
      model: Left as it was.
      loss: Called on a batch.
      features: At least two made-up examples, shape `(n, *shape)`.
      labels: Shape `(n,)`.

    Raises:
      PolicyRefused: With code `mixes-examples`.
    """
    exchanged = torch.flip(features, [0]) + 1
    with _undisturbed(model):
        model.train()
        first, second = (_forward(model, rows)[1] for rows in (features, exchanged))
    names = [name for name, _ in model.named_buffers()]
    changed = [name for name, a, b in zip(names, first, second, strict=True) if not _close(a, b)]
    if changed:
        raise PolicyRefused(
            "mixes-examples",
            f"{', '.join(changed)} of {type(model).__name__} remember the rows that were seen, past clip and noise",
            hint=_REPLACEMENTS[0][1] + ", or set track_running_stats=False",
        )
    with _undisturbed(model):
        model.train()
        # The first call puts whatever remembers into the same state as the one before `after` would, were it not for
        # the exchanged rows.
        _, before, _, after = (
            _loss_of(model, loss, rows, labels) for rows in (features, features, exchanged, features)
        )
    if not _close(before, after):
        raise PolicyRefused(
            "mixes-examples",
            f"{type(model).__name__} or its loss ({_label('', loss)}) gives the same batch another loss after it has "
            "seen other rows: it remembers them, past clip and noise",
            hint="keep nothing between two calls of the model and of the loss",
        )


def _mixes_by_type(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Embedding | nn.EmbeddingBag):
        return layer.max_norm is not None
    batch_norm = isinstance(layer, nn.modules.batchnorm._BatchNorm)
    return batch_norm or (isinstance(layer, nn.modules.batchnorm._NormBase) and layer.track_running_stats)


def _label(name: str, layer: object) -> str:
    kind = str(getattr(layer, "__name__", type(layer).__name__))
    return f"{name} ({kind})" if name else kind


def _influenced(model: nn.Module, features: Tensor, row: int) -> str | None:
    """Return the layer where exchanging example `row` changes what becomes of the others, or None."""
    exchanged = features.clone()
    exchanged[row] = _another(features, row)
    seen: list[list[tuple[str, Tensor | None, Tensor | None]]] = [[], []]
    results = []
    for batch, calls in zip((features, exchanged), seen, strict=True):
        with _watched(model, calls):
            results.append(_forward(model, batch))
    (first, first_buffers), (second, second_buffers) = results
    others = torch.arange(len(features), device=features.device) != row
    if _close(first[others], second[others]) and all(map(_close, first_buffers, second_buffers)):
        return None
    for (name, given, made), (_, given_after, made_after) in zip(seen[0], seen[1], strict=False):
        if _same_others(given, given_after, others) and not _same_others(made, made_after, others):
            return name
    return _label("", model)


def _another(features: Tensor, row: int) -> Tensor:
    mine = features[row]
    for other in (features[row - 1], torch.zeros_like(mine), torch.ones_like(mine)):
        if not torch.equal(other, mine):
            return other
    return mine


def _forward(model: nn.Module, features: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return outputs, and the buffers as the call left them; the model's own buffers are not touched."""
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    devices: list[int] | None = None if features.is_cuda else []
    with torch.no_grad(), torch.random.fork_rng(devices=devices):
        torch.manual_seed(0)  # the same dropout masks for both batches
        outputs = functional_call(model, buffers, (features,))
    return outputs, list(buffers.values())


def _loss_of(model: nn.Module, loss: Loss, features: Tensor, labels: Tensor) -> Tensor:
    outputs = _forward(model, features)[0]
    devices: list[int] | None = None if features.is_cuda else []
    with torch.no_grad(), torch.random.fork_rng(devices=devices):
        torch.manual_seed(0)
        return loss(outputs, labels)


@contextmanager
def _watched(model: nn.Module, calls: list[tuple[str, Tensor | None, Tensor | None]]) -> Iterator[None]:
    """Record what every layer is given and makes, in the order in which layers finish."""

    def recorder(name: str) -> Any:
        def record(layer: nn.Module, given: tuple[Any, ...], made: Any) -> None:
            calls.append((_label(name, layer), _tensor(given), _tensor(made)))

        return record

    hooks = [layer.register_forward_hook(recorder(name)) for name, layer in model.named_modules()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _tensor(value: Any) -> Tensor | None:
    if isinstance(value, tuple | list) and value:
        value = value[0]
    return value.detach().clone() if isinstance(value, Tensor) else None


def _same_others(first: Tensor | None, second: Tensor | None, others: Tensor) -> bool:
    if first is None or second is None or first.shape != second.shape or len(first) != len(others):
        return False
    return _close(first[others], second[others])


def _close(first: Tensor, second: Tensor) -> bool:
    if first.shape != second.shape:
        return False
    if not first.is_floating_point():
        return torch.equal(first, second)
    scale = float(first.abs().max()) if first.numel() else 0.0
    return torch.allclose(first, second, rtol=0.0, atol=_TOLERANCE * max(scale, 1e-30), equal_nan=True)


def _loss_is_sum_or_mean(loss: Loss, outputs: Tensor, labels: Tensor) -> bool:
    # Spread the outputs: at initialisation they can be so alike that wrong weights would hide.
    outputs = outputs + torch.linspace(-1, 1, outputs.numel(), device=outputs.device).view_as(outputs).to(outputs.dtype)
    with torch.no_grad():
        whole = loss(outputs, labels)
        alone = torch.stack([loss(outputs[row : row + 1], labels[row : row + 1]) for row in range(len(outputs))])
    if not alone.isfinite().all():
        return _close(whole, alone.mean()) or _close(whole, alone.sum())
    # Against the size of the terms, not of their sum: terms of both signs can cancel to nothing but rounding.
    apart = torch.stack([whole - alone.mean(), (whole - alone.sum()) / len(alone)]).abs()
    return bool((apart <= _TOLERANCE * alone.abs().mean().clamp(min=1e-30)).any())


@contextmanager
def _undisturbed(model: nn.Module) -> Iterator[None]:
    modes = {name: layer.training for name, layer in model.named_modules()}
    try:
        yield
    finally:
        for name, layer in model.named_modules():
            layer.training = modes[name]
