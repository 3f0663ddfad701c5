"""Refusals, warnings and reprs never show a record: a mark that stands in the data occurs in none of them."""

from __future__ import annotations

import gzip
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reticent.data import Contract, SiteMapping, load_table, prepare
from reticent.errors import DataError, ReticentError

MARK = "Zebra7731"
NUMBER = 77317731.0


def everything_said(error: BaseException) -> str:
    """Return all that a traceback of the error would print, chained errors included even where they are suppressed."""
    seen: list[str] = []
    link: BaseException | None = error
    while link is not None:
        seen += [*traceback.format_exception_only(link), repr(link.args)]
        link = link.__cause__ or link.__context__
    return "".join(seen)


def spoiled(ward: Callable[..., pd.DataFrame], column: str, *, rows: int = 1, value: Any = MARK) -> pd.DataFrame:
    frame = ward(20).astype({column: object})
    frame.loc[: rows - 1, column] = value
    return frame


BAD_CELLS: list[tuple[str, str, int, Any]] = [
    ("not-a-number", "age", 1, MARK),
    ("unknown-category", "ward", 1, MARK),
    ("unknown-category", "ill", 1, MARK),
    ("unknown-category", "fold", 1, MARK),
    ("values-outside-range", "glucose", 15, NUMBER),
]


@pytest.mark.parametrize("case", BAD_CELLS)
@pytest.mark.parametrize("as_file", [False, True])
def test_a_bad_cell_is_counted_and_not_shown(contract, ward, tmp_path, case, as_file):
    code, column, rows, value = case
    source: Any = ward(20).assign(fold="train").astype({column: object})
    source.loc[: rows - 1, column] = value
    if as_file:
        source.to_csv(tmp_path / "ward.csv", index=False)
        source = tmp_path / "ward.csv"
    with pytest.raises(DataError) as refused:
        prepare(contract(split_column="fold"), source)
    said = everything_said(refused.value)
    assert refused.value.code == code
    assert MARK not in said
    assert "7731" not in said
    assert column in said


@pytest.mark.parametrize(
    "content",
    [
        f"age,ill\n{MARK},no,1\n",
        f"age,ill\n1,no\n{MARK}\n",
        f'age,ill\n1,"{MARK}',
        f"age,ill\n1,{MARK}\xff\n".encode("latin-1"),
        f"{MARK},{MARK}\n1,2\n",
        f"{MARK},no\n1,2\n",
        f"{MARK}",
        gzip.compress(f"age,ill\n{MARK},no\n".encode() * 50, mtime=0)[:-20],
    ],
)
@pytest.mark.parametrize("name", ["ward.csv", "ward.csv.gz", "ward.parquet"])
def test_an_unreadable_file_is_not_quoted(contract, tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ReticentError) as refused:
        prepare(contract(), path)
    assert MARK not in everything_said(refused.value)


def test_the_first_record_of_a_file_without_header_is_not_shown_as_its_columns(contract, ward, tmp_path):
    spoiled(ward, "sex").to_csv(tmp_path / "ward.csv", index=False, header=False)
    with pytest.raises(DataError, match="column 'age' is missing among the site's 6 columns") as refused:
        prepare(contract(), tmp_path / "ward.csv")
    assert MARK not in everything_said(refused.value)


def test_a_broken_copy_that_chains_the_parsers_error_is_caught(tmp_path, monkeypatch):
    from reticent.data import tables

    path = tmp_path / "ward.csv"
    path.write_text(f"age,ill\n1,no\n{MARK}\n")

    def chained(path: Path, reader: Callable[[Path], Any]) -> Any:
        try:
            return reader(path)
        except Exception as error:
            raise DataError("data-unreadable", "unreadable", hint="-") from error

    with pytest.raises(DataError) as refused:
        load_table(path)
    assert MARK not in everything_said(refused.value)
    monkeypatch.setattr(tables, "_read", chained)
    with pytest.raises(DataError) as refused:
        load_table(path)
    assert MARK in everything_said(refused.value)


def test_warnings_and_reprs_hold_no_data(contract, ward):
    frame = spoiled(ward, "age", value=NUMBER)
    frame.loc[1, "glucose"] = None
    prepared = prepare(contract(standardise="per-site"), frame)
    said = " ".join([*prepared.warnings, repr(prepared), repr(prepared.train), repr(prepared.standardiser)])
    assert "7731" not in said
    assert "column 'age': 1 of 20 values lay outside [0.0, 100.0]" in said
    assert "column 'glucose': 1 of 20 values are missing" in said


def test_arrays_are_not_shown():
    made = Contract(kind="tensor", shape=(2,), classes=2, range=(0, 1))
    for features, labels in [
        (np.full((3, 2), NUMBER), np.array([0, 1, 77317731])),
        (np.full((3, 4), NUMBER), np.array([0, 1, 1])),
        (np.full((3, 2), MARK), np.array([0, 1, 1])),
        (np.full((3, 2), 0.5), np.array([MARK, MARK, MARK])),
        (np.full((3, 2), 0.5), np.full(2, NUMBER)),
    ]:
        with pytest.raises(DataError) as refused:
            prepare(made, (features, labels))
        assert "7731" not in everything_said(refused.value)


def test_a_missing_person_is_counted(contract, ward):
    frame = spoiled(ward, "patient")
    frame.loc[2, "patient"] = None
    with pytest.raises(DataError, match="1 of 20 rows name no person") as refused:
        prepare(contract(person="patient"), frame)
    assert MARK not in everything_said(refused.value)


def test_a_text_that_cannot_be_written_is_refused_in_order(contract, ward):
    with pytest.raises(ReticentError) as refused:
        prepare(contract(), spoiled(ward, "sex", value=f"\ud800{MARK}"), SiteMapping())
    assert MARK not in everything_said(refused.value)
