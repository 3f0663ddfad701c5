"""Callers who try, mostly by mistake, to take sampler, clip, noise and accountant apart.

What Python cannot prevent (a loss or a hook that keeps rows of its own) is named in `reticent.training`'s docstring.
"""

import contextlib
import copy
import dataclasses
import threading

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from reticent import dp
from reticent.data import Examples
from reticent.errors import PolicyRefused, ReticentError, UsageError
from reticent.training import DPSGD, Batch, DPFedAvg, LocalSteps, logistic, two_layer

GIVEN = {
    "population": 10,
    "expected_batch_size": 10,
    "steps": 3,
    "max_grad_norm": 1.0,
    "unit": "record",
    "relation": "add_or_remove_one",
    "noise_multiplier": 1.0,
}


def made(model=None, *, make=torch.optim.SGD, **changes):
    torch.manual_seed(0)
    dpsgd = DPSGD(**(GIVEN | changes))
    model = two_layer(6, 3, hidden=4) if model is None else model
    optimizer = make(model.parameters(), lr=0.1)
    return dpsgd, model, optimizer, dpsgd.trainer(model, F.cross_entropy, optimizer)


def refused(code, action, *arguments):
    with pytest.raises(ReticentError) as caught:
        action(*arguments)
    assert caught.value.code == code


# --- batches ----------------------------------------------------------------------------------------------------------


def test_a_batch_cannot_be_made_copied_repeated_or_used_after_a_look(kit):
    dpsgd, _, _, worker = made()
    examples = kit.rows((6,), 10)
    batches = dpsgd.batches(examples)
    first = next(batches)
    refused("not-the-next-sample", worker.step, copy.copy(first))
    refused("not-the-next-sample", worker.step, Batch(0, first._source, first._sampler))
    with pytest.raises(TypeError):
        dataclasses.replace(first, number=1)
    worker.step(first)
    refused("not-the-next-sample", worker.step, first)
    second = next(batches)
    assert len(second.labels) == 10
    refused("not-the-next-sample", worker.step, second)


def test_a_sample_cannot_serve_two_trainers(kit):
    """Two models charged for independent samples must not be trained on one."""
    dpsgd, _, _, worker = made()
    model = logistic(6, 3)
    other = dpsgd.trainer(model, F.cross_entropy, torch.optim.SGD(model.parameters(), lr=0.1))
    batch = next(dpsgd.batches(kit.rows((6,), 10)))
    worker.step(batch)
    refused("not-the-next-sample", other.step, batch)


def test_a_batch_holds_no_rows_before_it_is_used(kit):
    """Nothing to look at, to choose by, or to change: the sample is drawn inside the step."""
    dpsgd, *_ = made(population=10_000, expected_batch_size=10)
    batch = next(dpsgd.batches(kit.rows((6,), 1000)))
    assert batch._seen is None
    assert repr(batch) == "Batch(number=0)"
    assert not hasattr(batch, "__len__")


def test_loaders_and_shuffled_batches_are_refused(kit):
    """field/dp.md 4.5: the accounting holds for Poisson samples and nothing else."""
    examples = kit.rows((6,), 10)
    data = TensorDataset(torch.from_numpy(examples.features), torch.from_numpy(examples.labels))
    _, _, _, worker = made()
    for loader in (DataLoader(data, batch_size=5, shuffle=True), [examples.select(np.arange(5))], None):
        refused("not-examples", worker.fit, loader)
    for batch in DataLoader(data, batch_size=5):
        refused("not-the-next-sample", worker.step, batch)
    worker.fit(data)
    assert worker.done == 3


def test_a_dataset_of_rows_is_none_of_persons(kit):
    examples = kit.rows((6,), 10)
    parts = torch.from_numpy(examples.features), torch.from_numpy(examples.labels)
    _, _, _, worker = made(unit="person")
    refused("not-examples", worker.fit, TensorDataset(*parts))
    worker.fit(TensorDataset(*parts, torch.arange(10) // 2))


# --- the mechanism ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_grad_norm", 100.0),
        ("bound", 100.0),
        ("noise", 0.0),
        ("sampling_probability", 0.001),
        ("expected_batch_size", 1),
        ("steps", 1000),
        ("step_event", dp.PoissonSampled(1.0, dp.Gaussian(0.0))),
    ],
)
def test_no_setting_can_be_changed_afterwards(name, value):
    dpsgd, *_ = made()
    refused("mechanism-is-fixed", setattr, dpsgd, name, value)
    assert dpsgd.max_grad_norm == 1.0


