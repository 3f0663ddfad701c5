"""How each error code of randomness, messages and identity is raised."""

from __future__ import annotations

import copy
import multiprocessing
import pathlib
from collections.abc import Callable

import numpy as np

from reticent.errors import ReticentError
from reticent.identity import Address, Roster, SigningKey, seal, unseal
from reticent.messages import decode, encode
from reticent.randomness import Keystream, derive

_ADDRESS = Address(run="r", round=1, attempt=1, phase="p", sender="north", recipient="hub")


def _roster(key: SigningKey) -> Roster:
    return Roster({"north": key.public})


def _key_file(folder: pathlib.Path, content: bytes, mode: int) -> SigningKey:
    path = folder / "identity.key"
    path.write_bytes(content)
    path.chmod(mode)
    return SigningKey.load(path)


def _in_child(stream: Keystream, queue: multiprocessing.SimpleQueue[ReticentError]) -> None:
    try:
        stream.bytes(1)
    except ReticentError as error:
        queue.put(error)


def _forked(folder: pathlib.Path) -> None:
    context = multiprocessing.get_context("fork")
    queue: multiprocessing.SimpleQueue[ReticentError] = context.SimpleQueue()
    process = context.Process(target=_in_child, args=(Keystream.fresh(), queue))
    process.start()
    error = queue.get()
    process.join()
    raise error


def _redirected(folder: pathlib.Path) -> object:
    key = SigningKey.generate()
    return unseal(seal(b"", _ADDRESS, key), _roster(key), recipient="south", limit=100)


def _shared(folder: pathlib.Path) -> object:
    key = SigningKey.generate().public
    return Roster({"north": key, "south": key})


CASES: dict[str, Callable[[pathlib.Path], object]] = {
    "bad-signature": lambda folder: _roster(SigningKey.generate()).verify("north", b"x", bytes(64)),
    "invalid-name": lambda folder: Roster({"": SigningKey.generate().public}),
    "key-file-exposed": lambda folder: _key_file(folder, b"", 0o644),
    "key-file-malformed": lambda folder: _key_file(folder, b"nonsense", 0o600),
    "key-file-unreadable": lambda folder: SigningKey.load(folder / "absent.key"),
    "key-file-unwritable": lambda folder: SigningKey.generate().save(folder / "absent" / "identity.key"),
    "keystream-copied": lambda folder: copy.copy(Keystream.fresh()),
    "keystream-forked": _forked,
    "keystream-key-length": lambda folder: Keystream(b"short"),
    "keystream-target": lambda folder: Keystream.fresh().fill(np.empty((2, 2), np.uint64)[:, 0]),
    "malformed-message": lambda folder: decode(b"nonsense", Address, limit=100),
    "shared-identity-key": _shared,
    "signing-key-copied": lambda folder: copy.copy(SigningKey.generate()),
    "unencodable": lambda folder: encode(object()),
    "unknown-signer": lambda folder: _roster(SigningKey.generate()).verify("west", b"x", bytes(64)),
    "unsafe-identity-key": lambda folder: Roster({"north": bytes(32)}),
    "weak-derivation": lambda folder: derive(b"short", info=b"x"),
    "wrong-recipient": _redirected,
}
