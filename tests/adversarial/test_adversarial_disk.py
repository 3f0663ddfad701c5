"""What lies on the disk, and what a run that never began leaves behind."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reticent.api
from reticent.data import SiteMapping
from reticent.errors import PolicyRefused, QuorumLost, ReticentError
from reticent.federated.aggregation import Task, plain_sum
from reticent.federated.settings import Aggregation
from reticent.federated.wire import PlainUpdate
from reticent.ledger import Ledger
from reticent.messages import encode
from reticent.runs import Binding, Source

BUDGET = {
    "epsilon": 3.0,
    "delta": 1e-3,
    "unit": "person",
    "relation": "add_or_remove_one",
    "reason": "test",
    "signer": "t",
}


def test_the_folders_of_the_parties_are_closed_to_others(attack: Callable[..., Any]) -> None:
    """Exact figures, journals and logs lie beside the key, which alone has a mode of its own."""
    folder = attack().folder
    for home in (folder.path / "coordinator", *(folder.site(site.name) for site in folder.plan.sites)):
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert stat.S_IMODE((home / "identity.key").stat().st_mode) == 0o600


def test_a_run_that_one_site_refuses_costs_the_others_nothing(small_study: Callable[..., Path]) -> None:
    """Their reservations are given back; before, the run that followed found the budget held by the one before it."""
    study = small_study({"rounds = 3": "rounds = 1"}, granted=None)
    ledger = Ledger(f"sqlite:///{study.parent / 'budget.db'}")
    ledger.grant("east", **BUDGET)
    ledger.grant("north", **BUDGET)
    bound = reticent.api.plan(study)
    with pytest.raises(PolicyRefused, match="south"):
        reticent.api.run(bound)
    assert ledger.balance("east").reserved_epsilon == 0
    ledger.grant("south", **BUDGET)
    result = reticent.api.run(bound)
    assert (result.folder / "model.safetensors").exists()
    # What was refused before it began has left no folder to resume.
    assert [path for path in (study.parent / "runs").iterdir() if path.is_dir()] == [result.folder]
    assert ledger.verify() > 0


def test_a_resumed_run_keeps_its_reservation_when_a_site_refuses(small_study: Callable[..., Path]) -> None:
    """A site whose file is away for a moment must not end a run for which others have paid."""
    study = small_study({"rounds = 3": "rounds = 2"}, granted=6.0)

    def stop(event: Any) -> None:
        if (event.name, event.when, event.round) == ("checkpoint", "after", 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reticent.api.run(reticent.api.plan(study), observer=stop)
    (run,) = (path for path in (study.parent / "runs").iterdir() if path.is_dir())
    (study.parent / "south.csv").rename(study.parent / "away.csv")
    with pytest.raises(ReticentError):
        reticent.api.resume(run)
    (study.parent / "away.csv").rename(study.parent / "south.csv")
    assert (reticent.api.resume(run).folder / "model.safetensors").exists()


def test_a_site_cannot_spoil_the_model_with_numbers_that_are_not_finite() -> None:
    """They turned the model into NaN, and stopped the coordinator where it writes released figures as JSON."""
    model = np.zeros(2, dtype=np.float32)
    task = Task("run", "evaluate", 1, 1, ("a", "b", "c"), model, 2, 1.0, 1.0)
    for value in (np.nan, np.inf):
        steps = plain_sum(task, Aggregation(protocol="plain", cohort=3))
        next(steps)
        with pytest.raises(QuorumLost, match="finite"):
            steps.send({site: encode(PlainUpdate(np.array([1.0, value]))) for site in ("a", "b", "c")})


@pytest.mark.parametrize(
    "bad", [b"", b"no message", encode(PlainUpdate(np.ones(3))), encode(PlainUpdate(np.full(2, np.nan)))]
)
def test_a_site_that_sends_nonsense_is_absent_and_stops_nobody(bad: bytes) -> None:
    task = Task("run", "train", 1, 1, ("a", "b", "c"), np.zeros(2, dtype=np.float32), 2, 1.0, 1.0)
    steps = plain_sum(task, Aggregation(protocol="plain", cohort=3, dropouts=1))
    next(steps)
    good = encode(PlainUpdate(np.array([1.0, 2.0])))
    with pytest.raises(StopIteration) as done:
        steps.send({"a": good, "b": bad, "c": good})
    assert done.value.value.contributors == ("a", "c")
    assert done.value.value.vector.tolist() == [2.0, 4.0]


@pytest.mark.parametrize("claim", ["none", "understated"])
def test_a_sites_own_limit_binds_whatever_the_plan_says_of_itself(attack: Callable[..., Any], claim: str) -> None:
    """A plan without a claim passed a limit of 1, and so did one that understates what its events cost."""
    attacker = attack({"spare_executions = 1": "spare_executions = 0"})
    plan = attacker.plan
    if claim == "none":
        plan = plan.model_copy(update={"privacy": None})
    sites = tuple(site.model_copy(update={"epsilon": 0.1 if claim == "understated" else None}) for site in plan.sites)
    binding = Binding(plan.model_copy(update={"sites": sites}), attacker.folder.base)
    source = attacker._sources["north"]
    for limit, allowed in ((1.0, False), (1e9, claim == "understated")):
        mapping = SiteMapping.model_validate({"max_epsilon": limit})
        if allowed:
            binding.prepare("north", Source(source.data, mapping, ""), lambda event: None)
            continue
        with pytest.raises(PolicyRefused) as caught:
            binding.prepare("north", Source(source.data, mapping, ""), lambda event: None)
        assert caught.value.code == "over-site-limit"


LOSS = """
import torch

def loss(outputs, labels):
    return torch.nn.functional.cross_entropy(outputs, labels) * {factor}
"""


def test_a_loss_that_changed_after_the_plan_was_approved_is_refused(small_study: Callable[..., Path]) -> None:
    """The plan pinned the model's source only; the loss sees every label."""
    study = small_study({'loss = "cross_entropy"': 'loss = "adversarial_loss:loss"'})
    module = study.parent / "adversarial_loss.py"
    module.write_text(LOSS.format(factor=1))
    bound = reticent.api.plan(study)
    module.write_text(LOSS.format(factor=2))
    with pytest.raises(PolicyRefused) as caught:
        reticent.api.run(bound)
    assert caught.value.code == "model-changed"
    module.write_text(LOSS.format(factor=1))
    assert bound.binding.model() is not None
