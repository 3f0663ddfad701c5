"""Joint regressions equal plain gradient descent on the same batches, rows split and columns split, both protocols."""

from __future__ import annotations

import csv
import gzip
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score

from reticent import mpc
from reticent.data import data_folder
from reticent.errors import UsageError
from reticent.mpc import regression as joint
from reticent.mpc import regression_plain as plain

Array = NDArray[np.float64]
PARTIES = {"replicated": 3, "additive": 2}


@dataclass(frozen=True)
class Set:
    """Standardised features and labels, for training and for testing."""

    x: Array
    y: Array
    test_x: Array
    test_y: Array


def split(features: Array, labels: Array, *, rows: int | None = None) -> Set:
    """Return every third row for testing, standardised by the others."""
    features, labels = np.asarray(features, dtype=np.float64)[:rows], np.asarray(labels, dtype=np.float64)[:rows]
    testing = np.arange(len(labels)) % 3 == 0
    known = features[~testing]
    scaled = (features - known.mean(axis=0)) / (known.std(axis=0) + 1e-9)
    return Set(scaled[~testing], labels[~testing], scaled[testing], labels[testing])


def sklearn_cancer() -> Set:
    found = load_breast_cancer()
    return split(found.data, found.target)


def vertical_cancer() -> Set:
    folder = data_folder()
    if folder is None:
        pytest.skip("no folder of data sets")
    guest, host = (
        sorted(
            csv.reader((folder / "breast_cancer_vertical" / f"breast_hetero_{side}.csv").read_text().splitlines()[1:])
        )
        for side in ("guest", "host")
    )
    assert [row[0] for row in guest] == [row[0] for row in host]
    left, right = np.array(guest, dtype=np.float64), np.array(host, dtype=np.float64)
    return split(np.hstack([left[:, 2:], right[:, 1:]]), left[:, 1])


def bank() -> Set:
    folder = data_folder()
    if folder is None:
        pytest.skip("no folder of data sets")
    with gzip.open(folder / "bank_marketing" / "bank_4521_int_encoded.csv.gz", "rt") as file:
        table = np.array(list(csv.reader(file)), dtype=np.float64)
    return split(table[:, :-1], 1.0 - table[:, -1], rows=3000)


SETS: dict[str, Callable[[], Set]] = {"bank": bank, "cancer": sklearn_cancer, "vertical_cancer": vertical_cancer}


