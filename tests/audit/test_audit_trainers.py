"""Audits of trainers: our own is not flagged; copies of a textbook loop with one fault each are."""

from __future__ import annotations

import functools
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from reticent import audit, dp
from reticent.audit.probe import Probe, probe_loss, with_marks
from reticent.data import Examples
from reticent.training import DPSGD

CANARIES, LENGTH = 4000, 100.0
ROWS = Examples.of(np.random.default_rng(3).normal(size=(20, 4)), np.random.default_rng(4).integers(0, 2, 20))
LOSS = nn.CrossEntropyLoss()
Fault = str


def model(inputs: int = 4) -> nn.Module:
    """A linear model that starts at zero: every call gives the same one, and no generator is seeded."""
    made = nn.Linear(inputs, 2)
    nn.init.zeros_(made.weight)
    nn.init.zeros_(made.bias)
    return made


def ours(noise: float, *, steps: int = 1, probability: float = 1.0) -> tuple[DPSGD, Any]:
    """This project's trainer, and a `train` that runs it with plain SGD."""
    dpsgd = DPSGD(
        population=10_000,
        expected_batch_size=10_000 * probability,
        steps=steps,
        max_grad_norm=1.0,
        unit="record",
        relation="add_or_remove_one",
        noise_multiplier=noise,
    )

    def train(trained: nn.Module, loss: nn.Module, examples: Examples) -> None:
        optimizer = torch.optim.SGD(trained.parameters(), lr=10_000 * probability)
        dpsgd.trainer(trained, loss, optimizer).fit(examples)

    return dpsgd, train


def textbook(noise: float, fault: Fault = "", *, steps: int = 1, probability: float = 1.0) -> Any:
    """DP-SGD as Abadi et al. 2016 print it, with a clip of 1, a learning rate of 1 and, if named, one fault."""

    def train(trained: nn.Module, loss: nn.Module, examples: Examples) -> None:
        weights = {name: value.detach() for name, value in trained.named_parameters()}

        features, labels = torch.from_numpy(examples.features), torch.from_numpy(examples.labels)
        order = torch.randperm(len(examples))
        for step in range(steps):
            chosen = torch.rand(len(examples)) < probability
            if fault == "shuffled":
                chosen = torch.isin(torch.arange(len(examples)), order[step :: math.ceil(1 / probability)])
            flat = _gradients(trained, loss, weights, (features[chosen], labels[chosen]))
            total = _sum(flat, fault)
            if fault == "the same noise every time":
                torch.manual_seed(step)
            if not (fault == "noise in the first step only" and step > 0):
                total += noise * (0.5 if fault == "half the noise" else 1.0) * torch.randn_like(total)
            parts = torch.split(total, [value.numel() for value in weights.values()])
            for (name, value), part in zip(list(weights.items()), parts, strict=True):
                weights[name] = value - part.view(value.shape)
        with torch.no_grad():
            for name, value in trained.named_parameters():
                value.copy_(weights[name])

    return train


def _gradients(trained: nn.Module, loss: nn.Module, weights: Any, rows: Any) -> Any:
    """One gradient for each row, `(rows, parameters)`; a few are differentiated one by one, which is faster."""

    def of_one(values: Any, row: Any, label: Any) -> Any:
        return loss(functional_call(trained, values, (row[None],)), label[None])

    features, labels = rows
    if len(labels) > 3:
        found = vmap(grad(of_one), in_dims=(None, 0, 0))(weights, features, labels)
        return torch.cat([part.flatten(1) for part in found.values()], 1)
    flat = torch.zeros(len(labels), sum(value.numel() for value in weights.values()))
    for i in range(len(labels)):
        leaves = {name: value.clone().requires_grad_() for name, value in weights.items()}
        parts = torch.autograd.grad(of_one(leaves, features[i], labels[i]), list(leaves.values()))
        flat[i] = torch.cat([part.flatten() for part in parts])
    return flat


def _sum(flat: Any, fault: Fault) -> Any:
    if fault == "no clip":
        return flat.sum(0)
    if fault == "the batch is clipped":
        whole = flat.sum(0)
        return whole / whole.norm().clamp(min=1.0)
    return (flat / flat.norm(dim=1, keepdim=True).clamp(min=1.0)).sum(0)


