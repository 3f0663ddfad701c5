"""What travels between client and evaluator: authenticated first, compared by fingerprint next, parsed last.

A lattice library reads bytes that are complex and unchecked: in SEAL a flipped bit loads silently and decrypts to 1e31.
So every object is a record that names its parameters and its key pair, inside a seal. The receiver (1) checks the seal,
(2) compares both fingerprints and the sizes with what it expects, and only then (3) lets the library parse. A sender who
is authentic but hostile can still send well-formed nonsense, which decrypts to nonsense; the parsers of the library face
authenticated senders only.

Seals: `Signed`, for two parties with Ed25519 identities pinned in a roster: each message is signed with session, phase,
direction and number, so it cannot be altered, redirected or replayed. `OwnMac`, for one person who stores ciphertexts
and gets them back: a key derived from the client's secret, which no evaluator has.
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol, TypeVar

from reticent.errors import IdentityError
from reticent.he.keys import ClientKeys, EvaluationKeys, key_fingerprint, refuse_secrets
from reticent.he.parameters import Parameters
from reticent.he.port import Backend, Cipher, rotation_steps
from reticent.identity import Address, Roster, SigningKey, seal, unseal
from reticent.messages import decode, encode, record

__all__ = [
    "Ciphertexts",
    "EvaluationKeysMessage",
    "OwnMac",
    "Seal",
    "Signed",
    "backend_parts",
    "ciphertext_limit",
    "dump_ciphertexts",
    "dump_evaluation_keys",
    "evaluation_limit",
    "load_ciphertexts",
    "load_evaluation_keys",
    "refuse",
]

T = TypeVar("T")
_TAG = 32
_SLACK = 1 << 16
_MOST_ROTATIONS = 64


@record("he.ciphertexts", version=1)
@dataclass(frozen=True, eq=False, repr=False)
class Ciphertexts:
    """Ciphertexts of one level and scale.

    Attributes:
      parameters: Fingerprint of the parameters.
      key: Fingerprint of the key pair.
      backend: Name of the backend that wrote them.
      label: What they are, such as "vector", or the input of a program with its fingerprint.
      level: Level.
      scale: Scale.
      facts: Layout, range and error: declared or derived from declared bounds, never from data.
      parts: One ciphertext each, in the library's form.
    """

    parameters: bytes
    key: bytes
    backend: str
    label: str
    level: int
    scale: float
    facts: Mapping[str, float]
    parts: tuple[bytes, ...]


@record("he.evaluation-keys", version=1)
@dataclass(frozen=True, eq=False, repr=False)
class EvaluationKeysMessage:
    """Evaluation keys.

    Attributes:
      parameters: Fingerprint of the parameters.
      key: Fingerprint of the key pair.
      backend: Name of the backend.
      parts: The encryption of zero, relinearisation and rotation keys, by name.
    """

    parameters: bytes
    key: bytes
    backend: str
    parts: Mapping[str, bytes]


class Seal(Protocol):
    """Makes bytes recognisable, and opens only what it recognises."""

    def protect(self, body: bytes) -> bytes:
        """Return `body`, sealed."""

    def open(self, data: bytes, *, limit: int) -> bytes:
        """Return the body; raises IdentityError if the seal does not hold. `limit`: most bytes of the body."""


class OwnMac:
    """HMAC-SHA256 under a key of the client: for ciphertexts that come back to who made them.

    Requires: only this client opens them. Reveals nothing beyond the ciphertexts. A stored message can be swapped for
    an older one of the same client.
    """

    def __init__(self, keys: ClientKeys) -> None:
        self._key = keys.mac_key()

    def protect(self, body: bytes) -> bytes:
        """Return tag and body."""
        return hmac.digest(self._key, body, "sha256") + body

    def open(self, data: bytes, *, limit: int) -> bytes:
        """Return the body if the tag is ours."""
        if not _TAG <= len(data) <= limit + _TAG:
            refuse(f"{len(data)} bytes where {_TAG} to {limit + _TAG} were expected")
        body = data[_TAG:]
        if not hmac.compare_digest(hmac.digest(self._key, body, "sha256"), data[:_TAG]):
            refuse("altered, or not written by the holder of these client keys")
        return body


class Signed:
    """Signed envelopes between two pinned identities, numbered in each direction.

    Args:
      key: Own signing key.
      roster: Pinned public keys.
      me: Own name.
      peer: Name of the other side.
      session: Text that both agreed for this session, never used before.
      phase: Name of the protocol.
    """

    def __init__(self, key: SigningKey, roster: Roster, *, me: str, peer: str, session: str, phase: str = "he") -> None:
        self._key, self._roster, self._me, self._peer = key, roster, me, peer
        self._session, self._phase = session, phase
        self._sent = self._received = 0

    def protect(self, body: bytes) -> bytes:
        """Return an envelope to the peer, with the next number."""
        self._sent += 1
        return seal(body, Address(self._session, self._sent, 0, self._phase, self._me, self._peer), self._key)

    def open(self, data: bytes, *, limit: int) -> bytes:
        """Return the body of the peer's next envelope."""
        address, body = unseal(data, self._roster, recipient=self._me, limit=limit)
        expected = Address(self._session, self._received + 1, 0, self._phase, self._peer, self._me)
        if address != expected:
            refuse("a message of another session, sender, phase or number: replayed or out of order")
        self._received += 1
        return body


