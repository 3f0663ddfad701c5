"""The schema contract: the same columns, in the same order and units, for every site of a study.

A contract stands in the study file and is public. It is also the whole description of how data are prepared: all
constants of encoding, imputation and scaling are declared in it and none is taken from data, so that the preparation
of one row never depends on another row. The one exception, `standardise = "per-site"`, is open only to studies that claim
no epsilon.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from reticent.data.text import canonical
from reticent.data.units import analytes
from reticent.errors import UsageError

__all__ = ["Column", "Contract"]

Name = Annotated[str, Field(min_length=1)]
Word = Annotated[
    str, BeforeValidator(lambda value: canonical(value) if isinstance(value, str | int | float) else value)
]
OTHER = "other"


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Column(_Declared):
    """One column of a table.

    Attributes:
      name: The contract's name of the column.
      kind: `number`, `category`, or `label` (what the model learns; exactly one column).
      unit: Unit of a number, such as "cm"; sites with another unit of the same quantity are converted.
      analyte: Substance measured, needed to convert between mass and amount ("mg/dL" and "mmol/L").
      range: Lowest and highest value of a number; values beyond are moved to the nearer end.
      values: The closed vocabulary of a category, or the classes of a label.
      other: Whether a category has one more place, for whatever is not in `values`.
      drop_first: Encode the first of `values` as all zeros, as regressions without redundancy need.
      missing: `refuse`, or what stands in for a missing value: a number, or one of `values` (or `other`).
    """

    name: Name
    kind: Literal["number", "category", "label"]
    unit: str | None = None
    analyte: str | None = None
    range: tuple[float, float] | None = None
    values: tuple[Word, ...] = ()
    other: bool = False
    drop_first: bool = False
    missing: float | str = "refuse"

    @property
    def is_numeric(self) -> bool:
        """Whether cells are numbers: a number column, or the target of a regression."""
        return not self.values

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features that this column becomes; none for a label."""
        if self.kind == "label":
            return ()
        if self.is_numeric:
            return (self.name,)
        places = [f"{self.name}={value}" for value in self.values[1 if self.drop_first else 0 :]]
        return (*places, f"{self.name}={OTHER}") if self.other else tuple(places)

    @model_validator(mode="after")
    def _consistent(self) -> Column:
        if self.kind == "category" and not self.values:
            raise UsageError(
                "contract-values",
                f"category column {self.name!r} has no values",
                hint='declare its vocabulary: values = ["yes", "no"]',
            )
        if self.kind == "number" and self.values:
            raise UsageError(
                "contract-values",
                f"number column {self.name!r} has values",
                hint='remove `values`, or make it kind = "category"',
            )
        _check_words(self)
        _check_numbers(self)
        _check_missing(self)
        return self


def _check_words(column: Column) -> None:
    twice = sorted({value for value in column.values if column.values.count(value) > 1})
    if twice or (column.other and OTHER in column.values):
        raise UsageError(
            "contract-values",
            f"column {column.name!r} declares {', '.join(twice) or OTHER} twice",
            hint="name each value once (`other = true` adds the value `other` by itself)",
        )
    if column.kind == "label" and len(column.values) == 1:
        raise UsageError(
            "contract-one-class",
            f"label {column.name!r} has the single class {column.values[0]!r}",
            hint="declare at least two classes; a site may still hold only one of them",
        )
    if (column.other or column.drop_first) and column.kind != "category":
        raise UsageError(
            "contract-values",
            f"{column.kind} column {column.name!r} has `other` or `drop_first`",
            hint="these belong to category columns",
        )
    if column.values and not column.feature_names and column.kind == "category":
        raise UsageError(
            "contract-values",
            f"column {column.name!r} has one value, which `drop_first` drops",
            hint="declare more values, or leave the column out",
        )


def _check_numbers(column: Column) -> None:
    if column.range is not None:
        low, high = column.range
        if not (math.isfinite(low) and math.isfinite(high) and low < high) or column.values:
            raise UsageError(
                "contract-range",
                f"column {column.name!r} has range {list(column.range)}",
                hint="give a number column a lowest and a larger highest value: range = [0.0, 120.0]",
            )
    if column.kind == "label" and column.is_numeric and column.range is None:
        raise UsageError(
            "contract-range",
            f"label {column.name!r} has neither values nor a range",
            hint='give it classes, values = ["no", "yes"], or for a regression a range',
        )
    if column.analyte is not None and column.analyte not in analytes():
        raise UsageError(
            "contract-unit",
            f"column {column.name!r} has the unknown analyte {column.analyte!r}",
            hint=f"use one of {', '.join(sorted(analytes()))}, or leave it out and let sites give a factor",
        )


def _check_missing(column: Column) -> None:
    fill = column.missing
    if fill == "refuse":
        return
    if column.is_numeric:
        low, high = column.range or (-math.inf, math.inf)
        fits = isinstance(fill, float) and low <= fill <= high
    else:
        fits = canonical(fill) in column.values or (column.other and fill == OTHER)
    if not fits or column.kind == "label":
        raise UsageError(
            "contract-missing",
            f"column {column.name!r} has missing = {fill!r}",
            hint='use "refuse", a number within the range, or one of the declared values; a label is never imputed',
        )


def _named(classes: Any) -> Any:
    """Name `k` classes "0" .. "k - 1"."""
    counted = isinstance(classes, int) and not isinstance(classes, bool)
    return tuple(str(number) for number in range(classes)) if counted else classes


