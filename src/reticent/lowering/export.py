"""From a torch module to torch's own graph of ATen operations, with the batch as a free dimension."""

from __future__ import annotations

import copy
import dataclasses
import threading
import warnings
from typing import Any

import torch
from torch import nn

from reticent.errors import UsageError
from reticent.lowering.refusal import mixes_examples

__all__ = ["Graph", "export", "place_of"]

_ONE_AT_A_TIME = threading.Lock()  # torch.export patches process-wide state; parties may be threads


@dataclasses.dataclass(frozen=True)
class Graph:
    """What torch.export found.

    Attributes:
      nodes: Calls, in order.
      weights: Parameters and buffers in float64, by the name of their node.
      constants: Tensors that stand in the model's code, by the name of their node.
      input: Name of the node of the input.
      output: Name of the node of the result.
    """

    nodes: tuple[torch.fx.Node, ...]
    weights: dict[str, torch.Tensor]
    constants: dict[str, torch.Tensor]
    input: str
    output: str


def export(module: nn.Module, example: torch.Tensor) -> Graph:
    """Export a copy of `module`, in evaluation mode and float64, for batches of any size.

    Raises:
      UsageError: If the module cannot be traced, fixes the batch size, or returns anything but one tensor.
    """
    if example.ndim == 0 or len(example) == 0:
        raise UsageError(
            "lowering-example",
            f"the example has shape {tuple(example.shape)}",
            hint="give a batch of at least one sample, (batch, *sample)",
        )
    model = copy.deepcopy(module).eval().double()
    # Two samples at least: torch.export takes a dimension of size one for a constant.
    sample = example.detach().cpu().double()[:1].expand(3, *example.shape[1:]).contiguous()
    try:
        with _ONE_AT_A_TIME, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own notices of deprecation; nothing of the user's
            exported = torch.export.export(model, (sample,), dynamic_shapes=({0: torch.export.Dim("batch")},))
            if any(_mutates(node) for node in exported.graph.nodes):
                exported = exported.run_decompositions({})
    except Exception as error:  # torch.export raises errors of many kinds; all mean the same to the user
        raise _refusal(error) from error
    return _read(exported)


def _mutates(node: torch.fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return node.op == "call_function" and schema is not None and bool(schema.is_mutable)


def _refusal(error: Exception) -> UsageError:
    text = str(error).strip()
    if "marked batch as dynamic" in text or "Constraints violated" in text:
        return mixes_examples("a constant batch size", "the model's forward")
    return UsageError(
        "module-not-exportable",
        f"torch.export could not follow the module: {text.splitlines()[0] if text else type(error).__name__}",
        hint="let forward take one tensor and branch on no value of it; torch.export.export(module, (x,)) must succeed",
    )


def _read(exported: torch.export.ExportedProgram) -> Graph:
    weights: dict[str, torch.Tensor] = {}
    constants: dict[str, torch.Tensor] = {}
    inputs: list[str] = []
    for item in exported.graph_signature.input_specs:
        name, target = str(getattr(item.arg, "name", "")), str(item.target)
        if item.kind.name == "USER_INPUT":
            inputs.append(name)
        elif item.kind.name == "CONSTANT_TENSOR":
            constants[name] = _tensor(exported.constants[target])
        else:
            state: Any = exported.state_dict.get(target, exported.constants.get(target))
            weights[name] = _tensor(state)
    outputs = [str(getattr(item.arg, "name", "")) for item in exported.graph_signature.output_specs]
    if len(outputs) != 1 or len(inputs) != 1:
        raise UsageError(
            "module-not-exportable",
            f"the module changes its own state or returns {len(outputs)} values",
            hint="let forward take one tensor and return one tensor",
        )
    nodes = tuple(node for node in exported.graph.nodes if node.op == "call_function")
    return Graph(nodes, weights, constants, inputs[0], outputs[0])


def _tensor(value: torch.Tensor) -> torch.Tensor:
    value = value.detach().cpu()
    return value.double() if value.is_floating_point() else value


def place_of(node: torch.fx.Node) -> str:
    """Return where in the model a node stands: `"features.0 (Conv2d)"`."""
    stack = [entry for entry in (node.meta.get("nn_module_stack") or {}).values() if "hook" not in str(entry[0])]
    path, kind = stack[-1] if stack else ("", "")
    return f"{path} ({str(kind).rsplit('.', 1)[-1]})" if path else "the model's forward"
