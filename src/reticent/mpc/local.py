"""Runs one party over a channel, or all parties as threads of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from reticent.channels import Channel, threads
from reticent.errors import QuorumLost, UsageError
from reticent.mpc.additive import Additive, check_dealer
from reticent.mpc.cost import Cost, Entry, merged
from reticent.mpc.dealer import FINISHED, run_dealer
from reticent.mpc.link import Link
from reticent.mpc.protocol import Protocol
from reticent.mpc.replicated import Replicated
from reticent.mpc.session import Session
from reticent.mpc.streams import agree
from reticent.mpc.tensor import Tensor

__all__ = ["Program", "open_session", "run_local", "run_party"]

Program = Callable[[Session], Any]

_DEADLINE = 600.0


def open_session(
    channel: Channel,
    inputs: Mapping[str, ArrayLike],
    *,
    protocol: str = "replicated",
    dealer: int | None = None,
    fraction_bits: int = 16,
    truncation: str = "exact",
) -> Session:
    """Agree on keys with the other participants and return this party's session.

    Args:
      channel: This party's end; under "additive" its last participant is the dealer.
      inputs: This party's own arrays, by name.
      protocol: "replicated" (three parties) or "additive" (two or more, and a dealer).
      dealer: Number of the dealer; the last participant if None.
      fraction_bits: Bits after the point, the same at all parties.
      truncation: "exact" (floor, bit for bit) or "probabilistic" (floor or one more; fewer rounds).

    Raises:
      UsageError: If protocol, truncation or number of participants is none that exists.
      PolicyRefused: If the dealer is a computing party.
    """
    if truncation not in {"exact", "probabilistic"}:
        raise UsageError("unknown-truncation", f"truncation is {truncation!r}", hint='say "exact" or "probabilistic"')
    began = time.perf_counter()
    computing = check_protocol(protocol, channel.parties)
    side: Protocol
    if protocol == "replicated":
        side = Replicated(Link(channel, agree(channel, computing=computing)))
    else:
        number = channel.parties - 1 if dealer is None else dealer
        check_dealer(number, parties=computing)
        side = Additive(Link(channel, agree(channel, computing=computing)), parties=computing, dealer=number)
    cost = Cost([Entry("keys", channel.bytes_sent, 1, time.perf_counter() - began)], rounds=1)
    return Session(side, inputs, fraction_bits=fraction_bits, exact=truncation == "exact", cost=cost)


def close_session(session: Session) -> None:
    """Do what is still to be done, and let the dealer go."""
    session.complete()
    protocol = session.protocol
    if isinstance(protocol, Additive) and session.party == 0:
        protocol.link.send_bytes(protocol.helper, FINISHED)


def run_party(program: Program, inputs: Mapping[str, ArrayLike], channel: Channel, **settings: Any) -> tuple[Any, Cost]:
    """Run `program` as one party and return its output and this party's cost.

    Args:
      program: The same function at every party.
      inputs: This party's own arrays, by name.
      channel: This party's end.
      settings: As for `open_session`.
    """
    began = time.perf_counter()
    # Words wrap on purpose; numpy warns where a sum is a single number.
    with np.errstate(over="ignore"):
        session = open_session(channel, inputs, **settings)
        output = program(session)
        close_session(session)
    session.cost.seconds = time.perf_counter() - began
    return output, session.cost


def run_local(
    program: Program,
    *,
    inputs: Sequence[Mapping[str, ArrayLike]],
    protocol: str = "replicated",
    fraction_bits: int = 16,
    truncation: str = "exact",
    channels: Sequence[Channel] | None = None,
) -> tuple[Any, Cost]:
    """Run all parties, and the dealer if there is one, as threads of this process.

    Args:
      program: The same function for every party; called with a `Session`.
      inputs: One mapping from names to arrays for each computing party.
      protocol: "replicated" (three parties) or "additive" (two or more; a dealer is added).
      fraction_bits: Bits after the point.
      truncation: "exact" or "probabilistic".
      channels: One for each participant, the dealer last; threads if None.

    Returns:
      The output common to all parties, or a list with the output of each where they differ; and the cost of all
      participants together.

    Raises:
      UsageError: If protocol, truncation or number of inputs is none that exists.
    """
    participants = len(inputs) + (protocol == "additive")
    check_protocol(protocol, participants)
    names = [f"party {number}" for number in range(len(inputs))] + (["dealer"] if protocol == "additive" else [])
    ends = threads(names, deadline=_DEADLINE) if channels is None else channels
    settings = {"protocol": protocol, "fraction_bits": fraction_bits, "truncation": truncation}
    tasks: list[Callable[[], tuple[Any, Cost]]] = [
        partial(run_party, program, own, end, **settings) for end, own in zip(ends, inputs, strict=False)
    ]
    if protocol == "additive":
        tasks.append(lambda: (None, run_dealer(ends[-1])))
    found = _together(ends, tasks)
    outputs = [output for output, _ in found[: len(inputs)]]
    costs = [cost for _, cost in found]
    total = merged(costs[: len(inputs)], costs[-1] if protocol == "additive" else None)
    return (outputs[0] if all(_same(outputs[0], other) for other in outputs[1:]) else outputs), total


def check_protocol(protocol: str, participants: int) -> int:
    """Return how many of the participants compute.

    Raises:
      UsageError: If there is no such protocol, or not for so many.
    """
    if protocol not in {"replicated", "additive"}:
        raise UsageError("unknown-protocol", f"protocol is {protocol!r}", hint='say "replicated" or "additive"')
    if (protocol == "replicated" and participants != 3) or participants < 3:
        raise UsageError(
            "protocol-parties",
            f"protocol {protocol!r} was started with {participants} participants",
            hint="replicated takes three parties; additive two parties or more, and a dealer as the last participant",
        )
    return participants - (protocol == "additive")


def _together(ends: Sequence[Channel], tasks: Sequence[Callable[[], tuple[Any, Cost]]]) -> list[tuple[Any, Cost]]:
    """Run one thread for each participant; raise the error that came first, not those that followed from it."""
    results: dict[int, tuple[Any, Cost]] = {}
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            with ends[number]:
                results[number] = tasks[number]()
        except BaseException as error:
            failures.append(error)

    started = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(len(tasks))]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    if failures:
        raise next((error for error in failures if not isinstance(error, QuorumLost)), failures[0])
    return [results[number] for number in range(len(tasks))]


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, (list, tuple)) and type(a) is type(b) and len(a) == len(b):
        return all(_same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return all(_same(a[key], b[key]) for key in a)
    return a is b or (type(a) is type(b) and not isinstance(a, np.ndarray | Tensor) and bool(a == b))
