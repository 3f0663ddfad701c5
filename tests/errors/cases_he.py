"""How each error code of he is raised."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from functools import cache
from unittest import mock

import numpy as np

from reticent import he
from reticent.he.seal import SealBackend
from reticent.messages import decode, encode


@cache
def _context(depth: int = 1) -> he.Context:
    return he.context(depth=depth, bound=4.0, precision=1e-2, backend="simulator")


def _vector(depth: int = 1) -> he.Vector:
    return _context(depth).encrypt(np.ones(3))


def _other() -> he.Context:
    return he.context(depth=1, bound=4.0, precision=1e-2, backend="simulator")


def _swap(name: str, value: object) -> object:
    """Send a vector whose message names something else, under a seal that holds."""
    context = _context()
    data = context.dump(context.encrypt(np.ones(3)))
    message = decode(data[32:], he.Ciphertexts, limit=len(data))
    changed = he.Ciphertexts(**{**{f: getattr(message, f) for f in he.Ciphertexts.__dataclass_fields__}, name: value})
    return context.load(he.OwnMac(context.client).protect(encode(changed)))


def _without_library() -> object:
    with mock.patch.dict("sys.modules", {"tenseal.sealapi": None}):
        return SealBackend(_context().parameters)


def _at_level_0() -> object:
    backend = _context(0).backend
    return backend.rescale(_vector(0).ciphers[0])


def _unequal_levels() -> object:
    backend = _context().backend
    cipher = _vector().ciphers[0]
    return backend.add(cipher, backend.align(cipher, 0))


def _without_rotations() -> object:
    side = _other()
    return side.evaluator().load(side.dump(side.encrypt(np.ones(3))), he.OwnMac(side.client)).sum()


CASES: dict[str, Callable[[pathlib.Path], object]] = {
    "division-by-zero": lambda folder: _vector() / 0,
    "foreign-handle": lambda folder: _context().backend.negate(object()),  # type: ignore[arg-type]
    "foreign-parameters": lambda folder: _swap("parameters", bytes(32)),
    "he-library-missing": lambda folder: _without_library(),
    "he-over-bound": lambda folder: _context().encrypt([5.0]),
    "insecure-parameters": lambda folder: he.Parameters(4096, (60,), (40,), 60, 40, 1.0, 1e-3),
    "invalid-parameters": lambda folder: he.Parameters(5000, (40,), (30,), 40, 30, 1.0, 1e-3),
    "length-mismatch": lambda folder: _vector() + np.ones(2),
    "level-exhausted": lambda folder: _vector(0) * 0.5,
    "malformed-lattice-object": lambda folder: _swap("parts", (b"nothing",)),
    "mixed-contexts": lambda folder: _vector() + _other().encrypt(np.ones(3)),
    "no-parameters": lambda folder: he.derive(depth=20, bound=1e9, precision=1e-9),
    "no-secret-key": lambda folder: _context().evaluator().encrypt([1.0]),
    "operand-not-finite": lambda folder: _vector() + np.nan,
    "operand-shape": lambda folder: _vector() + np.ones((3, 3)),
    "precision-exceeded": lambda folder: _vector().decrypt(precision=1e-30),
    "range-exceeded": lambda folder: _vector() * 2**20 * 2**20,
    "rescale-at-level-0": lambda folder: _at_level_0(),
    "rotation-missing": lambda folder: _without_rotations(),
    "scale-mismatch": lambda folder: _unequal_levels(),
    "secret-key-on-wire": lambda folder: encode(_context().client),
    "unauthentic-ciphertext": lambda folder: _context().load(bytes(1000)),
    "unknown-backend": lambda folder: he.context(depth=1, bound=1.0, precision=1e-3, backend="paper"),
    "unsupported-operand": lambda folder: _vector() + "one",
    "wrong-key": lambda folder: _swap("key", bytes(32)),
}
