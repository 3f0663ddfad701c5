"""Handing parts from site to site through a coordinator that must not read them.

Who holds the bottom can invert the activations that it sees, so the coordinator must never have it. Each site makes an
X25519 key for each epoch, signed with its identity; the parts travel in a box that only this key opens
(X25519, HKDF-SHA256, AES-256-GCM; a fresh key of the sender for each box), signed by the sender. Key and box are bound
to run, epoch, attempt, sender and recipient, so that nothing can be exchanged, replayed or redirected.

Reveals: to the next site the parts as the site before left them, optimiser included, which depend on the rows that
trained them; to the coordinator the length of the box. Keys live in memory for one epoch.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from reticent.errors import IdentityError, UsageError
from reticent.identity import Roster, SigningKey
from reticent.messages import decode, encode, record
from reticent.randomness import derive

__all__ = ["Courier", "box_overhead", "labelled", "place_of"]

_BOX_LIMIT = 1 << 32
_NONCE = bytes(12)  # each key seals one message
_TAG_BYTES = 16


@record("split.box", version=1)
@dataclass(frozen=True)
class _Box:
    public: bytes
    sealed: bytes
    signature: bytes


def box_overhead() -> int:
    """Return how many bytes a box has beyond the parts in it."""
    return len(encode(_Box(bytes(32), b"", bytes(64)))) + _TAG_BYTES


class Courier:
    """One site's keys for the hand-overs of one epoch."""

    def __init__(self, site: str, place: bytes, key: SigningKey | None, roster: Roster | None) -> None:
        if key is None or roster is None:
            raise UsageError(
                "hand-over-without-identity",
                f"site {site} hands its parts on, and has no identity",
                hint="give split.Client a key and the roster of all sites, or train with one site",
            )
        self._site = site
        self._place = place
        self._key = key
        self._roster = roster
        self._secret = X25519PrivateKey.generate()

    @property
    def public(self) -> bytes:
        """The key of this epoch, 32 bytes."""
        return self._secret.public_key().public_bytes_raw()

    @property
    def signature(self) -> bytes:
        """The identity's signature on `public`."""
        return self._key.sign(labelled("key", self._place, self._site, self.public))

    def seal(self, parts: bytes, recipient: str, public: bytes, signature: bytes) -> bytes:
        """Return `parts` in a box for `recipient`.

        Raises:
          IdentityError: If the key is not that site's for this epoch: the coordinator may have put in its own.
        """
        self._roster.verify(recipient, labelled("key", self._place, recipient, public), signature)
        own = X25519PrivateKey.generate()
        text = labelled("box", self._place, self._site, recipient, own.public_key().public_bytes_raw(), public)
        try:
            shared = own.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError:
            raise _refused(recipient) from None
        sealed = AESGCM(derive(shared, info=text)).encrypt(_NONCE, parts, text)
        return encode(_Box(own.public_key().public_bytes_raw(), sealed, self._key.sign(text + sealed)))

    def open(self, box: bytes, sender: str) -> bytes:
        """Return the parts that `sender` sealed for this site in this epoch.

        Raises:
          IdentityError: If it is anything else.
        """
        known = decode(box, _Box, limit=_BOX_LIMIT)
        text = labelled("box", self._place, sender, self._site, known.public, self.public)
        self._roster.verify(sender, text + known.sealed, known.signature)
        try:
            shared = self._secret.exchange(X25519PublicKey.from_public_bytes(known.public))
            return AESGCM(derive(shared, info=text)).decrypt(_NONCE, known.sealed, text)
        except (InvalidTag, ValueError):
            raise _refused(sender) from None


def _refused(site: str) -> IdentityError:
    return IdentityError(
        "hand-over-refused",
        f"the parts exchanged with {site} do not fit the keys of this epoch",
        hint="repeat the epoch; if it happens again, the carrier changes messages",
    )


def place_of(run: str, epoch: int, attempt: int) -> bytes:
    """Return what binds keys and boxes to one epoch of one attempt."""
    return labelled("place", b"", run, epoch.to_bytes(8, "little"), attempt.to_bytes(8, "little"))


def labelled(purpose: str, *parts: bytes | str) -> bytes:
    """Join parts so that no other parts give the same bytes, under a text that names the protocol."""
    out = [f"reticent split {purpose} 1\0".encode()]
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        out += [len(raw).to_bytes(8, "little"), raw]
    return b"".join(out)
