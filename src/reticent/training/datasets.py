"""What private training takes rows from: `Examples`, or a torch dataset that holds tensors."""

from __future__ import annotations

from torch.utils.data import DataLoader, TensorDataset

from reticent.data import Examples
from reticent.dp import Unit
from reticent.errors import UsageError

__all__ = ["Dataset", "as_examples"]

Dataset = Examples | TensorDataset
"""`TensorDataset(features, labels)`, or `TensorDataset(features, labels, persons)` where persons are the unit."""


def as_examples(data: Dataset, unit: Unit) -> Examples:
    """Return `data` as examples.

    Raises:
      UsageError: With code `not-examples`; a data loader is refused, since it has fixed the batches already.
    """
    if isinstance(data, Examples):
        return data
    tensors = data.tensors if isinstance(data, TensorDataset) else ()
    if len(tensors) == 3 or (len(tensors) == 2 and unit != "person"):
        return Examples.of(*tensors)
    loader = isinstance(data, DataLoader)
    hint = "give reticent.data.Examples.of(features, labels, persons) or TensorDataset(features, labels, persons)"
    raise UsageError(
        "not-examples",
        f"data are a {type(data).__name__}" + (f" of {len(tensors)} tensors" if tensors else ""),
        hint="give the rows, not a loader: a loader's batches are no Poisson samples. " * loader + hint,
    )
