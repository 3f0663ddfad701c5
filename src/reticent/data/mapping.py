"""A site's own file, `site.toml`: where its data are, how its columns, units and codes map to the contract's."""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from reticent.data.text import canonical
from reticent.errors import EnvironmentFault, UsageError

__all__ = ["ColumnMapping", "CsvFormat", "SiteMapping", "load_mapping"]

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "<NA>")
"""Texts that stand for a missing value, unless a vocabulary holds the very same word."""


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CsvFormat(_Declared):
    """How a site's CSV files are written.

    Attributes:
      separator: Character between cells.
      decimal: Character before the decimals of a number.
      encoding: Character encoding of the file.
      header: Column names, for files that have no line of names.
      skip_lines: Lines to pass over at the beginning.
    """

    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    decimal: Annotated[str, Field(pattern=r"^[.,]$")] = "."
    encoding: str = "utf-8"
    header: tuple[str, ...] = ()
    skip_lines: Annotated[int, Field(ge=0)] = 0


class ColumnMapping(_Declared):
    """One column of the contract, as a site keeps it.

    Attributes:
      column: The site's name of the column; None if it is the contract's.
      unit: The site's unit; None if it is the contract's.
      factor: With `offset`, for units that are not built in: `ours = factor * theirs + offset`.
      offset: See `factor`.
      codes: From the site's codes to the contract's values; several codes may mean one value. Where codes are given for
        a category or label, anything else is an unknown category.
      missing: Codes that stand for a missing value in this column, besides the usual ones.
    """

    column: str | None = None
    unit: str | None = None
    factor: float | None = None
    offset: float | None = None
    codes: dict[str, str | float] = {}
    missing: tuple[Annotated[str, BeforeValidator(canonical)], ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> ColumnMapping:
        if self.unit is not None and (self.factor is not None or self.offset is not None):
            raise UsageError(
                "mapping-invalid",
                f"unit {self.unit!r} stands beside a factor or an offset",
                hint="give either the unit, or factor and offset",
            )
        if self.factor == 0:
            raise UsageError("mapping-invalid", "factor is 0.0", hint="give ours = factor * theirs + offset")
        return self


def _named(value: Any) -> Any:
    """Let `age = "AGE_YEARS"` stand for `age = { column = "AGE_YEARS" }`."""
    return {"column": value} if isinstance(value, str) else value


class SiteMapping(_Declared):
    """What a site declares about itself; it is the site's own and is never sent.

    Attributes:
      data: Path of the data, beside the mapping's file if relative; or paths under "train" and "test".
      columns: From the contract's names to the site's columns.
      missing: Texts that stand for a missing value, in every column.
      csv: How CSV files are written.
      population: The people whose budget is charged.
      dataset: Version of the data of that population.
      ledger: Address of the site's ledger, such as "sqlite:///budget.db".
      max_epsilon: The most this site spends on one study.
      purposes: Purposes that this site takes part in; empty: any.
    """

    data: Path | dict[str, Path] | None = None
    columns: dict[str, Annotated[ColumnMapping, BeforeValidator(_named)]] = {}
    missing: tuple[str, ...] = MISSING
    csv: CsvFormat = CsvFormat()
    population: str | None = None
    dataset: str | None = None
    ledger: str | None = None
    max_epsilon: Annotated[float, Field(gt=0)] | None = None
    purposes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> SiteMapping:
        if isinstance(self.data, dict) and set(self.data) != {"train", "test"}:
            raise UsageError(
                "mapping-invalid",
                f"data names {', '.join(sorted(self.data)) or 'nothing'}",
                hint='give one path, or data = { train = "a.csv", test = "b.csv" }',
            )
        return self

    def of(self, name: str) -> ColumnMapping:
        """Return how the site keeps the contract's column `name`."""
        return self.columns.get(name, ColumnMapping())

    def check_names(self, names: tuple[str, ...]) -> None:
        """Refuse mappings of columns that the contract does not have: a misspelling would silently do nothing."""
        for name in self.columns:
            if name not in names:
                near = get_close_matches(name, names, n=1)
                raise UsageError(
                    "mapping-unknown-column",
                    f"the mapping names column {name!r}, which is not in the contract",
                    hint=f"did you mean {near[0]!r}?" if near else f"the contract has {', '.join(names)}",
                )


def load_mapping(path: str | Path) -> SiteMapping:
    """Read a `site.toml`; relative data paths are taken from its folder.

    Raises:
      EnvironmentFault: If the file cannot be read.
      UsageError: If it is not TOML, or a key or value is wrong; the message names `file: key`.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise EnvironmentFault(
            "file-unreadable",
            f"{path}: {error.strerror}",
            hint="check the path of the site's mapping and the rights on it",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            "mapping-invalid", f"{path} is not TOML: {error}", hint="write it as TOML, version 1.0, in UTF-8"
        ) from error
    try:
        mapping = SiteMapping.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UsageError("mapping-invalid", f"{path}: {key}: {first['msg']}", hint=_near(key, first["type"])) from error
    return mapping.model_copy(update={"data": _beside(path.parent, mapping.data)})


def _near(key: str, kind: str) -> str:
    if kind != "extra_forbidden":
        return f"correct {key}"
    fields = [*SiteMapping.model_fields, *ColumnMapping.model_fields, *CsvFormat.model_fields]
    near = get_close_matches(key.rsplit(".", maxsplit=1)[-1], fields, n=1)
    return f"did you mean {near[0]!r}?" if near else f"remove {key}; known keys are {', '.join(fields)}"


def _beside(folder: Path, data: Path | dict[str, Path] | None) -> Path | dict[str, Path] | None:
    if isinstance(data, dict):
        return {part: folder / path for part, path in data.items()}
    return None if data is None else folder / data
