"""What is measured of the traffic: against direct formulas, and on cases whose answer is known."""

from __future__ import annotations

import importlib
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.metrics import roc_auc_score
from torch import nn

from reticent.data import Column, Contract
from reticent.errors import UsageError
from reticent.split.boundary_accounting import BoundaryNoise, BoundaryPrivacy
from reticent.split.canaries import canary_leakage, make_canaries
from reticent.split.defence import GaussianBoundary
from reticent.split.leakage import LeakageReport, auc, distance_correlation, label_auc, leakage


def centred(values):
    d = cdist(values, values)
    return d - d.mean(0) - d.mean(1)[:, None] + d.mean()


def direct(x, y):
    """Definition 5 of Szekely, Rizzo, Bakirov 2007."""
    a, b = centred(x), centred(y)
    return np.sqrt((a * b).mean() / np.sqrt((a * a).mean() * (b * b).mean()))


def direct_unbiased(x, y):
    """Definitions 1 and 2 of Szekely and Rizzo 2013: the modified matrices and their products."""

    def modified(values):
        n = len(values)
        d = cdist(values, values)
        m = n / (n - 1) * (centred(values) - d / n)
        np.fill_diagonal(m, n / (n - 1) * (d.mean(0) - d.mean()))
        return m

    def product(a, b):
        n = len(a)
        off = (a * b).sum() - (np.diag(a) * np.diag(b)).sum()
        return off - 2 / (n - 2) * (np.diag(a) * np.diag(b)).sum()

    a, b = modified(x), modified(y)
    return product(a, b) / np.sqrt(product(a, a) * product(b, b))


@pytest.mark.parametrize(("n", "p", "q"), [(5, 1, 1), (40, 3, 7), (203, 10, 2)])
def test_distance_correlation_equals_the_definitions(n, p, q, monkeypatch):
    module = importlib.import_module("reticent.split.leakage")  # the package has a function of this name

    monkeypatch.setattr(module, "_BLOCK_VALUES", 7 * n)  # several blocks, the last one smaller
    source = np.random.default_rng(n)
    x = source.normal(size=(n, p))
    y = np.sin(x[:, :1]) + source.normal(size=(n, q)) + 100
    assert distance_correlation(x, y) == pytest.approx(direct(x, y), rel=1e-9)
    assert distance_correlation(x, y, unbiased=True) == pytest.approx(direct_unbiased(x, y), rel=1e-9, abs=1e-12)


def test_known_answers():
    source = np.random.default_rng(0)
    x = source.normal(size=(300, 4))
    rotation = np.linalg.qr(source.normal(size=(4, 4)))[0]
    assert distance_correlation(x, 3 * x @ rotation + 5) == pytest.approx(1.0, abs=1e-9)
    assert distance_correlation(x, np.full((300, 2), 7.0)) == 0.0
    wide = source.normal(size=(300, 500))
    assert distance_correlation(x, wide) > 0.2  # the plain one grows with the width,
    assert abs(distance_correlation(x, wide, unbiased=True)) < 0.05  # the corrected one does not


def test_a_row_with_a_missing_value_is_left_out():
    source = np.random.default_rng(1)
    x, y = source.normal(size=(50, 2)), source.normal(size=(50, 2))
    holes = np.vstack([x, [[np.nan, 0.0]]])
    assert distance_correlation(holes, np.vstack([y, [[0.0, 0.0]]])) == distance_correlation(x, y)


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=40), st.data())
@settings(max_examples=60, deadline=None)
def test_auc_is_that_of_scikit_learn(scores, data):
    positive = np.array(data.draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores))))
    if 0 < positive.sum() < len(positive):
        assert auc(np.array(scores, float), positive) == pytest.approx(roc_auc_score(positive, scores))


def test_label_inference_on_known_gradients():
    source = np.random.default_rng(2)
    labels = (source.random(400) < 0.2).astype(int)
    way = source.normal(size=6)
    gradients = ((0.2 - labels)[:, None]) * way * source.uniform(0.9, 1.1, size=(400, 1))
    assert label_auc(gradients, labels, by="norm") == 1.0
    assert label_auc(gradients, labels, by="direction") == 1.0
    noise = source.normal(size=(400, 6))
    assert label_auc(noise, labels, by="norm") < 0.6
    assert label_auc(noise, labels, by="direction") < 0.65
    assert label_auc(gradients, np.zeros(400, int), by="norm") is None
    blank = gradients.copy()
    blank[0] = np.nan  # a row that says nothing
    assert label_auc(blank, labels, by="direction") > 0.99
    assert label_auc(np.zeros((400, 6)), labels, by="direction") == 0.5


