"""The messages of the protocol, and the contexts that bind them to one session.

phase         client -> server       server -> client
advertise     PublicKeys             KeyRoster (all PublicKeys, as they were signed)
share_keys    SealedShares           DeliveredShares
masked_input  MaskedInput            Survivors
unmask        Openings
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from reticent.messages import record
from reticent.secagg.parameters import Parameters

__all__ = [
    "PHASES",
    "DeliveredShares",
    "KeyRoster",
    "MaskedInput",
    "Openings",
    "PublicKeys",
    "SealedShares",
    "Survivors",
    "key_claim",
    "labelled",
    "roster_context",
    "session_context",
]

PHASES = ("advertise", "share_keys", "masked_input", "unmask")
_PROTOCOL = b"reticent secagg 1"


@record("secagg.keys", version=1)
@dataclass(frozen=True, slots=True)
class PublicKeys:
    """A client's X25519 keys for this session, signed with its identity."""

    encryption: bytes
    masking: bytes
    signature: bytes


@record("secagg.roster", version=1)
@dataclass(frozen=True, slots=True)
class KeyRoster:
    """The PublicKeys of everybody who advertised, by name, each as its owner encoded it."""

    keys: Mapping[str, bytes]


@record("secagg.shares", version=1)
@dataclass(frozen=True, slots=True)
class SealedShares:
    """For each other client, by name, an encrypted share of both secrets of the sender."""

    sealed: Mapping[str, bytes]


@record("secagg.delivery", version=1)
@dataclass(frozen=True, slots=True)
class DeliveredShares:
    """For one client: what each other one, by name, sealed for it."""

    sealed: Mapping[str, bytes]


@record("secagg.masked", version=1)
@dataclass(frozen=True, slots=True)
class MaskedInput:
    """The masked vector, packed, and a commitment to the seed of the own mask, so that wrong shares are noticed."""

    words: bytes
    commitment: bytes


@record("secagg.survivors", version=1)
@dataclass(frozen=True, slots=True)
class Survivors:
    """Whose masked vectors arrived, in order of their names."""

    names: tuple[str, ...]


@record("secagg.openings", version=1)
@dataclass(frozen=True, slots=True)
class Openings:
    """One client's shares: of the mask seeds of survivors, of the masking keys of those who vanished."""

    seeds: Mapping[str, bytes]
    keys: Mapping[str, bytes]


def labelled(purpose: str, *parts: bytes) -> bytes:
    """Return protocol, purpose and parts, each with its length, as one text without ambiguity."""
    return b"".join(len(part).to_bytes(4, "little") + part for part in (_PROTOCOL, purpose.encode(), *parts))


def session_context(parameters: Parameters, session: bytes) -> bytes:
    """Return what every signature is bound to: 32 bytes."""
    return hashlib.sha256(labelled("session", parameters.fingerprint(), session)).digest()


def roster_context(session: bytes, roster_message: bytes) -> bytes:
    """Return what every derived key is bound to: 32 bytes that differ if two clients were shown different keys."""
    return hashlib.sha256(labelled("roster", session, roster_message)).digest()


def key_claim(session: bytes, name: str, encryption: bytes, masking: bytes) -> bytes:
    """Return the text that a client signs: these keys are mine, in this session."""
    return labelled("keys", session, name.encode(), encryption, masking)
