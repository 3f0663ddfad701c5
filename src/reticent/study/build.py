"""Makes studies in Python: from sections given as dicts or objects, and from another study."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from reticent.errors import UsageError
from reticent.study.calibrate import sampling_of
from reticent.study.file import parse_study, rooted
from reticent.study.sections import Study

__all__ = ["study_from", "without_privacy"]


_UNSTATED = {"name": "study", "purpose": "not stated", "contact": "not stated"}


def study_from(
    *,
    model: Any,
    sites: Mapping[str, Any] | Iterable[str],
    data: Any,
    learning: Any,
    privacy: Any,
    aggregation: Any,
    loss: str | None = None,
    **sections: Any,
) -> Study:
    """Return a study from its sections, after the same checks as a study file.

    Args:
      model: `module:function`, the section, or any callable, which only the local engine can run.
      sites: From name to declared rows or to the section; names alone where no epsilon is claimed (equal weights).
      data: The contract, or the section.
      learning: The section, or `federated.FedAvg(...)` and the like.
      privacy: The section.
      aggregation: The section, or the protocol alone: "secagg" or "plain".
      loss: Name of the loss, if `model` does not say it; else what suits the label.
      sections: `study` (name, purpose, contact; as far as they are known), `release`, `ledger`, `run`.

    Relative paths are relative to the current folder.

    Raises:
      UsageError: If a section is missing, unknown or wrong; the message names the key.
      PolicyRefused: If the promise could not hold.
    """
    table: dict[str, Any] = {
        "data": _table(data),
        "learning": _table(getattr(learning, "section", learning)),
        "privacy": _table(privacy),
        "secure_aggregation": {"protocol": aggregation} if isinstance(aggregation, str) else _table(aggregation),
        **{section: _table(value) for section, value in sections.items()},
    }
    stated = table.get("study") or {}
    table["study"] = {**_UNSTATED, **stated} if isinstance(stated, dict) else stated
    table["model"] = _model(model, loss, table["data"])
    table["sites"] = _sites(sites, table["privacy"])
    given = {section: value for section, value in table.items() if value is not None}
    return parse_study(rooted(given, Path.cwd()), where="study")


def without_privacy(study: Study, *, reason: str) -> Study:
    """Return the same study without a promise: the baseline that shows what the promise costs.

    Batches get the size that the private study expects at its smallest site; exact figures leave the sites.

    Args:
      study: Any study.
      reason: Why no promise is made, for example that the records are public.
    """
    if not study.privacy.claimed:
        return study
    expected = min(sampling_of(study, name).expected_batch_size for name in study.sites)
    table = study.model_dump(by_alias=True, exclude_unset=True, exclude_none=True)
    table["privacy"] = {"guarantee": "none", "reason": reason}
    table["learning"]["batch_size"] = max(1, round(expected))
    if study.release.metrics is not None:
        table["release"] = {"metrics": {"every": study.release.metrics.every}}
    return parse_study(table, where=f"{study.study.name} without privacy")


def _table(section: Any) -> Any:
    """Return a section as a nested dict; what is no section is left for the checks to name."""
    if isinstance(section, BaseModel):
        return section.model_dump(by_alias=True, exclude_unset=True, exclude_none=True)
    if isinstance(section, Mapping):
        return {key: _table(value) for key, value in section.items() if value is not None}
    return section


def _model(model: Any, loss: str | None, data: Any) -> Any:
    section = _table(model)
    if not isinstance(section, str | dict) and section is not None:
        section = f"<{getattr(model, '__name__', type(model).__name__)}>"
    if isinstance(section, str):
        section = {"factory": section}
    if isinstance(section, dict) and "loss" not in section:
        return {**section, "loss": loss or _usual_loss(data)}
    return section


def _usual_loss(data: Any) -> str:
    if not isinstance(data, dict):
        return "cross_entropy"
    columns = [column for column in data.get("columns", ()) if isinstance(column, dict)]
    classes = data.get("classes") or any(column.get("kind") == "label" and column.get("values") for column in columns)
    return "cross_entropy" if classes else "mse_loss"


def _sites(sites: Any, privacy: Any) -> dict[str, Any]:
    if isinstance(sites, Mapping):
        return {str(name): _site(value) for name, value in sites.items()}
    if isinstance(privacy, dict) and privacy.get("guarantee") != "none":
        raise UsageError(
            "rows-not-declared",
            "sites are given by name alone, and an epsilon is claimed",
            hint='declare their training-set sizes, which are public: sites={"north": 220, "south": 90, ...}',
        )
    return {str(name): {"rows": 1} for name in sites}


def _site(value: Any) -> Any:
    try:
        return {"rows": operator.index(value)}  # whole numbers of numpy and pandas, too
    except TypeError:
        return _table(value)
