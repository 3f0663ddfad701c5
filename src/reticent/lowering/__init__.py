"""From a torch module to a short list of operations, for `mpc`, `he` and `split`.

`lower(module, example)` exports the module, folds batch norm and constants, and returns a `Program`: frozen operations
with float64 numpy parameters, independent of the batch size. `Program.run` is its meaning in float64 numpy, the oracle of
every encrypted evaluation; `Program.architecture()` is the same without the weights. Only `lower` loads torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reticent.lowering import ops
from reticent.lowering.ops import Op
from reticent.lowering.program import INPUT, Program
from reticent.lowering.reference import evaluate

if TYPE_CHECKING:
    import torch

__all__ = ["INPUT", "Op", "Program", "evaluate", "lower", "ops"]


def lower(module: torch.nn.Module, example: torch.Tensor) -> Program:
    """Return the operations of `module` in evaluation mode, with its weights in float64.

    Args:
      module: From one tensor to one tensor, each sample treated alone. It is copied, not changed.
      example: `(batch, *sample)`; only the shape of a sample counts. The program runs any batch.

    Raises:
      UsageError: If a layer is not offered, mixes the examples of a batch, or torch cannot export the module.
    """
    from reticent.lowering.translate import translate

    return translate(module, example)