@pytest.mark.parametrize("name", ["sensitivity", "grid", "max_norm", "done", "spent"])
def test_what_a_trainer_says_cannot_be_overwritten(name):
    _, _, _, worker = made()
    with pytest.raises(AttributeError):
        setattr(worker, name, 0.0)


def test_every_step_is_charged_as_it_is_drawn(kit):
    dpsgd, _, _, worker = made(unit="person")
    assert worker.epsilon(1e-5) == 0.0
    for number, batch in enumerate(dpsgd.batches(kit.rows((6,), 10)), start=1):
        worker.step(batch)
        expected = dp.epsilon(dp.Repeated(dpsgd.step_event, number), delta=1e-5, relation="add_or_remove_one")
        assert worker.epsilon(1e-5) == expected
    assert worker.epsilon(1e-5) == dpsgd.epsilon(1e-5)
    refused("not-the-next-sample", worker.fit, kit.rows((6,), 10))
    with pytest.raises(PolicyRefused):
        worker.epsilon(0.2)


# --- what happens between two steps -----------------------------------------------------------------------------------


def check_notices(kit, do, *, make=torch.optim.SGD, again=None):
    dpsgd, model, optimizer, worker = made(make=make)
    examples = kit.rows((6,), 10)
    first, second, _ = dpsgd.batches(examples)
    worker.step(first)
    do(model, optimizer, examples)
    refused("changed-between-steps", worker.step, second)
    assert worker.done == 1


def plain_step(model, optimizer, examples):
    F.cross_entropy(model(torch.from_numpy(examples.features)), torch.from_numpy(examples.labels)).backward()
    optimizer.step()


def momentum_only(model, optimizer, examples):
    """No weight moves, but the raw gradient is in the momentum, and reaches the weights with the next step."""
    rates = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    plain_step(model, optimizer, examples)
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate


def swapped(model, optimizer, examples):
    model[3] = nn.Linear(4, 3)


def swapped_parameter(model, optimizer, examples):
    model[3].bias = nn.Parameter(torch.zeros(3))


def frozen(model, optimizer, examples):
    model[1].requires_grad_(False)


def loaded(model, optimizer, examples):
    model.load_state_dict({name: value + 1e-3 for name, value in model.state_dict().items()})


def written(model, optimizer, examples):
    model[1].weight.data[0, 0] += 1e-6


CHANGES = [plain_step, momentum_only, swapped, swapped_parameter, frozen, loaded, written]


def with_momentum(parameters, lr):
    return torch.optim.SGD(parameters, lr=lr, momentum=0.9)


@pytest.mark.parametrize("do", CHANGES, ids=lambda do: do.__name__)
@pytest.mark.parametrize("make", [with_momentum, torch.optim.Adam], ids=["momentum", "adam"])
def test_what_moved_the_weights_or_the_optimizer_is_noticed(kit, do, make):
    check_notices(kit, do, make=make)


@pytest.mark.parametrize("do", [plain_step, momentum_only, swapped], ids=lambda do: do.__name__)
def test_broken_copy_that_does_not_watch_is_caught(kit, do, monkeypatch):
    monkeypatch.setattr("reticent.training.watch.Watch.refuse_changes", lambda self: None)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check_notices(kit, do, make=with_momentum)


def test_what_tells_nothing_of_rows_is_allowed(kit):
    """Learning rates, modes, looking at weights, and a model that diverged to NaN."""
    dpsgd, model, optimizer, worker = made(steps=4, make=torch.optim.Adam)
    batches = dpsgd.batches(kit.rows((6,), 10))
    worker.step(next(batches))
    optimizer.param_groups[0]["lr"] = 0.5
    model.eval()
    model(torch.rand(3, 6)).sum().backward()  # gradients left behind are dropped
    copy.deepcopy(model)
    worker.step(next(batches))
    optimizer.param_groups[0]["lr"] = float("inf")
    worker.step(next(batches))
    assert not torch.isfinite(model[1].weight).all()
    worker.step(next(batches))


# --- losses and hooks -------------------------------------------------------------------------------------------------


def step_with(kit, loss):
    dpsgd = DPSGD(**(GIVEN | {"noise_multiplier": 0.0, "steps": 1, "max_grad_norm": 0.3}))
    torch.manual_seed(0)
    model = two_layer(6, 3, hidden=4)
    dpsgd.trainer(model, loss, torch.optim.SGD(model.parameters(), lr=1.0)).fit(kit.rows((6,), 10))
    return torch.cat([value.detach().flatten() for value in model.parameters()])


def test_mean_and_sum_over_a_batch_of_one_are_the_same(kit):
    """field/dp.md 4.10: the loss' reduction changes neither the clip nor the noise."""
    assert torch.equal(step_with(kit, nn.CrossEntropyLoss()), step_with(kit, nn.CrossEntropyLoss(reduction="sum")))