def test_the_main_direction_is_followed_where_signs_say_little():
    source = np.random.default_rng(3)
    labels = (source.random(4000) < 0.5).astype(int)
    gradients = np.outer(source.normal(2.0 * labels), [3.0, 4.0])
    # The area between normal curves two deviations apart is .921; the cosine knows the sign alone, .74.
    assert label_auc(gradients, labels, by="direction") > 0.9


def test_three_classes_take_the_worst():
    labels = np.repeat([0, 1, 2], 20)
    gradients = np.eye(3)[labels] * np.array([1.0, 1.0, 5.0])[labels][:, None]
    assert label_auc(gradients, labels, by="norm") == 1.0
    assert label_auc(gradients, labels, by="direction") == 1.0


def test_words_never_promise():
    report = leakage(inputs=np.eye(5), activations=np.eye(5), measured_on="rows")
    assert report.label_auc_norm is None
    assert report.rows == 5
    words = report.words()
    assert "measured, no guarantee: an attack that was not tried may do better" in words
    assert "rows of this site" in words
    assert "canaries" in LeakageReport(rows=1, measured_on="canaries").words()


def test_arrays_must_belong_together():
    with pytest.raises(UsageError) as caught:
        leakage(inputs=np.eye(5), activations=np.eye(4), measured_on="rows")
    assert caught.value.code == "leakage-rows"
    with pytest.raises(UsageError):
        leakage(gradients=np.eye(5), measured_on="rows")


def test_measuring_loads_no_torch():
    code = "import sys, reticent.split.leakage, reticent.split.canaries, reticent.split.boundary_accounting; " + (
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


CONTRACT = Contract(
    kind="table",
    columns=(
        Column(name="age", kind="number", range=(18, 90)),
        Column(name="job", kind="category", values=("a", "b", "c"), other=True, drop_first=True),
        Column(name="sick", kind="label", values=("no", "yes")),
    ),
)


def test_canaries_follow_the_contract_and_are_the_same_everywhere():
    canaries = make_canaries(CONTRACT, rows=300)
    assert canaries.features.shape == (300, CONTRACT.n_features)
    assert np.abs(canaries.features[:, 0]).max() <= 1
    assert canaries.features[:, 0].std() > 0.5
    assert set(canaries.features[:, 1:].sum(1)) == {0.0, 1.0}
    assert set(canaries.labels) == {0, 1}
    again = make_canaries(CONTRACT, rows=300)
    assert (again.features == canaries.features).all()
    assert (again.labels == canaries.labels).all()
    assert canaries.columns(slice(1, 3)).features.shape == (300, 2)
    images = make_canaries(Contract(kind="tensor", shape=(1, 4, 4), classes=3, range=(0.0, 255.0)), rows=20)
    assert images.features.shape == (20, 1, 4, 4)
    assert images.features.max() > 100
    target = Column(name="days", kind="label", range=(0, 30))
    numeric = CONTRACT.model_copy(update={"columns": (*CONTRACT.columns[:2], target), "classes": (), "label": "days"})
    assert make_canaries(numeric, rows=20).labels.dtype == np.float32


def boundary(kind, z):
    privacy = BoundaryPrivacy(
        kind=kind,
        passes=1,
        noise=BoundaryNoise(vectors=z),
        max_norm=1.0,
        unit="record",
        relation="replace_one",
        population="p",
        dataset="d",
    )
    return GaussianBoundary(privacy, units=np.arange(5))


def test_canaries_show_what_a_model_leaks_and_that_the_defence_works():
    torch.manual_seed(0)
    width = CONTRACT.n_features
    bottom = nn.Sequential(nn.Linear(width, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.5))
    top = nn.Linear(8, 2)
    loss = nn.CrossEntropyLoss()
    before = {name: value.clone() for name, value in bottom.state_dict().items()}
    canaries = make_canaries(CONTRACT)
    open_ = canary_leakage(canaries, bottom, top, loss)
    assert open_.label_auc_direction > 0.99
    assert open_.distance_correlation > 0.5
    assert open_.measured_on == "canaries"
    shut = canary_leakage(
        canaries, bottom, top, loss, activations=boundary("activations", 20.0), outputs=boundary("outputs", 20.0)
    )
    # Binomial deviation of an AUC of 512 rows: .026; .65 is 5.8 of them.
    assert shut.label_auc_direction < 0.65
    assert shut.label_auc_norm < 0.65
    assert abs(shut.distance_correlation_unbiased) < 0.1
    assert bottom.training
    assert all((bottom.state_dict()[name] == value).all() for name, value in before.items())
    assert all(value.grad is None for value in (*bottom.parameters(), *top.parameters()))
