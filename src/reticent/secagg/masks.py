"""Masks and the keys they come from.

A mask is the keystream of AES-128 in counter mode, read as words and reduced modulo 2^ring_bits at the end. Every key
is the HKDF of a secret of 256 bits under a text that names protocol, purpose, context (session, parameters, all public
keys) and the two names; nothing is folded or shortened before.
"""

from __future__ import annotations

import hashlib

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from reticent.randomness import Keystream, derive
from reticent.rings import Words
from reticent.secagg.wire import labelled

__all__ = [
    "add_mask",
    "add_pair_mask",
    "agree",
    "commit",
    "open_shares",
    "pair_key",
    "seal_shares",
    "self_key",
]

_BLOCK = 1 << 13  # words: the block and its part of the sum stay in the second-level cache
_NONCE = bytes(12)  # each key seals one message: fresh for every session, sender and recipient


def agree(secret: bytes, public: bytes) -> bytes:
    """Return the X25519 shared secret, 32 bytes.

    Raises:
      ValueError: If `public` is not 32 bytes, or of low order, so that anybody could compute the result.
    """
    return X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))


def pair_key(shared: bytes, context: bytes, one: str, two: str) -> bytes:
    """Return the key of the mask between two clients; the same for both, whoever asks."""
    first, second = sorted((one.encode(), two.encode()))
    return derive(shared, info=labelled("pairwise mask", context, first, second), length=16)


def self_key(seed: bytes, context: bytes, name: str) -> bytes:
    """Return the key of a client's own mask."""
    return derive(seed, info=labelled("self mask", context, name.encode()), length=16)


def commit(seed: bytes, context: bytes, name: str) -> bytes:
    """Return a commitment to a seed: hiding since the seed has 256 bits of entropy, binding by SHA-256."""
    return hashlib.sha256(labelled("commitment", context, name.encode(), seed)).digest()


def add_mask(total: Words, key: bytes, *, negative: bool) -> None:
    """Add the mask of `key` to `total` in place, or subtract it; wraps modulo the word, a multiple of the ring."""
    stream = Keystream(key)
    block = np.empty(min(_BLOCK, len(total)), dtype=total.dtype)
    combine = np.subtract if negative else np.add
    for start in range(0, len(total), _BLOCK):
        part = total[start : start + _BLOCK]
        mask = block[: len(part)]
        stream.fill(mask)
        combine(part, mask, out=part)


def add_pair_mask(total: Words, key: bytes, *, owner: str, peer: str, remove: bool = False) -> None:
    """Add to `owner`'s vector its half of the mask shared with `peer`; `remove` takes it off again.

    The first of the two names adds and the second subtracts, so that both halves cancel in the sum.
    """
    add_mask(total, key, negative=(owner.encode() > peer.encode()) != remove)


def seal_shares(shared: bytes, context: bytes, sender: str, recipient: str, shares: bytes) -> bytes:
    """Return `shares` encrypted for `recipient` and bound to both names and the context (AES-256-GCM)."""
    text = labelled("share encryption", context, sender.encode(), recipient.encode())
    return AESGCM(derive(shared, info=text)).encrypt(_NONCE, shares, text)


def open_shares(shared: bytes, context: bytes, sender: str, recipient: str, sealed: bytes) -> bytes:
    """Return what `seal_shares` encrypted.

    Raises:
      cryptography.exceptions.InvalidTag: If it is not what `sender` sealed for `recipient` in this context.
    """
    text = labelled("share encryption", context, sender.encode(), recipient.encode())
    return AESGCM(derive(shared, info=text)).decrypt(_NONCE, sealed, text)
