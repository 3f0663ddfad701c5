"""docs/study-file.md lists exactly the keys of the models, with what is required and the defaults."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from reticent import study as sections
from reticent.data import SiteMapping, contract, load_mapping, mapping

MODELS: dict[str, type[BaseModel]] = {
    **{name: getattr(sections, name) for name in sections.__all__ if name == "Study" or name.endswith("Section")},
    **{model.__name__: model for model in (contract.Column, SiteMapping, mapping.ColumnMapping, mapping.CsvFormat)},
}
TABLE = re.compile(r"<!-- keys: (?P<model>\w+) -->\n\| key .*\n\|[-|]+\n(?P<rows>(?:\|.*\n)+)")
Row = tuple[str, str, str, str]


def cells(line: str) -> Row:
    first, second, third, *rest = (cell.strip() for cell in line.strip().strip("|").split("|"))
    return first, second, third, "|".join(rest)


def compare(text: str, models: dict[str, type[BaseModel]]) -> None:
    """Assert that the tables of `text` are those of `models`."""
    found = {match["model"]: [cells(line) for line in match["rows"].splitlines()] for match in TABLE.finditer(text)}
    assert sorted(found) == sorted(models)
    for name, model in models.items():
        documented = {row[0].strip("`"): row for row in found[name]}
        fields = {field.alias or key: field for key, field in model.model_fields.items()}
        assert sorted(documented) == sorted(fields), name
        for key, field in fields.items():
            _, required, default, meaning = documented[key]
            assert (required == "yes") is field.is_required(), f"{name}.{key}: required"
            assert meaning, f"{name}.{key}"
            if re.fullmatch(r"`[^`]*`", default):
                assert as_written(field.default) == value_of(default), f"{name}.{key}: default"
            elif not field.is_required():
                # In words only where the code has no number either.
                assert type(field.default) not in (int, float), f"{name}.{key}: default"


def value_of(cell: str) -> Any:
    """Return the TOML value, or the power of two, that a cell shows."""
    text = cell.strip("`")
    power = re.fullmatch(r"2\*\*(-?\d+)", text)
    return 2.0 ** int(power[1]) if power else tomllib.loads(f"value = {text}")["value"]


def as_written(default: Any) -> Any:
    """Return a default as a file would spell it."""
    return "none" if default is None else default


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "study-file.md").read_text(encoding="utf-8")


def test_the_page_lists_every_key(page: str) -> None:
    compare(page, MODELS)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("| `spare_executions` | |", "| `spare_execution` | |"),
        ("| `max_grad_norm` | | none |", "| `max_grad_norm` | yes | |"),
        ("| `deadline` | | `600.0` |", "| `deadline` | | `60.0` |"),
        ("| `threshold` | | none | the other way to say it: chosen sites less dropouts |\n", ""),
        ("<!-- keys: RunSection -->", "<!-- keys: Runs -->"),
    ],
)
def test_a_page_that_is_wrong_is_seen(page: str, before: str, after: str) -> None:
    """Broken copies: a misspelt key, a wrong duty, a wrong default, a key left out, a section left out."""
    assert before in page
    with pytest.raises(AssertionError):
        compare(page.replace(before, after), MODELS)


def test_the_example_of_a_site_file_is_read(page: str, tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "site.toml"
    path.write_text(example)
    found = load_mapping(path)
    assert found.max_epsilon == 4.0
    assert found.of("height").unit == "m"
    assert set(tomllib.loads(example)) <= set(SiteMapping.model_fields)
