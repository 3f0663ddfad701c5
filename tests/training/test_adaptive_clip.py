"""The clip that is learned: its count is noised and paid for, and nothing private is divided by (field/dp.md 4.12)."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from reticent import dp
from reticent.errors import UsageError
from reticent.training import DPSGD, AdaptiveClip, LocalSteps, adaptive_clip, optimizer_factory, trainer
from reticent.training.adaptive_clip import CountShare
from reticent.training.dpfedavg import DPFedAvg

GIVEN = {
    "population": 100,
    "expected_batch_size": 100,
    "steps": 1,
    "unit": "record",
    "relation": "add_or_remove_one",
    "noise_multiplier": 0.0,
}


def mechanism(clip, **changes):
    return DPSGD(**(GIVEN | {"max_grad_norm": clip} | changes))


def worker_on(dpsgd, model=None):
    torch.manual_seed(0)
    model = nn.Linear(6, 3) if model is None else model
    return dpsgd.trainer(model, nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), lr=0.0))


# --- what it costs ----------------------------------------------------------------------------------------------------


def test_count_and_gradient_together_cost_what_is_charged():
    """field/dp.md, section 3: composing z_delta with 2 sigma_b equals z (4.377178 at z = 1, delta 1e-5)."""
    for count_noise in (0.6, 1.0, 5.0, 50.0):
        left = AdaptiveClip(initial=1.0, count_noise=count_noise).gradient_noise(1.0)
        both = [dp.Gaussian(left), dp.Gaussian(2 * count_noise)]
        assert dp.epsilon(both, delta=1e-5, relation="add_or_remove_one") == pytest.approx(4.377178, abs=2e-6)


@given(
    z=st.floats(0.3, 30),
    ratio=st.floats(0.51, 1e4),
    sensitivity=st.floats(1e-6, 1e6),
    parameters=st.integers(1, 10**7),
)
def test_the_joint_vector_has_the_noise_of_its_parts(z, ratio, sensitivity, parameters):
    """One draw of multiplier z on (gradient, bit): z_delta on the gradient and sigma_b units on the count."""
    settings = AdaptiveClip(initial=1.0, count_noise=z * ratio)
    grid = dp.grid_for(sensitivity, parameters)
    beside = CountShare.beside(sensitivity=sensitivity, grid=grid, settings=settings, noise_multiplier=z)
    assert beside.sensitivity >= math.hypot(sensitivity, beside.half * grid)
    on_gradient = z * beside.sensitivity / sensitivity
    on_count = z * beside.sensitivity / (2 * beside.half * grid)
    assert on_gradient**-2 + (2 * on_count) ** -2 == pytest.approx(z**-2, rel=1e-12)
    if beside.half > 50:  # else the coordinate is worth a whole step of the grid, which is charged all the same
        assert on_count == pytest.approx(settings.count_noise, rel=0.02)
        assert on_gradient == pytest.approx(settings.gradient_noise(z), rel=0.02)


def test_a_step_is_one_draw_of_one_charge(kit, monkeypatch):
    drawn = []

    def add(total, *, event, sensitivity, grid, grant):
        drawn.append((total.size, event, sensitivity))
        return dp.add_gaussian(total, event=event, sensitivity=sensitivity, grid=grid, grant=grant)

    monkeypatch.setattr(trainer, "add_gaussian", add)
    dpsgd = mechanism(AdaptiveClip(initial=0.5, count_noise=5), noise_multiplier=1.0, steps=3)
    worker = worker_on(dpsgd)
    grant = worker._grant
    worker.fit(kit.rows((6,), 100))
    assert [(size, event) for size, event, _ in drawn] == [(22, dp.PoissonSampled(1.0, dp.Gaussian(1.0)))] * 3
    assert drawn[0][2] > dp.encoded_sensitivity(0.5, dp.grid_for(0.5, 21), 21)
    assert not grant.remaining()


def test_settings_that_cannot_be_paid_are_refused():
    with pytest.raises(UsageError, match="count alone") as caught:
        mechanism(AdaptiveClip(initial=1.0, count_noise=0.5), noise_multiplier=1.0)
    assert caught.value.code == "invalid-adaptive-clip"
    for wrong in ({"quantile": 1.0}, {"initial": 0.0}, {"count_noise": math.inf}, {"learning_rate": -1.0}):
        with pytest.raises(UsageError):
            AdaptiveClip(**({"initial": 1.0, "count_noise": 5.0} | wrong))


# --- the share --------------------------------------------------------------------------------------------------------


def check_share_is_of_the_expected_batch(kit):
    """Half of the declared population is there. Without noise: bits of plus and minus one half over the declared 100.

    With 50 rows, all within, the share is 50 * 0.5 / 100 + 0.5 = 0.75, and not the private 50 / 50 = 1.
    """
    clip = AdaptiveClip(initial=1e6, count_noise=5, quantile=0.5, learning_rate=1.0)
    worker = worker_on(mechanism(clip))
    worker.fit(kit.rows((6,), 50))
    assert worker.max_norm == pytest.approx(1e6 * math.exp(-(0.75 - 0.5)), rel=1e-12)
    worker = worker_on(mechanism(clip))
    worker.fit(kit.rows((6,), 0))
    assert worker.max_norm == 1e6, "an empty batch says nothing about the quantile"


def test_share_is_of_the_expected_batch(kit):
    check_share_is_of_the_expected_batch(kit)


def test_broken_copy_with_a_private_denominator_is_caught(kit, monkeypatch):
    def realised(self, *, within, units):
        self_units.append(units)
        return self.half * (2 * within - units)

    self_units = []
    share = CountShare.share
    monkeypatch.setattr(CountShare, "coordinate", realised)
    monkeypatch.setattr(
        CountShare, "share", lambda self, noised, *, expected: share(self, noised, expected=max(1, self_units[-1]))
    )
    with pytest.raises(AssertionError):
        check_share_is_of_the_expected_batch(kit)


def check_count_is_noised(kit):
    """The same 100 rows, all within: without noise the clip would end at the same number every time.

    16 values rounded to 12 digits are all equal with a probability far below 1e-12.
    """
    clip = AdaptiveClip(initial=1e6, count_noise=5)
    ends = set()
    for _ in range(16):
        worker = worker_on(mechanism(clip, noise_multiplier=1.0))
        worker.fit(kit.rows((6,), 100))
        ends.add(round(math.log(worker.max_norm), 12))
    assert len(ends) > 1
    return ends


def test_count_is_noised(kit):
    check_count_is_noised(kit)


def test_noise_of_the_count_is_as_declared(kit):
    """log(clip) after one step is -eta * (noise of std sigma_b / 100) around a constant.

    400 draws: the sample deviation lies within 20 % of 5 units but for 1e-7 (chi-square).
    """
    clip = AdaptiveClip(initial=1.0, count_noise=5, learning_rate=1.0)
    model = nn.Linear(6, 3)
    data = kit.rows((6,), 0)
    dpsgd = mechanism(clip, noise_multiplier=1.0, steps=400)
    worker = worker_on(dpsgd, model)
    logs = [0.0]
    for batch in dpsgd.batches(data):
        worker.step(batch)
        logs.append(math.log(worker.max_norm))
    assert np.std(np.diff(logs)) * 100 == pytest.approx(5, rel=0.2)


def test_broken_copy_with_an_exact_count_is_caught(kit, monkeypatch):
    def exact(total, *, event, sensitivity, grid, grant):
        noised = dp.add_gaussian(total, event=event, sensitivity=sensitivity, grid=grid, grant=grant)
        noised[-1] = total[-1] * grid
        return noised

    monkeypatch.setattr(trainer, "add_gaussian", exact)
    with pytest.raises(AssertionError):
        check_count_is_noised(kit)


# --- the clip and the grid that follow --------------------------------------------------------------------------------


def check_every_step_is_clipped_and_noised_by_its_own_clip(kit, monkeypatch):
    """Sensitivity and grid of a step come from the clip that was used in it: a stale one breaks the promise."""
    seen = []

    def add(total, *, event, sensitivity, grid, grant):
        norm = float(np.linalg.norm(total[:-1] * grid))
        seen.append((norm, sensitivity, grid))
        return dp.add_gaussian(total, event=event, sensitivity=sensitivity, grid=grid, grant=grant)

    monkeypatch.setattr(trainer, "add_gaussian", add)
    clip = AdaptiveClip(initial=100.0, count_noise=5, learning_rate=2.0, quantile=0.3)
    dpsgd = mechanism(clip, expected_batch_size=1, population=1, steps=8)
    worker = worker_on(dpsgd)
    clips = []
    for batch in dpsgd.batches(kit.rows((6,), 1, scale=200.0)):
        clips.append(worker.max_norm)
        worker.step(batch)
    assert min(clips) < 0.5 * max(clips)
    for (norm, sensitivity, grid), used in zip(seen, clips, strict=True):
        assert norm <= used * 1.02 + 22**0.5 * grid
        assert sensitivity >= dp.encoded_sensitivity(used, dp.grid_for(used, 21), 21)
        assert sensitivity <= 1.5 * used
        assert grid in (dp.grid_for(used, 21), dp.grid_for(used, 21) / 4)


def test_every_step_is_clipped_and_noised_by_its_own_clip(kit, monkeypatch):
    check_every_step_is_clipped_and_noised_by_its_own_clip(kit, monkeypatch)


def test_broken_copy_with_a_stale_sensitivity_is_caught(kit, monkeypatch):
    from reticent.training import gradient_sums, linear

    stale = dp.encoded_sensitivity(100.0, dp.grid_for(100.0, 21), 21) / 100
    for module in (gradient_sums, linear):
        monkeypatch.setattr(module, "encoded_sensitivity", lambda *_: stale)
    with pytest.raises(AssertionError):
        check_every_step_is_clipped_and_noised_by_its_own_clip(kit, monkeypatch)


def test_the_clip_finds_the_quantile(kit):
    """Andrew et al. 2021: from ten times too large to the median of the norms, without noise, in 60 steps."""
    examples = kit.rows((6,), 100)
    model = nn.Linear(6, 3)
    features, labels = torch.from_numpy(examples.features), torch.from_numpy(examples.labels)
    norms = kit.gradients_one_by_one(model, kit.loss, features, labels).norm(dim=1)
    clip = AdaptiveClip(initial=10 * float(norms.median()), count_noise=5)
    worker = worker_on(mechanism(clip, steps=60), model)
    worker.fit(examples)
    assert worker.max_norm == pytest.approx(float(norms.median()), rel=0.1)


def test_it_works_for_persons_and_for_updates(kit):
    examples = kit.rows((6,), 60, persons=np.arange(60) // 3)
    clip = AdaptiveClip(initial=100.0, count_noise=5)
    given = {"population": 20, "expected_batch_size": 20, "unit": "person", "steps": 2}
    worker = worker_on(mechanism(clip, **given))
    worker.fit(examples)
    assert worker.max_norm == pytest.approx(100 * math.exp(-0.2), rel=1e-9)
    model = nn.Linear(6, 3)
    fedavg = DPFedAvg(**(GIVEN | given), clipping_norm=clip)
    worker = fedavg.trainer(model, kit.loss, LocalSteps(optimizer=optimizer_factory("sgd", 0.1), steps=2))
    worker.fit(examples)
    assert worker.max_norm == pytest.approx(100 * math.exp(-0.2), rel=1e-9)


def test_rows_that_are_not_finite_and_extreme_shares_keep_the_clip_finite(kit):
    examples = kit.rows((6,), 100)
    examples.features[::2] = math.nan
    worker = worker_on(mechanism(AdaptiveClip(initial=1.0, count_noise=5), steps=3))
    worker.fit(examples)
    assert math.isfinite(worker.max_norm)
    clip = AdaptiveClip(initial=1.0, count_noise=5)
    assert clip.next(1.0, 1e9) == adaptive_clip.SMALLEST_CLIP
    assert clip.next(1.0, -1e9) == adaptive_clip.LARGEST_CLIP
