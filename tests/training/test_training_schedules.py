"""Settings that change from step to step are accounted as what they are; memory is no part of the mechanism."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from reticent import dp
from reticent.errors import UsageError
from reticent.training import DPSGD, Segments, flatten, trainer, two_layer

GIVEN = {
    "population": 1000,
    "expected_batch_size": 50,
    "steps": 6,
    "max_grad_norm": 1.0,
    "unit": "record",
    "relation": "add_or_remove_one",
}
Q = 0.05


# --- segments ---------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(1, 5), st.sampled_from([0.5, 1.0, 2.0])), min_size=1, max_size=6),
    st.integers(0, 30),
    st.integers(0, 30),
)
def test_segments_are_the_list_they_stand_for(parts, first, stop):
    values = [value for steps, value in parts for _ in range(steps)]
    segments = Segments(*parts)
    assert segments.steps == len(values)
    assert [segments.at(step) for step in range(len(values))] == values
    assert [value for steps, value in segments.between(first, stop) for _ in range(steps)] == values[first:stop]
    assert Segments.of(values, 99).steps == len(values)
    assert [Segments.of(values, 99).at(step) for step in range(len(values))] == values
    assert (segments.constant is None) == (len(set(values)) > 1)
    with pytest.raises(IndexError):
        segments.at(len(values))


def test_wrong_segments_are_refused():
    for parts in ([(0, 1.0)], [(1.5, 1.0)], [(3, math.nan)], [(1,)]):
        with pytest.raises(UsageError) as caught:
            Segments(*parts)
        assert caught.value.code == "invalid-segments"


# --- noise ------------------------------------------------------------------------------------------------------------


def test_a_schedule_of_the_noise_is_accounted_as_what_it_is():
    """field/dp.md, section 3: (1, .01, 1000) + (2, ...) are composed exactly, not as the mean or the largest."""
    two = DPSGD(**GIVEN | {"steps": 500}, noise_multiplier=Segments((300, 0.8), (200, 1.6)))
    runs = [dp.Repeated(dp.PoissonSampled(Q, dp.Gaussian(z)), n) for z, n in ((0.8, 300), (1.6, 200))]
    assert two.event == dp.Composed(tuple(runs))
    assert two.epsilon(1e-5) == dp.epsilon(runs, delta=1e-5, relation="add_or_remove_one")
    least, most = (DPSGD(**GIVEN | {"steps": 500}, noise_multiplier=z).epsilon(1e-5) for z in (1.6, 0.8))
    assert least < two.epsilon(1e-5) < most
    assert two.release("a", "b", first=300).counts() == {dp.PoissonSampled(Q, dp.Gaussian(1.6)): 200}


def test_one_number_each_step_and_a_constant_are_the_same_mechanism():
    constant = DPSGD(**GIVEN, noise_multiplier=1.2)
    listed = DPSGD(**GIVEN, noise_multiplier=[1.2] * 6)
    assert constant.event == listed.event == dp.Repeated(constant.step_event, 6)
    assert constant.settings == listed.settings
    assert listed.noise_multiplier == 1.2


def check_every_step_draws_its_own_noise(kit, monkeypatch):
    drawn = []

    def add(total, *, event, sensitivity, grid, grant):
        drawn.append((event.event.noise_multiplier, sensitivity))
        return dp.add_gaussian(total, event=event, sensitivity=sensitivity, grid=grid, grant=grant)

    monkeypatch.setattr(trainer, "add_gaussian", add)
    clips = [1.0, 0.5, 0.25]
    dpsgd = DPSGD(**GIVEN | {"steps": 3, "max_grad_norm": clips}, noise_multiplier=[1.0, 2.0, 3.0])
    model = two_layer(6, 3, hidden=4)
    grant = dp.Grant.without_ledger([dpsgd.event])
    worker = dpsgd.trainer(model, F.cross_entropy, torch.optim.SGD(model.parameters(), lr=0.1), grant=grant)
    worker.fit(kit.rows((6,), 30))
    assert [multiplier for multiplier, _ in drawn] == [1.0, 2.0, 3.0]
    assert [sensitivity for _, sensitivity in drawn] == [
        dp.encoded_sensitivity(clip, dp.grid_for(clip, 43), 43) for clip in clips
    ]
    assert not grant.remaining()


def test_every_step_draws_its_own_noise(kit, monkeypatch):
    check_every_step_draws_its_own_noise(kit, monkeypatch)


def test_broken_copy_with_the_first_clip_for_all_is_caught(kit, monkeypatch):
    monkeypatch.setattr(trainer.Trainer, "max_norm", property(lambda self: 1.0))
    with pytest.raises(AssertionError):
        check_every_step_draws_its_own_noise(kit, monkeypatch)


@pytest.mark.parametrize(
    "changes",
    [
        {"noise_multiplier": [1.0] * 5},
        {"noise_multiplier": Segments((7, 1.0))},
        {"max_grad_norm": [1.0] * 7},
        {"max_grad_norm": [1.0] * 5 + [0.0]},
        {"noise_multiplier": [1.0] * 5 + [-1.0]},
        {"noise_multiplier": []},
    ],
)
def test_schedules_that_do_not_fit_are_refused(changes):
    with pytest.raises(UsageError):
        DPSGD(**(GIVEN | {"noise_multiplier": 1.0} | changes))


def test_a_step_without_noise_costs_everything():
    assert DPSGD(**GIVEN, noise_multiplier=[1.0] * 5 + [0.0]).epsilon(1e-5) == math.inf


# --- learning rate ----------------------------------------------------------------------------------------------------


def test_a_scheduler_is_stepped_after_every_step(kit):
    dpsgd = DPSGD(**GIVEN, noise_multiplier=1.0)
    model = two_layer(6, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    dpsgd.trainer(model, F.cross_entropy, optimizer, scheduler=scheduler).fit(kit.rows((6,), 10))
    assert optimizer.param_groups[0]["lr"] == 0.5**6


# --- virtual batches --------------------------------------------------------------------------------------------------


def check_physical_batches_change_nothing(kit, unit):
    """One noise, whatever is held at a time; 100,000 rows in float64, whose gradients do not depend on the block."""
    ends = []
    examples = kit.rows((6,), 90, persons=torch.arange(90).numpy() // 4)
    population = 90 if unit == "record" else 23
    for size in (None, 1, 7, 64, 10_000):
        dpsgd = DPSGD(
            **GIVEN
            | {"population": population, "expected_batch_size": population, "steps": 2, "unit": unit}
            | {"max_grad_norm": 0.2},
            noise_multiplier=0.0,
        )
        torch.manual_seed(0)
        model = two_layer(6, 3, hidden=4).double()
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        grant = dp.Grant.without_ledger([dpsgd.event])
        dpsgd.trainer(model, F.cross_entropy, optimizer, grant=grant, physical_batch_size=size).fit(examples)
        assert not grant.remaining()
        ends.append(flatten(model))
    for end in ends[1:]:
        assert (end == ends[0]).all()


@pytest.mark.parametrize("unit", ["record", "person"])
def test_physical_batches_change_nothing(kit, unit):
    check_physical_batches_change_nothing(kit, unit)


def test_broken_copy_that_clips_each_physical_batch_is_caught(kit, monkeypatch):
    """A person in two physical batches would be clipped in two halves, and count twice."""
    from reticent.training import contributions

    monkeypatch.setattr(contributions, "_blocks", lambda counts, limit: iter([[min(limit, count)] for count in counts]))
    with pytest.raises(AssertionError):
        check_physical_batches_change_nothing(kit, "person")


def test_a_physical_batch_of_nothing_is_refused(kit):
    dpsgd = DPSGD(**GIVEN, noise_multiplier=1.0)
    model = two_layer(6, 3)
    with pytest.raises(UsageError, match="physical_batch_size is 0"):
        dpsgd.trainer(model, F.cross_entropy, torch.optim.SGD(model.parameters(), lr=1.0), physical_batch_size=0)


def test_no_more_is_held_than_was_declared(kit):
    from reticent.training.contributions import Rows, unit_gradients
    from reticent.training.per_example import PerExampleGradients

    examples = kit.rows((6,), 90)
    features, labels = torch.from_numpy(examples.features), torch.from_numpy(examples.labels)
    gradients = PerExampleGradients(two_layer(6, 3, hidden=4), F.cross_entropy)
    for counts in (None, [4] * 22 + [2], [1] * 90):
        held = [len(block[0]) for block in unit_gradients(gradients, Rows(features, labels, counts), 8)]
        assert max(held) <= 8
        assert sum(held) == (90 if counts is None else len(counts))
