"""What the command line says: data on standard output, talk on standard error, errors with their code and fix."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import Any

from reticent.errors import ReticentError

__all__ = ["Format", "emit", "report_error", "say"]


class Format(StrEnum):
    """How results are printed."""

    text = "text"
    json = "json"


def say(text: str) -> None:
    """Talk to the person at the terminal."""
    print(text, file=sys.stderr, flush=True)


def emit(chosen: Format, *, text: str, data: Any) -> None:
    """Print a result: as text for people, or as one JSON document."""
    if chosen is Format.json:
        print(json.dumps(data, indent=1, sort_keys=True, default=str))
    else:
        print(text)


def report_error(error: ReticentError, chosen: Format) -> None:
    """Print an error; with `--format json` the same as one JSON document on standard output."""
    say(f"reticent: {error.message}\n\n  fix: {error.hint}\n\n  [{error.code}]  more: reticent help {error.code}")
    if chosen is Format.json:
        described = {"code": error.code, "message": error.message, "fix": error.hint, "exit_status": error.exit_status}
        print(json.dumps({"error": described}, indent=1, sort_keys=True))
