"""Where a participant's time goes: own time of every function, by cause.

A profiler slows Python down and C hardly at all: read the shares, not the seconds.
"""

from __future__ import annotations

import cProfile
import pstats
from collections import Counter

CAUSES = {
    "waiting for the others": ("'poll' of 'select",),
    "encryption (TLS) and copies to and from the kernel": ("_ssl._SSLSocket",),
    "keystreams (AES), key derivation": ("CipherContext", "update_into", "hkdf", "randomness.py", "/streams.py"),
    "matrix products": ("matmul", "/products.py"),
    "messages: framing, joining, scheduling": (
        "/channels/", "ssl.py", "/link.py", "/schedule.py", "/rounds.py", "/messages.py", "'join' of 'bytes'", "json",
    ),
    "arithmetic on shares and bits (numpy)": ("/mpc/", "/rings/", "numpy"),
}  # fmt: skip


def shares(profile: cProfile.Profile | None) -> dict[str, float]:
    """Return every cause's share of the profiled time, largest first; empty if nothing was profiled."""
    if not profile:
        return {}
    seconds: Counter[str] = Counter()
    for (file, _, function), (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        place = f"{file} {function}"
        cause = next((cause for cause, marks in CAUSES.items() if any(mark in place for mark in marks)), "the rest")
        seconds[cause] += own
    total = seconds.total()
    return {cause: own / total for cause, own in seconds.most_common()}
