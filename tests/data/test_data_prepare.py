"""From a site's own columns, units and codes to the same features as everyone's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from reticent.data import Contract, Examples, SiteMapping, Standardiser, features_of, prepare
from reticent.errors import DataError, UsageError


def test_features_are_what_the_contract_declares(contract):
    frame = pd.DataFrame(
        {"age": [0, 100, 25], "glucose": [20, 40, 0], "ward": [1, 2, None], "sex": ["female", "male", "male"]}
    )
    expected = [[-1, 0, 1, 0, 0, 0], [1, 1, 0, 1, 0, 1], [-0.5, -1, 1, 0, 0, 1]]
    np.testing.assert_allclose(features_of(contract(), frame), expected)
    np.testing.assert_allclose(features_of(contract(standardise="none"), frame)[:, 0], [0, 100, 25])


def test_two_sites_with_other_columns_units_and_codes_get_the_same_features(contract, ward, tmp_path):
    ours = ward()
    theirs = pd.DataFrame(
        {
            "Diagnose": ours["ill"].map({"no": 0, "yes": 4}),
            "BZ": (ours["glucose"] * 18.0156).map("{:.6f}".format),
            "Alter": ours["age"] * 12,
            "Geschlecht": ours["sex"].map({"female": "w", "male": "m"}),
            "Station": ours["ward"].map({1: "A", 2: "B", 3: "C"}),
            "ignored": 1,
        }
    )
    mapping = SiteMapping.model_validate(
        {
            "columns": {
                "age": {"column": "Alter", "unit": "months"},
                "glucose": {"column": "BZ", "unit": "mg/dL"},
                "sex": {"column": "Geschlecht", "codes": {"w": "female", "m": "male"}},
                "ward": {"column": "Station", "codes": {"A": 1, "B": 2, "C": 3}},
                "ill": {"column": "Diagnose", "codes": {"0": "no", "1": "yes", "4": "yes"}},
            },
            "csv": {"separator": ";", "decimal": "."},
        }
    )
    theirs.to_csv(tmp_path / "station.csv", sep=";", index=False)
    one, two = prepare(contract(), ours), prepare(contract(), tmp_path / "station.csv", mapping)
    np.testing.assert_allclose(one.train.features, two.train.features, atol=1e-6)
    assert np.array_equal(one.train.labels, two.train.labels)


def test_a_shorthand_names_a_column(contract, ward):
    mapping = SiteMapping.model_validate({"columns": {"age": "AGE"}})
    renamed = ward().rename(columns={"age": "AGE"})
    assert np.array_equal(
        prepare(contract(), renamed, mapping).train.features, prepare(contract(), ward()).train.features
    )


def test_csv_parquet_and_frame_agree(contract, ward, tmp_path):
    frame = ward()
    frame.to_csv(tmp_path / "w.csv.gz", index=False)
    frame.to_parquet(tmp_path / "w.parquet")
    made = contract(test_fraction=0.2, split_key="k", person="patient")
    parts = [prepare(made, source) for source in (frame, tmp_path / "w.csv.gz", str(tmp_path / "w.parquet"))]
    for part in parts[1:]:
        assert np.array_equal(part.train.features, parts[0].train.features)
        assert np.array_equal(part.train.units, parts[0].train.units)
        assert np.array_equal(part.test_rows, parts[0].test_rows)


def test_values_beyond_the_range_move_to_its_end_with_a_local_warning(contract, ward):
    frame = ward()
    frame.loc[:4, "age"] = 120
    prepared = prepare(contract(), frame)
    assert (prepared.train.features[:5, 0] == 1.0).all()
    assert (
        "column 'age': 5 of 200 values lay outside [0.0, 100.0] and were moved to its nearer end" in prepared.warnings
    )


def test_rows_with_gaps_become_rows_of_nan_with_a_local_warning(contract, ward):
    frame = ward().astype({"age": float})
    frame.loc[[3, 5], "age"] = np.nan
    frame.loc[7, "ill"] = None
    prepared = prepare(contract(), frame)
    assert len(prepared.train) == 200
    assert np.flatnonzero(~prepared.train.complete).tolist() == [3, 5, 7]
    assert np.isnan(prepared.train.features[[3, 5, 7]]).all()
    assert any("3 of 200 rows lack a value" in warning for warning in prepared.warnings)
    left = prepare(contract(incomplete_rows="leave-out"), frame)
    assert len(left.train) == 197
    assert left.train.complete.all()
    assert {3, 5, 7}.isdisjoint(left.train_rows.tolist())
    assert any("are left out" in warning for warning in left.warnings)


def test_infinite_numbers_count_as_missing(contract, ward):
    frame = ward().astype({"age": float})
    frame.loc[3, "age"] = np.inf
    assert not prepare(contract(), frame).train.complete[3]


def test_a_site_with_one_class_runs_and_is_told(contract, ward):
    frame = ward().assign(ill="yes")
    prepared = prepare(contract(), frame)
    assert set(prepared.train.labels.tolist()) == {1}
    assert "1 of the 2 classes do not occur in the training rows" in prepared.warnings


def test_persons_are_numbered_densely_on_both_sides_and_never_stand_on_both(contract, ward):
    frame = ward(600)
    prepared = prepare(contract(person="patient", test_fraction=0.3, split_key="k"), frame)
    patients = frame["patient"].to_numpy()
    train, test = patients[prepared.train_rows], patients[prepared.test_rows]
    assert not set(train) & set(test)
    assert prepared.train.n_units == len(set(train))
    assert prepared.test.n_units == len(set(test))
    same_unit = prepared.train.units[:, None] == prepared.train.units[None, :]
    assert np.array_equal(same_unit, train[:, None] == train[None, :])
    assert len(set(test)) / 200 == pytest.approx(0.3, abs=0.12)


def test_a_split_column_replaces_the_hash(contract, ward):
    frame = ward().assign(fold=["train", "test"] * 100)
    prepared = prepare(contract(split_column="fold"), frame)
    assert prepared.test_rows.tolist() == list(range(1, 200, 2))
    coded = SiteMapping.model_validate({"columns": {"fold": {"codes": {"0": "train", "1": "test"}}}})
    again = prepare(contract(split_column="fold"), ward().assign(fold=[0, 1] * 100), coded)
    assert np.array_equal(prepared.train.features, again.train.features)


def test_two_parts_are_the_split(contract, ward):
    prepared = prepare(contract(minimum_rows=60), {"train": ward(80), "test": ward(30, seed=1)})
    assert (len(prepared.train), len(prepared.test)) == (80, 30)
    assert len(prepare(contract(), {"train": ward(80), "test": ward(30)[:0]}).test) == 0


def test_per_site_scaling_uses_the_sample_deviation_of_training_rows(contract, ward):
    frame = ward().assign(fold=["train"] * 150 + ["test"] * 50)
    raw = features_of(contract(standardise="none"), frame).astype(np.float64)
    prepared = prepare(contract(standardise="per-site", split_column="fold"), frame)
    mean, deviation = raw[:150].mean(axis=0), raw[:150].std(axis=0, ddof=1)
    expected = (raw - mean) / (deviation + 1e-9)
    np.testing.assert_allclose(prepared.train.features, expected[:150], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(prepared.test.features, expected[150:], rtol=1e-4, atol=1e-5)
    assert prepared.standardiser is not None
    again = features_of(contract(standardise="per-site"), frame, standardiser=prepared.standardiser)
    np.testing.assert_allclose(again, expected, rtol=1e-4, atol=1e-5)


def test_a_feature_that_is_constant_in_training_does_not_blow_up_a_test_row():
    features = np.array([[0.1, 1.0], [0.1, 2.0], [0.1, 3.0]], np.float32)
    apply = Standardiser.of(features).apply
    assert np.isfinite(apply(features)).all()
    assert np.abs(apply(np.array([[5.0, 1.0]]))).max() < 10
    assert np.isnan(apply(np.array([[np.nan, 1.0]]))[0, 0])
    assert np.isfinite(Standardiser.of(features[:1]).apply(features)).all()


def test_regression_labels_stay_numbers():
    columns = [{"name": "x", "kind": "number", "range": [0, 1]}, {"name": "y", "kind": "label", "range": [0, 9]}]
    made = Contract.model_validate({"kind": "table", "columns": columns})
    prepared = prepare(made, pd.DataFrame({"x": [0.0, 1.0], "y": [2.5, 99.0]}), None)
    assert prepared.train.labels.dtype == np.float32
    assert prepared.train.labels.tolist() == [2.5, 9.0]


def test_arrays_serve_a_table_in_the_contracts_order():
    columns = [
        {"name": "a", "kind": "number", "range": [0, 1]},
        {"name": "b", "kind": "number", "range": [0, 2]},
        {"name": "y", "kind": "label", "values": [0, 1]},
    ]
    made = Contract.model_validate({"kind": "table", "columns": columns})
    prepared = prepare(made, (np.array([[0.0, 2.0], [1.0, 0.0]]), np.array([1, 0])))
    assert prepared.train.features.tolist() == [[-1, 1], [1, -1]]
    assert prepared.train.labels.tolist() == [1, 0]


def test_tensors_arrays_and_examples_agree():
    torch = pytest.importorskip("torch")
    made = Contract(kind="tensor", shape=(1, 2, 2), classes=3, range=(0, 255), person="given")
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (9, 2, 2), dtype=np.uint8)
    labels, persons = draw.integers(0, 3, 9), np.array(["p", "q", "r"] * 3)
    parts = [
        prepare(made, (pixels, labels, persons)),
        prepare(made, (torch.tensor(pixels), torch.tensor(labels), torch.tensor([0, 1, 2] * 3))),
        prepare(made, torch.utils.data.TensorDataset(*map(torch.tensor, (pixels, labels, [0, 1, 2] * 3)))),
        prepare(made, Examples.of(pixels, labels, persons)),
    ]
    expected = (pixels.reshape(9, 1, 2, 2) / 127.5 - 1).astype(np.float32)
    for part in parts:
        np.testing.assert_allclose(part.train.features, expected, atol=1e-6)
        assert np.array_equal(part.train.labels, labels)
        assert part.train.units.tolist() == [0, 1, 2] * 3


def test_pixels_of_another_range_are_refused_and_not_clipped_away():
    made = Contract(kind="tensor", shape=(5,), classes=2, range=(0, 1))
    pixels = np.zeros((20, 5), np.uint8)
    pixels[::2, 0] = 200  # a tenth of all values
    with pytest.raises(DataError) as refused:
        prepare(made, (pixels, np.arange(20) % 2))
    assert refused.value.code == "values-outside-range"
    pixels[4:, 0] = 0
    assert "2 values lay outside" in prepare(made, (pixels, np.arange(20) % 2)).warnings[0]


def test_npz_files_serve_tensors(tmp_path):
    made = Contract(kind="tensor", shape=(2,), classes=2, standardise="none")
    np.savez(tmp_path / "a.npz", features=np.ones((3, 2)), labels=np.array([0, 1, 1]))
    assert len(prepare(made, tmp_path / "a.npz").train) == 3
    np.savez(tmp_path / "b.npz", features=np.ones((3, 2)))
    np.savez(tmp_path / "c.npz", features=np.array([{}, {}]), labels=np.array([0, 1]))
    (tmp_path / "d.npz").write_bytes(b"PK\x03\x04 nothing")
    with (tmp_path / "e.npz").open("wb") as file:
        np.save(file, np.ones(3))
    for name in "bcde":
        with pytest.raises(DataError) as refused:
            prepare(made, tmp_path / f"{name}.npz")
        assert refused.value.code == "data-unreadable"


def test_the_mapping_may_name_the_data(contract, ward, tmp_path):
    ward().to_csv(tmp_path / "w.csv", index=False)
    assert len(prepare(contract(), None, SiteMapping(data=tmp_path / "w.csv")).train) == 200
    with pytest.raises(UsageError, match="no source"):
        prepare(contract(), None)


def test_examples_cannot_be_split_by_a_column_they_do_not_have(contract):
    examples = Examples.of(np.zeros((4, 6)), np.zeros(4, np.int64))
    assert len(prepare(contract(), examples).train) == 4
    with pytest.raises(UsageError):
        prepare(contract(split_column="fold"), examples)


def test_selected_examples_have_dense_units():
    examples = Examples.of(np.zeros((4, 1)), np.arange(4), np.array(["a", "b", "c", "b"]))
    chosen = examples.select(np.array([1, 2, 3]))
    assert (chosen.units.tolist(), chosen.n_units, len(chosen)) == ([0, 1, 0], 2, 3)


@pytest.mark.parametrize("units", [[0, 2], [-1, 0], [1, 1]])
def test_examples_demand_dense_units(units):
    with pytest.raises(DataError):
        Examples(np.zeros((2, 1), np.float32), np.zeros(2, np.int64), np.array(units))
