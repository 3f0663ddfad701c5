"""The ports: what a protocol and an engine must offer each other.

Every protocol is written as roles that do no I/O and know no clock, socket or process. An engine moves the messages.
A *site* is an organisation and runs a Client; the hub or coordinator runs the Server. Absent sites are input, never
exceptions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reticent.dp.release import Grant, Release

__all__ = ["Client", "Engine", "Exchange", "Finished", "Metrics", "Reply", "Request", "Server"]


@dataclass(frozen=True, slots=True)
class Request:
    """What the server asks of one site, already authenticated by the site's host.

    `(run, round, attempt, phase)` names the request; a site answers a name once, and a second request under the same
    name is answered with the same bytes or refused.
    """

    run: str
    round: int
    attempt: int
    phase: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """A client's answer: `message` travels; `state` is kept by the host and never holds keys or noise."""

    message: bytes
    state: bytes = b""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One step of a protocol: a request to some sites, to be answered within `deadline` seconds."""

    round: int
    attempt: int
    phase: str
    requests: Mapping[str, bytes]
    deadline: float


@dataclass(frozen=True, slots=True)
class Metrics:
    """Released figures over all sites: confusion counts (classes, classes), rows are the truth; loss and AUC or None.

    The AUC is known where one party has all labels.
    """

    confusion: NDArray[np.float64]
    loss: float | None
    auc: float | None = None

    @property
    def accuracy(self) -> float | None:
        """Share of right answers, within 0 and 1 though the counts may be noised; None without classes or counts."""
        total = float(self.confusion.sum())
        return float(np.clip(np.trace(self.confusion) / total, 0.0, 1.0)) if total > 0 else None

    def accuracy_deviation(self, cell_deviation: float) -> float | None:
        """Return the standard deviation of `accuracy` that the noise alone causes, to first order.

        Args:
          cell_deviation: Standard deviation of the noise in each cell of the summed counts.
        """
        total, accuracy = float(self.confusion.sum()), self.accuracy
        if accuracy is None or cell_deviation == 0:
            return None
        classes = len(self.confusion)
        spread = classes * (1 - accuracy) ** 2 + (classes**2 - classes) * accuracy**2
        return cell_deviation * math.sqrt(spread) / total


@dataclass(frozen=True, slots=True)
class Finished:
    """A task that has just been completed; `statistics` is the summed vector of a task that asked for them."""

    task: str
    round: int
    attempt: int
    contributors: tuple[str, ...]
    metrics: Metrics | None
    statistics: NDArray[np.float64] | None = None


class Client(Protocol):
    """The site's side of a protocol."""

    def cost(self, request: Request) -> Release | None:
        """Return what answering would reveal, before anything is drawn; None if it reveals nothing to account."""
        ...

    def handle(self, request: Request, grant: Grant | None) -> Reply:
        """Answer; noise can be drawn only with the grant for `cost(request)`."""
        ...


class Server(Protocol):
    """The coordinator's side of a protocol."""

    @property
    def remaining(self) -> Sequence[tuple[str, int]]:
        """The tasks still to do, as (task, round)."""
        ...

    @property
    def finished(self) -> Finished | None:
        """The task that `feed` has just completed."""
        ...

    def step(self) -> Exchange | None:
        """Return what to send next, or None when the protocol is finished."""
        ...

    def feed(self, replies: Mapping[str, bytes], absent: frozenset[str]) -> bool:
        """Take the answers of one exchange; returns True when a round has just been completed."""
        ...

    def dump(self) -> bytes:
        """Return all that the server must remember between rounds."""
        ...

    def load(self, state: bytes, *, attempt: int) -> None:
        """Go back to `state`; the next round carries the attempt number `attempt`."""
        ...


class Engine(Protocol):
    """Where the sites live: in this process, in processes of their own, on other machines."""

    def exchange(self, requests: Mapping[str, bytes], *, deadline: float) -> Mapping[str, bytes]:
        """Carry signed envelopes to the sites and return the envelopes that came back within `deadline` seconds."""
        ...
