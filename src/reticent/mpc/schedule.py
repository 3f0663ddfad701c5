"""Runs what was asked for: all operations that are ready go through their rounds together, in shared messages."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from reticent.mpc.cost import Cost, Entry
from reticent.mpc.link import Link
from reticent.mpc.operation import Operation
from reticent.mpc.rounds import Array, Round, Specification, Steps

__all__ = ["Node", "Schedule"]

_MOST_PENDING = 128  # bounds the memory that inputs of operations not yet run hold on to


class Node:
    """An operation that was asked for, or its result.

    Args:
      operation: Its number and name; None for what needs no message and is not listed in the cost.
      inputs: What must be done before.
      start: Called with the results of `inputs`; returns the protocol.
    """

    __slots__ = ("done", "inputs", "operation", "start", "value")

    def __init__(
        self,
        operation: Operation | None,
        inputs: Sequence[Node],
        start: Callable[..., Steps[Any]] | None,
        value: Any = None,
    ) -> None:
        self.operation = operation
        self.inputs: Sequence[Node] = inputs
        self.start = start
        self.value = value
        self.done = start is None


class _Active:
    """A node under way: its generator, what it wants in the next round, and its line in the cost."""

    def __init__(self, node: Node, steps: Steps[Any], entry: Entry) -> None:
        self.node = node
        self.steps = steps
        self.entry = entry
        self.round = Round()


class Schedule:
    """The operations of one party, in the order of the program, which is the same at every party."""

    def __init__(self, link: Link, cost: Cost) -> None:
        self._link = link
        self._cost = cost
        self._pending: list[Node] = []

    def add(self, node: Node) -> None:
        """Put `node` off until something is revealed, or too much is waiting."""
        self._pending.append(node)
        if len(self._pending) >= _MOST_PENDING:
            self.run()

    def run(self) -> None:
        """Do everything that was asked for."""
        waiting, self._pending = self._pending, []
        active: list[_Active] = []
        while waiting or active:
            waiting = self._begin(waiting, active)
            active = [one for one in active if not one.node.done]
            if active:
                self._exchange(active)
                active = [one for one in active if not one.node.done]

    def _begin(self, waiting: list[Node], active: list[_Active]) -> list[Node]:
        later = []
        for node in waiting:
            if node.start is not None and all(one.done for one in node.inputs):
                entry = Entry(node.operation.name if node.operation else "")
                if node.operation:
                    self._cost.entries.append(entry)
                one = _Active(node, node.start(*(one.value for one in node.inputs)), entry)
                active.append(one)
                self._advance(one, None)
            else:
                later.append(node)
        return later

    def _advance(self, one: _Active, received: dict[int, list[Array]] | None) -> None:
        began, sent = time.perf_counter(), self._link.bytes_sent
        try:
            one.round = next(one.steps) if received is None else one.steps.send(received)
        except StopIteration as end:
            node = one.node
            node.value, node.done, node.inputs, node.start = end.value, True, (), None
        one.entry.seconds += time.perf_counter() - began
        one.entry.bytes_sent += self._link.bytes_sent - sent

    def _exchange(self, active: list[_Active]) -> None:
        began = time.perf_counter()
        outgoing: dict[int, list[Array]] = {}
        wanted: dict[int, list[Specification]] = {}
        for one in active:
            for peer, arrays in one.round.send.items():
                outgoing.setdefault(peer, []).extend(arrays)
                one.entry.bytes_sent += sum(array.nbytes for array in arrays)
            for peer, specifications in one.round.receive.items():
                wanted.setdefault(peer, []).extend(specifications)
            one.entry.rounds += 1
        for peer in sorted(outgoing):
            self._link.send(peer, outgoing[peer])
        arrived = {peer: iter(self._link.receive(peer, wanted[peer])) for peer in sorted(wanted)}
        self._cost.rounds += bool(outgoing or wanted)
        share = (time.perf_counter() - began) / len(active)
        for one in active:
            one.entry.seconds += share
            self._advance(one, {p: [next(arrived[p]) for _ in s] for p, s in one.round.receive.items()})
