"""The trained model as a file: checkpoints, the final model, a bundle to hand on, and predictions from either."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent.data import Contract, features_of, load_table
from reticent.errors import EnvironmentFault, PolicyRefused
from reticent.runs import durable
from reticent.runs.binding import Binding
from reticent.runs.splitting import joined_state
from reticent.study import Plan

__all__ = ["Bundle", "export", "load_model", "predict", "predictions", "save_model"]

MODEL = "model.safetensors"
PLAN = "plan.json"


@dataclass(frozen=True)
class Bundle:
    """A model file with the plan that made it: a run folder, or what `export` wrote."""

    path: Path
    plan: Plan

    @classmethod
    def open(cls, path: Path) -> Bundle:
        """Return the bundle in `path`.

        Raises:
          EnvironmentFault: If the folder holds no finished model.
        """
        for needed in (PLAN, MODEL):
            if not (path / needed).is_file():
                raise EnvironmentFault(
                    "no-model-here",
                    f"{path} holds no finished model: {needed} is missing",
                    hint="give a finished run folder or an exported bundle; `reticent resume` finishes a stopped run",
                )
        return cls(path, Plan.model_validate_json((path / PLAN).read_bytes()))


def save_model(path: Path, model: Any, *, plan: Plan, round_number: int, attempt: int) -> str:
    """Write the model's state as safetensors and return the file's SHA-256."""
    from safetensors.torch import save

    metadata = {"plan_hash": plan.hash, "round": str(round_number), "attempt": str(attempt), "format": "pt"}
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in model.state_dict().items()}
    data = save(tensors, metadata)
    durable.write(path, data)
    return hashlib.sha256(data).hexdigest()


def load_model(bundle: Bundle, *, base: Path, binding: Binding | None = None) -> Any:
    """Rebuild the model of a bundle from its pinned code and its tensors.

    Args:
      base: Folder from which the model's module is imported.
      binding: The plan with Python objects in place of code that a file names.

    Raises:
      PolicyRefused: If the tensors were written under another plan.
    """
    from safetensors import safe_open
    from safetensors.torch import load_file

    path = bundle.path / MODEL
    try:
        with safe_open(path, "pt") as file:
            written_under = (file.metadata() or {}).get("plan_hash")
        tensors = load_file(path)
    except Exception as error:
        raise EnvironmentFault(
            "model-unreadable",
            f"{path} is not a readable model file",
            hint="copy the run folder again, or export again",
        ) from error
    if written_under != bundle.plan.hash:
        raise PolicyRefused(
            "model-of-another-plan",
            f"{path} was written under plan {str(written_under)[:12]}, not {bundle.plan.hash[:12]}",
            hint="keep the files of one run together; `reticent verify` says which was changed",
        )
    model = (binding or Binding(bundle.plan, base)).model()
    if bundle.plan.split is not None:
        tensors = joined_state(bundle.plan, tensors, bundle.path / "sites")
    model.load_state_dict(tensors)
    return model.eval()


def predict(bundle: Bundle, table: Path, *, base: Path) -> Any:
    """Apply the model to the rows of a CSV or Parquet file, prepared by the constants of the contract.

    Returns:
      A pandas frame with `prediction` and one probability column for each class, in the order of the rows; rows
      with a missing value that the contract does not replace get an empty prediction.
    """
    import torch

    model = load_model(bundle, base=base)
    features = features_of(bundle.plan.contract, load_table(table))
    with torch.no_grad():
        outputs = model(torch.from_numpy(np.nan_to_num(features))).numpy().astype(np.float64)
    return predictions(bundle.plan.contract, features, outputs)


def predictions(contract: Contract, features: NDArray[np.floating[Any]], outputs: NDArray[np.float64]) -> Any:
    """Return what `predict` returns, from the model's outputs for these features."""
    import pandas as pd

    usable = np.isfinite(features).all(axis=tuple(range(1, features.ndim)))
    if not contract.classes:
        values = outputs.reshape(len(features))
        return pd.DataFrame({"prediction": np.where(usable, values, np.nan)})
    probabilities = _probabilities(outputs)
    names = np.array(contract.classes, dtype=object)[probabilities.argmax(axis=1)]
    frame = pd.DataFrame({"prediction": np.where(usable, names, None)})
    for index, name in enumerate(contract.classes):
        frame[f"probability {name}"] = np.where(usable, probabilities[:, index], np.nan)
    return frame


def _probabilities(outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn logits, shape (n, classes), or one logit for the second class, shape (n, 1) or (n,), into probabilities."""
    if outputs.ndim == 1 or outputs.shape[1] == 1:
        outputs = np.stack([np.zeros(len(outputs)), outputs.reshape(len(outputs))], axis=1)
    shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def export(bundle: Bundle, target: Path, *, card: str) -> dict[str, str]:
    """Write a bundle: tensors, the plan with its contract, a model card, and the hashes of all three.

    Raises:
      EnvironmentFault: If `target` exists and is not empty.
    """
    if bundle.plan.split is not None:
        raise PolicyRefused(
            "parts-stay-apart",
            f"the model of {bundle.plan.study} is cut, and its parts belong to different parties",
            hint="leave each part where it is; `reticent predict` joins them on a machine that owns all folders of a run",
        )
    if target.exists() and any(target.iterdir()):
        raise EnvironmentFault(
            "target-not-empty", f"{target} is not empty", hint="give a new folder; nothing was written"
        )
    files = {
        MODEL: (bundle.path / MODEL).read_bytes(),
        PLAN: (bundle.path / PLAN).read_bytes(),
        "MODEL_CARD.md": card.encode(),
    }
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    for name, data in files.items():
        durable.write(target / name, data)
    durable.write(target / "hashes.json", json.dumps(hashes, indent=1, sort_keys=True).encode())
    return hashes
