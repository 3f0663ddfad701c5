# ruff: noqa: D102  (what each method promises is written once, in the port)
"""The backend that encrypts nothing: float64 slots with the levels, scales, overflow and errors of the real thing.

It is the oracle of the tests and the planner's rehearsal: it refuses, where a lattice library would go wrong without a
word, a number too large for its level (`range-exceeded`), and adds to each result an error of the size that the real
scheme adds. `exact(cipher)` returns the slots without it. No secret is protected here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from reticent.errors import InternalError, UsageError
from reticent.he.noise import Noise
from reticent.he.parameters import Parameters
from reticent.he.port import (
    Cipher,
    Evaluation,
    Plain,
    Secret,
    TransparentResultError,
    check_alike,
    check_rescalable,
    malformed,
    missing_rotation,
    rotation_steps,
)
from reticent.randomness import Keystream, secret

__all__ = ["SimulatorBackend"]

T = TypeVar("T")

_AT_REST = 1e-9


@dataclass(slots=True, eq=False)
class _Plain:
    values: NDArray[np.float64]
    level: int
    scale: float


@dataclass(slots=True, eq=False)
class _Cipher:
    exact: NDArray[np.float64]
    values: NDArray[np.float64]
    level: int
    scale: float
    key: bytes


@dataclass(slots=True, eq=False, repr=False)
class _Secret:
    key: bytes  # which key pair: written on every object, where the real scheme has its mathematics
    private: bytes


@dataclass(slots=True, eq=False, repr=False)
class _Evaluation:
    key: bytes
    steps: frozenset[int]


class SimulatorBackend:
    """The port on plain numbers (see `port.Backend` for what each method promises).

    Args:
      parameters: The instance to imitate.
      noisy: Whether results carry errors like those of the real scheme.
    """

    name = "simulator"

    def __init__(self, parameters: Parameters, *, noisy: bool = True) -> None:
        self.parameters = parameters
        self._noise = Noise(parameters)
        self._stream = Keystream.fresh() if noisy else None
        self._secret_sizes: dict[bytes, NDArray[np.float64]] = {}

    # keys ------------------------------------------------------------------------------------------------------------
    def keygen(self, rotations: Sequence[int] = ()) -> tuple[Secret, Evaluation]:
        key = secret(16)
        own = _Secret(key, secret(64))
        return own, self.extend(own, _Evaluation(key, frozenset()), rotations)

    def extend(self, secret: Secret, evaluation: Evaluation, rotations: Sequence[int]) -> _Evaluation:  # noqa: ARG002
        steps = {step % self.parameters.slots for step in rotations} - {0}
        return _Evaluation(_own(evaluation, _Evaluation).key, evaluation.steps | steps)

    # in and out ------------------------------------------------------------------------------------------------------
    def encode(self, values: NDArray[np.float64] | float, *, level: int, scale: float | None = None) -> _Plain:
        scale = self.parameters.scale(level) if scale is None else scale
        content = np.zeros(self.parameters.slots)
        if np.ndim(values) == 0:
            # A number for all slots is one rounded coefficient.
            content[:] = np.rint(float(values) * scale) / scale
        else:
            content[: len(values)] = values  # type: ignore[arg-type]
            content = self._blur(content, self._noise.encoding / scale)
        return _Plain(content, level, scale)

    def encrypt(self, plain: Plain, secret: Secret) -> _Cipher:
        own = _own(plain, _Plain)
        key = _own(secret, _Secret).key
        return self._cipher(own.values, own.values, own.level, own.scale, key, self._noise.fresh)

    def encrypt_seeded(self, plain: Plain, secret: Secret) -> bytes:
        return self.dump_cipher(self.encrypt(plain, secret))

    def decrypt(self, cipher: Cipher, secret: Secret) -> NDArray[np.float64]:
        own = _own(cipher, _Cipher)
        if own.key != _own(secret, _Secret).key:
            # What the real scheme does: numbers without meaning, and no error.
            modulus = math.prod(map(float, self.parameters.modulus_primes(own.level)))
            return self._gauss() * modulus / own.scale
        return own.values.copy()

    def exact(self, cipher: Cipher) -> NDArray[np.float64]:
        """Return the slots without the errors of the scheme (roundings of plain operands included)."""
        return _own(cipher, _Cipher).exact.copy()

    def zero(self, evaluation: Evaluation, *, level: int, scale: float) -> _Cipher:
        nothing = np.zeros(self.parameters.slots)
        return self._cipher(nothing, nothing, level, scale, _own(evaluation, _Evaluation).key, self._noise.fresh)

    # arithmetic ------------------------------------------------------------------------------------------------------
    def add(self, a: Cipher, b: Cipher) -> _Cipher:
        return self._sum(_own(a, _Cipher), _own(b, _Cipher), 1)

    def add_inplace(self, a: Cipher, b: Cipher) -> None:
        own, result = _own(a, _Cipher), self.add(a, b)
        own.exact, own.values = result.exact, result.values

    def sub(self, a: Cipher, b: Cipher) -> _Cipher:
        if a is b:
            raise TransparentResultError("a ciphertext minus itself")
        return self._sum(_own(a, _Cipher), _own(b, _Cipher), -1)

    def _sum(self, a: _Cipher, b: _Cipher, sign: int) -> _Cipher:
        check_alike(a, b)
        _one_key(a.key, b.key)
        return self._cipher(a.exact + sign * b.exact, a.values + sign * b.values, a.level, a.scale, a.key)

    def negate(self, a: Cipher) -> _Cipher:
        own = _own(a, _Cipher)
        return self._cipher(-own.exact, -own.values, own.level, own.scale, own.key)

    def add_plain(self, a: Cipher, p: Plain) -> _Cipher:
        check_alike(a, p)
        own, plain = _own(a, _Cipher), _own(p, _Plain).values
        return self._cipher(own.exact + plain, own.values + plain, own.level, own.scale, own.key)

    def mul_plain(self, a: Cipher, p: Plain) -> _Cipher:
        own, plain = _own(a, _Cipher), _own(p, _Plain)
        _one_level(own.level, plain.level)
        return self._cipher(
            own.exact * plain.values, own.values * plain.values, own.level, own.scale * plain.scale, own.key
        )

    def dot_plain(self, ciphers: Sequence[Cipher], plains: Sequence[Plain]) -> _Cipher:
        total = self.mul_plain(ciphers[0], plains[0])
        for c, p in zip(ciphers[1:], plains[1:], strict=True):
            total = self.add(total, self.mul_plain(c, p))
        return total

    def mul(self, a: Cipher, b: Cipher, evaluation: Evaluation) -> _Cipher:
        x, y = _own(a, _Cipher), _own(b, _Cipher)
        _one_level(x.level, y.level)
        _one_key(x.key, y.key, _own(evaluation, _Evaluation).key)
        switching = self._keyed(x.key, self._switching(x.level))
        return self._cipher(x.exact * y.exact, x.values * y.values, x.level, x.scale * y.scale, x.key, switching)

    def rotate(self, a: Cipher, step: int, evaluation: Evaluation) -> _Cipher:
        own = _own(a, _Cipher)
        step %= self.parameters.slots
        if step == 0:
            return own
        if step not in evaluation.steps:
            raise missing_rotation(step, evaluation.steps)
        _one_key(own.key, _own(evaluation, _Evaluation).key)
        exact, values = np.roll(own.exact, -step), np.roll(own.values, -step)
        return self._cipher(
            exact, values, own.level, own.scale, own.key, self._keyed(own.key, self._switching(own.level))
        )

    def rescale(self, a: Cipher) -> _Cipher:
        own = _own(a, _Cipher)
        check_rescalable(own)
        resting, scale = self.parameters.scale(own.level - 1), own.scale / self.parameters.prime(own.level)
        if math.isclose(scale, resting, rel_tol=_AT_REST):
            scale = resting
        return self._cipher(
            own.exact, own.values, own.level - 1, scale, own.key, self._keyed(own.key, self._noise.rescaling)
        )

    def lower(self, a: Cipher, level: int) -> _Cipher:
        own = _own(a, _Cipher)
        if level > own.level:
            raise InternalError("scale-mismatch", f"lowering from {own.level} to {level}", hint="levels only fall")
        return own if level == own.level else self._cipher(own.exact, own.values, level, own.scale, own.key)

    def align(self, a: Cipher, level: int) -> _Cipher:
        own = _own(a, _Cipher)
        if level == own.level:
            return own
        own = self.lower(own, level + 1)
        factor = self.parameters.scale(level) * self.parameters.prime(level + 1) / own.scale
        return self.rescale(self.mul_plain(own, self.encode(1.0, level=level + 1, scale=factor)))

    # bytes -----------------------------------------------------------------------------------------------------------
    def dump_cipher(self, a: Cipher) -> bytes:
        own = _own(a, _Cipher)
        head = np.array([own.level, own.scale]).tobytes()
        return b"SIMC" + own.key + head + own.exact.tobytes() + own.values.tobytes()

    def load_cipher(self, data: bytes, *, level: int, scale: float) -> _Cipher:
        slots = self.parameters.slots
        if len(data) != 20 + 16 + 16 * slots or data[:4] != b"SIMC":
            raise malformed("ciphertext", "not of the simulator")
        found = np.frombuffer(data[20:], dtype=np.float64)
        if found[0] != level or found[1] != scale or not np.isfinite(found).all():
            raise malformed("ciphertext", "not of the simulator")
        return self._cipher(found[2 : 2 + slots], found[2 + slots :], level, scale, data[4:20])

    def dump_evaluation(self, evaluation: Evaluation) -> dict[str, bytes]:
        own = _own(evaluation, _Evaluation)
        return {"relin": own.key, "zero": own.key, **{f"rotate/{step}": own.key for step in own.steps}}

    def load_evaluation(self, parts: dict[str, bytes]) -> _Evaluation:
        key = parts["relin"]
        if len(key) != 16 or any(part != key for part in parts.values()):
            raise malformed("evaluation key", "not of the simulator")
        return _Evaluation(key, frozenset(rotation_steps(parts, self.parameters.slots)))

    def dump_secret(self, secret: Secret) -> bytes:
        own = _own(secret, _Secret)
        return bytes(b"SIMS" + own.key + own.private)

    def load_secret(self, data: bytes) -> _Secret:
        if len(data) != 84 or data[:4] != b"SIMS":
            raise malformed("secret key", "not of the simulator")
        return _Secret(data[4:20], data[20:])

    # what makes it a rehearsal ---------------------------------------------------------------------------------------
    def _cipher(  # noqa: PLR0917
        self, exact: Any, values: Any, level: int, scale: float, key: bytes, noise: Any = 0.0
    ) -> _Cipher:
        largest = float(np.abs(values).max())
        if not largest < 2 * self.parameters.capacity(level, scale):
            raise UsageError(
                "range-exceeded",
                f"a result is too large for level {level}, which holds {2 * self.parameters.capacity(level, scale):.3g} "
                f"at scale {scale:.3g}",
                hint="declare a larger bound, or scale the numbers down first",
            )
        return _Cipher(exact, self._blur(values, noise / scale) if np.any(noise) else values, level, scale, key)

    @lru_cache(maxsize=64)  # noqa: B019  (backends live as long as their process)
    def _switching(self, level: int) -> NDArray[np.float64]:
        return self._noise.key_switching_by_slot(level)

    def _keyed(self, key: bytes, deviation: Any) -> Any:
        # |s(zeta)| of a secret key, relative to its root mean square: one number for each slot and key (see `noise`).
        if key not in self._secret_sizes:
            self._secret_sizes[key] = np.hypot(self._gauss(), self._gauss()) / math.sqrt(2.0)
        return deviation * self._secret_sizes[key]

    def _gauss(self) -> NDArray[np.float64]:
        stream = self._stream or Keystream.fresh()
        return np.asarray(ndtri((stream.words(self.parameters.slots) + 0.5) * 2.0**-64), dtype=np.float64)

    def _blur(self, values: NDArray[np.float64], deviation: float | NDArray[np.float64]) -> NDArray[np.float64]:
        return values + deviation * self._gauss() if self._stream is not None else values


def _own(handle: object, kind: type[T]) -> T:
    if type(handle) is not kind:
        raise InternalError(
            "foreign-handle",
            f"a {type(handle).__module__}.{type(handle).__name__} was handed to the simulator",
            hint="use the handles that this backend made",
        )
    return handle


def _one_key(*keys: bytes) -> None:
    if len(set(keys)) > 1:
        raise InternalError("foreign-handle", "objects of two key pairs met", hint="compare fingerprints first")


def _one_level(a: int, b: int) -> None:
    if a != b:
        raise InternalError("scale-mismatch", f"a product of levels {a} and {b}", hint="align before multiplying")
