"""Finding the study's model: `module:function` in a package that every party has, pinned by the hash of its source."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reticent.data import Contract
from reticent.errors import UsageError
from reticent.study import ModelFacts, Study, expected_outputs

__all__ = ["code_hash", "find_factory", "initial_model", "inputs_of", "outputs_of", "probe"]


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
        return _source_hash(factory)
    own = loss if inspect.isroutine(loss) else type(loss)
    return hashlib.sha256(f"{_source_hash(factory)} {_source_hash(own)}".encode()).hexdigest()


def _source_hash(code: Callable[..., Any]) -> str:
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


def outputs_of(study: Study) -> int:
    """Return how many values the model gives for one example: one for each class, unless the study says otherwise."""
    return study.model.outputs or expected_outputs(study) or max(1, len(study.data.classes))


def inputs_of(contract: Contract) -> int:
    """Return how many values one example has."""
    return math.prod(contract.input_shape)


def probe(study: Study, factory: Callable[..., Any], loss: Callable[..., Any]) -> ModelFacts:
    """Build the study's model once, pass one synthetic batch through it, and return what the plan must know."""
    from reticent.training import probe_model

    def make() -> Any:
        return initial_model(factory, inputs=inputs_of(study.data), outputs=outputs_of(study), seed=study.learning.seed)

    facts = probe_model(make, study.data.input_shape, len(study.data.classes), loss)
    hashed = code_hash(factory, loss=loss, loss_name=study.model.loss)
    return ModelFacts(factory=study.model.factory, code_hash=hashed, **facts)
