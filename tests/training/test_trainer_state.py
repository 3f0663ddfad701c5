"""A training that is saved and gone on with: what comes back, what never does, and what stays spent."""

import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reticent import dp
from reticent.errors import IdentityError, PolicyRefused, UsageError
from reticent.training import DPSGD, AdaptiveClip, Segments, flatten, state, two_layer

EXACT = {
    "population": 10,
    "expected_batch_size": 10,
    "steps": 6,
    "max_grad_norm": 0.3,
    "unit": "record",
    "relation": "add_or_remove_one",
    "noise_multiplier": 0.0,
}


def parts(make, schedule=None, seed=0):
    torch.manual_seed(seed)
    model = two_layer(6, 3, hidden=4)
    optimizer = make(model)
    return model, optimizer, None if schedule is None else schedule(optimizer)


def adam_groups(model):
    return torch.optim.AdamW(
        [{"params": model[1].parameters(), "lr": 0.1}, {"params": model[3].parameters(), "weight_decay": 0.3}], lr=0.02
    )


OPTIMIZERS = {
    "momentum": lambda model: torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda model: torch.optim.Adam(model.parameters(), lr=0.05, amsgrad=True),
    "groups": adam_groups,
    "rmsprop": lambda model: torch.optim.RMSprop(model.parameters(), lr=0.01, momentum=0.5, centered=True),
    "adagrad": lambda model: torch.optim.Adagrad(model.parameters(), lr=0.1),
    "nadam": lambda model: torch.optim.NAdam(model.parameters(), lr=0.05),
}
SCHEDULES = {
    "none": None,
    "steps": lambda optimizer: torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 4]),
    "cosine": lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 6),
    "one cycle": lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.1, total_steps=8, cycle_momentum=False
    ),
    "sequence": lambda optimizer: torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            torch.optim.lr_scheduler.LinearLR(optimizer, total_iters=2),
            torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5),
        ],
        [2],
    ),
}


def check_resumed_is_uninterrupted(kit, make, schedule, **changes):
    """All rows, no noise: six steps in a row, and three, a state, three in new objects, end in the same bits."""
    examples = kit.rows((6,), 10)
    dpsgd = DPSGD(**(EXACT | changes))
    model, optimizer, scheduler = parts(make, schedule)
    dpsgd.trainer(model, F.cross_entropy, optimizer, scheduler=scheduler, proximal=0.1).fit(examples)

    first, optimizer, scheduler = parts(make, schedule)
    worker = dpsgd.trainer(first, F.cross_entropy, optimizer, scheduler=scheduler, proximal=0.1)
    batches = dpsgd.batches(examples)
    for _ in range(3):
        worker.step(next(batches))
    saved = worker.state()

    second, optimizer, scheduler = parts(make, schedule, seed=1)
    again = DPSGD(**(EXACT | changes))
    worker = again.trainer(second, F.cross_entropy, optimizer, scheduler=scheduler, proximal=0.1, state=saved)
    assert (worker.done, dp.flatten(worker.spent)) == (3, {dpsgd.step_event: 3})
    worker.fit(examples)
    assert worker.done == 6
    assert (flatten(second) == flatten(model)).all()
    return saved


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_come_back(kit, name):
    check_resumed_is_uninterrupted(kit, OPTIMIZERS[name], None)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_come_back(kit, name):
    check_resumed_is_uninterrupted(kit, OPTIMIZERS["momentum"], SCHEDULES[name])


def test_an_adaptive_clip_comes_back(kit):
    check_resumed_is_uninterrupted(
        kit, OPTIMIZERS["momentum"], None, max_grad_norm=AdaptiveClip(initial=2.0, count_noise=5)
    )


def test_a_schedule_of_the_clip_goes_on(kit):
    check_resumed_is_uninterrupted(kit, OPTIMIZERS["adam"], None, max_grad_norm=Segments((2, 0.1), (2, 0.3), (2, 1.0)))


@pytest.mark.parametrize("part", ["optimizer", "clip"])
def test_broken_copies_that_forget_are_caught(kit, monkeypatch, part):
    if part == "optimizer":
        monkeypatch.setattr(torch.optim.Optimizer, "load_state_dict", lambda self, found: None)
        changes = {}
    else:
        load = state.Progress.load
        monkeypatch.setattr(state.Progress, "load", lambda self, done, spans, clip: load(self, done, spans, None))
        changes = {"max_grad_norm": AdaptiveClip(initial=2.0, count_noise=5, learning_rate=2.0)}
    with pytest.raises(AssertionError):
        check_resumed_is_uninterrupted(kit, OPTIMIZERS["momentum"], None, **changes)


# --- what was spent ---------------------------------------------------------------------------------------------------

NOISED = EXACT | {"noise_multiplier": Segments((2, 1.5), (4, 1.0))}


def worker_of(dpsgd, **options):
    model, optimizer, _ = parts(OPTIMIZERS["momentum"])
    return dpsgd.trainer(model, F.cross_entropy, optimizer, **options)


def test_what_was_done_is_spent_and_what_is_left_needs_its_own_grant(kit):
    dpsgd = DPSGD(**NOISED)
    grant = dp.Grant.without_ledger([dpsgd.event])
    worker = worker_of(dpsgd, grant=grant)
    batches = dpsgd.batches(kit.rows((6,), 10))
    for _ in range(3):
        worker.step(next(batches))
    saved = worker.state()
    charged = dpsgd.release("ward-7", "1", first=3)
    assert charged.counts() == {dpsgd.event_at(5): 3}
    again = worker_of(dpsgd, grant=dp.Grant.without_ledger(charged.events), state=saved)
    again.fit(kit.rows((6,), 10))
    assert dp.flatten(again.spent) == dp.flatten([dpsgd.event])
    assert again.epsilon(1e-5) == dpsgd.epsilon(1e-5)
    with pytest.raises(PolicyRefused, match="all 6 steps"):
        again.fit(kit.rows((6,), 10))


