"""Finding the study's model: `module:function` in a package that every party has, pinned by the hash of its source."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reticent.data import Contract
from reticent.errors import UsageError
from reticent.runs.computing import require_linear
from reticent.runs.rehearsal import rehearse
from reticent.runs.splitting import joined_model, probe_cut
from reticent.study import ModelFacts, Study, columns_of, expected_outputs

__all__ = [
    "code_hash",
    "find_factory",
    "initial_model",
    "inputs_of",
    "outputs_of",
    "probe",
    "source_hash",
    "whole_model",
]


def find_factory(name: str, base: Path) -> Callable[..., Any]:
    """Return the function that `name` ("module:function") means, with `base` on the import path.

    Raises:
      UsageError: If the module or the function cannot be found.
    """
    module_name, _, function = name.partition(":")
    if str(base) not in sys.path:
        sys.path.insert(0, str(base))
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UsageError(
            "model-not-found",
            f"model.factory is {name!r}, and {module_name!r} cannot be imported: {error}",
            hint=f"put {module_name}.py beside the study file, or install the package that holds it at every site",
        ) from error
    found = getattr(module, function, None)
    if not callable(found):
        raise UsageError(
            "model-not-found",
            f"model.factory is {name!r}, and {module_name!r} has no function {function!r}",
            hint='name a function that returns a torch.nn.Module: factory = "module:function"',
        )
    return found  # type: ignore[no-any-return]


def code_hash(factory: Callable[..., Any], *, loss: Callable[..., Any], loss_name: str) -> str:
    """Return the SHA-256 of the source of `factory`, and of `loss` where the study names a module of its own.

    The loss sees every label; it is approved with the model or not at all.
    """
    if ":" not in loss_name:
        return source_hash(factory)
    own = loss if inspect.isroutine(loss) else type(loss)
    return hashlib.sha256(f"{source_hash(factory)} {source_hash(own)}".encode()).hexdigest()


def source_hash(code: Callable[..., Any]) -> str:
    """Return the SHA-256 of the source file that holds `code`, or of its own source where no file is known."""
    target = inspect.unwrap(code)
    try:
        path = inspect.getsourcefile(target)
        source = Path(path).read_bytes() if path and Path(path).is_file() else inspect.getsource(target).encode()
    except (OSError, TypeError):
        source = repr(code).encode()
    return hashlib.sha256(source).hexdigest()


def _build_model(factory: Callable[..., Any], *, inputs: int, outputs: int) -> Any:
    """Call `factory` with those of `inputs` and `outputs` that it takes."""
    accepted = inspect.signature(factory).parameters
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values())
    offered = {"inputs": inputs, "outputs": outputs}
    return factory(**{name: value for name, value in offered.items() if takes_all or name in accepted})


def initial_model(factory: Callable[..., Any], *, inputs: int, outputs: int, seed: int | None) -> Any:
    """Build the model that everyone starts from; it is public, and `seed` makes it the same on every machine."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0 if seed is None else seed)
        return _build_model(factory, inputs=inputs, outputs=outputs)


def whole_model(
    factory: Callable[..., Any],
    contract: Contract,
    *,
    outputs: int,
    seed: int | None,
    columns: Mapping[str, tuple[str, ...]] | None = None,
    width: int = 0,
    top: Callable[..., Any] | None = None,
) -> Any:
    """Build the model of a study in one piece.

    Args:
      outputs: Values for one example.
      columns, width, top: Of vertical learning, where `factory` makes the part of one site, which gives `width` values.
    """
    if top is None or columns is None:
        return initial_model(factory, inputs=inputs_of(contract), outputs=outputs, seed=seed)
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0 if seed is None else seed)
        return joined_model(
            columns,
            contract,
            bottom=lambda inputs: _build_model(factory, inputs=inputs, outputs=width),
            top=lambda inputs: _build_model(top, inputs=inputs, outputs=outputs),
        )


def outputs_of(study: Study) -> int:
    """Return how many values the model gives for one example: one for each class, unless the study says otherwise."""
    return study.model.outputs or expected_outputs(study) or max(1, len(study.data.classes))


def inputs_of(contract: Contract) -> int:
    """Return how many values one example has."""
    return math.prod(contract.input_shape)


def probe(study: Study, factory: Callable[..., Any], loss: Callable[..., Any], *, base: Path) -> ModelFacts:
    """Build the study's model once, pass one synthetic batch through it, and return what the plan must know."""
    from reticent.training import probe_model

    section = study.split
    top = find_factory(section.top, base) if section is not None and section.top else None

    def make() -> Any:
        return whole_model(
            factory,
            study.data,
            outputs=outputs_of(study),
            seed=study.learning.seed,
            columns=columns_of(study),
            width=section.width or 0 if section else 0,
            top=top,
        )

    found = probe_model(make, study.data.input_shape, len(study.data.classes), loss)
    hashed = code_hash(factory, loss=loss, loss_name=study.model.loss)
    facts = ModelFacts(factory=study.model.factory, code_hash=hashed, **found)
    if study.secure_computation is not None:
        require_linear(make(), study)
        return facts.model_copy(update={"computation": rehearse(study)})
    return facts if section is None else probe_cut(study, make(), facts, code_hash=source_hash(top) if top else "")
