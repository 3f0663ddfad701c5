"""Faults of ledgers that several modules find."""

from __future__ import annotations

from reticent.errors import EnvironmentFault

__all__ = ["RESTORE", "contradiction", "damaged", "rolled_back", "vanished"]

RESTORE = "restore it from a backup that is not older than the last release; an older one would forget what was spent"


def damaged(message: str) -> EnvironmentFault:
    """Return the fault of a ledger that cannot be read, or contradicts itself."""
    return EnvironmentFault("ledger-damaged", message, hint=RESTORE)


def contradiction(seq: int, problem: str) -> EnvironmentFault:
    """Return the fault of an entry that does not follow from those before it."""
    return damaged(f"entry {seq} of the ledger {problem}")


def vanished(shown: str) -> EnvironmentFault:
    """Return the fault of a ledger that this process has seen and that is gone."""
    return EnvironmentFault("ledger-vanished", f"the ledger {shown} was there and is gone or empty now", hint=RESTORE)


def rolled_back(shown: str, problem: str) -> EnvironmentFault:
    """Return the fault of a ledger that lacks, or has exchanged, what it held before."""
    return EnvironmentFault(
        "ledger-rolled-back",
        f"{shown} {problem}",
        hint="an older copy was put back, or another ledger in its place: restore the newest one. Until then release "
        "nothing: what the lost entries spent is spent",
    )
