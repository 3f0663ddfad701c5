"""The only source of secret randomness: entropy of the operating system, stretched by AES-128 in counter mode.

Keys, masks, shares, Poisson samples and noise come from here and from nowhere else. No generator in this module takes
a seed that a person could choose; `Keystream(key)` exists for keys that two parties derived together, and for known
answers in tests.

Threat: whoever can guess or replay the stream removes every mask and every noise. Hence full-width keys (a 256-bit
secret folded to 32 bits is what broke the masks of other systems), one key for one use, and a stream that refuses to
be copied, pickled or carried into a forked process, each of which would use it twice. The stream is
indistinguishable from uniform up to the pseudorandomness of AES-128 and a birthday term of 2^-57 at 1 TiB.
"""

from __future__ import annotations

import os
import secrets
from typing import Any, NoReturn

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from reticent.errors import InternalError

__all__ = ["Keystream", "derive", "secret"]

KEY_BYTES = 16
_BLOCK = 1 << 16  # stays in the second-level cache: three times the speed of one long call
_ZEROS = bytes(_BLOCK)


def secret(n: int = 32) -> bytes:
    """Return `n` bytes of entropy from the operating system."""
    return secrets.token_bytes(n)


def derive(secret: bytes, *, info: bytes, length: int = 32) -> bytes:
    """Return `length` bytes derived from `secret` for the purpose that `info` names.

    HKDF with SHA-256 and an empty salt (Krawczyk and Eronen, RFC 5869). Different `info` give independent keys, so
    `info` must name the protocol, the session and the parties, each with its length in front.

    Args:
      secret: At least 16 bytes with the entropy of a key, such as a Diffie-Hellman result; never a password.
      info: What the key is for.
      length: Bytes wanted, 1 to 8160.

    Raises:
      InternalError: If `secret` is too short to be a key, or `info` is empty.
    """
    if len(secret) < KEY_BYTES or not info:
        raise InternalError(
            "weak-derivation",
            f"a key was to be derived from {len(secret)} bytes of secret and {len(info)} bytes of info",
            hint="derive from at least 16 secret bytes, and name protocol, session and parties in info",
        )
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=info).derive(secret)


class Keystream:
    """One stream of uniform bytes, used once: AES-128 in counter mode over zeros, 16 bytes for each counter.

    Two streams of one key are equal, and continue where the last call stopped, so that any way of cutting the calls
    gives the same bytes.

    Args:
      key: 16 bytes: derived by `derive` for this one purpose, or a known answer in a test.
      block: The counter to begin with, so that a place of a long stream can be read alone. Two places of one key are
        independent where their counters do not meet.

    Raises:
      InternalError: If the key has another length.
    """

    def __init__(self, key: bytes, *, block: int = 0) -> None:
        if len(key) != KEY_BYTES:
            raise InternalError(
                "keystream-key-length",
                f"a keystream was given a key of {len(key)} bytes",
                hint=f"give {KEY_BYTES} bytes, from Keystream.fresh() or reticent.randomness.derive",
            )
        self._cipher = Cipher(algorithms.AES(key), modes.CTR(block.to_bytes(16, "big"))).encryptor()
        self._process = os.getpid()

    @classmethod
    def fresh(cls) -> Keystream:
        """Return a stream that nobody else has: its key is entropy of the operating system."""
        return cls(secret(KEY_BYTES))

    def fill(self, out: NDArray[np.unsignedinteger[Any]]) -> None:
        """Overwrite `out` (C-contiguous) with the next bytes of the stream.

        Words are little-endian on every machine. This is the fast way: about 9 GB/s for arrays that fit the cache.

        Raises:
          InternalError: If this process was forked after the stream was made: parent and child would draw alike;
            or if `out` is not contiguous, so that a copy would be filled.
        """
        if not out.flags.c_contiguous:
            raise InternalError(
                "keystream-target", "a keystream was to fill an array that is not contiguous", hint="fill a new array"
            )
        if os.getpid() != self._process:
            raise InternalError(
                "keystream-forked",
                "a keystream made before a fork was used after it",
                hint="make the stream in the process that uses it",
            )
        view = out.reshape(-1).view(np.uint8).data
        for start in range(0, len(view), _BLOCK):
            part = view[start : start + _BLOCK]
            self._cipher.update_into(_ZEROS if len(part) == _BLOCK else _ZEROS[: len(part)], part)
        if out.dtype.byteorder == ">" or (out.dtype.byteorder == "=" and not np.little_endian):
            out.byteswap(inplace=True)

    def subkey(self) -> bytes:
        """Return the next 16 bytes of the stream, as the key of another stream.

        For a kernel that makes its own keystream. Nobody else sees these 16 bytes: they have left this stream, which
        goes on behind them, so every call gives another key. A stream under it is as good as uniform while AES-128 is
        pseudorandom: once for this stream, once for the new one. Whoever takes the key uses it once and drops it.
        """
        return self.bytes(KEY_BYTES)

    def bytes(self, n: int) -> bytes:
        """Return the next `n` bytes."""
        out = np.empty(n, dtype=np.uint8)
        self.fill(out)
        return out.tobytes()

    def words(self, n: int) -> NDArray[np.uint64]:
        """Return the next `n` words, uniform on 0 .. 2^64 - 1: `uint64 (n,)`."""
        out = np.empty(n, dtype=np.uint64)
        self.fill(out)
        return out

    def __reduce__(self) -> NoReturn:
        # A copy is a second use of the same masks or noise; copy, deepcopy and pickle all come through here.
        raise InternalError(
            "keystream-copied", "a keystream was copied or pickled", hint="hand over a derived key, or make a fresh one"
        )

    def __repr__(self) -> str:
        return "Keystream(...)"
