"""TLS certificates out of pinned Ed25519 keys.

A party's identity key never enters the TLS library. For each session it certifies a key that lives as long as the
process, as a certificate authority would, and the certificate says for which session. What the others pin is the
identity key alone: from it each makes the trust anchor for itself, so no certificate has to be exchanged beforehand.

Both sides present such a certificate (mutual TLS), and nothing older than TLS 1.3 is spoken (RFC 8446).
"""

from __future__ import annotations

import hashlib
import ssl
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import NameOID

from reticent.identity import SigningKey

__all__ = ["client_context", "server_context", "session_of", "signed_by"]

_CLOCKS_DIFFER = timedelta(days=1)
"""How far the clocks of two parties may lie apart."""


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _fingerprint(session: str) -> str:
    return hashlib.sha256(b"reticent channel session 1\0" + session.encode("utf-8")).hexdigest()


def _certificate(key: SigningKey, session: str) -> bytes:
    """Return a fresh private key and the certificate that `key` gives it for `session`, both as PEM."""
    own, now = Ed25519PrivateKey.generate(), datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .issuer_name(_name(key.public.hex()))
        .subject_name(_name(_fingerprint(session)))
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + _CLOCKS_DIFFER)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    private = own.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + key.certify(builder).public_bytes(serialization.Encoding.PEM)


def _anchor(public: bytes) -> bytes:
    """Return a certificate that makes the TLS library trust what the holder of `public` has signed, as DER.

    Its own signature is worthless, and nobody looks at it: an anchor is trusted because it was pinned (RFC 5280,
    section 6.1: a trust anchor is an input, no certificate of the path). It is never sent.
    """
    builder = (
        x509.CertificateBuilder()
        .issuer_name(_name(public.hex()))
        .subject_name(_name(public.hex()))
        .public_key(Ed25519PublicKey.from_public_bytes(public))
        .serial_number(1)
        .not_valid_before(datetime(2000, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2999, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    )
    return builder.sign(Ed25519PrivateKey.generate(), None).public_bytes(serialization.Encoding.DER)


def _context(side: ssl._SSLMethod, key: SigningKey, session: str, pinned: Iterable[bytes]) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.check_hostname = False  # names are bound to keys by the party file, not to hosts by a public authority
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=b"".join(map(_anchor, pinned)))
    with tempfile.TemporaryDirectory() as folder:  # of mode 0700; the TLS library reads keys from files only
        file = Path(folder, "session.pem")
        file.touch(mode=0o600)
        file.write_bytes(_certificate(key, session))
        context.load_cert_chain(file)
    return context


def client_context(key: SigningKey, session: str, pinned: bytes) -> ssl.SSLContext:
    """Return what is needed to dial the one party whose public key is `pinned`."""
    return _context(ssl.PROTOCOL_TLS_CLIENT, key, session, [pinned])


def server_context(key: SigningKey, session: str, pinned: Iterable[bytes]) -> ssl.SSLContext:
    """Return what is needed to answer any party whose public key is among `pinned`."""
    context = _context(ssl.PROTOCOL_TLS_SERVER, key, session, pinned)
    context.num_tickets = 0  # no resumption: every connection proves both identities anew
    return context


def signed_by(certificate: bytes, public: bytes) -> bool:
    """Return whether the DER certificate that a peer has shown was signed with the identity key `public`.

    The TLS library has checked this against all pinned keys; this says which of them it was, on our own account.
    """
    read = x509.load_der_x509_certificate(certificate)
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(read.signature, read.tbs_certificate_bytes)
    except InvalidSignature:
        return False
    return True


def session_of(certificate: bytes, session: str) -> bool:
    """Return whether the DER certificate was made for `session`."""
    return x509.load_der_x509_certificate(certificate).subject == _name(_fingerprint(session))
