"""The mechanism: arguments, noise, epsilon, and its Poisson samples."""

import math

import numpy as np
import pytest
from scipy import stats

from reticent import dp
from reticent.data import Examples
from reticent.errors import PolicyRefused, UsageError
from reticent.training import DPSGD, mechanism

GIVEN = {
    "population": 1000,
    "expected_batch_size": 50,
    "steps": 400,
    "max_grad_norm": 1.0,
    "unit": "record",
    "relation": "add_or_remove_one",
}


def make(**changes):
    return DPSGD(**(GIVEN | {"noise_multiplier": 1.0} | changes))


def test_noise_is_derived_from_the_target_and_the_epsilon_does_not_exceed_it():
    made = make(noise_multiplier=None, target=dp.Target(epsilon=3, delta=1e-5))
    assert made.sampling_probability == 0.05
    assert 2.9 < made.epsilon(1e-5) <= 3.0


def test_known_epsilon():
    """field/dp.md section 3: PLD 0.8530 for sigma 1.3, q 250/60000, 3600 steps, delta 1e-5."""
    made = make(population=60_000, expected_batch_size=250, steps=3600, noise_multiplier=1.3)
    assert made.epsilon(1e-5) == pytest.approx(0.8530, abs=0.005)
    assert make(noise_multiplier=0.0).epsilon(1e-5) == math.inf


def test_release_holds_every_step():
    made = make(unit="person", relation="replace_one")
    release = made.release("ward-7", "2026-10")
    event = dp.PoissonSampled(0.05, dp.Gaussian(1.0))
    assert release.counts() == {event: 400}
    assert (release.unit, release.relation, release.population) == ("person", "replace_one", "ward-7")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"population": 0}, "invalid-dpsgd"),
        ({"expected_batch_size": 0}, "invalid-dpsgd"),
        ({"expected_batch_size": 1001}, "invalid-dpsgd"),
        ({"expected_batch_size": math.nan}, "invalid-dpsgd"),
        ({"steps": 0}, "invalid-dpsgd"),
        ({"max_grad_norm": 0.0}, "invalid-dpsgd"),
        ({"max_grad_norm": 1e-30}, "invalid-dpsgd"),
        ({"max_grad_norm": math.inf}, "invalid-dpsgd"),
        ({"noise_multiplier": None}, "target-or-noise"),
        ({"target": dp.Target(epsilon=1, delta=1e-5)}, "target-or-noise"),
        ({"noise_multiplier": -1.0}, "invalid-noise-multiplier"),
        ({"noise_multiplier": math.nan}, "invalid-noise-multiplier"),
        ({"relation": "neighbours"}, "invalid-relation"),
        ({"unit": "household"}, "invalid-unit"),
    ],
)
def test_wrong_arguments_name_the_value(changes, code):
    with pytest.raises(UsageError) as caught:
        make(**changes)
    assert caught.value.code == code


def test_claims_that_promise_nothing_are_refused():
    with pytest.raises(PolicyRefused) as caught:
        make(noise_multiplier=None, target=dp.Target(epsilon=1, delta=1e-3))
    assert caught.value.code == "delta-too-large"
    with pytest.raises(PolicyRefused):
        make().epsilon(1e-3)
    with pytest.raises(PolicyRefused) as caught:
        next(make(unit="site").batches(Examples.of(np.ones((3, 2)), np.zeros(3, dtype=int))))
    assert caught.value.code == "unit-site-unsupported"


# --- samples ----------------------------------------------------------------------------------------------------------


def check_poisson(sizes, n, q):
    """Mean and variance of batch sizes are those of a binomial; two-sided false-alarm rate 1e-7 each."""
    mean, variance = n * q, n * q * (1 - q)
    z = stats.norm.isf(0.5e-7)
    assert abs(np.mean(sizes) - mean) < z * math.sqrt(variance / len(sizes))
    low, high = stats.chi2.interval(1 - 1e-7, len(sizes) - 1)
    assert low < np.var(sizes, ddof=1) * (len(sizes) - 1) / variance < high


def test_batches_are_poisson_samples_of_rows(kit):
    batches = list(make().batches(kit.rows((2,), 1000)))
    assert [batch.number for batch in batches] == list(range(400))
    check_poisson([len(batch.labels) for batch in batches], 1000, 0.05)


def test_broken_copy_with_batches_of_a_fixed_size_is_caught(kit, monkeypatch):
    class FixedSize(dp.PoissonSampler):
        def sample(self, n_units, keystream=None):
            return np.random.default_rng().permutation(n_units)[: round(n_units * self.probability)]

    monkeypatch.setattr(mechanism, "PoissonSampler", FixedSize)
    with pytest.raises(AssertionError):
        check_poisson([len(batch.labels) for batch in make().batches(kit.rows((2,), 1000))], 1000, 0.05)


def test_broken_copy_that_skips_empty_batches_is_caught(kit, monkeypatch):
    class Resampling(dp.PoissonSampler):
        def sample(self, n_units, keystream=None):
            while True:
                found = super().sample(n_units)
                if len(found):
                    return found

    made = make(expected_batch_size=1)
    data = kit.rows((2,), 1000)
    check_poisson([len(batch.labels) for batch in made.batches(data)], 1000, 0.001)
    monkeypatch.setattr(mechanism, "PoissonSampler", Resampling)
    with pytest.raises(AssertionError):
        check_poisson([len(batch.labels) for batch in made.batches(data)], 1000, 0.001)


def test_persons_are_sampled_whole_and_side_by_side(kit):
    persons = np.random.default_rng(0).permutation(np.repeat(np.arange(200), 5))
    data = kit.rows((2,), 1000, persons=persons)
    owner = {tuple(row): unit for row, unit in zip(data.features.tolist(), data.units.tolist(), strict=True)}
    made = make(population=200, expected_batch_size=10, unit="person")
    batches = list(made.batches(data))
    check_poisson([len(batch.counts) for batch in batches], 200, 0.05)
    for batch in batches:
        assert set(batch.counts) <= {5}
        found = [owner[tuple(row)] for row in batch.features.tolist()]
        assert all(len(set(found[start : start + 5])) == 1 for start in range(0, len(found), 5))
        assert len(set(found)) == len(batch.counts)


def test_samples_differ_between_runs_whatever_the_global_seeds(kit):
    import torch

    def draw():
        torch.manual_seed(0)
        np.random.seed(0)
        return [tuple(batch.features[:, 0].tolist()) for batch in make(steps=5).batches(kit.rows((2,), 1000))]

    assert draw() != draw()
