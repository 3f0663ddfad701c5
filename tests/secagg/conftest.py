"""A recorder: plays one session under any pattern of drop-outs and keeps all that the coordinator saw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reticent.errors import QuorumLost
from reticent.identity import Roster, SigningKey
from reticent.messages import decode
from reticent.rings import Interpolation
from reticent.secagg import Client, Parameters, Server, SumResult, masks, wire

PHASES = wire.PHASES
_IDENTITIES = {name: SigningKey.generate() for name in ("ada", "bob", "cyd", "dan", "eve", "fay")}


@dataclass
class Recording:
    """What the coordinator received, also late, and what came out."""

    parameters: Parameters
    server: Server
    clients: dict[str, Client]
    replies: dict[str, dict[str, bytes]] = field(default_factory=lambda: {phase: {} for phase in PHASES})
    late: dict[str, dict[str, bytes]] = field(default_factory=lambda: {phase: {} for phase in PHASES})
    requests: dict[str, dict[str, bytes]] = field(default_factory=dict)
    result: SumResult | None = None
    lost: QuorumLost | None = None

    def secrets(self) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """The mask seeds and masking keys that all recorded openings, late ones too, restore: an attacker's work."""
        holder = {name: number for number, name in enumerate(sorted(self.server._keys), start=1)}
        openings = {
            name: decode(data, wire.Openings, limit=100_000)
            for name, data in (self.replies["unmask"] | self.late["unmask"]).items()
        }
        found: tuple[dict[str, bytes], dict[str, bytes]] = ({}, {})
        for kind, into in zip(("seeds", "keys"), found, strict=True):
            for target in holder:
                shares = {
                    holder[name]: getattr(o, kind)[target] for name, o in openings.items() if target in getattr(o, kind)
                }
                if len(shares) >= self.parameters.threshold:
                    into[target] = Interpolation(list(shares)[: self.parameters.threshold]).secret(shares)
        return found

    def residual(self, name: str) -> NDArray[np.uint64]:
        """`name`'s masked vector less every mask that the recording lets the coordinator compute, modulo the ring."""
        seeds, keys = self.secrets()
        context, encoding = self.server._context, self.parameters.encoding
        data = (self.replies["masked_input"] | self.late["masked_input"])[name]
        message = decode(data, wire.MaskedInput, limit=self.parameters.message_limit)
        words = encoding.unpack(message.words, self.parameters.length).astype(encoding.word)
        if name in seeds:
            masks.add_mask(words, masks.self_key(seeds[name], context, name), negative=True)
        for peer in set(self.server._shared) - {name}:
            for mine, other in ((name, peer), (peer, name)):
                if mine in keys:
                    shared = masks.agree(keys[mine], self.server._keys[other].masking)
                    key = masks.pair_key(shared, context, name, peer)
                    masks.add_pair_mask(words, key, owner=name, peer=peer, remove=True)
                    break
        return words.astype(np.uint64) & np.uint64(2**encoding.ring_bits - 1)

    @property
    def uncovered(self) -> set[str]:
        """Clients of which both secrets came out."""
        seeds, keys = self.secrets()
        return seeds.keys() & keys.keys()


Play = Callable[..., Recording]


def _play(
    parameters: Parameters,
    vectors: Mapping[str, NDArray[np.float64]],
    answered: Mapping[str, int] | None = None,
    *,
    session: bytes = b"run 1, round 1, attempt 1",
    client: Any = Client,
) -> Recording:
    """Each client answers its first `answered` phases in time, the next one too late, and then no more."""
    fate = dict.fromkeys(vectors, 4) | dict(answered or {})
    identities = {name: _IDENTITIES[name] for name in vectors}
    roster = Roster({name: key.public for name, key in identities.items()})
    recording = Recording(
        parameters,
        Server(parameters, roster, session),
        {name: client(parameters, name, key, roster, session) for name, key in identities.items()},
    )
    server = recording.server
    collect = (server.keys_to_roster, server.route_shares, server.survivors, server.sum)
    requests: Any = dict.fromkeys(vectors, b"")
    try:
        for number, phase in enumerate(PHASES):
            recording.requests[phase] = dict(requests)
            for name, request in requests.items():
                if fate[name] >= number:
                    reply = _answer(recording.clients[name], phase, request, vectors[name])
                    (recording.replies if fate[name] > number else recording.late)[phase][name] = reply
            requests = collect[number](recording.replies[phase])
        recording.result = requests
    except QuorumLost as error:
        recording.lost = error
    return recording


def _answer(client: Client, phase: str, request: bytes, vector: NDArray[np.float64]) -> bytes:
    if phase == "advertise":
        return client.advertise()
    if phase == "masked_input":
        return client.masked_input(request, vector)
    return getattr(client, phase)(request)  # type: ignore[no-any-return]


@pytest.fixture
def play() -> Play:
    return _play


@pytest.fixture
def four() -> Parameters:
    """Four clients in the ring of 16 elements: every element is a bin of its own."""
    return Parameters(clients=4, length=1024, bound=1.0, precision=1.0, dropouts=1)
