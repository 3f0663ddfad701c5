"""Only the owner's weights enter a compiled network, and only a common architecture is computed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from reticent import lowering, mpc
from reticent.errors import UsageError
from reticent.mpc import nn as mpc_nn
from reticent.mpc.nn_bound import fixed_point_bound

PARTIES = {"replicated": 3, "additive": 3}
X = np.random.default_rng(5).normal(size=(4, 6))


def mlp(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)).eval()


def poisoned() -> nn.Module:
    """Return the same architecture with weights that no ring can encode."""
    module = mlp(1)
    for tensor in module.parameters():
        nn.init.constant_(tensor, float("nan"))
    return module


def outcome(modules: list[nn.Module | lowering.Program], protocol: str, owner: int) -> list[np.ndarray]:
    def program(session: mpc.Session) -> np.ndarray:
        network = session.compile(modules[session.party], torch.zeros(1, 6), owner=owner)
        assert network.program.has_weights == (session.party == owner)
        return network(session.input("x", owner=0, shape=X.shape)).reveal()

    inputs = [{"x": X}, {}, {}][: PARTIES[protocol]]
    return mpc.run_local(program, inputs=inputs, protocol=protocol)[0]


@pytest.mark.parametrize("protocol", sorted(PARTIES))
@pytest.mark.parametrize("owner", [0, 1, 2])
def test_the_weights_of_the_others_are_not_used(protocol: str, owner: int) -> None:
    """Others pass weights that are not a number, other weights, or none; the result is the owner's model's."""
    true = mlp(0)
    program = lowering.lower(true, torch.zeros(1, 6))
    bound = fixed_point_bound(program, X)
    for others in (poisoned(), mlp(7), program.architecture()):
        modules = [true if party == owner else others for party in range(3)]
        assert (np.abs(outcome(modules, protocol, owner) - program.run(X)) <= bound).all()
    assert (np.abs(lowering.lower(mlp(7), torch.zeros(1, 6)).run(X) - program.run(X)) > bound).any()


def test_a_copy_that_keeps_the_weights_of_others_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken copy does not drop them: the assertion on `has_weights` in the program fails."""
    monkeypatch.setattr(lowering.Program, "architecture", lambda program: program)
    with pytest.raises(AssertionError):
        outcome([mlp(0), mlp(0), mlp(0)], "replicated", 1)


def test_a_copy_in_which_another_party_gives_the_weights_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken copy lets party 2 give the weights: with weights that are not a number this cannot stay unseen."""
    true, right = mlp(0), mpc_nn._weight
    monkeypatch.setattr(mpc_nn, "_weight", lambda session, name, array, _: right(session, name, array, 2))
    with pytest.raises(Exception, match="not a number"):
        outcome([poisoned(), true, poisoned()], "replicated", 1)


def test_every_party_notices_that_architectures_differ() -> None:
    """Each of the three refuses by itself; nobody is left waiting."""
    refused: list[tuple[int, str]] = []

    def program(session: mpc.Session) -> None:
        module = nn.Linear(6, 2 if session.party == 2 else 3)
        with pytest.raises(UsageError) as caught:
            session.compile(module, torch.zeros(1, 6), owner=1)
        refused.append((session.party, caught.value.code))

    mpc.run_local(program, inputs=[{}, {}, {}])
    assert sorted(refused) == [(party, "architecture-differs") for party in range(3)]


def test_different_owners_are_noticed() -> None:
    def program(session: mpc.Session) -> None:
        with pytest.raises(UsageError, match="another owner"):
            session.compile(mlp(0), torch.zeros(1, 6), owner=session.party)

    mpc.run_local(program, inputs=[{}, {}, {}])


def test_one_network_serves_many_batches() -> None:
    """Of any size, and its weights enter once."""
    true = mlp(0)
    program = lowering.lower(true, torch.zeros(1, 6))

    def run(session: mpc.Session) -> list[np.ndarray]:
        network = session.compile(true, torch.zeros(1, 6), owner=1)
        x = session.input("x", owner=0, shape=X.shape)
        return session.reveal_together(network(x), network(x[:1]))

    (all_rows, first), cost = mpc.run_local(run, inputs=[{"x": X}, {}, {}])
    assert (np.abs(all_rows - program.run(X)) <= fixed_point_bound(program, X)).all()
    np.testing.assert_array_equal(all_rows[:1], first)
    assert sum("weights" in entry.name for entry in cost.entries) == len(program.parameters())
