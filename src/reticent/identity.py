"""Who speaks: signing keys, pinned identities and signed envelopes.

Every site and the coordinator own one Ed25519 key. A `Roster` pins name to public key before the run; nothing learnt
on the way is ever trusted. An envelope is signed over everything that says where it belongs (run, round, attempt,
phase, sender, recipient), so the hub that carries it can drop it, but not alter, redirect or replay it elsewhere.

Signatures are separated by purpose: whatever is signed starts with a text that names the protocol.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from reticent.errors import EnvironmentFault, IdentityError, InternalError, UsageError
from reticent.messages import decode, encode, record

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, CertificateBuilder

__all__ = ["Address", "Roster", "SigningKey", "seal", "unseal"]

KEY_BYTES = 32
SIGNATURE_BYTES = 64
NAME_BYTES = 128
_DOMAIN = b"reticent envelope 1\0"
_ENVELOPE_OVERHEAD = 4096  # address, signature and field names: far below this

_FIELD = 2**255 - 19
_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER = {0, 1, _FIELD - 1, _ORDER_8, _FIELD - _ORDER_8}
"""y of the points of order 1, 2, 4 and 8: under such a "key" a forged signature verifies for many messages."""


class SigningKey:
    """The secret half of an identity; never printed, copied or pickled, written only to a file of mode 0600."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def generate(cls) -> SigningKey:
        """Return a new key from the entropy of the operating system."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: Path | str) -> SigningKey:
        """Return the key in the file that `save` wrote (PKCS #8, PEM).

        Raises:
          EnvironmentFault: If the file cannot be read.
          IdentityError: If others than the owner may read or write it, or it holds no Ed25519 key.
        """
        try:
            mode = os.stat(path).st_mode
            content = Path(path).read_bytes()
        except OSError as error:
            raise EnvironmentFault(
                "key-file-unreadable", f"key file {path}: {error.strerror}", hint="give the path of a readable key file"
            ) from error
        if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise IdentityError(
                "key-file-exposed",
                f"key file {path} has mode {stat.S_IMODE(mode):04o}: others on this machine may use the identity",
                hint=f"run chmod 600 {path}; if others had access, make a new key and pin it again",
            )
        try:
            key: object = serialization.load_pem_private_key(content, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise IdentityError(
                "key-file-malformed",
                f"key file {path} holds no Ed25519 key in PEM form",
                hint="restore the file, or make a new key and pin it again",
            )
        return cls(key)

    def save(self, path: Path | str) -> None:
        """Write the key to a new file of mode 0600.

        Raises:
          EnvironmentFault: If the file exists (an identity is never overwritten) or cannot be written.
        """
        content = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                os.write(handle, content)
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise EnvironmentFault(
                "key-file-unwritable",
                f"key file {path}: {error.strerror}",
                hint="choose a path that does not exist, in a directory you may write; keys are never overwritten",
            ) from error

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        """Return the signature, 64 bytes; `data` must start with a text that names its purpose."""
        return self._key.sign(data)

    def certify(self, certificate: CertificateBuilder) -> Certificate:
        """Return the certificate signed; its bytes start with those of a DER sequence, as no text of a purpose does."""
        return certificate.sign(self._key, None)

    def __reduce__(self) -> NoReturn:
        raise InternalError(
            "signing-key-copied", "a signing key was copied or pickled", hint="load it from its file where it is used"
        )

    def __repr__(self) -> str:
        return f"SigningKey(public={self.public.hex()})"


class Roster(Mapping[str, bytes]):
    """The pinned public keys, by name; immutable.

    Args:
      keys: Name (1 to 128 bytes of UTF-8, printable) to public key (32 bytes).

    Raises:
      UsageError: If a name is empty, long or unprintable.
      IdentityError: If a key is not a safe Ed25519 key, or two names share one.
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = {name: bytes(keys[name]) for name in sorted(keys)}
        for name, key in self._keys.items():
            if not name.isprintable() or not 0 < len(name.encode("utf-8", "replace")) <= NAME_BYTES:
                raise UsageError(
                    "invalid-name",
                    f"name {name[:NAME_BYTES]!r} of a participant",
                    hint=f"use 1 to {NAME_BYTES} printable characters",
                )
            if len(key) != KEY_BYTES or _unsafe(key):
                raise IdentityError(
                    "unsafe-identity-key",
                    f"the public key pinned for {name!r} is not a safe Ed25519 key",
                    hint="ask the site for the public key that its own software shows",
                )
        if len(set(self._keys.values())) < len(self._keys):
            raise IdentityError(
                "shared-identity-key",
                "two names in the roster have the same public key",
                hint="every participant makes a key of its own; one party must not count as two",
            )
        self._public = {name: Ed25519PublicKey.from_public_bytes(key) for name, key in self._keys.items()}

    def __getitem__(self, name: str) -> bytes:
        return self._keys[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __reduce__(self) -> tuple[type[Roster], tuple[dict[str, bytes]]]:
        return (Roster, (self._keys,))

    def verify(self, name: str, data: bytes, signature: bytes) -> None:
        """Return if `signature` is `name`'s on `data`.

        Raises:
          IdentityError: If `name` is not pinned here, or the signature is not theirs.
        """
        if name not in self._public:
            raise IdentityError(
                "unknown-signer",
                f"{name[:NAME_BYTES]!r} is not in the roster",
                hint=f"pinned are {', '.join(self._keys)}; add others before the run, never during it",
            )
        try:
            self._public[name].verify(signature, data)
        except InvalidSignature:
            raise IdentityError(
                "bad-signature",
                f"a message in the name of {name!r} does not carry its signature",
                hint="it was altered or forged on the way, or the pinned key is out of date: compare keys by telephone",
            ) from None


def _unsafe(key: bytes) -> bool:
    y = int.from_bytes(key, "little") & ((1 << 255) - 1)
    return y >= _FIELD or y in _SMALL_ORDER


@record("identity.address", version=1)
@dataclass(frozen=True, slots=True)
class Address:
    """Where a message belongs.

    Attributes:
      run: Identity of the run.
      round: Round of the run.
      attempt: Attempt of the round.
      phase: Step of the protocol.
      sender: Name of who wrote it.
      recipient: Name of who may read it as addressed to them.
    """

    run: str
    round: int
    attempt: int
    phase: str
    sender: str
    recipient: str


@record("identity.envelope", version=1)
@dataclass(frozen=True, slots=True)
class _Envelope:
    address: bytes
    body: bytes
    signature: bytes


def _signed(address: bytes, body: bytes) -> bytes:
    # Address before body, each of fixed or stated length: no other split of the bytes signs alike.
    return _DOMAIN + len(address).to_bytes(8, "little") + address + hashlib.sha256(body).digest()


def seal(body: bytes, address: Address, key: SigningKey) -> bytes:
    """Return `body` in an envelope signed by the sender; signed, not encrypted."""
    written = encode(address)
    return encode(_Envelope(written, body, key.sign(_signed(written, body))))


def unseal(data: bytes, roster: Roster, *, recipient: str, limit: int) -> tuple[Address, bytes]:
    """Return address and body of an envelope whose signature holds.

    The caller compares run, round, attempt and phase with what it waits for.

    Args:
      data: The envelope.
      roster: Pinned keys.
      recipient: Own name: an envelope to somebody else is refused, so none can be redirected.
      limit: Most bytes of the body.

    Raises:
      IdentityError: If the envelope is malformed, not from a pinned sender, altered, or meant for another.
    """
    envelope = decode(data, _Envelope, limit=limit + _ENVELOPE_OVERHEAD)
    address = decode(envelope.address, Address, limit=_ENVELOPE_OVERHEAD)
    roster.verify(address.sender, _signed(envelope.address, envelope.body), envelope.signature)
    if address.recipient != recipient:
        raise IdentityError(
            "wrong-recipient",
            f"an envelope for {address.recipient[:NAME_BYTES]!r} reached {recipient!r}",
            hint="the carrier mixed up or redirected messages; check the names in the site configuration",
        )
    return address, envelope.body
