"""A ledger as a text that stands by itself: one JSON document on each line, checked without the database.

    {"format": "reticent ledger", "ledger": "...", "version": 2}
    {"atto_delta": 10000000000000, ..., "hash": "...", "previous": "...", "seq": 1}      one line for each entry
    {"head": {"hash": "...", "ledger": "...", "seq": 1}}

The lines are canonical (`chain`): two exports of one ledger are the same bytes, and a longer one begins like a shorter.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from reticent.errors import EnvironmentFault, UsageError
from reticent.ledger.audit import audit
from reticent.ledger.chain import Head, genesis
from reticent.ledger.faults import damaged, rolled_back
from reticent.ledger.rows import NUMBERS, TEXTS, Row, chained, read_row

__all__ = ["read_rows", "verify_export", "write_export"]

_FORMAT = "reticent ledger"
_VERSION = 2
_EMPTY: dict[str, Any] = {**dict.fromkeys(NUMBERS, 0), **dict.fromkeys(TEXTS, "")}


def write_export(path: Path, rows: Iterable[Mapping[str, Any]], head: Head) -> None:
    """Write an export; the file appears whole or not at all.

    Args:
      path: To write; an older export under this name is replaced.
      rows: Every stored row in order.
      head: The head after the last.

    Raises:
      EnvironmentFault: If it cannot be written.
    """
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(_line({"format": _FORMAT, "version": _VERSION, "ledger": head.ledger}))
                file.writelines(_line(row) for row in rows)
                file.write(_line({"head": head.to_plain()}))
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise EnvironmentFault(
            "export-unwritable",
            f"the export {path} cannot be written: {error.strerror}",
            hint="name a file in a directory that exists, has space, and that you may write to",
        ) from error


def _line(plain: Mapping[str, Any]) -> str:
    kept = {name: value for name, value in plain.items() if value not in ("", 0)}
    return json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=True) + "\n"


def _read_export(path: Path) -> tuple[Head, list[dict[str, Any]]]:
    """Return the head of an export and its rows, as they would be stored; nothing is checked but their form.

    Raises:
      UsageError: If the file is no export, or one of a newer version.
      EnvironmentFault: If it cannot be read, or is cut off or damaged.
    """
    try:
        lines = path.read_bytes().decode("ascii").removesuffix("\n").split("\n")
    except OSError as error:
        raise EnvironmentFault(
            "export-unreadable",
            f"the export {path} cannot be read: {error.strerror}",
            hint="check the path and its permissions",
        ) from error
    except UnicodeDecodeError as error:
        raise damaged(f"the export {path} holds the byte {error.object[error.start]} at {error.start}") from None
    _check_format(path, lines[0])
    parsed = [_parsed(number, line) for number, line in enumerate(lines, start=1)]
    if len(parsed) < 2 or set(parsed[-1]) != {"head"}:
        raise damaged(f"the export {path} is cut off: its last line is no head")
    try:
        head = Head.from_plain(parsed[-1]["head"])
    except UsageError:
        raise damaged(f"the export {path} ends with a head that cannot be read") from None
    if parsed[0].get("ledger") != head.ledger:
        raise damaged(f"the export {path} begins as one ledger and ends as another")
    return head, parsed[1:-1]


def _check_format(path: Path, line: str) -> None:
    try:
        first = json.loads(line)
    except (ValueError, RecursionError):
        first = None
    if not isinstance(first, dict) or first.get("format") != _FORMAT:
        raise UsageError(
            "not-an-export",
            f"{path} is no export of a ledger",
            hint="name a file that `reticent ledger export` wrote",
        )
    if first.get("version") != _VERSION:
        raise UsageError(
            "not-an-export",
            f"{path} is an export of version {str(first.get('version'))[:20]}, this program reads {_VERSION}",
            hint="use the version of reticent that wrote it, or a newer one",
        )


def _parsed(number: int, line: str) -> dict[str, Any]:
    try:
        plain = json.loads(line)
    except (ValueError, RecursionError):
        plain = None
    if not isinstance(plain, dict):
        raise damaged(f"line {number} of the export is no JSON object")
    if _line(plain) != line + "\n":
        raise damaged(f"line {number} of the export is not as an export writes it")
    return plain


def verify_export(path: Path | str, *, head: Head | None = None) -> Head:
    """Check an export as `Ledger.verify` checks a ledger: its hashes, its chain, its sums. No database is needed.

    Args:
      path: What `Ledger.export` wrote.
      head: One that was kept elsewhere; the export must contain it.

    Returns:
      The head of the export: its `seq` is the number of entries.

    Raises:
      UsageError: If the file is no export.
      EnvironmentFault: If it is damaged, or does not contain `head`.
    """
    found, plain = _read_export(Path(path))
    hashes = {0: genesis(found.ledger)}

    def rows() -> Iterator[Row]:
        for row in chained(map(read_row, map(_complete, plain)), found.ledger):
            hashes[row.entry.seq] = row.entry.hash
            yield row

    entries = audit((row.entry, row.standing) for row in rows())
    if (entries, hashes[entries]) != (found.seq, found.hash):
        raise damaged(f"the export {path} is cut off: it does not end at its own head")
    if head is not None and (head.ledger != found.ledger or hashes.get(head.seq) != head.hash):
        raise rolled_back(f"the export {path}", f"does not contain the head {head.seq} that was given")
    return found


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of an export as a database stores them; `verify_export` comes first."""
    return [_complete(row) for row in _read_export(path)[1]]


def _complete(plain: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(plain) - set(_EMPTY))
    if unknown:
        raise damaged(f"an entry of the export has the unknown field {unknown[0][:40]!r}")
    return {**_EMPTY, **plain}
