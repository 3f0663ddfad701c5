"""From what pydantic found to one clear message: `file: section.key`, the value, and the fix."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from reticent.errors import UsageError
from reticent.study.sections import Study

__all__ = ["fault", "nearest"]

_SECTIONS = {
    "study": "name, purpose and contact",
    "data": "the columns, the label and the person column",
    "model": "factory and loss",
    "learning": "method, rounds, learning_rate and local_steps or local_epochs",
    "privacy": 'guarantee = "differential-privacy" with unit, relation, target and max_grad_norm, '
    'or guarantee = "none" with a reason',
    "secure_aggregation": 'protocol = "secagg" (the coordinator sees the sum alone) or "plain" (it sees every update)',
    "sites": "one table for each site, for example [sites.north] with rows",
}


def fault(error: ValidationError, where: str, overridden: Collection[str] = ()) -> UsageError:
    """Return the error to raise: the first thing that is wrong, unknown keys before what they leave missing.

    Args:
      error: What pydantic found in a study.
      where: The file, or what stands for it.
      overridden: Dotted keys that came from `--set`; a fault in one of them is said to be there.
    """
    # A misspelt key is both unknown and missing; the unknown one shows the mistake.
    found = sorted(error.errors(include_url=False), key=lambda entry: entry["type"] != "extra_forbidden")
    first = found[0]
    key, kind = _named(first["loc"])
    from_command = any(f"{given}.".startswith(f"{key}.") or f"{key}.".startswith(f"{given}.") for given in overridden)
    origin = f"--set {key}" if from_command else f"{where}: {key}"
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    if first["type"] == "extra_forbidden":
        return UsageError(
            "unknown-key", f"{origin} is not a known key{more}", hint=_spelling(key, kind) + ", or remove it"
        )
    if first["type"] == "missing":
        return UsageError("missing-key", f"{origin} is missing{more}", hint=_add(key))
    return _wrong_value(key, f"{origin} is {_shown(first)}", _reason(first) + more)


def _wrong_value(key: str, what: str, reason: str) -> UsageError:
    match key.split(".")[-2:]:
        case [*_, "epsilon"]:
            return UsageError(
                "target-epsilon-invalid",
                f"{what}: {reason}",
                hint="give a finite number above 0; 1 is strong, 3 is common, above 10 promises little",
            )
        case ["target", "delta"]:
            return UsageError(
                "target-delta-invalid",
                f"{what}: {reason}",
                hint="give a number above 0 and well below 1 / rows of the smallest site, for example 1e-6",
            )
    return UsageError("invalid-value", f"{what}: {reason}", hint=f"correct {key}")


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the key that was probably meant, or all that exist."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"write {close[0]}" if close else f"known here: {', '.join(names)}"


def _spelling(key: str, kind: Any) -> str:
    path, _, word = key.rpartition(".")
    here = _keys(kind)
    if not difflib.get_close_matches(word, here, n=1, cutoff=0.6):
        elsewhere = [place for place in _places(Study) if place.rsplit(".", 1)[-1] == word]
        if elsewhere:
            return f"write {elsewhere[0]}"
    return nearest(word, here) + (f" in [{path}]" if path else "")


def _add(key: str) -> str:
    section, _, name = key.rpartition(".")
    if not section:
        return f"add the section [{name}] with {_SECTIONS.get(name, 'its keys')}"
    if key == "privacy.guarantee":
        return f"write {_SECTIONS['privacy']}"
    if key == "secure_aggregation.protocol":
        return f"write {_SECTIONS['secure_aggregation']}"
    return f"add {name} to [{section}]"


def _reason(entry: ErrorDetails) -> str:
    message = entry["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if entry["type"] == "string_pattern_mismatch":
        form = {
            "factory": "be module:function, for example reticent.training.models:logistic",
            "loss": "be cross_entropy, binary_cross_entropy_with_logits, mse_loss, or module:function",
        }
        return "it should " + form.get(str(entry["loc"][-1]), "consist of letters, digits, hyphens and underscores")
    return "it " + message if message.startswith("should") else message


def _shown(entry: ErrorDetails) -> str:
    value = entry["input"]
    if isinstance(value, dict | list | tuple | BaseModel):
        return f"a {'table' if isinstance(value, dict | BaseModel) else 'list'}"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _named(location: tuple[int | str, ...]) -> tuple[str, Any]:
    """Return the dotted key of a fault without pydantic's own marks, and the type of the table that holds it."""
    kind: Any = Study
    holder: Any = Study
    parts: list[str] = []
    for part in location:
        inner = _inside(kind, part)
        if inner is None and parts and part != location[-1]:
            continue  # the name of a union's branch, not a key
        if part == "[key]":
            continue
        holder, kind = kind, inner
        parts.append(str(part))
    return ".".join(parts), holder


def _inside(kind: Any, part: int | str) -> Any:
    """Return the type found under `part` in `kind`, or None if there is no such key."""
    for option in _options(kind):
        if isinstance(option, type) and issubclass(option, BaseModel):
            for name, field in option.model_fields.items():
                if part in (name, field.alias):
                    return field.annotation
        elif get_origin(option) is dict and isinstance(part, str):
            return get_args(option)[1]
        elif get_origin(option) in (list, tuple) and isinstance(part, int):
            return get_args(option)[0]
    return None


def _options(kind: Any) -> list[Any]:
    """Return `kind` itself, or the types it is a union or an annotated form of."""
    if isinstance(kind, type) or get_origin(kind) in (dict, list, tuple):
        return [kind]
    return [option for inner in get_args(kind) for option in _options(inner)]


def _keys(kind: Any) -> list[str]:
    models = [option for option in _options(kind) if isinstance(option, type) and issubclass(option, BaseModel)]
    return [field.alias or name for model in models for name, field in model.model_fields.items()]


def _places(kind: Any, prefix: str = "") -> list[str]:
    """Return every dotted key of the file, sections before what they hold."""
    here = [f"{prefix}{key}" for key in _keys(kind)]
    deeper = [place for key in _keys(kind) for place in _places(_inside(kind, key), f"{prefix}{key}.")]
    return here + deeper