class Contract(_Declared):
    """What a study asks of every site's data, and how they are prepared.

    Attributes:
      kind: `table`, or `tensor` for arrays such as images.
      columns: Of a table: its columns in order, one of them the label.
      label: Of a table: name of the label column; may be left out where only one column is of that kind.
      shape: Of tensors: shape of one example.
      classes: Class names; of tensors given as names or as a number, of tables taken from the label. Empty: regression.
      range: Of tensors: lowest and highest value.
      person: Whose row it is: `row` (each row is a person of its own), else the name of the table's person column, or
        `given` for tensors that come with one mark per row.
      standardise: `declared` maps each range to [-1, 1]; `per-site` standardises by the site's own training rows (only
        where no epsilon is claimed); `none` leaves numbers as they are.
      incomplete_rows: Rows with a missing value that may not be imputed: `zero` keeps them as NaN, a contribution of
        zero; `leave-out` removes them. Both warn at the site.
      test_fraction: Share of persons that are kept for tests, by keyed hash.
      split_key: Key of that hash, the same at all sites.
      split_column: Column that says "train" or "test", in place of the hash.
      minimum_rows: A site with fewer rows does not take part.
    """

    kind: Literal["table", "tensor"]
    columns: tuple[Column, ...] = ()
    label: str = ""
    shape: tuple[Annotated[int, Field(ge=1)], ...] = ()
    classes: Annotated[tuple[Word, ...], BeforeValidator(_named)] = ()
    range: tuple[float, float] | None = None
    person: Name = "row"
    standardise: Literal["declared", "per-site", "none"] = "declared"
    incomplete_rows: Literal["zero", "leave-out"] = "zero"
    test_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.0
    split_key: str = ""
    split_column: str | None = None
    minimum_rows: Annotated[int, Field(ge=1)] = 1

    @property
    def features(self) -> tuple[Column, ...]:
        """The columns of a table that become features, in order."""
        return tuple(column for column in self.columns if column.kind != "label")

    @property
    def label_column(self) -> Column:
        """The label column of a table."""
        return next(column for column in self.columns if column.kind == "label")

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of a table's features in the order of the model's inputs; empty for tensors."""
        return tuple(name for column in self.columns for name in column.feature_names)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example as the model reads it."""
        return (len(self.feature_names),) if self.kind == "table" else self.shape

    @property
    def n_features(self) -> int:
        """Number of values in one example."""
        return math.prod(self.input_shape)

    @property
    def n_outputs_hint(self) -> int:
        """Outputs that a model for this label usually has: one per class, one for a regression."""
        return max(len(self.classes), 1)

    @model_validator(mode="after")
    def _consistent(self) -> Contract:
        if self.kind == "table":
            _check_table(self)
        else:
            _check_tensor(self)
        _check_split(self)
        return self


def _check_table(contract: Contract) -> None:
    if contract.shape or contract.range is not None:
        raise UsageError(
            "contract-kind",
            "a table has `shape` or `range`",
            hint='give columns their ranges, or use kind = "tensor"',
        )
    names = [column.name for column in contract.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    reserved = {contract.person, contract.split_column} & set(names)
    if twice or reserved:
        raise UsageError(
            "contract-columns",
            f"{', '.join(twice or sorted(str(name) for name in reserved))} is declared twice",
            hint="name each column once; the person and split columns are no features and stand outside `columns`",
        )
    labels = [column.name for column in contract.columns if column.kind == "label"]
    if not contract.label and len(labels) == 1:
        object.__setattr__(contract, "label", labels[0])
    if labels != [contract.label] or len(names) < 2:
        raise UsageError(
            "contract-label",
            f"label is {contract.label!r} and the label columns are {labels}, of {len(names)} columns",
            hint='declare features and one column with kind = "label", and name it: label = "disease"',
        )
    classes = contract.label_column.values
    if contract.classes not in ((), classes):
        raise UsageError(
            "contract-label",
            f"classes are {list(contract.classes)} and the values of the label are {list(classes)}",
            hint="leave `classes` out: a table takes them from its label column",
        )
    object.__setattr__(contract, "classes", classes)
    open_ended = [column.name for column in contract.features if column.is_numeric and column.range is None]
    if contract.standardise == "declared" and open_ended:
        raise UsageError(
            "contract-range",
            f"standardise is declared and {', '.join(open_ended)} has no range",
            hint="give each number column a range wide enough for everyone: range = [0.0, 120.0]",
        )


def _check_tensor(contract: Contract) -> None:
    if contract.columns or contract.label or contract.split_column or not contract.shape:
        raise UsageError(
            "contract-kind",
            "a tensor contract has columns, label or split_column, or lacks `shape`",
            hint="give shape = [1, 28, 28], classes = 10 and range = [0.0, 1.0]",
        )
    if contract.person not in ("row", "given"):
        raise UsageError(
            "contract-kind",
            f"person is {contract.person!r} in a tensor contract",
            hint='use "row", or "given" for arrays (features, labels, persons)',
        )
    if len(contract.classes) == 1 or len(set(contract.classes)) < len(contract.classes):
        raise UsageError(
            "contract-one-class",
            f"classes are {list(contract.classes)}",
            hint="name at least two different classes, or none for a regression",
        )
    low, high = contract.range or (0.0, 1.0)
    if (contract.range is None and contract.standardise == "declared") or not low < high:
        raise UsageError(
            "contract-range",
            f"range is {contract.range} and standardise is {contract.standardise!r}",
            hint='declare range = [0.0, 1.0], or set standardise = "none"',
        )


def _check_split(contract: Contract) -> None:
    hashed = contract.test_fraction > 0
    if hashed and (contract.split_column or not contract.split_key):
        raise UsageError(
            "contract-split",
            f"test_fraction is {contract.test_fraction}, split_column {contract.split_column!r}, "
            f"split_key {contract.split_key!r}",
            hint='give test_fraction with a split_key, any word: split_key = "sepsis-1"; or a split_column alone',
        )