def test_a_loss_that_remembers_rows_is_refused(kit):
    """Its first examples would be in the gradients of all the others."""

    class Centred(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = torch.zeros(3)

        def forward(self, outputs, labels):
            loss = F.cross_entropy(outputs - self.last, labels)
            self.last = outputs.detach().mean(0)
            return loss

    dpsgd = DPSGD(**GIVEN)
    model = two_layer(6, 3)
    worker = dpsgd.trainer(model, Centred(), torch.optim.SGD(model.parameters(), lr=0.1))
    refused("mixes-examples", worker.fit, kit.rows((6,), 10))


def test_a_hook_that_mixes_examples_is_refused_also_when_it_comes_later(kit):
    dpsgd, model, _, worker = made(steps=2)
    first, second = dpsgd.batches(kit.rows((6,), 10))
    worker.step(first)
    model[1].register_forward_hook(lambda layer, given, made: made - made.mean(0))
    refused("mixes-examples", worker.step, second)


def test_a_step_that_failed_on_its_sample_ends_the_training(kit):
    """Else a sample could be refused, by a loss that raises, until one pleases."""
    armed = []

    def choosy(outputs, labels):
        if armed:
            raise KeyboardInterrupt  # an ordinary error only silences its own row (test_rows_alone.py)
        return F.cross_entropy(outputs, labels)

    dpsgd = DPSGD(**GIVEN)
    model = two_layer(6, 3)
    worker = dpsgd.trainer(model, choosy, torch.optim.SGD(model.parameters(), lr=0.1))
    examples = kit.rows((6,), 10)
    batches = dpsgd.batches(examples)
    worker.step(next(batches))
    armed.append(True)
    with pytest.raises(KeyboardInterrupt):
        worker.step(next(batches))
    armed.clear()
    refused("step-interrupted", worker.step, next(batches))
    refused("step-interrupted", worker.fit, examples)
    assert worker.done == 1
    assert dp.flatten(worker.spent) == {dpsgd.step_event: 2}, "the interrupted step stays spent"


def test_noise_that_was_not_granted_ends_the_training(kit):
    dpsgd, model, optimizer, _ = made()
    grant = dp.Grant.without_ledger([dpsgd.event_of(0, 1)])
    worker = dpsgd.trainer(model, F.cross_entropy, optimizer, grant=grant)
    refused("noise-not-granted", worker.fit, kit.rows((6,), 10))
    refused("step-interrupted", worker.fit, kit.rows((6,), 10))


def test_lazy_models_and_schedulers_that_look_at_a_loss_are_refused():
    model = nn.Sequential(nn.LazyLinear(3))
    with pytest.raises(UsageError):
        DPSGD(**GIVEN).trainer(model, F.cross_entropy, torch.optim.SGD(model.parameters(), lr=0.1))
    dpsgd, model, optimizer, _ = made()
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    with pytest.raises(PolicyRefused):
        dpsgd.trainer(model, F.cross_entropy, optimizer, scheduler=plateau)
    other = torch.optim.lr_scheduler.StepLR(torch.optim.SGD(model.parameters(), lr=1.0), 1)
    with pytest.raises(UsageError):
        dpsgd.trainer(model, F.cross_entropy, optimizer, scheduler=other)


# --- units ------------------------------------------------------------------------------------------------------------


def sites(kit):
    return {name: kit.rows((6,), rows, seed=rows) for name, rows in (("east", 3), ("north", 12), ("south", 0))}


def check_a_whole_site_is_one_contribution(kit):
    """All rows of a site are summed, then clipped: one row more or a hundred move the sum by the clip at most."""
    torch.manual_seed(1)
    model = two_layer(6, 3, hidden=4).double()
    data = sites(kit)
    each = []
    for part in data.values():
        features, labels = torch.from_numpy(part.features).double(), torch.from_numpy(part.labels)
        if len(labels):
            each.append(kit.gradients_one_by_one(model, kit.loss, features, labels).sum(0))
    max_norm = float(min(gradient.norm() for gradient in each)) / 2
    expected = -kit.clipped_one_by_one(torch.stack(each), max_norm) / 3
    before = torch.cat([value.detach().flatten().clone() for value in model.parameters()])
    dpsgd = DPSGD(
        population=3,
        expected_batch_size=3,
        steps=1,
        max_grad_norm=max_norm,
        unit="site",
        relation="replace_one",
        noise_multiplier=0.0,
    )
    worker = dpsgd.trainer(model, kit.loss, torch.optim.SGD(model.parameters(), lr=1.0))
    worker.fit(data)
    moved = torch.cat([value.detach().flatten() for value in model.parameters()]) - before
    torch.testing.assert_close(moved, expected, rtol=0, atol=worker.grid)


def test_a_whole_site_is_one_contribution(kit):
    check_a_whole_site_is_one_contribution(kit)


def test_broken_copy_in_which_rows_are_clipped_where_sites_are_the_unit_is_caught(kit, monkeypatch):
    from reticent.training import contributions

    of = contributions.unit_gradients
    monkeypatch.setattr(
        contributions, "unit_gradients", lambda g, rows: of(g, contributions.Rows(rows.features, rows.labels, None))
    )
    with pytest.raises(AssertionError):
        check_a_whole_site_is_one_contribution(kit)


def test_a_site_cannot_hide_itself_in_its_own_rows(kit):
    _, _, _, worker = made(unit="site")
    with pytest.raises(PolicyRefused, match="whose rows they are") as caught:
        worker.fit(kit.rows((6,), 10))
    assert caught.value.code == "unit-site-unsupported"
    assert "unit='person'" in caught.value.hint
    refused("not-examples", worker.fit, {})
    for unit in ("record", "person"):
        _, _, _, other = made(unit=unit)
        refused("not-examples", other.fit, sites(kit))


def test_sites_are_sampled_whole(kit):
    dpsgd, *_ = made(unit="site", population=3, expected_batch_size=1.5, steps=40)
    counts = {tuple(batch.counts) for batch in dpsgd.batches(sites(kit))}
    assert counts <= {(), (3,), (12,), (0,), (3, 12), (3, 0), (12, 0), (3, 12, 0)}
    assert len(counts) > 3


def race(worker, dpsgd, examples):
    """Two threads with two batches of the same number, both inside the step before either is done."""
    both = threading.Barrier(2, timeout=0.3)
    refuse = worker._progress.refuse_interrupted

    def meet():
        refuse()
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait()

    worker._progress.refuse_interrupted = meet
    codes = []

    def step(batch):
        try:
            worker.step(batch)
        except PolicyRefused as error:
            codes.append(error.code)

    threads = [threading.Thread(target=step, args=(next(dpsgd.batches(examples)),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return codes


def test_two_threads_cannot_do_the_same_step(kit):
    dpsgd, _, _, worker = made(steps=5)
    assert race(worker, dpsgd, kit.rows((6,), 10)) == ["not-the-next-sample"]
    assert worker.done == 1
    dpsgd, _, _, broken = made(steps=5)
    broken._one_at_a_time = contextlib.nullcontext()
    assert race(broken, dpsgd, kit.rows((6,), 10)) != ["not-the-next-sample"]


class Centred(nn.Module):
    """A loss around a centre that follows the outputs it has seen."""

    def __init__(self):
        super().__init__()
        self.register_buffer("centre", torch.zeros(3))

    def forward(self, outputs, labels):
        value = F.cross_entropy(outputs - self.centre, labels)
        self.centre.mul_(0.9).add_(0.1 * outputs.detach().mean(0))
        return value


class Remembers(nn.Module):
    """A model that keeps what it saw in an attribute that is no tensor of its own."""

    def __init__(self):
        super().__init__()
        self.inner, self.seen = nn.Linear(6, 3), [0.0]

    def forward(self, x):
        outputs = self.inner(x) * (1 + self.seen[0])
        self.seen[0] = x.detach().mean()
        return outputs


@pytest.mark.parametrize("case", ["loss", "model", "optimizer"])
def test_nothing_carries_one_person_into_the_update_of_the_next(kit, case):
    """In DP-FedAvg units are trained one after another; each update is clipped, and must be of its own unit alone."""
    model = Remembers() if case == "model" else nn.Linear(6, 3)
    shared = torch.optim.Adam(model.parameters())
    loss = Centred() if case == "loss" else F.cross_entropy
    local = LocalSteps(optimizer=(lambda _: shared) if case == "optimizer" else torch.optim.Adam, epochs=1)
    given = {name: value for name, value in GIVEN.items() if name not in ("max_grad_norm", "unit")}
    worker = DPFedAvg(**given, clipping_norm=0.1, unit="person").trainer(model, loss, local)
    examples = kit.rows((6,), 10)
    data = Examples.of(examples.features, examples.labels, np.arange(10) // 2)
    if case == "optimizer":
        with pytest.raises(UsageError) as caught:
            worker.fit(data)
        assert caught.value.code == "optimizer-not-fresh"
    else:
        refused("mixes-examples", worker.fit, data)
