"""Cutting a model in two, or in three: each part an nn.Module that owns the very parameters of the original.

The forward function is traced with torch.fx, only as deep as the cuts lie: all other submodules stay whole, whatever
they do inside. The nodes up to a cut become one part and the nodes after it the next, in their original order, so that
the parts together compute what the model computes, bit for bit, with the same random numbers. One tensor may cross.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import overload

from torch import fx, nn

from reticent.errors import UsageError
from reticent.split.tracing import side_of_tensors, traced

__all__ = ["cut"]


@overload
def cut(model: nn.Module, at: str) -> tuple[nn.Module, nn.Module]: ...
@overload
def cut(model: nn.Module, at: tuple[str, str]) -> tuple[nn.Module, nn.Module, nn.Module]: ...
@overload
def cut(model: nn.Module, at: Sequence[str]) -> tuple[nn.Module, ...]: ...


def cut(model: nn.Module, at: str | Sequence[str]) -> tuple[nn.Module, ...]:
    """Return `(bottom, top)`, cut after the submodule or graph node `at`; for a U-shape `(bottom, middle, head)`.

    >>> bottom, top = cut(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), at="1")
    >>> [tuple(value.shape) for value in bottom.parameters()]
    [(3, 4), (3,)]

    Args:
      model: Any module with one input and one output tensor whose forward function torch.fx can trace down to the
        cut. Functional dropout and the like keep following `train()` and `eval()`.
      at: Dotted name of a submodule, or the name of a node of the traced graph ("relu_1"); two names for a U-shape, in
        the order in which data pass them.

    Returns:
      Parts that share parameters and buffers with `model`: training them trains it. Their state keys are the model's.

    Raises:
      UsageError: `unknown-cut`, `uncuttable-model`, `several-tensors-cross` (named, with places where a cut lies) or
        `shared-across-cut` (tied parameters).
    """
    names = (at,) if isinstance(at, str) else tuple(at)
    if not names:
        raise UsageError(
            "unknown-cut", "no place to cut at was given", hint="name a submodule: cut(model, at='encoder')"
        )
    graph, module_ends = traced(model, names)
    nodes = _working_nodes(graph)
    ends = [_end(model, nodes, name, module_ends.get(name, [])) for name in names]
    places = [nodes.index(end) for end in ends]
    if places != sorted(set(places)):
        raise UsageError(
            "unknown-cut",
            f"the cuts {', '.join(names)} are not in the order in which data pass them",
            hint="give two different names, the one nearer to the input first",
        )
    for name, place in zip(names, places, strict=True):
        _require_one_crossing(model, nodes, name, place)
    bounds = [-1, *places, len(nodes) - 1]
    parts = tuple(
        _part(model, nodes[start + 1 : stop + 1], entry, exit_)
        for start, stop, entry, exit_ in zip(
            bounds[:-1], bounds[1:], [None, *ends], [*ends, _output(graph)], strict=True
        )
    )
    _require_nothing_shared(parts)
    return parts


def _working_nodes(graph: fx.Graph) -> list[fx.Node]:
    """Return the nodes that compute, in order, without placeholders, output, attributes and results never read.

    Nodes without readers are kept otherwise: an operation in place has an effect and no reader.
    """
    pure = {operator.getitem, getattr}
    for node in reversed(list(graph.nodes)):
        unread = node.op == "get_attr" or (node.op == "call_function" and node.target in pure)
        if unread and not node.users:
            graph.erase_node(node)
    return [node for node in graph.nodes if node.op.startswith("call_")]


def _end(model: nn.Module, nodes: list[fx.Node], name: str, module_ends: list[fx.Node]) -> fx.Node:
    """Return the node whose value crosses at the cut `name`."""
    found = [node for node in module_ends if node in nodes]
    found = found or [node for node in nodes if node.name == name]
    if not found:
        known = [str(node.target) if node.op == "call_module" else node.name for node in nodes]
        raise UsageError(
            "unknown-cut",
            f"the data of {type(model).__name__} do not pass {name!r}",
            hint=f"cut after one of {', '.join(dict.fromkeys(known))}, or after a submodule of one of these",
        )
    if len(found) > 1:
        raise UsageError(
            "unknown-cut",
            f"the data of {type(model).__name__} pass {name!r} {len(found)} times",
            hint="cut after a submodule that is called once",
        )
    # A recurrent layer returns a tuple: what crosses is the one element of it that is read.
    readers = list(found[0].users)
    if len(readers) == 1 and readers[0].target is operator.getitem and isinstance(readers[0].args[1], int):
        return readers[0]
    return found[0]


def _require_one_crossing(model: nn.Module, nodes: list[fx.Node], name: str, place: int) -> None:
    crossing = _crossing(nodes, place)
    if crossing == [nodes[place]]:
        return
    possible = [
        str(node.target) if node.op == "call_module" else node.name
        for index, node in enumerate(nodes[:-1])
        if _crossing(nodes, index) == [node]
    ]
    raise UsageError(
        "several-tensors-cross",
        f"after {name!r}, {_names(crossing) or 'nothing'} would cross from one part to the other; "
        "exactly the output of the cut may",
        hint=f"cut after {' or '.join(possible)}"
        if possible
        else f"no single tensor crosses anywhere in {type(model).__name__}: enclose its skips in one submodule",
    )


def _crossing(nodes: list[fx.Node], place: int) -> list[fx.Node]:
    """Return what is computed or given up to `place` and read after it."""
    after = set(nodes[place + 1 :])
    output_reads = {node for node in nodes[: place + 1] if any(user.op == "output" for user in node.users)}
    inputs = {node for late in after for node in late.all_input_nodes if node.op == "placeholder"}
    early = [node for node in nodes[: place + 1] if node in output_reads or any(user in after for user in node.users)]
    return [*sorted(inputs, key=lambda node: node.name), *early]


def _names(nodes: list[fx.Node]) -> str:
    said = {"placeholder": "the input {}", "call_module": "the output of {}"}
    return " and ".join(
        said.get(node.op, "{}").format(node.target if node.op != "call_function" else node.name) for node in nodes
    )


def _output(graph: fx.Graph) -> fx.Node:
    value = next(node for node in graph.nodes if node.op == "output").args[0]
    if not isinstance(value, fx.Node):
        raise UsageError(
            "uncuttable-model",
            "the model returns several values",
            hint="wrap it in a module that returns one tensor",
        )
    return value


def _part(model: nn.Module, nodes: list[fx.Node], entry: fx.Node | None, exit_: fx.Node) -> nn.Module:
    """Return one part: the nodes in their order, with the attributes that they read."""
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    given = graph.placeholder("values")
    if entry is not None:
        copies[entry] = given

    def copy(node: fx.Node) -> fx.Node:
        if node not in copies:
            if node.op == "placeholder":
                copies[node] = given
            else:
                copies[node] = graph.node_copy(node, copy)
        return copies[node]

    for node in nodes:
        copy(node)
    graph.output(copy(exit_))
    return fx.GraphModule(model, graph)


def _require_nothing_shared(parts: tuple[nn.Module, ...]) -> None:
    for index, part in enumerate(parts):
        mine = side_of_tensors(part)
        for other in parts[index + 1 :]:
            theirs = side_of_tensors(other)
            if shared := sorted(mine[key] for key in mine.keys() & theirs.keys()):
                raise UsageError(
                    "shared-across-cut",
                    f"both sides of the cut use {', '.join(shared)}",
                    hint="each parameter belongs to one party: untie it, or cut where both uses lie on one side",
                )
