"""Keys as two types that cannot be confused: `ClientKeys` decrypt and stay; `EvaluationKeys` compute and travel.

`ClientKeys` cannot be encoded, pickled or copied; only `save` writes them, to a file of the owner. Both know the
fingerprint of the key pair: the SHA-256 of the parameters and of the encryption of zero that the evaluation keys hold.
"""

from __future__ import annotations

import hashlib
import os
import stat
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from reticent.errors import EnvironmentFault, IdentityError, PolicyRefused
from reticent.he.parameters import Parameters
from reticent.he.port import Backend, Evaluation, Secret
from reticent.messages import decode, encode, record
from reticent.randomness import derive, secret

__all__ = ["ClientKeys", "EvaluationKeys", "key_fingerprint", "refuse_secrets"]

_FILE_LIMIT = 1 << 25
_WINDOW = 32  # bytes of a secret key that no other bytes contain by chance


@dataclass(frozen=True, eq=False, repr=False)
class EvaluationKeys:
    """What the evaluator needs; knows nothing that decrypts.

    Attributes:
      parameters: Of the scheme.
      fingerprint: Of the key pair, 32 bytes.
      handle: The keys inside the backend.
    """

    parameters: Parameters
    fingerprint: bytes
    handle: Evaluation

    @property
    def steps(self) -> frozenset[int]:
        """Rotations that these keys allow, in slots."""
        return self.handle.steps

    def __repr__(self) -> str:
        return f"EvaluationKeys({self.fingerprint.hex()[:16]}, {len(self.steps)} rotations)"


@record("he.client-key-file", version=1)
@dataclass(frozen=True, repr=False)
class _KeyFile:
    backend: str
    parameters: bytes
    secret: bytes
    mac: bytes
    core: Mapping[str, bytes]


_LIVE: weakref.WeakSet[ClientKeys] = weakref.WeakSet()


class ClientKeys:
    """The secret half of a key pair. It lives in this process, and in the file that `save` writes; nowhere else."""

    def __init__(self, backend: Backend, handle: Secret, core: EvaluationKeys, mac: bytes) -> None:
        self.backend = backend
        self.handle = handle
        self._core = core
        self._mac = mac
        # The middle of the raw key: what a careless dump of it would contain.
        raw = backend.dump_secret(handle)
        self._window = raw[len(raw) // 2 : len(raw) // 2 + _WINDOW]
        _LIVE.add(self)

    @classmethod
    def generate(cls, backend: Backend) -> ClientKeys:
        """Return new keys of a new key pair."""
        handle, evaluation = backend.keygen()
        fingerprint = key_fingerprint(backend.parameters, backend.dump_evaluation(evaluation)["zero"])
        return cls(backend, handle, EvaluationKeys(backend.parameters, fingerprint, evaluation), secret(32))

    def evaluation(self, rotations: Iterable[int] = ()) -> EvaluationKeys:
        """Return evaluation keys of this pair that allow rotations by each of `rotations` slots."""
        return self.extend(self._core, rotations)

    @property
    def fingerprint(self) -> bytes:
        """Of the key pair, 32 bytes; the evaluation keys have the same."""
        return self._core.fingerprint

    @property
    def parameters(self) -> Parameters:
        """Of the scheme."""
        return self.backend.parameters

    def extend(self, keys: EvaluationKeys, rotations: Iterable[int]) -> EvaluationKeys:
        """Return evaluation keys that allow `rotations` too."""
        handle = self.backend.extend(self.handle, keys.handle, tuple(rotations))
        return EvaluationKeys(keys.parameters, keys.fingerprint, handle)

    def mac_key(self) -> bytes:
        """Return the key by which this client recognises what it wrote itself (32 bytes)."""
        return derive(self._mac, info=b"reticent he mac 1\0" + self.fingerprint)

    def save(self, path: Path | str) -> None:
        """Write the keys to a new file of mode 0600, unencrypted: its reader reads everything.

        Raises:
          EnvironmentFault: If the file exists (keys are never overwritten) or cannot be written.
        """
        own = self.backend
        content = encode(
            _KeyFile(
                own.name,
                encode(own.parameters),
                own.dump_secret(self.handle),
                self._mac,
                own.dump_evaluation(self._core.handle),
            )
        )
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise EnvironmentFault(
                "key-file-unwritable",
                f"key file {path}: {error.strerror}",
                hint="choose a path that does not exist, in a directory you may write; keys are never overwritten",
            ) from error

    @classmethod
    def load(cls, path: Path | str, backend: Callable[[str, Parameters], Backend]) -> ClientKeys:
        """Return the keys in the file that `save` wrote.

        Args:
          path: The file.
          backend: From name and parameters to the backend, such as `he.backend`.

        Raises:
          EnvironmentFault: If the file cannot be read.
          IdentityError: If others may read it, or it holds no client keys.
        """
        try:
            mode, content = os.stat(path).st_mode, Path(path).read_bytes()
        except OSError as error:
            raise EnvironmentFault(
                "key-file-unreadable", f"key file {path}: {error.strerror}", hint="give the path of a readable key file"
            ) from error
        if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise IdentityError(
                "key-file-exposed",
                f"key file {path} has mode {stat.S_IMODE(mode):04o}: others on this machine may decrypt",
                hint=f"run chmod 600 {path}; if others had access, make new keys",
            )
        file = decode(content, _KeyFile, limit=_FILE_LIMIT)
        chosen = backend(file.backend, decode(file.parameters, Parameters, limit=4096))
        core = dict(file.core)
        evaluation = EvaluationKeys(
            chosen.parameters, key_fingerprint(chosen.parameters, core["zero"]), chosen.load_evaluation(core)
        )
        return cls(chosen, chosen.load_secret(file.secret), evaluation, file.mac)

    def refuse_encoding(self) -> NoReturn:
        """Raise: called by `messages.encode`, and wherever these keys would leave the process."""
        raise PolicyRefused(
            "secret-key-on-wire",
            "client keys were about to be encoded, copied or sent: who holds them reads everything",
            hint="send the evaluation keys; to keep the client keys, use ClientKeys.save(path)",
        )

    def __reduce__(self) -> NoReturn:
        self.refuse_encoding()

    def __repr__(self) -> str:
        return f"ClientKeys({self.fingerprint.hex()[:16]}, secret)"


def key_fingerprint(parameters: Parameters, zero: bytes) -> bytes:
    """Return the fingerprint of a key pair: its parameters and its encryption of zero."""
    return hashlib.sha256(b"reticent he key 1\0" + parameters.fingerprint + zero).digest()


def refuse_secrets(data: bytes) -> None:
    """Raise if `data`, about to leave, contain a secret key of this process.

    A last look at the wire, not a proof: an encrypted or recompressed key is not recognised.
    """
    for keys in list(_LIVE):
        if keys._window in data:
            keys.refuse_encoding()