def many(train: Any, claim: audit.Claim, confidence: float = 0.95) -> audit.Finding:
    attack = audit.GradientCanaries(
        train=train, model=model, loss=LOSS, examples=ROWS, canaries=CANARIES, length=LENGTH
    )
    return audit.one_run(attack, canaries=CANARIES, claim=claim, confidence=confidence)


ONE = audit.Claim.of(dp.Gaussian(1.0), relation="add_or_remove_one", delta=1e-5)
TWO = audit.Claim.of(dp.Gaussian(0.5), relation="add_or_remove_one", delta=1e-5)
FOUR = audit.Claim.of(dp.Repeated(dp.Gaussian(2.0), 4), relation="add_or_remove_one", delta=1e-5)  # the same curve


def test_our_trainer_is_not_flagged_and_half_its_noise_is() -> None:
    """False alarms, from binomials: 1e-13 for the right noise (657 of 683 guesses flag, 600 are expected), 1e-8 for
    half of it (670 are expected, a percent of the noise being for the grid).
    """
    dpsgd, train = ours(1.0)
    claim = audit.Claim.of(dpsgd.event, relation="add_or_remove_one", delta=1e-5)
    finding = many(train, claim)
    assert not finding.flagged
    assert 0.5 < finding.epsilon_at_least < claim.epsilon
    assert many(ours(0.5)[1], claim).flagged


def test_our_trainer_over_several_steps_is_not_flagged() -> None:
    """False alarm 1e-13, as above: four steps with twice the noise are the same Gaussian release."""
    assert not many(ours(2.0, steps=4)[1], FOUR).flagged


@pytest.mark.parametrize("fault", ["", "half the noise", "no clip"])
def test_faults_that_many_canaries_find_in_one_step(fault: Fault) -> None:
    """Right: false alarm 1e-13. Faults: misses 4e-10 (half the noise), none for the other, all guesses being right."""
    assert many(textbook(1.0, fault), ONE).flagged == bool(fault)


@pytest.mark.parametrize("fault", ["", "noise in the first step only"])
def test_faults_that_many_canaries_find_in_four_steps(fault: Fault) -> None:
    """The noise of one step under the signal of four is half of what it should be: misses 4e-10."""
    assert many(textbook(2.0, fault, steps=4), FOUR).flagged == bool(fault)


EMPTY = ROWS.select(np.zeros(len(ROWS), dtype=np.bool_))


@pytest.mark.parametrize("fault", ["", "the batch is clipped"])
def test_a_clip_of_several_rows_at_once_turns_around_when_the_opposed_canary_enters(fault: Fault) -> None:
    """Right: false alarm at most 1e-6 by the theorem. The fault: the worlds lie 4 standard deviations apart instead of
    2. In simulated audits of such scores log10(p) lies on average 5.6 of its standard deviations below the limit of
    -1: misses below 1e-7.
    """
    attack = audit.OpposedCanary(train=textbook(0.5, fault), model=model, loss=LOSS, examples=EMPTY, length=LENGTH)
    confidence, runs = (0.9, 800) if fault else (1 - 1e-6, 400)
    assert audit.two_world(attack, runs=runs, claim=TWO, confidence=confidence).flagged == bool(fault)


def test_noise_that_is_the_same_every_time_is_flagged() -> None:
    """Not left to chance: the two worlds then have one score each, and 50 counted runs give a p-value below 1e-3."""
    train = textbook(0.5, "the same noise every time")
    attack = audit.OpposedCanary(train=train, model=model, loss=LOSS, examples=EMPTY, length=LENGTH)
    assert audit.two_world(attack, runs=100, claim=TWO, confidence=0.99).flagged


def test_our_trainer_does_not_turn_around() -> None:
    """False alarm at most 1e-6 by the theorem."""
    dpsgd, train = ours(0.3)
    claim = audit.Claim.of(dpsgd.event, relation="add_or_remove_one", delta=1e-5)
    attack = audit.OpposedCanary(train=train, model=model, loss=LOSS, examples=ROWS, length=LENGTH)
    assert not audit.two_world(attack, runs=20, claim=claim, confidence=1 - 1e-6).flagged


@functools.cache
def sampled() -> audit.Claim:
    event = dp.Repeated(dp.PoissonSampled(0.25, dp.Gaussian(0.07)), 4)
    return audit.Claim.of(event, relation="add_or_remove_one", delta=1e-5)


