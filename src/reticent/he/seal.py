# ruff: noqa: D102  (what each method promises is written once, in the port)
"""The backend for real keys: Microsoft SEAL through `tenseal.sealapi`, and the only module that imports it.

What its observed behaviour asks for (0.3.18): key switching keys are asked for by Galois element and checked afterwards,
since the meaning of a bare list of numbers changed between releases; objects go to and from files only; a flipped bit
loads silently, so bytes are authenticated before they come here (`he.wire`), and their header, size, level and scale are
checked here; a product with a zero plaintext or x - x is refused by SEAL as transparent. Keys and encryption noise are
drawn inside SEAL, from the entropy of the operating system (std::random_device, then BLAKE2xb): no seed comes from here.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from reticent.errors import EnvironmentFault, InternalError, UsageError
from reticent.he.files import bytes_of, file_of
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

__all__ = ["SealBackend"]

T = TypeVar("T")

_MAGIC = 0xA15E
_AT_REST = 1e-9


@dataclass(slots=True, eq=False)
class _Plain:
    native: Any
    level: int
    scale: float


@dataclass(slots=True, eq=False)
class _Cipher:
    native: Any
    level: int

    @property
    def scale(self) -> float:
        return float(self.native.scale)


@dataclass(slots=True, eq=False, repr=False)
class _Secret:
    native: Any


@dataclass(slots=True, eq=False, repr=False)
class _Evaluation:
    zero: Any
    relin: Any
    galois: dict[int, Any]
    parts: dict[str, bytes] = field(default_factory=dict)

    @property
    def steps(self) -> frozenset[int]:
        return frozenset(self.galois)


def _library() -> ModuleType:
    try:
        import tenseal.sealapi as library
    except ImportError as error:
        raise EnvironmentFault(
            "he-library-missing",
            "homomorphic encryption needs the package tenseal, which is not installed here",
            hint="pip install 'reticent[he]'   (or use backend='simulator', which encrypts nothing)",
        ) from error
    return library  # type: ignore[no-any-return]


class SealBackend:
    """CKKS of SEAL under `parameters` (see `port.Backend` for what each method promises)."""

    name = "seal"

    def __init__(self, parameters: Parameters) -> None:
        self._s = s = _library()
        self.parameters = parameters
        chosen = s.EncryptionParameters(s.SCHEME_TYPE.CKKS)
        chosen.set_poly_modulus_degree(parameters.degree)
        chosen.set_coeff_modulus([s.Modulus(q) for q in parameters.primes])
        self._context = s.SEALContext(chosen, True, s.SEC_LEVEL_TYPE.TC128)  # noqa: FBT003
        if not self._context.parameters_set():
            raise UsageError(
                "insecure-parameters",
                f"SEAL refuses ring degree {parameters.degree} with {parameters.total_bits} bits: "
                f"{self._context.parameters_error_name()}",
                hint="derive the parameters from depth, bound and precision",
            )
        self._ids = self._level_ids()
        self._encoder = s.CKKSEncoder(self._context)
        self._evaluator = s.Evaluator(self._context)

    def _level_ids(self) -> list[list[int]]:
        node, ids = self._context.first_context_data(), []
        while node is not None:
            ids.append(node.parms_id())
            node = node.next_context_data()
        # With a base of two primes SEAL has one level more than we use.
        return list(reversed(ids))[len(self.parameters.base_bits) - 1 :]

    # keys ------------------------------------------------------------------------------------------------------------
    def keygen(self, rotations: Sequence[int] = ()) -> tuple[Secret, Evaluation]:
        generator = self._s.KeyGenerator(self._context)
        secret = _Secret(generator.secret_key())
        relin, zero = self._s.RelinKeys(), self._s.Ciphertext()
        parts = {
            "relin": bytes_of(generator.create_relin_keys().save),
            "zero": self.encrypt_seeded(self._encode_zero(), secret),
        }
        self._load(relin, parts["relin"])
        self._load(zero, parts["zero"])
        evaluation = _Evaluation(zero, relin, {}, parts)
        return secret, self.extend(secret, evaluation, rotations)

    def _encode_zero(self) -> _Plain:
        plain = self._s.Plaintext()
        level, scale = self.parameters.depth, self.parameters.scale(self.parameters.depth)
        self._encoder.encode(0.0, self._ids[level], scale, plain)
        return _Plain(plain, level, scale)

    def extend(self, secret: Secret, evaluation: Evaluation, rotations: Sequence[int]) -> Evaluation:
        own, old = _own(secret, _Secret), _own(evaluation, _Evaluation)
        generator = self._s.KeyGenerator(self._context, own.native)
        galois, parts = dict(old.galois), dict(old.parts)
        for step in sorted({r % self.parameters.slots for r in rotations} - {0} - set(galois)):
            # The serialised form holds a seed in place of the random half: made once, for the wire and for us.
            data = bytes_of(generator.create_galois_keys([self._element(step)]).save)
            galois[step], parts[f"rotate/{step}"] = self._galois(step, data), data
        return _Evaluation(old.zero, old.relin, galois, parts)

    def _element(self, step: int) -> int:
        return pow(3, step % self.parameters.slots, 2 * self.parameters.degree)

    def _galois(self, step: int, data: bytes) -> Any:
        keys = self._s.GaloisKeys()
        self._load(keys, data)
        if not keys.has_key(self._element(step)):
            raise malformed(f"rotation key {step}", "it is the key of another rotation")
        return keys

    # in and out ------------------------------------------------------------------------------------------------------
    def encode(self, values: NDArray[np.float64] | float, *, level: int, scale: float | None = None) -> _Plain:
        plain = self._s.Plaintext()
        scale = self.parameters.scale(level) if scale is None else scale
        content = float(values) if np.ndim(values) == 0 else np.ascontiguousarray(values, dtype=np.float64)
        self._encoder.encode(content, self._ids[level], scale, plain)
        if plain.is_zero():
            # SEAL refuses products with an all-zero plaintext; one unit of the scale is below every other error.
            self._encoder.encode(1.0 / scale, self._ids[level], scale, plain)
        return _Plain(plain, level, scale)

    def encrypt(self, plain: Plain, secret: Secret) -> _Cipher:
        own = _own(plain, _Plain)
        out = self._s.Ciphertext()
        self._s.Encryptor(self._context, _own(secret, _Secret).native).encrypt_symmetric(own.native, out)
        return _Cipher(out, own.level)

    def encrypt_seeded(self, plain: Plain, secret: Secret) -> bytes:
        encryptor = self._s.Encryptor(self._context, _own(secret, _Secret).native)
        return bytes_of(encryptor.encrypt_symmetric(_own(plain, _Plain).native).save)

    def decrypt(self, cipher: Cipher, secret: Secret) -> NDArray[np.float64]:
        plain = self._s.Plaintext()
        self._s.Decryptor(self._context, _own(secret, _Secret).native).decrypt(_own(cipher, _Cipher).native, plain)
        return np.array(self._encoder.decode_double(plain))

    def zero(self, evaluation: Evaluation, *, level: int, scale: float) -> _Cipher:
        own = self.lower(_Cipher(_own(evaluation, _Evaluation).zero, self.parameters.depth), level)
        out = self.negate(own)  # a copy: minus zero is zero, at every scale
        out.native.scale = scale
        return out

    # arithmetic ------------------------------------------------------------------------------------------------------
    def add(self, a: Cipher, b: Cipher) -> _Cipher:
        return self._sum(self._evaluator.add, a, b)

    def sub(self, a: Cipher, b: Cipher) -> _Cipher:
        return self._sum(self._evaluator.sub, a, b)

    def _sum(self, operation: Any, a: Any, b: Any) -> _Cipher:
        check_alike(a, b)
        out = self._s.Ciphertext()
        try:
            operation(a.native, b.native, out)
        except RuntimeError as error:
            raise _transparent(error) from error
        return _Cipher(out, a.level)

    def add_inplace(self, a: Cipher, b: Cipher) -> None:
        check_alike(a, b)
        try:
            self._evaluator.add_inplace(_own(a, _Cipher).native, _own(b, _Cipher).native)
        except RuntimeError as error:
            raise _transparent(error) from error

    def negate(self, a: Cipher) -> _Cipher:
        out = self._s.Ciphertext()
        self._evaluator.negate(_own(a, _Cipher).native, out)
        return _Cipher(out, a.level)

    def add_plain(self, a: Cipher, p: Plain) -> _Cipher:
        check_alike(a, p)
        out = self._s.Ciphertext()
        self._evaluator.add_plain(_own(a, _Cipher).native, _own(p, _Plain).native, out)
        return _Cipher(out, a.level)

    def mul_plain(self, a: Cipher, p: Plain) -> _Cipher:
        out = self._s.Ciphertext()
        self._evaluator.multiply_plain(_own(a, _Cipher).native, _own(p, _Plain).native, out)
        return _Cipher(out, a.level)

    def dot_plain(self, ciphers: Sequence[Cipher], plains: Sequence[Plain]) -> _Cipher:
        multiply, add, spare = self._evaluator.multiply_plain, self._evaluator.add_inplace, self._s.Ciphertext()
        total = self.mul_plain(ciphers[0], plains[0])
        for c, p in zip(ciphers[1:], plains[1:], strict=True):
            multiply(_own(c, _Cipher).native, _own(p, _Plain).native, spare)
            add(total.native, spare)
        return total

    def mul(self, a: Cipher, b: Cipher, evaluation: Evaluation) -> _Cipher:
        out = self._s.Ciphertext()
        if a is b:
            self._evaluator.square(_own(a, _Cipher).native, out)
        else:
            self._evaluator.multiply(_own(a, _Cipher).native, _own(b, _Cipher).native, out)
        self._evaluator.relinearize_inplace(out, _own(evaluation, _Evaluation).relin)
        return _Cipher(out, a.level)

    def rotate(self, a: Cipher, step: int, evaluation: Evaluation) -> _Cipher:
        step %= self.parameters.slots
        if step == 0:
            return _own(a, _Cipher)
        keys = _own(evaluation, _Evaluation).galois.get(step)
        if keys is None:
            raise missing_rotation(step, evaluation.steps)
        out = self._s.Ciphertext()
        self._evaluator.apply_galois(_own(a, _Cipher).native, self._element(step), keys, out)
        return _Cipher(out, a.level)

    def rescale(self, a: Cipher) -> _Cipher:
        check_rescalable(a)
        out = self._s.Ciphertext()
        self._evaluator.rescale_to_next(_own(a, _Cipher).native, out)
        resting = self.parameters.scale(a.level - 1)
        if math.isclose(out.scale, resting, rel_tol=_AT_REST):
            out.scale = resting
        return _Cipher(out, a.level - 1)

    def lower(self, a: Cipher, level: int) -> _Cipher:
        if level == a.level:
            return _own(a, _Cipher)
        out = self._s.Ciphertext()
        self._evaluator.mod_switch_to(_own(a, _Cipher).native, self._ids[level], out)
        return _Cipher(out, level)

    def align(self, a: Cipher, level: int) -> _Cipher:
        own = _own(a, _Cipher)
        if level == own.level:
            return own
        own = self.lower(own, level + 1)
        factor = self.parameters.scale(level) * self.parameters.prime(level + 1) / own.scale
        return self.rescale(self.mul_plain(own, self.encode(1.0, level=level + 1, scale=factor)))

    # bytes -----------------------------------------------------------------------------------------------------------
    def dump_cipher(self, a: Cipher) -> bytes:
        return bytes_of(_own(a, _Cipher).native.save)

    def load_cipher(self, data: bytes, *, level: int, scale: float) -> _Cipher:
        out = self._s.Ciphertext()
        self._load(out, data)
        expected = out.size() == 2 and out.is_ntt_form() and not out.is_transparent()
        if not (expected and list(out.parms_id()) == list(self._ids[level]) and out.scale == scale):
            raise malformed("ciphertext", "it has another level, scale or size than its message says")
        return _Cipher(out, level)

    def dump_evaluation(self, evaluation: Evaluation) -> dict[str, bytes]:
        return dict(_own(evaluation, _Evaluation).parts)

    def load_evaluation(self, parts: dict[str, bytes]) -> _Evaluation:
        relin, galois = self._s.RelinKeys(), {}
        self._load(relin, parts["relin"])
        if not relin.has_key(2):
            raise malformed("relinearisation key", "it is empty")
        top = self.parameters.depth
        zero = self.load_cipher(parts["zero"], level=top, scale=self.parameters.scale(top))
        for step in rotation_steps(parts, self.parameters.slots):
            galois[step] = self._galois(step, parts[f"rotate/{step}"])
        return _Evaluation(zero.native, relin, galois, dict(parts))

    def dump_secret(self, secret: Secret) -> bytes:
        return bytes_of(_own(secret, _Secret).native.save)

    def load_secret(self, data: bytes) -> _Secret:
        key = self._s.SecretKey()
        self._load(key, data)
        return _Secret(key)

    def _load(self, empty: Any, data: bytes) -> None:
        # SEAL's header: magic, its own size, version, compression, and the size of all that follows.
        if (
            len(data) < 16
            or struct.unpack("<HB", data[:3]) != (_MAGIC, 16)
            or struct.unpack("<Q", data[8:16])[0] != len(data)
        ):
            raise malformed(type(empty).__name__, "no header of the lattice library, or not as long as it says")
        try:
            with file_of(data) as path:
                empty.load(self._context, path)
        except (RuntimeError, ValueError, IndexError, MemoryError) as error:
            raise malformed(type(empty).__name__, "the lattice library cannot read it") from error


def _own(handle: object, kind: type[T]) -> T:
    if type(handle) is not kind:
        raise InternalError(
            "foreign-handle",
            f"a {type(handle).__module__}.{type(handle).__name__} was handed to the SEAL backend",
            hint="use the handles that this backend made",
        )
    return handle


def _transparent(error: RuntimeError) -> Exception:
    return TransparentResultError(str(error)) if "transparent" in str(error) else error
