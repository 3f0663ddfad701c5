"""The privacy statement: the facts as JSON, for machines and archives. Same facts as the page, all of them."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel

from reticent.report.facts import Facts

__all__ = ["read_statement", "write_json", "write_statement"]


def write_statement(facts: Facts, path: Path | str) -> Path:
    """Write the facts to `path` as JSON with sorted keys, and return the path."""
    return write_json(facts, path)


def write_json(facts: BaseModel, path: Path | str) -> Path:
    """Write any facts as `write_statement` does."""
    target = Path(path)
    text = json.dumps(facts.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    target.write_text(f"{text}\n", encoding="utf-8")
    return target


def read_statement(path: Path | str) -> Facts:
    """Return the facts that `write_statement` wrote; unknown or missing fields are refused by the schema."""
    return Facts.model_validate_json(Path(path).read_text(encoding="utf-8"))
