"""Encrypted prediction with a finished model: who has the rows encrypts them, who has the model computes on ciphertexts.

Both sides know the contract, which is public. Preparing a row depends on that row and the contract alone, so the client
does it before it encrypts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent.data import Contract, features_of, load_table
from reticent.errors import UsageError
from reticent.runs.model import Bundle, load_model, predictions

__all__ = ["predict_encrypted", "program_of"]


def predict_encrypted(bundle: Bundle, table: Path, *, base: Path, precision: float) -> tuple[Any, Any]:
    """Apply the model to the rows of a table which the process that holds the model cannot read.

    The server is a process of its own, started here; on two machines, `he.serve` and `he.predict_remote` do the same.

    Args:
      bundle: The model; this process reads its contract, and the server process its weights.
      table: CSV or Parquet with the contract's columns.
      base: Folder of the model's module.
      precision: Outputs are multiples of it, and off by at most it.

    Returns:
      What `predict` returns, and what travelled (`he.Prediction`).

    Raises:
      UsageError: If the model has layers that cannot be evaluated encrypted; the message names them.
    """
    from reticent import he

    contract = bundle.plan.contract
    features = features_of(contract, load_table(table))
    if not len(features):
        raise UsageError("nothing-to-predict", f"{table} has no rows", hint="give a table with at least one row")
    arguments = {"bundle": str(bundle.path), "base": str(base), "precision": precision, "rows": len(features)}
    low, high = _bounds(contract)
    inside = np.clip(np.nan_to_num(features), low, high)
    done = he.predict_in_processes(inside, "reticent.runs.encrypted:program_of", arguments)
    return predictions(contract, features, np.asarray(done.values)), done


def program_of(bundle: str, base: str, precision: float, rows: int) -> Any:
    """Return the encrypted program of a bundle's model. Run by the server process.

    Args:
      rows: How many rows will be asked for: one alone is answered soonest if ciphertexts are packed for one.
    """
    from reticent import he

    opened = Bundle.open(Path(bundle))
    contract = opened.plan.contract
    model = load_model(opened, base=Path(base))
    return he.compile(
        model,
        input_bounds=_bounds(contract),
        precision=precision,
        input_shape=contract.input_shape,
        rows=1 if rows == 1 else None,
    )


def _bounds(contract: Contract) -> tuple[float | NDArray[np.float64], float | NDArray[np.float64]]:
    """Return the smallest and largest value of each feature, which follow from the contract: it bounds every column."""
    if contract.standardise == "per-site":
        raise UsageError(
            "standardiser-missing",
            "standardise is 'per-site': the statistics of a site scale its rows, and the contract bounds none of them",
            hint="use declared scaling in the study for models that are to predict encrypted rows",
        )
    if contract.standardise == "declared":
        return -1.0, 1.0
    if contract.range is not None:
        return contract.range
    ranges = []
    for column in contract.features:
        low, high = (column.range or (0.0, 1.0)) if column.is_numeric else (0.0, 1.0)
        if column.is_numeric and column.range is None:
            raise UsageError(
                "bounds-not-declared",
                f"column {column.name!r} has no range, and encrypted numbers must not exceed a bound that both sides know",
                hint="declare the range of each number column in the contract",
            )
        ranges += [(low, high)] * len(column.feature_names)
    bounds = np.array(ranges)
    return bounds[:, 0], bounds[:, 1]
