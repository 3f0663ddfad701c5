"""One party, or the dealer, of reticent, over mutual TLS on the loopback."""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import cProfile
from collections.abc import Callable

import where
from tasks import TASKS, WARM, Arrays, arguments, measured, report

from reticent import mpc


def main() -> None:
    given = arguments()
    file = mpc.read_party_file(given.party)
    profile = cProfile.Profile() if given.profile else None
    if file.is_dealer:
        import torch  # noqa: F401  the dealer would at the first product

        if profile:
            profile.enable()
        mpc.run_dealer_file(given.party)
        report(where=where.shares(profile))
        return
    me = list(file.parties).index(file.me)
    arrays = {f"{task} {name}": array for task in given.task for name, array in TASKS[task].arrays().items()}
    with mpc.connect(given.party, _inputs(arrays, me, owned=given.owned)) as session:
        for task in given.task:
            _measure(session, task, profile, owned=given.owned)


def _measure(session: mpc.ConnectedSession, task: str, profile: cProfile.Profile | None, *, owned: bool) -> None:
    shapes = {f"{task} {name}": array for name, array in TASKS[task].arrays().items()}
    operands = {name.split(" ")[1]: tensor for name, tensor in _operands(session, shapes, owned=owned).items()}
    session.complete()
    rounds = calls = 0

    def act() -> mpc.Tensor:
        nonlocal rounds, calls
        rounds, calls = session.cost.rounds, calls + 1
        if profile and calls > WARM:  # torch is imported at the first product
            profile.enable()
        result = TASKS[task].compute(operands)
        session.complete()
        if profile:
            profile.disable()
        rounds = session.cost.rounds - rounds
        return result

    found, result = measured(TASKS[task].repeats, _barrier(session), act)
    error = TASKS[task].error(result.reveal())
    report("reticent", "cryptography", task=task, error=error, rounds=rounds, where=where.shares(profile), **found)


def _inputs(arrays: Arrays, me: int, *, owned: bool) -> Arrays:
    """Return the inputs of party `me`: its own operands, or half of each, so that no party knows the sum."""
    if owned:
        return {name: array for name, array in arrays.items() if me == _owner(name)}
    return {f"{name} of {me}": array / 2 for name, array in arrays.items() if me < 2}


def _owner(name: str) -> int:
    return 0 if name.endswith(" x") else 1


def _operands(session: mpc.Session, arrays: Arrays, *, owned: bool) -> dict[str, mpc.Tensor]:
    if owned:
        return {name: session.input(name, owner=_owner(name), shape=array.shape) for name, array in arrays.items()}
    return {
        name: session.input(f"{name} of 0", owner=0, shape=array.shape)
        + session.input(f"{name} of 1", owner=1, shape=array.shape)
        for name, array in arrays.items()
    }


def _barrier(session: mpc.ConnectedSession) -> Callable[[], None]:
    others = [party for party in range(session.parties) if party != session.party]

    def wait() -> None:
        for other in others:
            session.channel.send(other, b"!")
        for other in others:
            session.channel.receive(other)

    return wait


if __name__ == "__main__":
    main()
