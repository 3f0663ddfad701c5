"""Reads a study file, and writes the effective one that is saved with a run."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from reticent.errors import EnvironmentFault, ReticentError, UsageError
from reticent.study.faults import fault
from reticent.study.overrides import apply_overrides
from reticent.study.refusals import check_study
from reticent.study.sections import LedgerSection, RunSection, Study
from reticent.study.toml import write_toml

__all__ = ["dump_study", "load_study", "parse_study", "rooted"]

_SQLITE = "sqlite:///"


def load_study(path: str | Path, overrides: Mapping[str, str] | None = None) -> Study:
    """Return the study in the file `path`, with `overrides` applied and checked.

    Relative paths in the file are relative to its folder; in overrides, to the current one. They come out absolute,
    so that the effective file means the same wherever it is saved.

    Args:
      path: A TOML file.
      overrides: From dotted key to the text of a TOML value, as `--set` takes them.

    Raises:
      UsageError: If the file does not exist, is no TOML, or holds unknown, missing or wrong values.
      PolicyRefused: If the study, whatever its data, would break its own promise.
      EnvironmentFault: If the file cannot be read.
    """
    path = Path(path)
    table = rooted(_read(path), path.resolve().parent)
    table.pop("needs", None)  # what `reticent advise` was asked; the study is the answer
    given = dict(overrides or {})
    table = rooted(apply_overrides(table, given), Path.cwd())
    return parse_study(table, where=str(path), overridden=given)


def parse_study(table: Mapping[str, Any], *, where: str, overridden: Collection[str] = ()) -> Study:
    """Return the study that `table` spells, after the checks that need no model; see `load_study` for what it raises.

    Args:
      table: Sections as nested mappings, as `tomllib` reads them.
      where: The file, or what stands for it in messages.
      overridden: Dotted keys that came from `--set`.
    """
    try:
        study = Study.model_validate(table)
    except ValidationError as error:
        raise fault(error, where, overridden) from None
    except ReticentError as error:  # the contract's own refusals, which do not know in which file they stand
        raise type(error)(error.code, f"{where}: data: {error.message}", hint=error.hint) from None
    check_study(study, where=where)
    return study


def dump_study(study: Study) -> str:
    """Return the effective study file, defaults included; `load_study` reads it back to an equal study."""
    table = study.model_dump(by_alias=True, exclude_none=True)
    table["release"].setdefault("metrics", "none")
    return write_toml(table)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes().decode()
        return tomllib.loads(text)
    except FileNotFoundError:
        raise UsageError(
            "study-not-found", f"{path} does not exist", hint="give the path of a study file; `reticent new` writes one"
        ) from None
    except OSError as error:
        raise EnvironmentFault(
            "study-unreadable", f"{path} cannot be read: {error.strerror}", hint="check the path and its permissions"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(
            "study-syntax", f"{path}: byte {error.start} is not UTF-8", hint="save the file as UTF-8 text"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            "study-syntax",
            f"{path}: {error}",
            hint='correct that line: texts stand in quotes, true and false are lower case: name = "sepsis"',
        ) from None


def rooted(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return `table` with its paths absolute, taken from `folder`. Whatever is no text is left for the checks."""
    absolute = dict(table)
    sites = table.get("sites")
    if isinstance(sites, dict):
        absolute["sites"] = {name: _with_paths(site, ("file", "site"), folder) for name, site in sites.items()}
    absolute["run"] = _with_paths(_with_default(table.get("run"), RunSection, "directory"), ("directory",), folder)
    absolute["ledger"] = _with_database(_with_default(table.get("ledger"), LedgerSection, "url"), folder)
    return absolute


def _with_default(section: Any, kind: type[BaseModel], key: str) -> Any:
    """Write out a default that is a path: it, too, is relative to the folder of the study."""
    section = {} if section is None else section
    return {key: kind.model_fields[key].default, **section} if isinstance(section, dict) else section


def _with_database(section: Any, folder: Path) -> Any:
    url = section.get("url") if isinstance(section, dict) else None
    if not isinstance(url, str) or not url.startswith(_SQLITE):
        return section
    database = url.removeprefix(_SQLITE)
    return section if database in ("", ":memory:") else {**section, "url": f"{_SQLITE}{folder / database}"}


def _with_paths(section: Any, keys: tuple[str, ...], folder: Path) -> Any:
    if not isinstance(section, dict):
        return section
    paths = {key: str(folder / section[key]) for key in keys if isinstance(section.get(key), str) and section[key]}
    return {**section, **paths}
