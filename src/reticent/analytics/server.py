"""The coordinator's role in a federated statistic: ask all sites once, sum, read the answers off the sum.

Run by: the coordinator. Reveals to it: under `secagg` the sum over the survivors and who they are; under `plain` every
site's noised vector. The answers name how many sites' noise is in them.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reticent.analytics.answers import Answers
from reticent.analytics.settings import Statistics
from reticent.analytics.wire import TASK, Asked, Opening, Vector, session_of
from reticent.errors import IdentityError, InternalError, QuorumLost, UsageError
from reticent.identity import Roster
from reticent.messages import decode, encode, record
from reticent.roles import Exchange, Finished
from reticent.secagg import Server as SummingServer

__all__ = ["Server"]

_HEADER_ROOM = 65_536


@record("analytics.state", version=1)
@dataclass(frozen=True)
class _State:
    """What survives: the summed vector and whose it is, or nothing yet."""

    contributors: tuple[str, ...]
    vector: NDArray[np.float64]


Sum = Generator[tuple[str, Mapping[str, bytes]], Mapping[str, bytes], _State]


class Server:
    """The coordinator of one statistic.

    Args:
      settings: What is asked; its hash goes with every request.
      sites: Who takes part.
      roster: The pinned keys of the sites; needed under `secagg`.
    """

    def __init__(
        self, settings: Statistics, *, sites: tuple[str, ...], run: str = "simulation", roster: Roster | None = None
    ) -> None:
        if len(set(sites)) != settings.cohort:
            raise UsageError(
                "statistics-sites",
                f"{len(set(sites))} sites are named, the settings say {settings.cohort}",
                hint="name every site of the cohort once",
            )
        self.finished: Finished | None = None
        self._settings, self._sites, self._run, self._roster = settings, tuple(sorted(sites)), run, roster
        self._attempt = 1
        self._state: _State | None = None
        self._sum: Sum | None = None
        self._pending: tuple[str, Mapping[str, bytes]] | None = None

    @property
    def remaining(self) -> tuple[tuple[str, int], ...]:
        """The one task, until it is done."""
        return () if self._state else ((TASK, 1),)

    def step(self) -> Exchange | None:
        """Return the next request to the sites, or None when the sum is known."""
        if self._state is not None:
            return None
        if self._sum is None:
            self._sum = self._masked() if self._settings.protocol == "secagg" else self._plain()
            self._pending = next(self._sum)
        if self._pending is None:
            raise InternalError("protocol-order", "step was called twice", hint="feed the replies between two steps")
        name, requests = self._pending
        return Exchange(1, self._attempt, f"{TASK}/{name}", requests, self._settings.deadline)

    def feed(self, replies: Mapping[str, bytes], absent: frozenset[str]) -> bool:
        """Take the answers of one step; returns True when the sum is known.

        Raises:
          QuorumLost: If too few sites are left; `load` starts anew.
        """
        if self._sum is None:
            raise InternalError("protocol-order", "feed was called before step", hint="step, then feed")
        try:
            self._pending = self._sum.send({site: reply for site, reply in replies.items() if site not in absent})
        except StopIteration as stop:
            self._state = stop.value
            self._sum = self._pending = None
            self.finished = Finished(TASK, 1, self._attempt, stop.value.contributors, None)
            return True
        return False

    def answers(self, *, confidence: float = 0.95) -> Answers:
        """Return the answers over all sites that contributed."""
        if self._state is None:
            raise InternalError("protocol-order", "the sum is not known yet", hint="run the protocol to its end first")
        return self._settings.layout.answers(
            self._state.vector,
            noise_multiplier=self._settings.noise_multiplier,
            sites=len(self._state.contributors),
            confidence=confidence,
        )

    def dump(self) -> bytes:
        """Return the sum, if it is known."""
        return encode(self._state or _State((), np.zeros(0)))

    def load(self, state: bytes, *, attempt: int) -> None:
        """Go back to `state`; keys, masks and half-finished sums are gone."""
        known = decode(state, _State, limit=len(state))
        self._state = known if known.contributors else None
        self._attempt = attempt
        self._sum = self._pending = None

    def _plain(self) -> Sum:
        request = encode(Asked(self._settings.hash, b""))
        replies = yield "update", dict.fromkeys(self._sites, request)
        found = {site: vector for site in sorted(replies) if (vector := self._usable(replies[site])) is not None}
        least = self._settings.cohort - self._settings.dropouts
        if len(found) < least:
            raise QuorumLost(
                "too-few-sites",
                f"{len(found)} of {self._settings.cohort} sites sent a usable vector, {least} are needed",
                hint="bring the absent sites back, or allow more dropouts",
            )
        return _State(tuple(found), np.sum(list(found.values()), axis=0))

    def _usable(self, reply: bytes) -> NDArray[np.float64] | None:
        """Return a vector that can be added: who sends another thing is absent, and stops nobody."""
        length, bound = self._settings.layout.length, self._settings.bound
        try:
            values = decode(reply, Vector, limit=8 * length + _HEADER_ROOM).values
        except IdentityError:
            return None
        return values if values.shape == (length,) and (np.abs(values) <= bound).all() else None

    def _masked(self) -> Sum:
        if self._roster is None:
            raise InternalError(
                "protocol-order", "secure aggregation without pinned keys", hint="give the server the roster"
            )
        opening = Opening(self._sites, self._settings.hash)
        server = SummingServer(
            self._settings.parameters, roster=self._roster, session=session_of(self._run, self._attempt, opening)
        )
        replies = yield "keys", dict.fromkeys(self._sites, encode(opening))
        replies = yield "shares", server.keys_to_roster(replies)
        routed = server.route_shares(replies)
        replies = yield (
            "update",
            {site: encode(Asked(self._settings.hash, shares)) for site, shares in routed.items()},
        )
        replies = yield "unmask", server.survivors(replies)
        result = server.sum(replies)
        return _State(result.contributors, result.vector)
