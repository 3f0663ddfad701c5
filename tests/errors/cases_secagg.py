"""How each error code of secure aggregation is raised."""

from __future__ import annotations

import copy
import pathlib
from collections.abc import Callable

import numpy as np

from reticent.identity import Roster, SigningKey
from reticent.messages import decode, encode
from reticent.secagg import Client, Parameters, Server, sum_of
from reticent.secagg import server as server_module
from reticent.secagg.wire import DeliveredShares, KeyRoster, Survivors

_P = Parameters(clients=3, length=2, bound=1.0, precision=0.5, dropouts=0)
_NAMES = ("east", "north", "south")


def _cast() -> tuple[dict[str, Client], Server]:
    keys = {name: SigningKey.generate() for name in _NAMES}
    roster = Roster({name: key.public for name, key in keys.items()})
    clients = {name: Client(_P, name, key, roster, b"session") for name, key in keys.items()}
    return clients, Server(_P, roster, b"session")


def _delivered() -> tuple[dict[str, Client], Server, dict[str, bytes]]:
    clients, server = _cast()
    rosters = server.keys_to_roster({name: client.advertise() for name, client in clients.items()})
    return clients, server, server.route_shares({name: clients[name].share_keys(rosters[name]) for name in rosters})


def _masked() -> tuple[dict[str, Client], Server, dict[str, bytes]]:
    clients, server, delivered = _delivered()
    masked = {name: clients[name].masked_input(delivered[name], np.zeros(2)) for name in clients}
    return clients, server, server.survivors(masked)


def _key_rejected(folder: pathlib.Path) -> object:
    clients, _ = _cast()
    keys = {name: client.advertise() for name, client in clients.items()}
    return clients["north"].share_keys(encode(KeyRoster({**keys, "north": keys["south"]})))


def _not_pinned(folder: pathlib.Path) -> object:
    roster = Roster({name: SigningKey.generate().public for name in _NAMES})
    return Client(_P, "north", SigningKey.generate(), roster, b"session")


def _reconstruction(folder: pathlib.Path) -> object:
    clients, server, survivors = _masked()
    opened = {name: clients[name].unmask(survivors[name]) for name in clients}
    seeds = dict(decode(opened["north"], server_module.wire.Openings, limit=10_000).seeds)
    seeds["south"] = seeds["south"][:-1] + bytes([seeds["south"][-1] ^ 1])
    return server.sum({**opened, "north": encode(server_module.wire.Openings(seeds, {}))})


def _share_rejected(folder: pathlib.Path) -> object:
    clients, _, delivered = _delivered()
    sealed = dict(decode(delivered["north"], DeliveredShares, limit=10_000).sealed)
    sealed["east"], sealed["south"] = sealed["south"], sealed["east"]
    return clients["north"].masked_input(encode(DeliveredShares(sealed)), np.zeros(2))


def _survivors(*names: str) -> object:
    return _masked()[0]["north"].unmask(encode(Survivors(names)))


def _shape(folder: pathlib.Path) -> object:
    clients, _, delivered = _delivered()
    return clients["north"].masked_input(delivered["north"], np.zeros(3))


CASES: dict[str, Callable[[pathlib.Path], object]] = {
    "invalid-secagg": lambda folder: Parameters(clients=3, length=0, bound=1.0, precision=0.5, dropouts=0),
    "key-rejected": _key_rejected,
    "own-key-not-pinned": _not_pinned,
    "phase-out-of-order": lambda folder: _cast()[0]["north"].unmask(b""),
    "reconstruction-failed": _reconstruction,
    "secagg-client-copied": lambda folder: copy.copy(_cast()[0]["north"]),
    "server-phase-order": lambda folder: _cast()[1].sum({}),
    "share-rejected": _share_rejected,
    "survivors-below-threshold": lambda folder: _survivors("north"),
    "survivors-rejected": lambda folder: _survivors("east", "north", "west"),
    "threshold-too-low": lambda folder: Parameters(clients=4, length=2, bound=1.0, precision=0.5, dropouts=2),
    "too-few-survivors": lambda folder: _cast()[1].keys_to_roster({}),
    "unknown-drop-phase": lambda folder: sum_of({}, _P, drop={"lunch": ["north"]}),
    "unusable-reply": lambda folder: server_module._unusable("an example"),
    "vector-shape": _shape,
}
