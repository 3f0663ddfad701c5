"""How each error code of he is raised."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable
from functools import cache
from unittest import mock

import numpy as np
import torch

from reticent import he
from reticent.he.diagonals import diagonals
from reticent.he.packing import Packing
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
    "range-exceeded": lambda folder: _vector() * 2**30 * 2**30,
    "rescale-at-level-0": lambda folder: _at_level_0(),
    "rotation-missing": lambda folder: _without_rotations(),
    "scale-mismatch": lambda folder: _unequal_levels(),
    "secret-key-on-wire": lambda folder: encode(_context().client),
    "unauthentic-ciphertext": lambda folder: _context().load(bytes(1000)),
    "unknown-backend": lambda folder: he.context(depth=1, bound=1.0, precision=1e-3, backend="paper"),
    "unsupported-operand": lambda folder: _vector() + "one",
    "wrong-key": lambda folder: _swap("key", bytes(32)),
}


# Compiled programs and encrypted prediction -------------------------------------------------------------------------


class _Square(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x


class _Skip(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first(x)
        z = self.second(y)
        return y + z * z


@cache
def _program() -> he.Program:
    return he.compile(torch.nn.Linear(2, 1), precision=1e-2)


@cache
def _keys() -> he.PredictionKeys:
    return he.keygen(_program().client_spec(), backend="simulator")


def _compile(*layers: torch.nn.Module, **given: object) -> he.Program:
    return he.compile(torch.nn.Sequential(*layers), **given)  # type: ignore[arg-type]


def _zero_layer() -> torch.nn.Linear:
    layer = torch.nn.Linear(2, 1)
    torch.nn.init.zeros_(layer.weight)
    return layer


def _half() -> torch.nn.Linear:
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(layer.weight, 0.25)
    return layer


def _reply(**changes: object) -> object:
    keys = _keys()
    reply = _program().evaluate(keys.encrypt(np.zeros((1, 2))), keys.evaluation)
    return keys.decrypt(dataclasses.replace(reply, **changes))  # type: ignore[arg-type]


def _foreign_rows() -> object:
    rows = dataclasses.replace(_keys().encrypt(np.zeros((1, 2))), label="vector")
    return _program().evaluate(rows, _keys().evaluation)


def _too_many() -> object:
    mac = he.OwnMac(_keys().client)
    server = he.PredictionServer(_program(), mac, most_rows=1, backend="simulator")
    return server.answer(he.PredictionClient(np.zeros((2, 2)), mac).start())


CASES |= {
    "he-client-spec": lambda folder: dataclasses.replace(_program().client_spec(), steps=(1 << 40,)),
    "he-constant": lambda folder: _compile(_zero_layer()),
    "he-diagonals": lambda folder: diagonals(np.ones((2, 3)), Packing(4, 1, np.array([0, 2, -1, -1]))),
    "he-foreign-reply": lambda folder: _reply(key=bytes(32)),
    "he-foreign-rows": lambda folder: _foreign_rows(),
    "he-implausible-reply": lambda folder: _reply(parts=()),
    "he-input-bounds": lambda folder: _compile(torch.nn.Linear(2, 1), input_bounds=(1, -1)),
    "he-input-shape": lambda folder: _keys().encrypt(np.zeros((1, 3))),
    "he-input-shape-missing": lambda folder: _compile(torch.nn.Conv2d(1, 1, 2)),
    "he-no-factory": lambda folder: he.predict_in_processes(np.zeros((1, 2)), "reticent.he:no_such_function"),
    "he-no-spec": lambda folder: he.PredictionClient(np.zeros((1, 2)), he.OwnMac(_keys().client)).spec,
    "he-out-of-bounds": lambda folder: _keys().encrypt(np.full((1, 2), 4.0)),
    "he-packing": lambda folder: _compile(torch.nn.Linear(2, 1), rows=3),
    "he-precision": lambda folder: _compile(torch.nn.Linear(2, 1), precision=1e-14),
    "he-server-process": lambda folder: he.predict_in_processes(np.zeros((1, 2)), "os:_exit", {"status": 3}),
    "he-skip-connection": lambda folder: _compile(_Skip()),
    "he-too-deep": lambda folder: _compile(*[layer for _ in range(30) for layer in (_half(), _Square())]),
    "he-too-many-rows": lambda folder: _too_many(),
    "he-too-wide": lambda folder: _compile(torch.nn.Linear(2**15, 1)),
    "he-unsupported-layer": lambda folder: _compile(torch.nn.Linear(2, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1)),
}
