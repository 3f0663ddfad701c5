"""Exact figures, each unit's bounded share of them, and the noised counts that may leave a site."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from reticent import dp
from reticent.data import Examples
from reticent.errors import PolicyRefused
from reticent.training import evaluate, logistic, loss_by_name, noised_confusion, predict_classes, unit_confusion


class Echo(nn.Module):
    """Predicts the class that the first feature names."""

    def forward(self, x):
        return F.one_hot(x[:, 0].long(), 3).float()


def echo(predicted, truth, persons=None):
    return Examples.of(np.asarray(predicted, dtype=float)[:, None], np.asarray(truth, dtype=np.int64), persons)


def test_confusion_has_the_truth_in_rows():
    found = evaluate(Echo(), F.cross_entropy, echo([0, 1, 1, 2, 2], [0, 0, 1, 2, 2]), 3)
    assert found.confusion.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 2]]
    assert (found.rows, found.accuracy) == (5, 0.8)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_loss_is_summed_over_rows_whatever_the_reduction(kit, reduction):
    examples = kit.rows((6,), 2500)
    torch.manual_seed(0)
    model = logistic(6, 3)
    outputs = model(torch.from_numpy(examples.features))
    exact = float(F.cross_entropy(outputs, torch.from_numpy(examples.labels), reduction="sum").detach())
    found = evaluate(model, nn.CrossEntropyLoss(reduction=reduction), examples, 3)
    assert found.loss_sum == pytest.approx(exact, rel=1e-5)
    assert model.training


def test_rows_that_are_not_finite_and_empty_sets():
    spoilt = echo([0, 1, 1], [0, 0, 1])
    spoilt.features[1] = math.nan
    found = evaluate(Echo(), F.cross_entropy, spoilt, 3)
    assert (found.rows, int(found.confusion.sum())) == (2, 2)
    none = evaluate(Echo(), F.cross_entropy, echo([], []), 3)
    assert (none.rows, none.loss_sum, none.accuracy) == (0, 0.0, None)
    assert unit_confusion(Echo(), echo([], []), 3).shape == (0, 9)


def test_numeric_labels_have_a_loss_only():
    examples = Examples.of(np.ones((4, 2)), np.zeros(4))
    found = evaluate(logistic(2, 1), loss_by_name("mse_loss"), examples, 0)
    assert found.confusion.shape == (0, 0)
    assert found.loss_sum > 0


def test_one_output_is_a_logit():
    assert predict_classes(torch.tensor([[-1.0], [0.5]])).tolist() == [0, 1]
    assert predict_classes(torch.tensor([-1.0, 0.5])).tolist() == [0, 1]


# --- shares -----------------------------------------------------------------------------------------------------------


def test_rows_of_a_person_share_a_weight_of_one():
    shares = unit_confusion(Echo(), echo([0, 1, 2, 0], [0, 1, 1, 0], ["a", "a", "a", "b"]), 3)
    third = math.floor(1024 / 3) / 1024
    assert shares.tolist() == [[third, 0, 0, 0, third, third, 0, 0, 0], [1.0, 0, 0, 0, 0, 0, 0, 0, 0]]


def test_shares_are_rounded_down_never_up():
    shares = unit_confusion(Echo(), echo([0, 1, 2, 0, 1, 2], [0, 0, 0, 1, 1, 1], ["a"] * 6), 3)
    assert shares.max() * 1024 == 170  # a sixth is 170.67 steps


@settings(max_examples=40, deadline=None)
@given(data=st.data(), n=st.integers(1, 30))
def test_no_unit_contributes_more_than_one_and_sums_are_exact(data, n):
    def draw(largest):
        return data.draw(st.lists(st.integers(0, largest), min_size=n, max_size=n))

    shares = unit_confusion(Echo(), echo(draw(2), draw(2), draw(4)), 3)
    assert (np.sum(np.square(shares), axis=1) <= 1).all()
    assert np.array_equal(np.rint(shares * 1024), shares * 1024)


def test_unusable_rows_count_for_nothing_and_never_raise():
    examples = echo([0, 1, 1], [0, 7, 1], ["a", "a", "b"])
    examples.features[2] = math.nan
    shares = unit_confusion(Echo(), examples, 3)
    assert shares.tolist() == [[0.5] + [0] * 8, [0] * 9]


def check_metrics_noise(noised):
    """Of 4,000 draws at zero counts: 5 % is 4.5 standard errors; false alarm below 1e-5, so 6 % is taken (7e-8)."""
    event = dp.Gaussian(1.5)
    grant = dp.Grant.without_ledger([event])
    found = noised(np.zeros((0, 4000)), event=event, grant=grant)
    assert float(found.std()) == pytest.approx(1.5, rel=0.06)
    assert not grant.remaining()


def test_noised_counts():
    check_metrics_noise(noised_confusion)
    shares = unit_confusion(Echo(), echo([0, 1, 1, 2, 2], [0, 0, 1, 2, 2]), 3)
    event = dp.Gaussian(1e-3)
    counts = noised_confusion(shares, event=event, grant=dp.Grant.without_ledger([event]))
    assert np.allclose(counts, [1, 1, 0, 0, 1, 0, 0, 0, 2], atol=0.02)


def test_broken_copy_that_sums_the_counts_without_noise_is_caught():
    def noiseless(shares, *, event, grant):
        grant.draw(event)
        return shares.sum(axis=0)

    with pytest.raises(AssertionError):
        check_metrics_noise(noiseless)


@pytest.mark.parametrize("spoil", [lambda s: s * 2, lambda s: s / 3, lambda s: s.sum(axis=0, keepdims=True)])
def test_shares_beyond_the_bound_are_refused_before_the_grant_is_used(spoil):
    shares = unit_confusion(Echo(), echo([0, 0], [0, 0]), 3)
    event = dp.Gaussian(1.0)
    grant = dp.Grant.without_ledger([event])
    with pytest.raises(PolicyRefused) as caught:
        noised_confusion(spoil(shares), event=event, grant=grant)
    assert caught.value.code == "share-not-bounded"
    assert grant.remaining()
    noised_confusion(shares, event=event, grant=grant)
    with pytest.raises(PolicyRefused):
        noised_confusion(shares, event=event, grant=grant)
