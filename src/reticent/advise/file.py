"""Reads needs: from a file with a `[needs]` table, from `--set`, and from answers at the terminal."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reticent.advise.needs import Needs
from reticent.errors import UsageError

__all__ = ["load_needs", "parse_needs"]


def load_needs(path: str | Path | None, overrides: Mapping[str, str] | None = None) -> Needs:
    """Return the needs in the file `path`, with `overrides` applied and checked.

    Args:
      path: A TOML file with a table `[needs]`: a file of its own, or a study file; None if all comes from overrides.
      overrides: From key (`latency_ms` or `needs.latency_ms`) to the text of a TOML value, as `--set` takes them.

    Raises:
      UsageError: If the file cannot be read, or holds unknown, missing, wrong or contradictory values.
    """
    table = {} if path is None else _table(Path(path))
    given = {key.removeprefix("needs."): _literal(text) for key, text in (overrides or {}).items()}
    return parse_needs({**table, **given}, where="--set" if path is None else str(path), overridden=given)


def parse_needs(table: Mapping[str, Any], *, where: str, overridden: Mapping[str, Any] | None = None) -> Needs:
    """Return the needs that `table` spells; see `load_needs` for what it raises.

    Args:
      table: Keys of `[needs]` and their values.
      where: The file, or what stands for it in messages.
      overridden: Keys that came from `--set`, so that a message points there.
    """
    try:
        needs = Needs.model_validate(dict(table))
    except ValidationError as error:
        raise _fault(error, where, overridden or {}) from None
    _refuse_contradictions(needs, where)
    return needs


def _table(path: Path) -> dict[str, Any]:
    try:
        read = tomllib.loads(path.read_bytes().decode())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            "needs-unreadable",
            f"{path}: {reason}",
            hint="give a TOML file with a table [needs]; docs/choose.md shows one",
        ) from None
    if not isinstance(read.get("needs"), dict):
        raise UsageError(
            "needs-unreadable",
            f"{path} has no table [needs]",
            hint="write the line [needs] above the keys data, parties, task, protect, trusted_party and published",
        )
    return dict(read["needs"])


def _literal(text: str) -> Any:
    """Return `text` as the TOML value that it spells, else as a string."""
    try:
        read = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return read["value"] if len(read) == 1 and "\n" not in text else text


def _fault(error: ValidationError, where: str, overridden: Mapping[str, Any]) -> UsageError:
    """Return the first thing that is wrong; unknown keys first, since a misspelt key is also a missing one."""
    first = min(error.errors(include_url=False), key=lambda entry: entry["type"] != "extra_forbidden")
    key = str(first["loc"][0])
    origin = f"--set {key}" if key in overridden else f"{where}: needs.{key}"
    fields = list(Needs.model_fields)
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, fields, n=1)
        hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(fields)}"
        return UsageError("unknown-key", f"{origin} is not a known key", hint=hint)
    if first["type"] == "missing":
        return UsageError("missing-key", f"{origin} is missing", hint=f"add {key}: {_allowed(key)}")
    shown = repr(first["input"])
    return UsageError(
        "invalid-value", f"{origin} is {shown if len(shown) <= 80 else shown[:77] + '...'}", hint=_allowed(key)
    )


def _allowed(key: str) -> str:
    """Say what a key takes."""
    field = Needs.model_json_schema()["properties"][key]
    options = [option for part in (field, *field.get("anyOf", ())) for option in part.get("enum", ())]
    if key == "protect":
        from reticent.advise.needs import CONCERNS

        return "a list, possibly empty, of " + ", ".join(f'"{concern.value}"' for concern in CONCERNS)
    if options:
        return "one of " + ", ".join(f'"{option}"' for option in options)
    kinds = {part.get("type") for part in (field, *field.get("anyOf", ()))}
    if "boolean" in kinds:
        return "true or false"
    return "a whole number, 1 or larger" if "integer" in kinds else "a number that is not negative"


def _refuse_contradictions(needs: Needs, where: str) -> None:
    if needs.data != "one-party" and needs.parties < 2:
        raise UsageError(
            "needs-contradict",
            f"{where}: data is {needs.data!r} and parties is {needs.parties}",
            hint='give the number of parties that hold data, 2 or more, or data = "one-party"',
        )
    if needs.goal is not None and needs.wish is None:
        raise UsageError(
            "needs-contradict",
            f"{where}: goal is {needs.goal!r}, and there is no wish",
            hint="add wish, the technique that somebody has in mind; or say it in protect instead of goal",
        )