def test_the_same_grant_cannot_pay_for_the_same_steps_again(kit):
    dpsgd = DPSGD(**EXACT | {"noise_multiplier": 1.0})
    grant = dp.Grant.without_ledger([dpsgd.event])
    worker = worker_of(dpsgd, grant=grant)
    early = worker.state(ahead=6)
    worker.fit(kit.rows((6,), 10))
    with pytest.raises(PolicyRefused) as caught:
        worker_of(dpsgd, grant=grant, state=early).fit(kit.rows((6,), 10))
    assert caught.value.code == "noise-not-granted"


def test_steps_that_may_have_been_lost_in_a_crash_are_spent(kit):
    """Saved every second step: after a crash two steps are done again, and paid twice."""
    dpsgd = DPSGD(**EXACT | {"noise_multiplier": 1.0})
    worker = worker_of(dpsgd)
    batches = dpsgd.batches(kit.rows((6,), 10))
    saved = worker.state(ahead=2)
    for _ in range(2):
        worker.step(next(batches))
    with pytest.raises(PolicyRefused) as caught:
        worker.step(next(batches))
    assert caught.value.code == "state-outdated"
    crashed = worker_of(dpsgd, state=saved)
    assert crashed.done == 0
    assert dp.flatten(crashed.spent) == {dpsgd.step_event: 2}
    crashed.fit(kit.rows((6,), 10))
    assert dp.flatten(crashed.spent) == {dpsgd.step_event: 8}
    assert crashed.epsilon(1e-5) > dpsgd.epsilon(1e-5)
    graceful = worker.state()
    assert dp.flatten(worker_of(dpsgd, state=graceful).spent) == {dpsgd.step_event: 2}


def test_a_state_of_a_resumed_training_remembers_both(kit):
    dpsgd = DPSGD(**NOISED)
    saved = None
    for steps in (1, 2, 3):
        worker = worker_of(dpsgd, state=saved)
        batches = dpsgd.batches(kit.rows((6,), 10), first=worker.done)
        for _ in range(steps):
            worker.step(next(batches))
        saved = worker.state()
    assert dp.flatten(worker.spent) == dp.flatten([dpsgd.event])
    assert len(worker.spent) == 3


def test_an_interrupted_step_is_spent_in_the_state_and_not_done_again(kit):
    dpsgd = DPSGD(**EXACT | {"noise_multiplier": 1.0})
    worker = worker_of(dpsgd, grant=dp.Grant.without_ledger([dpsgd.event_of(0, 2)]))
    with pytest.raises(PolicyRefused):
        worker.fit(kit.rows((6,), 10))
    again = worker_of(dpsgd, state=worker.state())
    assert again.done == 3
    again.fit(kit.rows((6,), 10))
    assert dp.flatten(again.spent) == {dpsgd.step_event: 6}


# --- what is in it ----------------------------------------------------------------------------------------------------


def test_rows_samples_noise_and_keys_are_not_in_it(kit):
    """The state of 3 steps is a function of weights, optimiser and schedule: equal for other rows and other samples."""
    dpsgd = DPSGD(**EXACT | {"expected_batch_size": 5, "noise_multiplier": 1.0})
    found = []
    for seed in (0, 1):
        model, optimizer, _ = parts(lambda model: torch.optim.SGD(model.parameters(), lr=0.0))
        worker = dpsgd.trainer(model, F.cross_entropy, optimizer)
        batches = dpsgd.batches(kit.rows((6,), 10, seed=seed))
        for _ in range(3):
            worker.step(next(batches))
        found.append(worker.state())
    assert found[0] == found[1]
    assert kit.rows((6,), 10).features[0].tobytes() not in found[0]


def test_it_is_no_pickle_and_anything_else_is_refused(kit):
    dpsgd = DPSGD(**EXACT)
    saved = worker_of(dpsgd).state()
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads(saved)
    for wrong in (b"", saved[:-1], saved + b"\0", pickle.dumps({"model": 1})):
        with pytest.raises(IdentityError):
            worker_of(dpsgd, state=wrong)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"steps": 7}, "steps was 6"),
        ({"noise_multiplier": 0.5}, "noise_multiplier"),
        ({"max_grad_norm": 0.31}, "clip"),
        ({"unit": "person"}, "unit"),
        ({"relation": "replace_one"}, "relation"),
        ({"population": 11}, "population"),
    ],
)
def test_another_mechanism_is_refused_by_what_differs(changes, name):
    saved = worker_of(DPSGD(**EXACT)).state()
    with pytest.raises(UsageError, match=name) as caught:
        worker_of(DPSGD(**(EXACT | changes)), state=saved)
    assert caught.value.code == "state-of-other-training"


def test_another_model_optimizer_or_scheduler_is_refused():
    dpsgd = DPSGD(**EXACT)
    saved = worker_of(dpsgd).state()
    for model in (nn.Linear(6, 3), two_layer(6, 3, hidden=5)):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
        with pytest.raises(UsageError) as caught:
            dpsgd.trainer(model, F.cross_entropy, optimizer, state=saved)
        assert caught.value.code == "state-of-other-training"
    for make, schedule in ((adam_groups, None), (OPTIMIZERS["momentum"], SCHEDULES["cosine"])):
        model, optimizer, scheduler = parts(make, schedule)
        with pytest.raises(UsageError) as caught:
            dpsgd.trainer(model, F.cross_entropy, optimizer, scheduler=scheduler, state=saved)
        assert caught.value.code == "state-of-other-training"
