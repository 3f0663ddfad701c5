"""Bytes and seconds of a secure sum, beside the formula of Bonawitz et al. (CCS 2017).

    PYTHONPATH=src python bench/secagg.py --clients 100 --length 1000000 --dropped 10

Their expansion factor fits (16 + log2 n) / 16 for 16-bit inputs, plus 215 bytes for each peer. The clients run one
after the other in this process; times are per client, on one core, and the vectors of the vanished are never sent.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from reticent.identity import Roster, SigningKey
from reticent.secagg import Client, Parameters, Server, masks


def timed(seconds: dict[str, float], name: str, action: Callable[[], Any], *, divisor: int = 1) -> Any:
    start = time.perf_counter()
    result = action()
    seconds[name] = (time.perf_counter() - start) / divisor
    return result


def mask_rate(length: int, word: np.dtype[Any], repeats: int = 10) -> float:
    """Bytes of mask made and added in a second, best of `repeats`."""
    total, best = np.zeros(length, word), math.inf
    for _ in range(repeats):
        start = time.perf_counter()
        masks.add_mask(total, bytes(16), negative=False)
        best = min(best, time.perf_counter() - start)
    return total.nbytes / best


def measure(clients: int, length: int, dropped: int) -> dict[str, Any]:
    # 16-bit inputs, as in the paper: 2^16 - 1 steps from -bound to bound.
    parameters = Parameters(
        clients=clients, length=length, bound=2.0**15 - 1, precision=1.0, dropouts=(clients - 1) // 3
    )
    identities = {f"site-{i:04}": SigningKey.generate() for i in range(clients)}
    roster = Roster({name: key.public for name, key in identities.items()})
    party = {name: Client(parameters, name, key, roster, b"bench") for name, key in identities.items()}
    server, seconds = Server(parameters, roster, b"bench"), {}
    vector = np.random.default_rng(0).integers(-(2**15) + 1, 2**15, length).astype(np.float64)

    def each(phase: str, names: list[str], action: Callable[[str], bytes]) -> dict[str, bytes]:
        return timed(seconds, f"client {phase}", lambda: {name: action(name) for name in names}, divisor=len(names))  # type: ignore[no-any-return]

    keys = each("advertise", list(party), lambda name: party[name].advertise())
    rosters = timed(seconds, "server advertise", lambda: server.keys_to_roster(keys))
    shares = each("share_keys", list(rosters), lambda name: party[name].share_keys(rosters[name]))
    delivered = timed(seconds, "server share_keys", lambda: server.route_shares(shares))
    staying = list(delivered)[: clients - dropped]
    masked = each("masked_input", staying, lambda name: party[name].masked_input(delivered[name], vector))
    survivors = timed(seconds, "server masked_input", lambda: server.survivors(masked))
    opened = each("unmask", list(survivors), lambda name: party[name].unmask(survivors[name]))
    result = timed(seconds, "server unmask", lambda: server.sum(opened))
    assert (result.vector == len(staying) * vector).all()
    name = staying[0]
    control = len(keys[name]) + len(shares[name]) + len(opened[name])
    return {
        "clients": clients,
        "length": length,
        "dropped": dropped,
        "ring_bits": parameters.ring_bits,
        "bytes_up": control + len(masked[name]),
        "bytes_up_per_peer": round(control / (clients - 1), 1),
        "bytes_down": len(rosters[name]) + len(delivered[name]) + len(survivors[name]),
        "expansion": round((control + len(masked[name])) / (2 * length), 4),
        "expansion_bonawitz": round((16 + math.log2(clients)) / 16 + 215 * (clients - 1) / (2 * length), 4),
        "mask_GB_per_s": round(mask_rate(length, parameters.encoding.word) / 1e9, 2),
        "seconds": {name: round(value, 4) for name, value in seconds.items()},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--length", type=int, default=1_000_000)
    parser.add_argument("--dropped", type=int, default=10)
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.clients, arguments.length, arguments.dropped), indent=2))
