"""One party, or the dealer, of reticent, over mutual TLS on the loopback."""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import cProfile
from collections.abc import Callable

import where
from tasks import TASKS, WARM, Arrays, Task, arguments, report, timed, wire_bytes

from reticent import mpc


def main() -> None:
    given = arguments()
    file = mpc.read_party_file(given.party)
    profile = cProfile.Profile()
    if file.is_dealer:
        if given.profile:
            import torch  # noqa: F401  the dealer would at the first product

            profile.enable()
        total = mpc.run_dealer_file(given.party).total()
        profile.disable()
        report(payload=total.bytes_sent / (given.repeats + WARM), seconds=[], rounds=0, where=where.shares(profile))
        return
    task = TASKS[given.task]
    arrays = task.arrays()
    me = list(file.parties).index(file.me)
    with mpc.connect(given.party, _inputs(arrays, me, owned=given.owned)) as session:
        operands = _operands(session, arrays, owned=given.owned)
        session.complete()
        _measure(session, task, operands, given, profile)


def _inputs(arrays: Arrays, me: int, *, owned: bool) -> Arrays:
    """Return the inputs of party `me`: its own operands, or half of each, so that no party knows the sum."""
    if owned:
        return {name: array for name, array in arrays.items() if me == _owner(name)}
    return {f"{name} of {me}": array / 2 for name, array in arrays.items() if me < 2}


def _owner(name: str) -> int:
    return 0 if name == "x" else 1


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


def _measure(
    session: mpc.ConnectedSession,
    task: Task,
    operands: dict[str, mpc.Tensor],
    given: argparse.Namespace,
    profile: cProfile.Profile,
) -> None:
    def act() -> mpc.Tensor:
        result = task.compute(operands)
        session.complete()
        return result

    barrier = _barrier(session)
    timed(WARM, barrier, act)
    barrier()
    wire, payload, rounds = wire_bytes(), session.channel.bytes_sent, session.cost.rounds
    if given.profile:
        profile.enable()
    seconds, result = timed(given.repeats, barrier, act)
    profile.disable()
    payload, rounds = session.channel.bytes_sent - payload, session.cost.rounds - rounds
    barrier()
    wire = wire_bytes() - wire
    error = task.error(result.reveal())
    each = {"payload": payload / given.repeats, "wire": wire / given.repeats, "rounds": rounds / given.repeats}
    report("reticent", "cryptography", seconds=seconds, error=error, where=where.shares(profile), **each)


if __name__ == "__main__":
    main()
