"""The coordinator's side of one sum: plain, or under masks. Generators that speak in steps and end in a sum.

Run by: the coordinator. Reveals to it: under `secagg` the sum over the survivors and who they are; under `plain`
every site's vector. A generator lives inside one round only; nothing of it is ever written down.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent.errors import IdentityError, QuorumLost, ReticentError
from reticent.federated.settings import Aggregation
from reticent.federated.wire import PlainUpdate, RoundOpening, UpdateRequest, session_of
from reticent.identity import Roster
from reticent.messages import decode, encode
from reticent.secagg import Parameters, Server

__all__ = ["METRICS_BOUND", "METRICS_PRECISION", "Step", "Summed", "Task", "masked_sum", "plain_sum"]

METRICS_BOUND = 2.0**30
METRICS_PRECISION = 2.0**-10
_HEADER_ROOM = 65_536


@dataclass(frozen=True, slots=True)
class Step:
    """One exchange of a task: its name and the requests."""

    name: str
    requests: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Summed:
    """The sum over `contributors`, shape (length,), float64."""

    vector: NDArray[np.float64]
    contributors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """What is summed: the vector length and the encoding, for the sites `members`, all given `model`."""

    run: str
    kind: str
    round: int
    attempt: int
    members: tuple[str, ...]
    model: NDArray[Any]
    length: int
    bound: float
    precision: float


Replies = Mapping[str, bytes]
Sum = Generator[Step, Replies, Summed]


def plain_sum(task: Task, settings: Aggregation) -> Sum:
    """Sum the vectors in the clear; at most `settings.dropouts` members may be absent."""
    request = encode(UpdateRequest(model=task.model, shares=b""))
    replies = yield Step("update", dict.fromkeys(task.members, request))
    least = len(task.members) - settings.dropouts
    found, faults = _usable(replies, task.length)
    if len(found) < least and faults:
        raise faults[0]
    if len(found) < least:
        raise QuorumLost(
            "too-few-sites",
            f"{len(found)} of {len(task.members)} sites answered in round {task.round}, {least} are needed",
            hint="bring the absent sites back, or allow more dropouts in [secure_aggregation]",
        )
    total = np.zeros(task.length, dtype=np.float64)
    for values in found.values():
        total += values
    return Summed(total, tuple(found))


def _usable(replies: Replies, length: int) -> tuple[dict[str, NDArray[np.float64]], list[ReticentError]]:
    """Return the updates that can be added, by site in order: who sends another thing is absent, and stops nobody."""
    found: dict[str, NDArray[np.float64]] = {}
    faults: list[ReticentError] = []
    for site in sorted(replies):
        try:
            found[site] = _values(replies[site], length)
        except (IdentityError, QuorumLost) as error:
            faults.append(error)
    return found, faults


def _values(reply: bytes, length: int) -> NDArray[np.float64]:
    values = decode(reply, PlainUpdate, limit=8 * length + _HEADER_ROOM).values
    if values.shape != (length,):
        raise QuorumLost(
            "wrong-update-shape",
            f"an update has shape {values.shape}, the plan says {(length,)}",
            hint="install the same version of the study's model at every site",
        )
    if not np.isfinite(values).all():
        raise QuorumLost(
            "wrong-update-shape",
            "an update holds numbers that are not finite, which no honest site sends",
            hint="find out from the sites' own logs which of them was changed, and leave it out",
        )
    return values


def masked_sum(task: Task, settings: Aggregation, roster: Roster) -> Sum:
    """Sum the vectors under masks (`reticent.secagg`); fewer survivors than the threshold abort the round."""
    parameters = Parameters(
        clients=len(task.members),
        length=task.length,
        bound=task.bound,
        precision=task.precision,
        dropouts=settings.dropouts,
    )
    opening = RoundOpening(task.members, hashlib.sha256(np.ascontiguousarray(task.model).tobytes()).digest())
    session = session_of(task.run, task.kind, task.round, task.attempt, opening)
    server = Server(parameters, roster=roster, session=session)
    replies = yield Step("keys", dict.fromkeys(task.members, encode(opening)))
    replies = yield Step("shares", server.keys_to_roster(replies))
    routed = server.route_shares(replies)
    replies = yield Step(
        "update", {site: encode(UpdateRequest(model=task.model, shares=shares)) for site, shares in routed.items()}
    )
    replies = yield Step("unmask", server.survivors(replies))
    result = server.sum(replies)
    return Summed(result.vector, result.contributors)
