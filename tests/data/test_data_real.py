"""Real tables: FLamby's heart disease exactly, and a large one with persons."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from reticent.data import Contract, CsvFormat, SiteMapping, load_table, prepare

HEADER = ["age", "sex", "pain", "pressure", "cholesterol", "sugar", "ecg", "rate", "angina", "oldpeak"]
HEADER += ["slope", "vessels", "thal", "disease"]
CENTRES = {"cleveland": (199, 104), "hungarian": (172, 89), "switzerland": (30, 16), "va": (85, 45)}


def heart_contract() -> Contract:
    numbers = ["age", "sex", "pressure", "cholesterol", "sugar", "rate", "angina", "oldpeak"]
    columns = [{"name": name, "kind": "number"} for name in numbers]
    columns += [
        {"name": "pain", "kind": "category", "values": [1, 2, 3, 4], "drop_first": True},
        {"name": "ecg", "kind": "category", "values": [0, 1, 2], "drop_first": True},
        {"name": "disease", "kind": "label", "values": ["absent", "present"]},
    ]
    return Contract.model_validate(
        {
            "kind": "table",
            "columns": columns,
            "standardise": "per-site",
            "incomplete_rows": "leave-out",
            "split_column": "fold",
        }
    )


def heart_mapping() -> SiteMapping:
    grouped = {"0": "absent"} | {str(grade): "present" for grade in range(1, 5)}
    return SiteMapping.model_validate(
        {"missing": ["?"], "csv": {"header": HEADER}, "columns": {"disease": {"codes": grouped}}}
    )


@pytest.mark.parametrize("centre", CENTRES)
def test_heart_disease_is_prepared_as_flamby_does(real, centre):
    """Ogier du Terrail et al., NeurIPS 2022: filter, one-hot, split and standardisation, computed here by hand."""
    sklearn = pytest.importorskip("sklearn.model_selection")
    path, mapping = real / "heart_disease" / f"processed.{centre}.data", heart_mapping()
    frame = load_table(path, mapping.csv)

    plain = pd.read_csv(path, header=None, na_values="?").drop(columns=[10, 11, 12]).dropna()
    label = (plain.pop(13) > 0).astype(int).to_numpy()
    dummies = [
        (plain.pop(place).to_numpy()[:, None] == values) * 1.0 for place, values in ((2, [2, 3, 4]), (6, [1, 2]))
    ]
    raw = np.column_stack([plain.to_numpy(), *dummies])
    stratify = label if np.bincount(label).min() > 1 else None  # Switzerland has one healthy row; FLamby does the same
    train, test = sklearn.train_test_split(
        np.arange(len(raw)), test_size=CENTRES[centre][1], random_state=43, stratify=stratify
    )
    standard = (raw - raw[train].mean(axis=0)) / (raw[train].std(axis=0, ddof=1) + 1e-9)

    frame["fold"] = "train"
    frame.loc[plain.index[test], "fold"] = "test"
    prepared = prepare(heart_contract(), frame, mapping)
    assert (len(prepared.train), len(prepared.test)) == CENTRES[centre]
    by_row = {row: place for place, row in enumerate(plain.index)}
    for part, rows in ((prepared.train, prepared.train_rows), (prepared.test, prepared.test_rows)):
        places = [by_row[row] for row in rows.tolist()]
        np.testing.assert_allclose(part.features, standard[places], rtol=1e-4, atol=1e-4)
        assert np.array_equal(part.labels, label[places])


def test_a_large_table_is_split_by_patient(real):
    path = real / "diabetes130" / "diabetic_data.csv.gz"
    names = ["time_in_hospital", "num_lab_procedures", "num_medications", "number_diagnoses"]
    drugs = ["metformin", "glipizide", "glyburide", "pioglitazone", "insulin"]
    columns = [{"name": name, "kind": "number", "range": [0, 140]} for name in names]
    columns += [{"name": name, "kind": "category", "values": ["No", "Steady", "Up", "Down"]} for name in drugs]
    columns += [{"name": "race", "kind": "category", "values": ["Caucasian", "AfricanAmerican"], "other": True}]
    columns += [{"name": "readmitted", "kind": "label", "values": ["later or never", "within 30 days"]}]
    made = Contract.model_validate(
        {"kind": "table", "columns": columns, "person": "patient", "test_fraction": 0.2, "split_key": "diabetes"}
        | {"incomplete_rows": "leave-out"}
    )
    mapping = SiteMapping.model_validate(
        {
            "missing": ["?"],
            "columns": {
                "patient": "patient_nbr",
                "readmitted": {"codes": {"NO": "later or never", ">30": "later or never", "<30": "within 30 days"}},
            },
        }
    )
    prepared = prepare(made, path, mapping)
    assert len(prepared.train) + len(prepared.test) == 101_766 - 2_273  # rows without a race
    patients = load_table(path)["patient_nbr"].to_numpy()
    assert not set(patients[prepared.train_rows]) & set(patients[prepared.test_rows])
    assert prepared.test.n_units / (prepared.train.n_units + prepared.test.n_units) == pytest.approx(0.2, abs=0.01)
    assert prepared.train.features.shape[1] == made.n_features == 4 + 5 * 4 + 3


def test_adult_is_read_in_two_parts_with_their_own_forms(real):
    names = ["age", "workclass", "weight", "education", "years", "marital", "work", "relation", "race", "sex"]
    names += ["gain", "loss", "hours", "country", "income"]
    columns = [
        {"name": "age", "kind": "number", "range": [0, 100]},
        {"name": "hours", "kind": "number", "range": [0, 100]},
        {"name": "sex", "kind": "category", "values": ["Female", "Male"], "drop_first": True},
        {"name": "income", "kind": "label", "values": ["<=50K", ">50K"]},
    ]
    codes = {"<=50K": "<=50K", "<=50K.": "<=50K", ">50K": ">50K", ">50K.": ">50K"}
    mapping = SiteMapping.model_validate({"missing": ["?"], "columns": {"income": {"codes": codes}}})
    parts = {
        "train": load_table(real / "adult" / "adult.data.gz", CsvFormat(header=names)),
        "test": load_table(real / "adult" / "adult.test.gz", CsvFormat(header=names, skip_lines=1)),
    }
    prepared = prepare(Contract.model_validate({"kind": "table", "columns": columns}), parts, mapping)
    assert (len(prepared.train), len(prepared.test)) == (32_561, 16_281)
    assert np.bincount(prepared.train.labels).tolist() == [24_720, 7_841]
    assert np.bincount(prepared.test.labels).tolist() == [12_435, 3_846]


def test_a_set_of_scikit_learn_is_prepared_without_any_folder():
    datasets = pytest.importorskip("sklearn.datasets")
    frame = datasets.load_breast_cancer(as_frame=True).frame
    columns = [{"name": str(name), "kind": "number", "range": [0, 5000]} for name in frame.columns[:-1]]
    columns += [{"name": "target", "kind": "label", "values": [0, 1]}]
    made = Contract.model_validate({"kind": "table", "columns": columns, "test_fraction": 0.2, "split_key": "demo"})
    prepared = prepare(made, frame)
    assert len(prepared.train) + len(prepared.test) == 569
    assert prepared.train.features.shape[1] == 30
    assert np.isfinite(prepared.train.features).all()