def dump_evaluation_keys(keys: EvaluationKeys | ClientKeys, backend: Backend, seal: Seal) -> bytes:
    """Return evaluation keys, sealed.

    Raises:
      PolicyRefused: If the keys are those of a client: they decrypt.
    """
    if isinstance(keys, ClientKeys):
        keys.refuse_encoding()
    parts = backend.dump_evaluation(keys.handle)
    return _send(EvaluationKeysMessage(keys.parameters.fingerprint, keys.fingerprint, backend.name, parts), seal)


def load_evaluation_keys(
    data: bytes, seal: Seal, backend: Backend, *, rotations: frozenset[int] | None = None
) -> EvaluationKeys:
    """Return evaluation keys that arrived.

    Args:
      data: From anywhere.
      seal: What authenticates them.
      backend: With the parameters that are expected.
      rotations: Steps that are expected, if known: no others are accepted.

    Raises:
      IdentityError: If the seal does not hold, or the keys are for other parameters or not what they say.
    """
    parameters = backend.parameters
    most = _MOST_ROTATIONS if rotations is None else len(rotations)
    message = _receive(data, EvaluationKeysMessage, seal, evaluation_limit(parameters, most))
    _same_parameters(message.parameters, message.backend, backend)
    if not {"relin", "zero"} <= set(message.parts):
        refuse("evaluation keys without relinearisation key or encryption of zero")
    steps = frozenset(rotation_steps(message.parts, parameters.slots))
    if len(steps) > most or (rotations is not None and steps != rotations):
        refuse("evaluation keys for other rotations than were asked for")
    if message.key != key_fingerprint(parameters, message.parts["zero"]):
        _wrong_key()
    return EvaluationKeys(parameters, message.key, backend.load_evaluation(dict(message.parts)))


def dump_ciphertexts(message: Ciphertexts, seal: Seal) -> bytes:
    """Return ciphertexts, sealed."""
    return _send(message, seal)


def load_ciphertexts(
    data: bytes, seal: Seal, backend: Backend, key: bytes, *, label: str, most: int = 64
) -> tuple[Ciphertexts, list[Cipher]]:
    """Return the message and its ciphertexts, checked.

    Args:
      data: From anywhere.
      seal: What authenticates them.
      backend: With the parameters that are expected.
      key: Fingerprint of the key pair that is expected.
      label: What is expected.
      most: Most ciphertexts in one message.

    Raises:
      IdentityError: If the seal does not hold, or the ciphertexts are under another key, for other parameters, or
        something else than `label`.
    """
    parameters = backend.parameters
    message = _receive(data, Ciphertexts, seal, ciphertext_limit(parameters, most))
    _same_parameters(message.parameters, message.backend, backend)
    if message.key != key:
        _wrong_key()
    if message.label != label:
        refuse(f"ciphertexts labelled {message.label[:64]!r} where {label!r} is expected")
    one = ciphertext_limit(parameters, 1)
    if not (0 <= message.level <= parameters.depth and 0 < len(message.parts) <= most):
        refuse(f"{len(message.parts)} ciphertexts at level {message.level}")
    if not (0 < message.scale < math.inf and all(math.isfinite(fact) for fact in message.facts.values())):
        refuse("a scale or fact that is no number")
    if any(len(part) > one for part in message.parts):
        refuse("a ciphertext larger than its parameters allow")
    ciphers = [backend.load_cipher(part, level=message.level, scale=message.scale) for part in message.parts]
    return message, ciphers


def ciphertext_limit(parameters: Parameters, count: int) -> int:
    """Most bytes of a message of `count` ciphertexts: two polynomials, 8 bytes for each coefficient of each prime."""
    return count * (16 * parameters.degree * len(parameters.primes) + 4096) + _SLACK


def evaluation_limit(parameters: Parameters, rotations: int) -> int:
    """Most bytes of evaluation keys: one ciphertext for each prime, for each rotation and the relinearisation."""
    return (rotations + 1) * len(parameters.primes) * ciphertext_limit(parameters, 1) + ciphertext_limit(parameters, 1)


def backend_parts(backend: Backend, ciphers: Sequence[Cipher]) -> tuple[bytes, ...]:
    """Return the library's form of each."""
    return tuple(backend.dump_cipher(cipher) for cipher in ciphers)


def _send(message: object, seal: Seal) -> bytes:
    body = encode(message)
    refuse_secrets(body)
    return seal.protect(body)


def _receive(data: bytes, kind: type[T], seal: Seal, limit: int) -> T:
    return decode(seal.open(data, limit=limit), kind, limit=limit)


def _same_parameters(fingerprint: bytes, name: str, backend: Backend) -> None:
    if fingerprint != backend.parameters.fingerprint or name != backend.name:
        raise IdentityError(
            "foreign-parameters",
            f"an object for other parameters, or for the backend {name[:64]!r} where {backend.name!r} is used",
            hint="both sides take the parameters from one context or one program",
        )


def _wrong_key() -> NoReturn:
    raise IdentityError(
        "wrong-key",
        "an object under another key pair than the one in use",
        hint="use ciphertexts and evaluation keys that were made together, by the same client keys",
    )


def refuse(why: str) -> NoReturn:
    """Raise the error for an object that is not read."""
    raise IdentityError(
        "unauthentic-ciphertext",
        f"an encrypted object was refused before it was read: {why}",
        hint="send it again over the same session; if it fails again, treat the carrier as hostile",
    )
