"""Settings changed from the command line: `--set privacy.target.epsilon=1`. A key that nobody reads is an error."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping
from typing import Any

from reticent.errors import UsageError
from reticent.study.faults import nearest

__all__ = ["apply_overrides", "literal"]


def apply_overrides(table: Mapping[str, Any], overrides: Mapping[str, str]) -> dict[str, Any]:
    """Return a copy of the study's `table` with `overrides` applied.

    Whether a key exists is checked with the rest of the file; only a new site is refused here, since `sites` takes
    any name and a misspelt one would otherwise join the study.

    Raises:
      UsageError: If a key names no section, leads through a plain value, or names an unknown site.
    """
    changed = copy.deepcopy(dict(table))
    for key, text in overrides.items():
        parts = key.split(".")
        if not all(parts):
            raise UsageError(
                "invalid-override",
                f"--set {key}={text}: {key!r} is not section.key",
                hint="write --set section.key=value",
            )
        sites = changed.get("sites")
        if parts[0] == "sites" and isinstance(sites, dict) and len(parts) > 1 and parts[1] not in sites:
            raise UsageError(
                "override-unknown-site",
                f"--set {key}={text}: the study has no site {parts[1]!r}",
                hint=f"{nearest(parts[1], sites)}; a new site is added in the file",
            )
        _put(changed, parts, key, text)
    return changed


def _put(table: dict[str, Any], parts: list[str], key: str, text: str) -> None:
    *path, last = parts
    for depth, part in enumerate(path, start=1):
        inner = table.setdefault(part, {})
        if not isinstance(inner, dict):
            raise UsageError(
                "invalid-override",
                f"--set {key}={text}: {'.'.join(parts[:depth])} is {inner!r}, which has no keys",
                hint=f"set the whole of it, for example --set '{'.'.join(parts[:depth])}={{ {last} = {text} }}'",
            )
        table = inner
    table[last] = literal(text)


def literal(text: str) -> Any:
    """Return `text` as the TOML value it spells, else as a string: `3`, `true`, `[1, 2]`, `{ a = 1 }`, `north.csv`.

    >>> literal("1e-5"), literal("north.csv"), literal("true")
    (1e-05, 'north.csv', True)
    """
    try:
        read = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    # A text with a line break could smuggle in further keys.
    return read["value"] if len(read) == 1 and "\n" not in text else text
