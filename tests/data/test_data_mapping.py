"""The site's own file: read strictly, misspellings found, paths beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reticent.data import CsvFormat, SiteMapping, load_mapping, load_table, prepare
from reticent.errors import DataError, EnvironmentFault, UsageError

SITE = """
data = "ward.csv"
population = "ward-7"
dataset = "2026-10"
ledger = "sqlite:///budget.db"
max_epsilon = 4.0
purposes = ["sepsis-early-warning"]
missing = ["", "?"]

[csv]
separator = ";"
decimal = ","

[columns]
age = "Alter"
glucose = { column = "BZ", unit = "mg/dL" }
sex = { codes = { 0 = "female", 1 = "male" } }
ward = { missing = [-9] }
"""


def write(folder: Path, text: str) -> Path:
    (folder / "site.toml").write_text(text)
    return folder / "site.toml"


def test_a_mapping_is_read(tmp_path):
    mapping = load_mapping(write(tmp_path, SITE))
    assert mapping.data == tmp_path / "ward.csv"
    assert (mapping.population, mapping.max_epsilon, mapping.purposes) == ("ward-7", 4.0, ("sepsis-early-warning",))
    assert mapping.csv == CsvFormat(separator=";", decimal=",")
    assert mapping.of("age").column == "Alter"
    assert mapping.of("sex").codes == {"0": "female", "1": "male"}
    assert mapping.of("ward").missing == ("-9",)
    assert mapping.of("unnamed").column is None
    parts = load_mapping(write(tmp_path, 'data = { train = "a.csv", test = "/b.csv" }'))
    assert parts.data == {"train": tmp_path / "a.csv", "test": Path("/b.csv")}


def test_a_file_in_the_sites_own_form_is_prepared(contract, tmp_path):
    mapping = load_mapping(write(tmp_path, SITE))
    (tmp_path / "ward.csv").write_text(
        "BZ;Alter;ward;sex;ill\n90,078;50;2;0;no\n?;25,5;-9;1;yes\n180,156;100;3;1;yes\n"
    )
    prepared = prepare(contract(), None, mapping)
    features = prepared.train.features
    assert features[0].tolist() == pytest.approx([0, -0.75, 0, 1, 0, 0], abs=1e-4)
    assert features[2].tolist() == pytest.approx([1, -0.5, 0, 0, 1, 1], abs=1e-4)
    assert prepared.train.complete.tolist() == [True, False, True]
    assert "column 'ward': 1 of 3 values are missing, set to the declared 1.0" in prepared.warnings


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max_epsilom = 1.0", "did you mean 'max_epsilon'?"),
        ("columns.age.unti = 'cm'", "did you mean 'unit'?"),
        ("csv.seperator = ';'", "did you mean 'separator'?"),
        ("max_epsilon = 0.0", "max_epsilon"),
        ("max_epsilon = nan", "max_epsilon"),
        ("columns.age = 7", "columns.age"),
        ("columns.age = { unit = 'cm', factor = 2.0 }", "unit 'cm' stands beside a factor"),
        ("columns.age = { factor = 0.0 }", "factor is 0.0"),
        ("csv.separator = ';;'", "csv.separator"),
        ("data = { train = 'a.csv' }", "data names train"),
        ("data = ", "is not TOML"),
    ],
)
def test_a_wrong_mapping_is_refused_by_name(tmp_path, text, said):
    with pytest.raises(UsageError) as refused:
        load_mapping(write(tmp_path, text))
    assert refused.value.code == "mapping-invalid"
    assert said in str(refused.value)


def test_a_mapping_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(EnvironmentFault) as refused:
        load_mapping(tmp_path / "site.toml")
    assert refused.value.exit_status == 6


def test_a_misspelt_column_of_the_mapping_is_found(contract, ward):
    mapping = SiteMapping.model_validate({"columns": {"glukose": "BZ"}})
    with pytest.raises(UsageError, match="did you mean 'glucose'") as refused:
        prepare(contract(), ward(), mapping)
    assert refused.value.code == "mapping-unknown-column"


def test_the_person_and_split_columns_may_be_mapped(contract, ward):
    mapping = SiteMapping.model_validate({"columns": {"person": "patient", "fold": {"column": "part"}}})
    frame = ward().assign(part=["train", "train", "test", "train"] * 50)
    prepared = prepare(contract(person="person", split_column="fold"), frame, mapping)
    assert len(prepared.test) == 50
    assert prepared.train.n_units < 150


def test_csv_files_with_other_forms_are_read(tmp_path):
    (tmp_path / "a.tsv").write_text("a\t b \n1\t2\n")
    assert load_table(tmp_path / "a.tsv").columns.tolist() == ["a", "b"]
    (tmp_path / "a.data").write_text("comment\n1,2\n3,4\n")
    read = load_table(tmp_path / "a.data", CsvFormat(header=("a", "b"), skip_lines=1))
    assert read.to_numpy().tolist() == [["1", "2"], ["3", "4"]]
    (tmp_path / "b.csv").write_text('\ufeffa,b\n"x\ny","z, ""q"""\n', encoding="utf-8")
    assert load_table(tmp_path / "b.csv").to_dict("list") == {"a": ["x\ny"], "b": ['z, "q"']}
    (tmp_path / "c.csv").write_text("größe\n1\n", encoding="latin-1")
    assert load_table(tmp_path / "c.csv", CsvFormat(encoding="latin-1")).columns.tolist() == ["größe"]


def test_cells_stay_text_so_that_no_row_changes_the_type_of_another(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n007,NA\n1.50,\n")
    assert load_table(tmp_path / "a.csv").to_dict("list") == {"a": ["007", "1.50"], "b": ["NA", ""]}


@pytest.mark.parametrize("content", ["", "a,b\n1\n", "a,b\n1,2,3\n", "a,a\n1,2\n"])
def test_a_broken_csv_is_refused(tmp_path, content):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(DataError):
        load_table(tmp_path / "a.csv")


def test_a_header_alone_is_an_empty_site(contract, tmp_path):
    (tmp_path / "a.csv").write_text("age,glucose,ward,sex,ill\n")
    with pytest.raises(DataError) as refused:
        prepare(contract(), tmp_path / "a.csv")
    assert refused.value.code == "site-empty"
