"""The noise at the boundary: clipped, noised, charged once for a pass; and that without one of its parts it fails."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.stats import chi2, norm
from torch import nn

import reticent.split.boundary_bottom as bottom_module
import reticent.split.boundary_vectors as vectors_module
from reticent import dp
from reticent.dp import Gaussian, Grant, flatten
from reticent.errors import PolicyRefused, UsageError
from reticent.ledger import Ledger
from reticent.split.boundary_accounting import (
    BoundaryNoise,
    BoundaryPrivacy,
    boundary_events,
    boundary_noise_multiplier,
)
from reticent.split.boundary_parallel import RowsOnce
from reticent.split.boundary_vectors import noised_rows
from reticent.split.defence import GaussianBoundary
from reticent.split.labels import LabelSide
from reticent.split.settings import Optimizer, SplitTraining
from reticent.split.sides import Side
from reticent.training import loss_by_name


def privacy(**changed):
    values = {
        "kind": "activations",
        "passes": 3,
        "noise": BoundaryNoise(vectors=2.0),
        "max_norm": 1.0,
        "unit": "record",
        "relation": "replace_one",
        "population": "ward-7",
        "dataset": "1",
    }
    return BoundaryPrivacy(**{**values, **changed})


def paid(boundary):
    """One pass, outside any ledger."""
    return boundary.open(Grant.without_ledger(boundary.cost().events))


def opened(rows=100, **changed):
    return paid(GaussianBoundary(privacy(**changed), units=np.arange(rows)))


def release(crossing, values, rows=None):
    rows = np.arange(len(values)) if rows is None else np.asarray(rows)
    return crossing.release(values, rows=rows, units=rows)


# accounting ---------------------------------------------------------------------------------------------------------


def exact_delta(epsilon, mu):
    """Of one Gaussian mechanism whose neighbours are mu standard deviations apart (Balle and Wang 2018, theorem 8)."""
    return norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu)


@pytest.mark.parametrize(("passes", "tests", "rows", "trains"), [(1, 0, 1, False), (10, 2, 1, True), (5, 0, 3, True)])
def test_the_cost_is_that_of_the_gaussians_counted_by_hand(passes, tests, rows, trains):
    noise = BoundaryNoise(vectors=20.0, updates=30.0 if trains else None)
    events = boundary_events(passes=passes, evaluations=tests, rows_per_unit=rows, noise=noise)
    energy = rows * (passes + tests) / 20**2 + (rows * passes / 30**2 if trains else 0)
    epsilon = dp.epsilon(events, delta=1e-5, relation="replace_one")
    # Replacing a record moves its vector by twice the clip.
    assert exact_delta(epsilon, 2 * math.sqrt(energy)) == pytest.approx(1e-5, rel=1e-3)


@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("epsilon", [0.5, 4.0])
def test_the_noise_meets_its_target_tightly(share, epsilon):
    plan = {"passes": 7, "evaluations": 1, "rows_per_unit": 2}
    also = (dp.PoissonSampled(0.1, Gaussian(5.0)),)
    for extra in ((), also):
        noise = boundary_noise_multiplier(
            epsilon=epsilon, delta=1e-6, trains=True, update_share=share, also=extra, **plan
        )
        reached = dp.epsilon((*boundary_events(noise=noise, **plan), *extra), delta=1e-6, relation="replace_one")
        assert 0.99 * epsilon < reached <= epsilon
    frozen = boundary_noise_multiplier(epsilon=epsilon, delta=1e-6, trains=False, **plan)
    assert frozen.updates is None
    assert frozen.vectors < noise.vectors


def test_a_plan_is_the_sum_of_its_passes():
    noise = BoundaryNoise(vectors=2.0, updates=3.0)
    plan = privacy(noise=noise, max_update_norm=1.0, evaluations=2, unit="person", rows_per_unit=2)
    passes = flatten(plan.pass_events() * plan.passes + plan.evaluation_events() * 2)
    assert passes == flatten(plan.events()) == {Gaussian(2.0): 10, Gaussian(3.0): 6}
    assert plan.epsilon(1e-5) == dp.epsilon(plan.events(), delta=1e-5, relation="replace_one")
    assert math.isinf(privacy(noise=BoundaryNoise(vectors=0.0)).epsilon(1e-5))


def test_the_ceiling_is_that_of_two_normal_curves():
    plan = privacy(noise=BoundaryNoise(vectors=4.0, updates=8.0), max_update_norm=1.0, passes=2)
    source = np.random.default_rng(0)
    apart = 2 * math.sqrt(2 / 16 + 2 / 64)
    higher = (source.normal(apart, 1, 10**6) > source.normal(0, 1, 10**6)).mean()
    assert plan.auc_ceiling() == pytest.approx(higher, abs=0.0025)  # five deviations
    assert privacy(noise=BoundaryNoise(vectors=0.0)).auc_ceiling() == 1.0


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"relation": "add_or_remove_one"}, "boundary-membership-public"),
        ({"unit": "site"}, "boundary-unit"),
        ({"unit": "patient"}, "invalid-unit"),
        ({"rows_per_unit": 2}, "invalid-boundary"),
        ({"passes": 0}, "invalid-boundary"),
        ({"max_norm": 0.0}, "invalid-boundary"),
        ({"max_norm": math.nan}, "invalid-boundary"),
        ({"noise": BoundaryNoise(vectors=1.0, updates=1.0)}, "invalid-boundary"),
        ({"max_update_norm": 1.0}, "invalid-boundary"),
        (
            {"noise": BoundaryNoise(vectors=1.0, updates=1.0), "max_update_norm": 1.0, "kind": "outputs"},
            "invalid-boundary",
        ),
    ],
)
def test_what_makes_no_promise_is_refused(changed, code):
    with pytest.raises((PolicyRefused, UsageError)) as caught:
        privacy(**changed)
    assert caught.value.code == code


def test_update_share_out_of_range_is_refused():
    with pytest.raises(UsageError):
        boundary_noise_multiplier(epsilon=1.0, delta=1e-5, passes=1, trains=True, update_share=1.0)


def test_plans_load_no_torch():
    code = "import sys, reticent.split.boundary_accounting; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# once for a pass ----------------------------------------------------------------------------------------------------


def test_one_payment_serves_every_row_once():
    event = Gaussian(1.5)
    grant = Grant.without_ledger([event])
    once = RowsOnce(grant, {"vectors": event}, rows=6, rows_per_unit=1)
    assert not grant.remaining()
    once.part("vectors", np.array([0, 2]))
    once.part("vectors", np.array([5])).draw(event)
    for rows in ([2], [1, 5], [3, 3]):
        with pytest.raises(PolicyRefused) as caught:
            once.part("vectors", np.array(rows))
        assert caught.value.code == "boundary-row-twice"
    for rows in ([6], [-1], [[1]], [1.0]):
        with pytest.raises(UsageError) as wrong:
            once.part("vectors", np.array(rows))
        assert wrong.value.code == "boundary-rows"
    part = once.part("vectors", np.array([1, 3, 4]))
    part.draw(event)
    with pytest.raises(PolicyRefused):
        part.draw(event)  # one draw, not one for each row


def test_a_pass_that_was_not_paid_for_is_refused():
    boundary = GaussianBoundary(privacy(), units=np.arange(4))
    grant = Grant.without_ledger(boundary.cost().events)
    boundary.open(grant)
    with pytest.raises(PolicyRefused) as caught:
        boundary.open(grant)
    assert caught.value.code == "noise-not-granted"


def test_a_person_with_two_rows_is_paid_for_twice_in_a_pass():
    boundary = GaussianBoundary(privacy(unit="person", rows_per_unit=2), units=np.array([0, 0, 1]))
    grant = Grant.without_ledger(boundary.cost().events)
    boundary.open(grant)
    assert not grant.remaining()
    with pytest.raises(PolicyRefused):
        boundary.open(Grant.without_ledger([Gaussian(2.0)]))


def test_a_ledger_pays_for_the_plan_and_for_no_pass_more(tmp_path):
    book = Ledger(f"sqlite:///{tmp_path / 'budget.db'}")
    noise = boundary_noise_multiplier(epsilon=1.0, delta=1e-6, passes=2, trains=False)
    boundary = GaussianBoundary(privacy(noise=noise, passes=2), units=np.arange(10))
    book.grant("ward-7", epsilon=1.0, delta=1e-6, unit="record", relation="replace_one", reason="a test", signer="t")
    charge = book.reserve(
        boundary.privacy.release(boundary.privacy.events()),
        purpose="split@1",
        plan_hash="0" * 64,
        key="plan",
        delta=1e-6,
    )
    for number in range(2):
        crossing = boundary.open(charge.commit(f"pass {number}", boundary.cost().events))
        release(crossing, torch.ones(5, 2), range(5))
        release(crossing, torch.ones(5, 2), range(5, 10))
    with pytest.raises(PolicyRefused) as caught:
        charge.commit("pass 2", boundary.cost().events)
    assert caught.value.code == "reservation-spent"


def test_persons_with_more_rows_than_declared_are_refused_without_saying_how_many():
    units = np.array([0, 0, 0, 1])
    with pytest.raises(PolicyRefused) as caught:
        GaussianBoundary(privacy(unit="person", rows_per_unit=2), units=units)
    assert caught.value.code == "boundary-rows-per-unit"
    assert "3" not in str(caught.value)
    assert GaussianBoundary(privacy(unit="person", rows_per_unit=3), units=units).cost().events
    GaussianBoundary(privacy(), units=units)  # unit record: each row is a unit


# vectors: the clip and the noise ------------------------------------------------------------------------------------


def spread_is_right(values, *, noise, deviation):
    """Whether `noised - values` has the standard deviation that was charged: chi-square, false alarm 1e-7."""
    ratio = float(((noise - values) ** 2).sum()) / deviation**2
    return chi2.ppf(5e-8, values.size) < ratio < chi2.isf(5e-8, values.size)


def released_at_zero(z=1.7, max_norm=0.5):
    """Noised rows of zeros, and the deviation that is charged for them."""
    rows, width = 400, 16
    grid = dp.grid_for(max_norm, width)
    deviation = z * dp.encoded_sensitivity(max_norm, grid, width)
    crossing = opened(rows, noise=BoundaryNoise(vectors=z), max_norm=max_norm)
    return release(crossing, torch.zeros(rows, 4, 4, dtype=torch.float64)).numpy(), deviation


def test_the_noise_has_the_deviation_that_was_charged():
    noise, deviation = released_at_zero()
    assert spread_is_right(np.zeros_like(noise), noise=noise, deviation=deviation)


def test_broken_copy_with_half_the_noise_is_caught(monkeypatch):
    true = dp.add_gaussian

    def halved(total, *, event, sensitivity, grid, grant):
        return true(total, event=event, sensitivity=sensitivity / 2, grid=grid, grant=grant)

    monkeypatch.setattr(vectors_module.dp, "add_gaussian", halved)
    noise, deviation = released_at_zero()
    assert not spread_is_right(np.zeros_like(noise), noise=noise, deviation=deviation)


def test_the_deviation_covers_the_rounding_too(monkeypatch):
    """A per cent of the noise is too little for statistics: the arguments themselves are looked at."""
    seen = []
    true = dp.add_gaussian

    def recorded(total, **given):
        seen.append((given["sensitivity"], given["grid"]))
        return true(total, **given)

    monkeypatch.setattr(dp, "add_gaussian", recorded)
    crossing = opened(8, **LEARNS)
    release(crossing, torch.ones(8, 5))
    bottom = nn.Linear(2, 5)
    optimizer = torch.optim.SGD(bottom.parameters(), lr=0.1)
    crossing.update(bottom, torch.ones(8, 2), torch.ones(8, 5), optimizer, rows=np.arange(8))
    grids = dp.grid_for(1.0, 5), dp.grid_for(1.0, 15)
    assert seen == [(dp.encoded_sensitivity(1.0, grid, n), grid) for grid, n in zip(grids, (5, 15), strict=True)]


def longest(width=12, max_norm=0.5):
    """Length of what is released for rows of every size, without noise."""
    values = torch.randn(50, width, generator=torch.Generator().manual_seed(0)) * torch.logspace(-3, 6, 50)[:, None]
    event = Gaussian(0.0)
    sent = noised_rows(values, max_norm=max_norm, event=event, grant=Grant.without_ledger([event]))
    return sent.norm(dim=1).max().item()


def test_no_row_is_longer_than_what_was_charged():
    assert longest() <= dp.encoded_sensitivity(0.5, dp.grid_for(0.5, 12), 12)


def test_broken_copy_without_the_clip_is_caught(monkeypatch):
    monkeypatch.setattr(vectors_module, "clip", lambda gradients, max_norm: None)
    assert longest() > dp.encoded_sensitivity(0.5, dp.grid_for(0.5, 12), 12)


def test_broken_copy_that_clips_the_batch_is_caught(monkeypatch):
    def together(gradients, max_norm):
        gradients[0].mul_(min(1.0, max_norm / float(gradients[0].norm(dim=1).mean())))

    monkeypatch.setattr(vectors_module, "clip", together)
    assert longest() > dp.encoded_sensitivity(0.5, dp.grid_for(0.5, 12), 12)


def test_rows_are_clipped_one_by_one_and_left_alone_otherwise():
    event = Gaussian(0.0)
    values = torch.tensor([[3.0, 4.0], [0.3, 0.4], [math.nan, 1.0], [math.inf, 0.0], [0.0, 0.0]])
    before = values.clone()
    sent = noised_rows(values, max_norm=1.0, event=event, grant=Grant.without_ledger([event]))
    wanted = torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    assert torch.allclose(sent, wanted, atol=dp.grid_for(1.0, 2))
    assert torch.equal(values.nan_to_num(7.0), before.nan_to_num(7.0))
    assert sent.dtype == values.dtype


def test_two_passes_draw_different_noise():
    boundary = GaussianBoundary(privacy(), units=np.arange(100))
    first, second = (release(paid(boundary), torch.zeros(100, 3)) for _ in range(2))
    assert not torch.equal(first, second)


# updates: the bottom learns by noised sums --------------------------------------------------------------------------

LEARNS = {"noise": BoundaryNoise(vectors=2.0, updates=2.0), "max_update_norm": 1.0}


def test_without_noise_and_clip_the_update_is_that_of_plain_backward():
    quiet = {"noise": BoundaryNoise(vectors=0.0, updates=0.0), "max_norm": 1e3, "max_update_norm": 1e3}
    torch.manual_seed(0)
    features, returned = torch.randn(20, 5, dtype=torch.float64), torch.randn(20, 3, dtype=torch.float64)
    boundary = GaussianBoundary(privacy(**quiet), units=np.arange(20))
    bottom = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    twin = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    twin.load_state_dict(bottom.state_dict())
    plain = torch.optim.SGD(twin.parameters(), lr=0.1, momentum=0.9)
    noised = torch.optim.SGD(bottom.parameters(), lr=0.1, momentum=0.9)
    for _ in range(3):
        plain.zero_grad()
        twin(features).backward(returned / 20)
        plain.step()
        paid(boundary).update(bottom, features, returned, noised, rows=np.arange(20))
    difference = max((a - b).abs().max().item() for a, b in zip(bottom.parameters(), twin.parameters(), strict=True))
    assert difference < 0.1 * 3 * 3 * dp.grid_for(1e3, 75)  # roundings to the grid, three steps with momentum


def test_the_chain_rule_goes_through_the_clip():
    quiet = {"noise": BoundaryNoise(vectors=0.0, updates=0.0), "max_norm": 0.1, "max_update_norm": 1e2}
    torch.manual_seed(0)
    features, returned = torch.randn(6, 3).double(), torch.randn(6, 2).double()
    bottom = nn.Linear(3, 2).double()
    outputs = bottom(features)
    clipped = outputs * (0.1 / outputs.norm(dim=1, keepdim=True)).clamp(max=1.0)
    wanted = torch.autograd.grad((clipped * returned).sum() / 6, list(bottom.parameters()))
    before = [value.detach().clone() for value in bottom.parameters()]
    optimizer = torch.optim.SGD(bottom.parameters(), lr=1.0)
    opened(6, **quiet).update(bottom, features, returned, optimizer, rows=np.arange(6))
    for value, old, gradient in zip(bottom.parameters(), before, wanted, strict=True):
        assert torch.allclose(old - value, gradient, atol=dp.grid_for(1e2, 8))


def moved(bottom_weight=0.0, z=3.0, rows=1, returned=1.0, steps=1, **changed):
    """How far one update moves 2,000 weights, each by its own noise."""
    torch.manual_seed(0)
    bottom = nn.Linear(2000, 1, bias=False).double()
    nn.init.constant_(bottom.weight, bottom_weight)
    plan = {"noise": BoundaryNoise(vectors=1.0, updates=z), "max_update_norm": 1.0, **changed}
    features = torch.zeros(rows, 2000).double()
    optimizer = torch.optim.SGD(bottom.parameters(), lr=1.0)
    opened(rows, **plan).update(
        bottom, features, torch.full((rows, 1), returned).double(), optimizer, rows=np.arange(rows)
    )
    return (bottom.weight.detach() - bottom_weight).numpy(), z * dp.encoded_sensitivity(
        1.0, dp.grid_for(1.0, 2000), 2000
    )


def test_the_update_has_the_noise_that_was_charged():
    noise, deviation = moved(rows=4)
    assert spread_is_right(np.zeros_like(noise), noise=noise, deviation=deviation / 4)  # public number of rows


def test_broken_copy_whose_update_has_half_the_noise_is_caught(monkeypatch):
    true = dp.add_gaussian
    monkeypatch.setattr(
        bottom_module.dp,
        "add_gaussian",
        lambda total, *, event, sensitivity, grid, grant: true(
            total, event=event, sensitivity=sensitivity / 2, grid=grid, grant=grant
        ),
    )
    noise, deviation = moved()
    assert not spread_is_right(np.zeros_like(noise), noise=noise, deviation=deviation)


@pytest.mark.parametrize("unit", ["record", "person"])
def test_a_person_is_clipped_once_for_all_rows_of_a_batch(unit):
    quiet = {"noise": BoundaryNoise(vectors=0.0, updates=0.0), "max_norm": 1e3, "max_update_norm": 1.0}
    persons = {"unit": "person", "rows_per_unit": 3} if unit == "person" else {}
    bottom = nn.Linear(1, 1, bias=False).double()
    nn.init.zeros_(bottom.weight)
    boundary = GaussianBoundary(privacy(**quiet, **persons), units=np.array([1, 0, 1, 1]))
    optimizer = torch.optim.SGD(bottom.parameters(), lr=1.0)
    paid(boundary).update(
        bottom, torch.ones(4, 1).double(), torch.full((4, 1), -9.0).double(), optimizer, rows=np.arange(4)
    )
    # Each unit's gradient is -9 or -27, clipped to -1: four records, or two persons.
    assert bottom.weight.item() * 4 == pytest.approx(4 if unit == "record" else 2, abs=0.1)


def test_rows_and_gradients_that_are_not_finite_add_nothing():
    quiet = {"noise": BoundaryNoise(vectors=0.0, updates=0.0), "max_norm": 1.0, "max_update_norm": 1.0}
    bottom = nn.Linear(2, 1)
    before = bottom.weight.detach().clone()
    features = torch.tensor([[math.nan, 0.0], [1.0, 1.0]])
    optimizer = torch.optim.SGD(bottom.parameters(), lr=1.0)
    opened(2, **quiet).update(bottom, features, torch.tensor([[1.0], [math.inf]]), optimizer, rows=np.arange(2))
    assert torch.equal(before, bottom.weight)


class MinusBatchMean(nn.Module):
    def forward(self, x):
        return x - x.mean(0, keepdim=True)


@pytest.mark.parametrize("trains", [True, False])
def test_a_bottom_that_mixes_rows_is_refused(trains):
    boundary = GaussianBoundary(privacy(**(LEARNS if trains else {})), units=np.arange(4))
    mixing = nn.Sequential(nn.Linear(3, 2), MinusBatchMean())
    normalised = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    with pytest.raises(PolicyRefused) as caught:
        boundary.check_bottom(mixing, (3,))
    assert caught.value.code == "mixes-examples"
    if trains:
        with pytest.raises(PolicyRefused):
            boundary.check_bottom(normalised, (3,))
        optimizer = torch.optim.SGD(normalised.parameters(), lr=1.0)
        with pytest.raises(PolicyRefused):
            paid(boundary).update(normalised, torch.ones(2, 3), torch.ones(2, 2), optimizer, rows=np.arange(2))
    else:
        boundary.check_bottom(normalised, (3,))  # frozen, it normalises by constants
        assert normalised.training
    boundary.check_bottom(nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2)), (3,))


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_a_loss_that_mixes_rows_is_refused(classes):
    boundary = GaussianBoundary(privacy(kind="outputs"), units=np.arange(4))
    name = {0: "mse_loss", 2: "binary_cross_entropy_with_logits", 3: "cross_entropy"}[classes]
    taken = boundary.check_loss(loss_by_name(name), classes)
    assert taken == (frozenset({(3,)}) if classes == 3 else frozenset({(1,), ()}))
    if classes:
        boundary.check_loss(nn.CrossEntropyLoss(reduction="sum"), classes)
        with pytest.raises(PolicyRefused) as caught:
            boundary.check_loss(nn.CrossEntropyLoss(weight=torch.arange(1.0, classes + 1).double()), classes)
        assert caught.value.code == "mixes-examples"
    with pytest.raises(UsageError) as wrong:
        boundary.check_loss(lambda outputs, labels: (outputs @ outputs)[labels.long()].sum(), classes)
    assert wrong.value.code == "loss-shape"


def test_an_update_is_refused_where_it_was_not_planned_or_does_not_fit():
    bottom = nn.Linear(2, 3)
    optimizer = torch.optim.SGD(bottom.parameters(), lr=0.1)
    arguments = (bottom, torch.ones(2, 2), torch.ones(2, 3), optimizer)
    with pytest.raises(PolicyRefused) as caught:
        opened().update(*arguments, rows=np.arange(2))
    assert caught.value.code == "boundary-frozen"
    crossing = opened(**LEARNS)
    with pytest.raises(UsageError) as wrong:
        crossing.update(bottom, torch.ones(2, 2), torch.ones(2, 1), optimizer, rows=np.arange(2))
    assert wrong.value.code == "boundary-rows"
    with pytest.raises(UsageError) as foreign:
        opened(**LEARNS).update(*arguments[:3], torch.optim.LBFGS(bottom.parameters()), rows=np.arange(2))
    assert foreign.value.code == "boundary-optimizer"
    crossing = opened(**LEARNS)
    crossing.update(*arguments, rows=np.arange(2))
    with pytest.raises(PolicyRefused) as again:
        crossing.update(*arguments, rows=np.array([1, 2]))
    assert again.value.code == "boundary-row-twice"


def test_test_rows_have_a_boundary_of_their_own():
    boundary = GaussianBoundary(privacy(**LEARNS), units=np.arange(4))
    tests = boundary.for_tests(np.arange(9))
    assert not tests.trains
    assert flatten(tests.cost().events) == {Gaussian(2.0): 1}
    assert release(paid(tests), torch.ones(9, 2)).shape == (9, 2)


# two worlds: an attacker who knows all but one record ---------------------------------------------------------------

Z, TRIALS = 4.0, 300
"""Neighbours are 2/4 deviations apart: no attack is right more often than .5987 (its total variation is 2 Phi(.25) - 1).
With 600 trials, an attack of that accuracy exceeds it by .11 with probability 5e-7 (Hoeffding)."""

LIMIT = norm.cdf(1 / Z) + 0.11
OTHERS = np.arange(1, 401)


def label_attack(*, broken, trials=TRIALS):
    """How often an attacker at the bottoms tells the label of row 0 from what comes back for *other* rows.

    The attacker makes the activations of row 0 large, so that its label moves the top's weight by .8 or -.8, and reads
    the weight from the gradients of 400 other rows, whose noise it averages away.
    """
    settings = SplitTraining(
        shape="vertical",
        sites=("a", "b"),
        labels="b",
        start="given",
        epochs=1,
        batch_size=1,
        classes=2,
        loss="binary_cross_entropy_with_logits",
    )
    boundary = GaussianBoundary(
        privacy(kind="outputs", max_norm=0.5, noise=BoundaryNoise(vectors=Z)), units=np.arange(401)
    )
    right = 0
    for trial in range(2 * trials):
        label = trial % 2
        crossing = paid(boundary)

        def protect(gradient, rows, crossing=crossing):
            return crossing.release(gradient, rows=rows, units=rows)

        top = nn.Linear(1, 1, bias=False).double()
        nn.init.ones_(top.weight)
        side = LabelSide(Side(top, Optimizer(learning_rate=1.6)), settings)
        first = torch.ones(1, 1, dtype=torch.float64)
        if broken:  # trains on the exact label; only what travels is noised
            side.learn(first, torch.tensor([label]), lambda gradient: gradient.clamp(-0.5, 0.5))
        else:
            side.learn(first, torch.tensor([label]), lambda gradient: protect(gradient, np.array([0])))
        others = torch.zeros(400, 1, dtype=torch.float64)
        back = side.learn(others, torch.zeros(400, dtype=torch.int64), lambda gradient: protect(gradient, OTHERS))
        weight = back.sum().item() / 0.5  # the mean of p - 0 is .5
        right += (weight > 1.0) == label
    return right / (2 * trials)


def test_a_label_is_not_in_the_gradients_of_other_rows():
    assert label_attack(broken=False) < LIMIT


def test_broken_copy_that_trains_the_top_on_exact_labels_is_caught():
    assert label_attack(broken=True, trials=40) > 0.9 > LIMIT


def feature_attack(*, broken, monkeypatch, trials=TRIALS):
    """How often a coordinator tells the features of row 0 from the activations of *other* rows.

    It returns a large gradient for row 0, so that its features move the bottom, and reads the bottom's weight from
    other rows' activations.
    """
    if broken:
        monkeypatch.setattr(
            bottom_module.dp, "add_gaussian", lambda total, *, event, sensitivity, grid, grant: total * grid
        )
    plan = {"noise": BoundaryNoise(vectors=Z * 50, updates=Z), "max_update_norm": 1.0, "max_norm": 1.0}
    boundary = GaussianBoundary(privacy(**plan), units=np.arange(1))
    bottom = nn.Linear(1, 1, bias=False).double()
    right = 0
    for trial in range(2 * trials):
        world = trial % 2
        nn.init.zeros_(bottom.weight)
        optimizer = torch.optim.SGD(bottom.parameters(), lr=1.0)
        features = torch.full((1, 1), 2.0 * world - 1.0).double()
        paid(boundary).update(bottom, features, torch.full((1, 1), 99.0).double(), optimizer, rows=np.array([0]))
        right += (bottom.weight.item() < 0) == world  # many other rows show the weight itself
    return right / (2 * trials)


def test_features_are_not_in_the_bottom(monkeypatch):
    assert feature_attack(broken=False, monkeypatch=monkeypatch) < LIMIT


def test_broken_copy_that_trains_the_bottom_on_exact_sums_is_caught(monkeypatch):
    assert feature_attack(broken=True, monkeypatch=monkeypatch, trials=40) > 0.9


def test_broken_copy_without_the_clip_of_updates_is_caught(monkeypatch):
    """A coordinator that returns 99 for a row shouts its features over the noise, unless they are clipped."""
    monkeypatch.setattr("reticent.training.contributions.clip", lambda gradients, max_norm: None)
    assert feature_attack(broken=False, monkeypatch=monkeypatch, trials=40) > 0.9
