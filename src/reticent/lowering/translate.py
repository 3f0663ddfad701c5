"""From a torch module to a `Program`."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import nn

from reticent.lowering.arithmetic import ARITHMETIC
from reticent.lowering.builder import Builder, Call, Constant
from reticent.lowering.export import export
from reticent.lowering.layers import LAYERS
from reticent.lowering.program import Program
from reticent.lowering.rewrite import simplify

__all__ = ["translate"]

_TRANSLATIONS = ARITHMETIC | LAYERS


def translate(module: nn.Module, example: torch.Tensor) -> Program:
    """Return the operations of `module` in evaluation mode, with its weights in float64.

    Args:
      module: From one tensor to one tensor, each sample treated alone. It is copied, not changed.
      example: `(batch, *sample)`; only the shape of a sample counts. The program runs any batch.

    Raises:
      UsageError: If a layer is not offered, mixes the examples of a batch, or torch cannot export the module.
    """
    graph = export(module, example)
    build = Builder(graph.input, tuple(example.shape[1:]))
    for names, public in ((graph.weights, False), (graph.constants, True)):
        build.values.update({name: Constant(tensor, public) for name, tensor in names.items()})
    for node in graph.nodes:
        build.begin(node)
        _one(build, node)
    output = build.realise(build.value_named(graph.output))
    return simplify(Program(tuple(example.shape[1:]), tuple(build.ops), output))


def _one(build: Builder, node: torch.fx.Node) -> None:
    name = str(node.target).removeprefix("aten.")
    if name.startswith(("sym_size", "_assert", "lift_fresh")) and name != "lift_fresh_copy.default":
        return  # sizes are read from the shapes that torch derived
    if node.target is operator.getitem and node.args[1] == 0:
        build.values[node.name] = build.value(node.args[0])  # of a layer that torch wrote with further results
        return
    found = [build.values.get(source.name) for source in node.all_input_nodes]
    if found and all(isinstance(value, Constant) for value in found):
        build.values[node.name] = _folded(node, [value for value in found if isinstance(value, Constant)])
        return
    translation = _TRANSLATIONS.get(name)
    if translation is None:
        raise build.refuse()
    build.values[node.name] = translation(build, _arguments(node))


def _arguments(node: torch.fx.Node) -> Call:
    schema: Any = node.target._schema  # type: ignore[union-attr]
    given = dict(zip((item.name for item in schema.arguments), node.args, strict=False)) | node.kwargs
    return {item.name: given.get(item.name, item.default_value) for item in schema.arguments}


def _folded(node: torch.fx.Node, constants: list[Constant]) -> Constant:
    """Compute now what does not depend on the input."""
    known = dict(zip(node.all_input_nodes, constants, strict=True))

    def replace(argument: Any) -> Any:
        return known[argument].tensor if isinstance(argument, torch.fx.Node) else argument

    arguments: Any = torch.fx.node.map_arg(node.args, replace)
    keywords: Any = torch.fx.node.map_arg(node.kwargs, replace)
    result = node.target(*arguments, **keywords)  # type: ignore[operator]
    return Constant(result, all(constant.public for constant in constants))
