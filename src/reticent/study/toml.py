"""Writes TOML: the effective study is saved with every run, and Python's own module only reads.

Sections become `[section]`, a section that holds nothing but tables becomes `[section.name]` for each of them, and
everything deeper is written inline, so that a file of any depth stays readable.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["write_toml"]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_WIDTH = 110


def write_toml(table: Mapping[str, Any]) -> str:
    """Return `table` as TOML text that `tomllib` reads back to an equal value; entries that are None are left out.

    >>> print(write_toml({"schema": 1, "run": {"deadline": 1e-05, "sites": ["a", "b"]}}), end="")
    schema = 1
    <BLANKLINE>
    [run]
    deadline = 1e-05
    sites = ["a", "b"]
    """
    return "\n".join(_lines(table, ())).lstrip("\n") + "\n"


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    entries = {key: value for key, value in table.items() if value is not None}
    tables = {key: value for key, value in entries.items() if isinstance(value, Mapping)}
    # Deeper than one level, only a table that holds nothing but tables is opened up; the rest stays on one line.
    if path and (len(tables) < len(entries) or not tables):
        tables = {}
    for key, value in entries.items():
        if key not in tables:
            yield f"{_key(key)} = {_block(key, value)}"
    for key, value in tables.items():
        inner = (*path, key)
        if not path or not _only_tables(value):
            header = ".".join(_key(part) for part in inner)
        if not _only_tables(value):
            yield from ("", f"[{header}]")
        yield from _lines(value, inner)


def _only_tables(value: Mapping[str, Any]) -> bool:
    return bool(value) and all(isinstance(entry, Mapping) for entry in value.values())


def _block(key: str, value: Any) -> str:
    text = _value(value)
    if len(key) + len(text) > _WIDTH and isinstance(value, Sequence) and not isinstance(value, str):
        return "[\n" + "".join(f"  {_value(entry)},\n" for entry in value) + "]"
    return text


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return '"' + "".join(_character(character) for character in value) + '"'
        case int():
            return str(value)
        case float():
            return repr(value) if math.isfinite(value) else str(value)
        case Mapping():
            inner = ", ".join(f"{_key(key)} = {_value(entry)}" for key, entry in value.items() if entry is not None)
            return f"{{ {inner} }}" if inner else "{}"
        case Sequence():
            return "[" + ", ".join(_value(entry) for entry in value) + "]"
    raise TypeError(f"TOML has no value for {type(value).__name__}")


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _value(key)


def _character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    return (
        character
        if character.isprintable()
        else f"\\u{ord(character):04X}"
        if ord(character) < 65536
        else f"\\U{ord(character):08X}"
    )
