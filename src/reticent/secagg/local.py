"""All roles of one secure sum in this process: for tests, demonstrations and the local engine."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent.errors import UsageError
from reticent.identity import Roster, SigningKey
from reticent.randomness import secret
from reticent.secagg.client import Client
from reticent.secagg.parameters import Parameters
from reticent.secagg.server import Server, SumResult
from reticent.secagg.wire import PHASES

__all__ = ["sum_of"]


def sum_of(
    vectors: Mapping[str, NDArray[np.floating[Any]]],
    parameters: Parameters,
    *,
    drop: Mapping[str, Collection[str]] | None = None,
) -> SumResult:
    """Return the sum of `vectors` by the whole protocol, with fresh identities.

    Args:
      vectors: By name of the client, each `(length,)` and within the bound.
      parameters: For at least as many clients.
      drop: By phase (advertise, share_keys, masked_input, unmask) the names that give no answer from there on.

    Raises:
      QuorumLost: If fewer than threshold clients are left in a phase.
      UsageError: If `drop` names an unknown phase.
    """
    if unknown := set(drop or {}) - set(PHASES):
        raise UsageError(
            "unknown-drop-phase", f"drop names the phases {sorted(unknown)}", hint=f"use {', '.join(PHASES)}"
        )
    identities = {name: SigningKey.generate() for name in vectors}
    roster = Roster({name: key.public for name, key in identities.items()})
    session = secret(16)
    clients = {name: Client(parameters, name, key, roster, session) for name, key in identities.items()}
    server = Server(parameters, roster, session)

    def present(phase: str, asked: Collection[str]) -> list[str]:
        gone = {name for earlier in PHASES[: PHASES.index(phase) + 1] for name in (drop or {}).get(earlier, ())}
        return [name for name in asked if name not in gone]

    keys = {name: clients[name].advertise() for name in present("advertise", clients)}
    rosters = server.keys_to_roster(keys)
    shares = {name: clients[name].share_keys(rosters[name]) for name in present("share_keys", rosters)}
    delivered = server.route_shares(shares)
    masked = {
        name: clients[name].masked_input(delivered[name], vectors[name]) for name in present("masked_input", delivered)
    }
    survivors = server.survivors(masked)
    return server.sum({name: clients[name].unmask(survivors[name]) for name in present("unmask", survivors)})
