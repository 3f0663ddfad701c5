"""Tracing a model's forward function just deep enough to cut it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import fx, nn

from reticent.errors import UsageError

__all__ = ["side_of_tensors", "traced"]


class _Tracer(fx.Tracer):
    """Leaves whole whatever holds no cut, and reads `training` when the part runs, not when it is traced.

    Without the second, `F.dropout(x, p, self.training)` would keep for ever the mode in which the model was cut.
    """

    def __init__(self, inside: frozenset[str], *, follow_mode: bool) -> None:
        super().__init__()
        self._inside = inside
        self._follow_mode = follow_mode
        self.ends: dict[str, list[fx.Node]] = {}

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:  # noqa: ARG002  (of fx.Tracer)
        return name not in self._inside

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Note where each module that is traced through ends: a cut may lie there, too."""
        result = super().call_module(m, forward, args, kwargs)
        if isinstance(result, fx.Proxy):
            self.ends.setdefault(self.path_of_module(m), []).append(result.node)
        return result

    def create_args_for_root(self, *args: Any, **kwargs: Any) -> Any:
        made = super().create_args_for_root(*args, **kwargs)
        assert isinstance(self.root, nn.Module)  # noqa: S101
        for name in self._inside if self._follow_mode else ():
            target = f"{name}.training" if name else "training"
            vars(self.root.get_submodule(name))["training"] = self.create_proxy("get_attr", target, (), {})
        return made


def traced(model: nn.Module, cuts: tuple[str, ...]) -> tuple[fx.Graph, dict[str, list[fx.Node]]]:
    """Return the graph of `model`, traced through the modules that hold one of `cuts` and no deeper.

    Beside it, where each module ends, once for every call of it.

    Raises:
      UsageError: With code `uncuttable-model`.
    """
    inside = {""}
    for name in cuts:
        parts = name.split(".")
        inside |= {".".join(parts[:depth]) for depth in range(1, len(parts))}
    known = dict(model.named_modules())
    if any(name not in known and "." in name for name in cuts) or not inside <= set(known):
        raise UsageError(
            "unknown-cut",
            f"{type(model).__name__} has no submodule {' or '.join(name for name in cuts if name not in known)!r}",
            hint=f"name one of {', '.join(name for name in known if name)}",
        )
    reserved = _optional_inputs(model)
    modes = {module: module.training for module in model.modules()}
    failure: Exception | None = None
    for follow_mode in (True, False):
        try:
            tracer = _Tracer(frozenset(inside), follow_mode=follow_mode)
            graph = tracer.trace(model, concrete_args=reserved)
            _drop_reserved(graph)
            return graph, tracer.ends
        except Exception as error:
            failure = error
        finally:
            for module, mode in modes.items():
                vars(module)["training"] = mode
        if _reads_mode(model, inside):
            break
    raise UsageError(
        "uncuttable-model",
        f"the forward function of {type(model).__name__} cannot be traced: {str(failure).splitlines()[0][:300]}",
        hint="move what depends on the data or on the mode into a submodule, which is left whole, and cut around it",
    ) from failure


def _drop_reserved(graph: fx.Graph) -> None:
    """Remove the arguments that keep their defaults, and fx's checks that nobody gives them."""
    for node in list(graph.nodes):
        if node.op == "call_function" and len(node.args) == 2 and "has been specialized to have" in str(node.args[1]):
            condition = node.args[0]
            graph.erase_node(node)
            if isinstance(condition, fx.Node) and condition.op == "call_function" and not condition.users:
                graph.erase_node(condition)
    for node in [node for node in graph.nodes if node.op == "placeholder"][1:]:
        if not node.users:
            graph.erase_node(node)


def _reads_mode(model: nn.Module, inside: set[str]) -> bool:
    """Whether a traced forward function mentions the mode: a graph that forgot it would be wrong in the other one."""
    for name in inside:
        try:
            if "training" in inspect.getsource(type(model.get_submodule(name)).forward):
                return True
        except (OSError, TypeError):
            return True
    return False


def _optional_inputs(model: nn.Module) -> dict[str, Any]:
    """Return the arguments of forward that keep their defaults: all but the first.

    Raises:
      UsageError: If more than one input is needed.
    """
    taken = [
        parameter
        for parameter in inspect.signature(model.forward).parameters.values()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    needed = [parameter.name for parameter in taken[1:] if parameter.default is parameter.empty]
    if not taken or needed:
        raise UsageError(
            "uncuttable-model",
            f"{type(model).__name__} takes {1 + len(needed) if taken else 0} inputs",
            hint="cut a module with one input; for columns at several sites give each its own bottom (split.Joined)",
        )
    return {parameter.name: parameter.default for parameter in taken[1:]}


def side_of_tensors(part: nn.Module) -> dict[int, str]:
    """Return the memory of every parameter and buffer of `part`, with its name."""
    tensors = [*part.named_parameters(remove_duplicate=False), *part.named_buffers(remove_duplicate=False)]
    return {value.data_ptr(): name for name, value in tensors if value.numel()}
