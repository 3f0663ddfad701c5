"""One way to raise each error code of `reticent.data`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reticent.data import (
    Contract,
    Examples,
    SiteMapping,
    data_folder,
    features_of,
    load_mapping,
    load_table,
    partition,
    prepare,
    prepare_columns,
)

AGE: dict[str, Any] = {"name": "age", "kind": "number", "unit": "year", "range": [0, 100]}
SEX: dict[str, Any] = {"name": "sex", "kind": "category", "values": ["female", "male"]}
ILL: dict[str, Any] = {"name": "ill", "kind": "label", "values": ["no", "yes"]}


def table(*columns: dict[str, Any], **settings: Any) -> Contract:
    return Contract.model_validate({"kind": "table", "columns": columns or (AGE, SEX, ILL), **settings})


def images(**settings: Any) -> Contract:
    return Contract.model_validate({"kind": "tensor", "shape": [2], "classes": 2, "range": [0, 1], **settings})


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"age": [1, 2], "sex": ["male", "female"], "ill": ["no", "yes"]} | columns)


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def folder_missing(path: Path) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETICENT_DATA", str(path / "nowhere"))
        return data_folder()


def twice() -> pd.DataFrame:
    return pd.concat([frame(), frame()[["age"]]], axis=1)


def mapped(**columns: Any) -> SiteMapping:
    return SiteMapping.model_validate({"columns": columns})


CASES: dict[str, Callable[[Path], object]] = {
    "aligned-person-twice": lambda _: prepare_columns(table(person="id"), ["age"], frame(id=["a", "a"])),
    "aligned-value-missing": lambda _: prepare_columns(
        table(person="id"), ["age"], frame(id=["a", "b"], age=[1.0, None])
    ),
    "column-duplicate": lambda _: prepare(table(), twice()),
    "column-missing": lambda _: prepare(table(), frame().drop(columns="age")),
    "contract-columns": lambda _: table(AGE, AGE, ILL),
    "contract-kind": lambda _: table(shape=[2]),
    "contract-label": lambda _: table(AGE, SEX),
    "contract-missing": lambda _: table(AGE | {"missing": 200.0}, ILL),
    "contract-one-class": lambda _: table(AGE, ILL | {"values": ["yes"]}),
    "contract-range": lambda _: table(AGE | {"range": None}, ILL),
    "contract-split": lambda _: table(test_fraction=0.2),
    "contract-unit": lambda _: table(AGE | {"analyte": "phlogiston"}, ILL),
    "contract-values": lambda _: table(AGE, SEX | {"values": []}, ILL),
    "data-folder-missing": folder_missing,
    "data-format": lambda path: load_table(written(path / "a.docx", "x")),
    "data-unreadable": lambda path: load_table(written(path / "a.csv", "")),
    "examples-misaligned": lambda _: Examples.of(np.zeros((3, 2)), np.zeros(2)),
    "file-unreadable": lambda path: load_table(path / "nowhere.csv"),
    "fold-missing": lambda _: prepare(table(split_column="fold"), frame(fold=["train", None])),
    "labels-outside-classes": lambda _: prepare(images(), (np.zeros((2, 2)), np.array([0, 2]))),
    "mapping-invalid": lambda path: load_mapping(written(path / "site.toml", "max_epsilom = 1.0")),
    "mapping-unknown-column": lambda _: prepare(table(), frame(), mapped(agge="AGE")),
    "mapping-unknown-value": lambda _: prepare(table(), frame(), mapped(sex={"codes": {"1": "mail"}})),
    "not-a-number": lambda _: prepare(table(), frame(age=["1", "old"])),
    "partition-invalid": lambda _: partition.iid(3, 4, 0),
    "person-column-missing": lambda _: prepare(table(person="patient"), frame()),
    "person-missing": lambda _: prepare(table(person="patient"), frame(patient=["p1", None])),
    "site-empty": lambda _: prepare(table(), frame()[:0]),
    "source-kind": lambda _: prepare(table(), 7),
    "source-parts": lambda _: prepare(table(), {"train": frame()}),
    "standardiser-missing": lambda _: features_of(table(standardise="per-site"), frame()),
    "tensor-shape": lambda _: prepare(images(), (np.zeros((2, 3)), np.zeros(2))),
    "too-few-rows": lambda _: prepare(table(minimum_rows=3), frame()),
    "training-empty": lambda _: prepare(table(split_column="fold"), frame(fold="test")),
    "column-unit": lambda _: prepare(table(), frame(), mapped(age={"unit": "kg"})),
    "unknown-category": lambda _: prepare(table(), frame(sex=["male", "x"])),
    "values-outside-range": lambda _: prepare(table(), frame(age=[1000, 2000])),
}