@pytest.mark.parametrize("fault", ["", "shuffled"])
def test_batches_that_are_shuffled_are_no_poisson_samples(fault: Fault) -> None:
    """Under the claim a unit is in none of four samples with probability 0.75^4 = 0.32; shuffled, it is always in one.

    Right: false alarm at most 1e-6 by the theorem. Shuffled: the worlds lie 7 standard deviations apart; a threshold
    amid the gap is wrong in 0.02 % of the runs, and up to 6 of 100 wrong in either world still flag: misses below 1e-9.
    """
    attack = audit.GradientCanaries(
        train=textbook(0.07, fault, steps=4, probability=0.25),
        model=model,
        loss=LOSS,
        examples=EMPTY,
        canaries=1,
        length=LENGTH,
    )
    confidence = 0.99 if fault else 1 - 1e-6
    assert audit.two_world(audit.alone(attack), runs=200, claim=sampled(), confidence=confidence).flagged == bool(fault)


def _memorise(trained: nn.Module, loss: nn.Module, examples: Examples) -> None:
    features, labels = torch.from_numpy(examples.features), torch.from_numpy(examples.labels)
    optimizer = torch.optim.SGD(trained.parameters(), lr=0.5)
    for _ in range(60):
        optimizer.zero_grad()
        loss(trained(features), labels).backward()
        optimizer.step()


@pytest.mark.parametrize("private", [True, False])
def test_wrong_labels_are_memorised_without_privacy_and_not_with_it(*, private: bool) -> None:
    """1000 inputs and at most 120 rows: a linear model learns every label by heart. 100 canaries, claim epsilon 1.

    With noise: false alarm at most 1e-6 by the theorem. Without: 35 right guesses of 40 flag, and in 300 drawings of
    the coins 39 or 40 were right (0.1 mistakes on average): six have a probability below 1e-8.
    """
    generator = np.random.default_rng(9)
    ordinary = Examples.of(generator.normal(size=(20, 1000)), generator.integers(0, 2, 20))
    pool = Examples.of(generator.normal(size=(100, 1000)), generator.integers(0, 2, 100))
    attack = audit.MislabelledCanaries(
        train=ours(5.0)[1] if private else _memorise,
        model=functools.partial(model, 1000),
        loss=LOSS,
        examples=ordinary,
        planted=audit.MislabelledCanaries.mislabel(pool, 2),
    )
    confidence = 1 - 1e-6 if private else 0.95
    found = audit.one_run(attack, canaries=100, claim=audit.Claim(1.0, 1e-5), confidence=confidence, guesses=40)
    assert found.flagged != private


def test_the_drawer_leaves_ordinary_rows_alone() -> None:
    """The gradient of an ordinary row is that without the probe; a canary's is its own coordinate, as long as asked."""
    plain: Any = model()
    probe: Any = Probe(plain, (4,), 3)
    marked = with_marks(ROWS, np.array([2]), np.array([7.0]))
    features, labels = torch.from_numpy(marked.features), torch.from_numpy(marked.labels)
    loss = probe_loss(LOSS)
    for row in range(len(ROWS)):
        probe.zero_grad()
        loss(probe(features[row : row + 1]), labels[row : row + 1]).backward()
        assert not probe.drawer.grad.any()
        wanted = torch.autograd.grad(LOSS(plain(features[row : row + 1, :4]), labels[row : row + 1]), plain.weight)[0]
        assert torch.allclose(plain.weight.grad, wanted)
    probe.zero_grad()
    loss(probe(features[-1:]), labels[-1:]).backward()
    assert probe.drawer.grad.tolist() == [0.0, 7.0, 0.0]
    assert not plain.weight.grad.any()
    assert not plain.bias.grad.any()


def test_marks_are_units_of_their_own() -> None:
    persons = Examples.of(np.zeros((4, 2, 3)), np.zeros(4), persons=np.array([0, 0, 1, 1]))
    marked = with_marks(persons, np.array([1, 2]), np.array([1.0, 1.0]))
    assert marked.features.shape == (6, 8)
    assert marked.units.tolist() == [0, 0, 1, 1, 2, 3]
    assert marked.labels.dtype == persons.labels.dtype


def test_audit_loads_no_torch() -> None:
    code = "import sys, reticent.audit; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
