"""Where reticent's overhead goes: own time of everything but local training, from the second round on, by cause.

Run as a script in a process of its own. A profiler slows Python down and C hardly at all: read the shares, not the
seconds.
"""

from __future__ import annotations

import cProfile
import json
import pstats
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import reticent_run
import workload

import reticent
from reticent.federated import learner

CAUSES = {
    "waiting for the disk (`fsync`)": ("posix.fsync",),
    "files: open, write, rename, delete": ("posix.", "_io.", "io.open"),
    "SHA-256 of models and updates": ("_hashlib", "_sha2"),
    "signatures (Ed25519)": ("ed25519",),
    "key agreement and key derivation (X25519, HKDF)": ("x25519", "hkdf"),
    "masks and shares (AES)": ("CipherContext", "aead", "AESGCM"),
    "copies of arrays and messages": (
        "'astype'", "'tobytes'", "'join' of 'bytes'", "'copy'", "'copy_'", "numpy.array", "/messages.py", "/vectors.py",
    ),
    "safetensors": ("safetensors",),
    "other reticent code and numpy in it": ("/reticent/",),
}  # fmt: skip


def main() -> None:
    task, given = workload.arguments(protocol=("plain", "secagg"))
    profile, rounds = cProfile.Profile(), list[int]()
    train = learner.fit_plain

    def unprofiled(*arguments: Any, **named: Any) -> None:
        profile.disable()
        train(*arguments, **named)
        if rounds:
            profile.enable()

    def observer(event: Any) -> None:
        if (event.name, event.when) == ("round", "after"):
            rounds.append(event.round)
            profile.disable() if len(rounds) == task.rounds else profile.enable()

    learner.fit_plain = unprofiled
    with tempfile.TemporaryDirectory() as name:
        bound = reticent_run.plan_of(task, given.protocol, Path(name))
        data = dict(zip((site.name for site in bound.plan.sites), task.data, strict=True))
        reticent.run(bound, data=data, directory=Path(name) / "runs", observer=observer)
    print(json.dumps(shares(profile)))


def shares(profile: cProfile.Profile) -> dict[str, float]:
    """Return every cause's share of the profiled time, largest first."""
    seconds: Counter[str] = Counter()
    for (file, _, function), (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        place = f"{file} {function}"
        cause = next((cause for cause, marks in CAUSES.items() if any(mark in place for mark in marks)), "the rest")
        seconds[cause] += own
    total = seconds.total()
    return {cause: own / total for cause, own in seconds.most_common()}


if __name__ == "__main__":
    main()
