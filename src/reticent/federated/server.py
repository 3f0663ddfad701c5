"""The coordinator's role in federated learning: send the model, sum what comes back, take the mean, repeat.

Run by: the coordinator. Requires: the weights of the plan, which are declared public constants. Reveals to it: what
`reticent.federated.aggregation` says. All state between two tasks is the model and the place in the schedule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent.errors import InternalError
from reticent.federated.aggregation import (
    METRICS_BOUND,
    METRICS_PRECISION,
    Step,
    Sum,
    Summed,
    Task,
    masked_sum,
    plain_sum,
)
from reticent.federated.settings import Aggregation, Encoding, Schedule
from reticent.federated.wire import STATISTICS, TRAIN
from reticent.identity import Roster
from reticent.messages import decode, encode, record
from reticent.randomness import Keystream
from reticent.roles import Exchange, Finished, Metrics

__all__ = ["Server"]


@record("federated.state", version=1)
@dataclass(frozen=True)
class _State:
    """What survives between tasks: how many of the schedule's tasks are done, and the model."""

    done: int
    model: NDArray[Any]


class Server:
    """FedAvg and FedProx at the coordinator.

    Args:
      model: Initial model as one vector, shape (length,).
      weights: Each site's share in the mean, from declared sizes.
      classes: Number of label classes.
      private: Whether counts are noised; then no loss is released.
      statistics: How the statistics that the schedule asks for are summed.
    """

    def __init__(
        self,
        model: NDArray[Any],
        *,
        weights: Mapping[str, float],
        schedule: Schedule,
        aggregation: Aggregation,
        classes: int,
        private: bool,
        run: str = "simulation",
        roster: Roster | None = None,
        statistics: Encoding | None = None,
    ) -> None:
        self._statistics = statistics
        self.model = model
        self.finished: Finished | None = None
        self._weights = dict(weights)
        self._schedule = schedule
        self._units = schedule.units()
        self._aggregation = aggregation
        self._metrics_length = classes**2 if private else classes**2 + 2
        self._classes = classes
        self._run = run
        self._roster = roster
        self._done = 0
        self._attempt = 1
        self._sum: Sum | None = None
        self._pending: Step | None = None

    @property
    def remaining(self) -> tuple[tuple[str, int], ...]:
        """The tasks still to do, as (task, round)."""
        return self._units[self._done :]

    def step(self) -> Exchange | None:
        """Return the next request to the sites, or None when the schedule is done."""
        if self._done == len(self._units):
            return None
        kind, number = self._units[self._done]
        if self._sum is None:
            self._sum = self._begin(kind, number)
            self._pending = next(self._sum)
        if self._pending is None:
            raise InternalError("protocol-order", "step was called twice", hint="feed the replies between two steps")
        pending = self._pending
        return Exchange(number, self._attempt, f"{kind}/{pending.name}", pending.requests, self._schedule.deadline)

    def _begin(self, kind: str, number: int) -> Sum:
        encoding = self._encoding(kind)
        task = Task(
            run=self._run,
            kind=kind,
            round=number,
            attempt=self._attempt,
            members=self._choose(number),
            model=self.model if kind != STATISTICS else np.zeros(0, dtype=self.model.dtype),
            length=encoding.length,
            bound=encoding.bound,
            precision=encoding.precision,
        )
        if self._aggregation.protocol == "plain":
            return plain_sum(task, self._aggregation)
        if self._roster is None:
            raise InternalError(
                "protocol-order", "secure aggregation without pinned keys", hint="give the server the roster"
            )
        return masked_sum(task, self._aggregation, self._roster)

    def _encoding(self, kind: str) -> Encoding:
        if kind == TRAIN:
            settings = self._aggregation
            return Encoding(length=self.model.size, bound=settings.bound, precision=settings.precision)
        if kind != STATISTICS:
            return Encoding(length=self._metrics_length, bound=METRICS_BOUND, precision=METRICS_PRECISION)
        if self._statistics is None:
            raise InternalError(
                "protocol-order", "statistics are scheduled, and nobody said how", hint="give the server statistics"
            )
        return self._statistics

    def _choose(self, number: int) -> tuple[str, ...]:
        """Choose the round's sites. Never a source of amplification: the coordinator sees who takes part."""
        sites = sorted(self._weights)
        count = self._schedule.clients_per_round or len(sites)
        if count == len(sites):
            return tuple(sites)
        if self._schedule.seed is None:
            order = np.argsort(Keystream.fresh().words(len(sites)))
        else:
            order = np.random.default_rng([self._schedule.seed, number, self._attempt]).permutation(len(sites))
        return tuple(sorted(sites[index] for index in order[:count]))

    def feed(self, replies: Mapping[str, bytes], absent: frozenset[str]) -> bool:
        """Take the answers of one step; returns True when a task has just been completed.

        Raises:
          QuorumLost: If too few sites are left; `load` starts the task anew.
        """
        if self._sum is None:
            raise InternalError("protocol-order", "feed was called before step", hint="step, then feed")
        try:
            self._pending = self._sum.send({site: reply for site, reply in replies.items() if site not in absent})
        except StopIteration as stop:
            self._complete(stop.value)
            return True
        return False

    def _complete(self, summed: Summed) -> None:
        kind, number = self._units[self._done]
        metrics = statistics = None
        if kind == STATISTICS:
            statistics = summed.vector
        elif kind == TRAIN:
            share = sum(self._weights[site] for site in summed.contributors)
            self.model = (self.model.astype(np.float64) + summed.vector / share).astype(self.model.dtype)
        else:
            metrics = self._metrics(summed.vector)
        self.finished = Finished(kind, number, self._attempt, summed.contributors, metrics, statistics)
        self._done += 1
        self._sum = self._pending = None

    def _metrics(self, vector: NDArray[np.float64]) -> Metrics:
        counts = vector[: self._classes**2].reshape(self._classes, self._classes)
        if vector.size == self._classes**2:
            return Metrics(counts, None)
        loss_sum, rows = vector[-2:]
        return Metrics(counts, float(loss_sum / rows) if rows > 0 else None)

    def dump(self) -> bytes:
        """Return the model and the place in the schedule."""
        return encode(_State(self._done, self.model))

    def load(self, state: bytes, *, attempt: int) -> None:
        """Go back to `state`; keys, masks and half-finished sums are gone, and the next task is a new attempt."""
        known = decode(state, _State, limit=len(state))
        self._done = known.done
        self.model = known.model
        self._attempt = attempt
        self._sum = self._pending = None