def rows_apart(data: Set, parties: int) -> tuple[list[dict[str, Array]], dict[str, object]]:
    """Give each party a part of the rows, of unequal sizes."""
    cuts = [0, *(len(data.y) * (1 + party) // (parties + 1) for party in range(1, parties)), len(data.y)]
    spans = list(itertools.pairwise(cuts))
    inputs = [{"x": data.x[a:b], "y": data.y[a:b]} for a, b in spans]
    return inputs, {"rows": "split", "shapes": [(b - a, data.x.shape[1]) for a, b in spans]}


def columns_apart(data: Set, parties: int) -> tuple[list[dict[str, Array]], dict[str, object]]:
    """Give party 0 a third of the columns and party 1 the others and the labels; a third party only computes."""
    cut = data.x.shape[1] // 3
    inputs = [{"x": data.x[:, :cut]}, {"x": data.x[:, cut:], "y": data.y}, {}][:parties]
    shapes = [(len(data.y), cut), (len(data.y), data.x.shape[1] - cut), None][:parties]
    return inputs, {"columns": "split", "shapes": shapes, "labels": 1}


APART = {"columns": columns_apart, "rows": rows_apart}


CASES = [
    *(("cancer", how, protocol) for how in ("columns", "rows") for protocol in ("additive", "replicated")),
    ("bank", "columns", "replicated"),
    ("bank", "rows", "additive"),
    ("vertical_cancer", "columns", "additive"),
    ("vertical_cancer", "columns", "replicated"),
]


@pytest.mark.parametrize(("name", "how", "protocol"), CASES, ids=["-".join(case) for case in CASES])
def test_logistic_regression_equals_plain_descent(name: str, how: str, protocol: str) -> None:
    """The acceptance criterion: AUC within .001 of plain SGD on the same batches; and the coefficients within .01."""
    data = SETS[name]()
    inputs, layout = APART[how](data, PARTIES[protocol])
    settings = {"batches": plain.cyclic_batches(len(data.y), 64, 15), "learning_rate": 0.5, "l2": 0.01}
    weights, intercept = plain.plain_logistic_regression(data.x, data.y, **settings)

    def program(session: mpc.Session) -> tuple[Array, float] | None:
        return joint.logistic_regression(session, **layout, **settings).reveal()

    (found, constant), _ = mpc.run_local(program, inputs=inputs, protocol=protocol)
    wanted = roc_auc_score(data.test_y, data.test_x @ weights + intercept)
    assert abs(roc_auc_score(data.test_y, data.test_x @ found + constant) - wanted) < 0.001
    np.testing.assert_allclose(found, weights, atol=0.01)
    assert abs(constant - intercept) < 0.01
    assert wanted > 0.7


@pytest.mark.parametrize("protocol", sorted(PARTIES))
@pytest.mark.parametrize("how", sorted(APART))
@pytest.mark.parametrize("intercept", [True, False], ids=["intercept", "origin"])
def test_linear_regression_equals_plain_descent(how: str, protocol: str, intercept: bool) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(120, 6))
    y = x @ rng.normal(size=6) + 0.7 * intercept + 0.1 * rng.normal(size=120)
    data = Set(x, y, x, y)
    inputs, layout = APART[how](data, PARTIES[protocol])
    settings = {"batches": plain.cyclic_batches(120, 50, 20), "learning_rate": 0.3, "intercept": intercept}
    weights, constant = plain.plain_linear_regression(x, y, **settings)

    def program(session: mpc.Session) -> tuple[Array, float] | None:
        return joint.linear_regression(session, **layout, **settings).reveal()

    (found, shift), _ = mpc.run_local(program, inputs=inputs, protocol=protocol)
    np.testing.assert_allclose(found, weights, atol=1e-3)
    assert abs(shift - constant) < 1e-3


def test_the_model_is_opened_to_its_receiver_only() -> None:
    data = split(*load_breast_cancer(return_X_y=True), rows=60)
    inputs, layout = columns_apart(data, 3)

    def program(session: mpc.Session) -> tuple[Array, float] | None:
        batches = plain.cyclic_batches(len(data.y), 40, 2)
        return joint.linear_regression(session, **layout, batches=batches, learning_rate=0.1).reveal(to=2)

    outputs, _ = mpc.run_local(program, inputs=inputs)
    assert outputs[:2] == [None, None]
    assert outputs[2][0].shape == (30,)


def test_scores_of_new_rows_stay_shared() -> None:
    """A fitted model predicts without being opened."""
    data = split(*load_breast_cancer(return_X_y=True), rows=60)
    inputs, layout = columns_apart(data, 3)
    settings = {"batches": plain.cyclic_batches(len(data.y), 40, 4), "learning_rate": 0.1}
    inputs[2]["new"] = data.test_x

    def program(session: mpc.Session) -> Array | None:
        model = joint.linear_regression(session, **layout, **settings)
        return model.scores(session.input("new", owner=2, shape=data.test_x.shape)).reveal(to=2)

    outputs, _ = mpc.run_local(program, inputs=inputs)
    weights, intercept = plain.plain_linear_regression(data.x, data.y, **settings)
    np.testing.assert_allclose(outputs[2], data.test_x @ weights + intercept, atol=5e-3)


def test_a_copy_with_another_learning_rate_is_caught() -> None:
    """The comparison is sharp: a step length wrong by 5 %, as a coarse 1 / batch in fixed point gives, is seen."""
    data = sklearn_cancer()
    batches = plain.cyclic_batches(len(data.y), 64, 25)
    one, other = (
        plain.plain_logistic_regression(data.x, data.y, batches=batches, learning_rate=rate)[0] for rate in (0.5, 0.525)
    )
    assert np.abs(one - other).max() > 0.01


def test_the_plain_twin_follows_the_gradient_of_its_loss() -> None:
    """One step of each is the numerical gradient of the stated loss."""
    rng = np.random.default_rng(2)
    x, y, l2, rate = rng.normal(size=(20, 3)), rng.integers(0, 2, 20).astype(float), 0.2, 1e-3
    rows = np.arange(0, 20, 2)
    fit = {"logistic": plain.plain_logistic_regression, "linear": plain.plain_linear_regression}
    losses: dict[str, Callable[[Array], float]] = {
        "logistic": lambda z: float(np.mean(np.logaddexp(0, z) - y[rows] * z)),
        "linear": lambda z: float(np.mean((z - y[rows]) ** 2) / 2),
    }
    for name, function in fit.items():
        one = np.append(*function(x, y, batches=[rows], learning_rate=rate, l2=l2))
        two = np.append(*function(x, y, batches=[rows, rows], learning_rate=rate, l2=l2))

        def loss(w: Array, name: str = name) -> float:
            return losses[name](x[rows] @ w[:3] + w[3]) + l2 / 2 * float(w[:3] @ w[:3])

        step = 1e-5
        numeric = [(loss(one + step * unit) - loss(one - step * unit)) / (2 * step) for unit in np.eye(4)]
        np.testing.assert_allclose(one - two, rate * np.array(numeric), rtol=1e-5, atol=1e-12)


def test_batches_visit_every_row_and_every_party() -> None:
    """Each epoch is a partition of the rows, and a batch takes its part of each party's rows."""
    for rows, size in ((100, 7), (100, 100), (5, 1), (64, 32), (65, 32)):
        number = -(-rows // size)
        batches = plain.cyclic_batches(rows, size, 2 * number)
        assert sorted(np.concatenate(batches[:number]).tolist()) == list(range(rows))
        assert all(len(batch) <= size for batch in batches)
        assert all(np.array_equal(a, b) for a, b in zip(batches[:number], batches[number:], strict=True))
    shares = [np.mean(batch < 60) for batch in plain.cyclic_batches(100, 20, 5)]
    assert shares == [0.6] * 5


def test_ranges_are_applied_alike_everywhere() -> None:
    x = np.array([[0.0, 50.0], [10.0, 200.0], [5.0, -10.0]])
    wanted = [[-1.0, 0.0], [1.0, 1.0], [0.0, -1.0]]
    np.testing.assert_array_equal(joint.within_range(x, [0, 0], [10, 100]), wanted)
    np.testing.assert_array_equal(joint.within_range(x[1:], [0, 0], [10, 100]), wanted[1:])


BROKEN: dict[str, dict[str, object]] = {
    "both": {"rows": "split"},
    "neither": {"columns": None},
    "no_labels": {"labels": None},
    "labels_of_nobody": {"labels": 3},
    "too_few_shapes": {"shapes": [(4, 2), (4, 1)]},
    "unequal_rows": {"shapes": [(4, 2), (5, 1), None]},
    "nobody_has_columns": {"shapes": [None, None, (4, 0)]},
    "labels_with_rows": {"rows": "split", "columns": None, "shapes": [(4, 2), (3, 2), None]},
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_declarations_that_do_not_fit_are_refused(name: str) -> None:
    inputs = [{"x": np.zeros((4, 2)), "y": np.zeros(4)}, {"x": np.zeros((4, 1))}, {}]
    settings: dict[str, object] = {"columns": "split", "shapes": [(4, 2), (4, 1), None], "labels": 0}

    def program(session: mpc.Session) -> object:
        batches = [np.arange(4)]
        return joint.linear_regression(session, **settings | BROKEN[name], batches=batches, learning_rate=0.1)

    with pytest.raises(UsageError) as caught:
        mpc.run_local(program, inputs=inputs)
    assert caught.value.code == "regression-layout"


@pytest.mark.parametrize("batches", [[], [[]], [[4]], [[-1, 0]]], ids=["none", "empty", "beyond", "negative"])
def test_batches_of_no_rows_are_refused(batches: list[list[int]]) -> None:
    with pytest.raises(UsageError) as caught:
        plain.plain_linear_regression(
            np.zeros((4, 1)), np.zeros(4), batches=[np.array(b, int) for b in batches], learning_rate=1
        )
    assert caught.value.code == "regression-batches"
