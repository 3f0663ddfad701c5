"""What the TLS library says, in words that name the party and the fix."""

from __future__ import annotations

import ssl

from reticent.errors import IdentityError

__all__ = ["certificate_refused", "tls_refusal"]

_VERSIONS = ("UNSUPPORTED_PROTOCOL", "PROTOCOL_VERSION", "WRONG_VERSION_NUMBER", "NO_PROTOCOLS_AVAILABLE")
_NONE_SHOWN = ("PEER_DID_NOT_RETURN_A_CERTIFICATE",)


def certificate_refused(who: str) -> IdentityError:
    """Return the error for a peer that did not prove an identity that is pinned."""
    return IdentityError(
        "certificate-refused",
        f"{who} shows no certificate of an identity that is pinned for it",
        hint="compare the public key in the party file with what that party's own software shows, by telephone",
    )


def tls_refusal(error: ssl.SSLError, who: str) -> IdentityError | None:
    """Return what `error` means when speaking to `who`, or None if the connection just broke."""
    reason = error.reason or ""
    if isinstance(error, ssl.SSLCertVerificationError) or reason in _NONE_SHOWN:
        return certificate_refused(who)
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return None
    if any(word in reason for word in _VERSIONS):
        return IdentityError(
            "tls-too-old",
            f"{who} does not speak TLS 1.3",
            hint="nothing older is spoken here; look for a proxy on the way that ends the encryption",
        )
    if "ALERT" in reason:
        return IdentityError(
            "own-certificate-refused",
            f"{who} does not accept the identity shown by this party",
            hint="give that party the public key of this one to pin; both must have the same list of parties",
        )
    return IdentityError(
        "tls-failed",
        f"the encrypted connection with {who} failed: {reason or type(error).__name__}",
        hint="check that the address is that of a computing party",
    )
