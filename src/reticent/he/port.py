"""The port: what a CKKS library must offer, and nothing more.

CKKS (Cheon, Kim, Kim, Song, ASIACRYPT 2017) computes on vectors of `slots` real numbers at once: slot by slot sums and
products, and rotations of the slots to the left. A ciphertext has a `level` (how many products may still follow) and
a `scale` (the number is stored as an integer this many times larger).

The discipline of levels and scales that everything above this port keeps:

- A fresh ciphertext is at level `parameters.depth`; "at rest" a ciphertext of level l has scale
  `parameters.scale(l)`, exactly.
- `mul_plain` and `mul` multiply the scales and leave the level; `rescale` drops one prime and one level. With both
  factors at `parameters.scale(l)`, the rescaled product is at rest at level l - 1: exactly, since the scales of the
  levels are defined that way (`parameters.scale(l - 1) == parameters.scale(l) ** 2 / q_l`).
- Sums need equal levels and scales. `align` brings a resting ciphertext down to a lower level at rest.

A backend does not know ranges, layouts or errors; `Vector` and the compiled programs do. It refuses what would make it
silently wrong: unequal levels or scales in a sum, a product above what is left, a rescale at level 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reticent.errors import IdentityError, InternalError, UsageError
from reticent.he.parameters import Parameters

__all__ = [
    "Backend",
    "Cipher",
    "Evaluation",
    "Plain",
    "Secret",
    "TransparentResultError",
    "check_alike",
    "check_rescalable",
    "malformed",
    "missing_rotation",
    "rotation_steps",
]


class TransparentResultError(Exception):
    """A result that anybody can read, such as x - x: its value is 0 whatever the key.

    The caller adds an encryption of zero (`Backend.zero`) to one operand and repeats.
    """


class Plain(Protocol):
    """An encoded vector or number: made once, used many times at its level."""

    @property
    def level(self) -> int:
        """Level for which, or at which, it is encoded."""

    @property
    def scale(self) -> float:
        """What its numbers are multiplied by."""


class Cipher(Protocol):
    """An encrypted vector of slots."""

    @property
    def level(self) -> int:
        """Level for which, or at which, it is encoded."""

    @property
    def scale(self) -> float:
        """What its numbers are multiplied by."""


class Secret(Protocol):
    """A secret key inside a backend; only `ClientKeys` hold one."""


class Evaluation(Protocol):
    """What the evaluator needs of a key pair: relinearisation, rotations by `steps`, an encryption of zero."""

    @property
    def steps(self) -> frozenset[int]:
        """Rotations that these keys allow, in slots."""


class Backend(Protocol):
    """CKKS under one set of parameters. Handles of one backend object are used with that object only."""

    @property
    def name(self) -> str:
        """`"seal"` or `"simulator"`."""

    @property
    def parameters(self) -> Parameters:
        """Of the scheme."""

    # keys ------------------------------------------------------------------------------------------------------------
    def keygen(self, rotations: Sequence[int] = ()) -> tuple[Secret, Evaluation]:
        """Return a fresh key pair; the evaluator will be able to rotate by each of `rotations` (in slots)."""

    def extend(self, secret: Secret, evaluation: Evaluation, rotations: Sequence[int]) -> Evaluation:
        """Return evaluation keys that also rotate by `rotations`; the old ones stay usable."""

    # in and out ------------------------------------------------------------------------------------------------------
    def encode(self, values: NDArray[np.float64] | float, *, level: int, scale: float | None = None) -> Plain:
        """Return `values` encoded once for use at `level`.

        Args:
          values: `float64 (m,)` with m <= slots (the slots after it hold 0), or one number for all slots.
          level: Level of the ciphertexts that it will meet.
          scale: Default: `parameters.scale(level)`; 1.0 for an exact integer (a number only) that costs no level.
        """

    def encrypt(self, plain: Plain, secret: Secret) -> Cipher:
        """Return a ciphertext under the secret key (symmetric encryption)."""

    def encrypt_seeded(self, plain: Plain, secret: Secret) -> bytes:
        """Return such a ciphertext as bytes of half the size: its random half is replaced by a fresh public seed."""

    def decrypt(self, cipher: Cipher, secret: Secret) -> NDArray[np.float64]:
        """Return all slots, unrounded: `float64 (slots,)`. Above this port numbers are rounded before people see them."""

    def zero(self, evaluation: Evaluation, *, level: int, scale: float) -> Cipher:
        """Return an encryption of zero, from the evaluation keys."""

    # arithmetic ------------------------------------------------------------------------------------------------------
    def add(self, a: Cipher, b: Cipher) -> Cipher:
        """Return the sum; levels and scales are equal."""

    def add_inplace(self, a: Cipher, b: Cipher) -> None:
        """Add `b` into `a`, which only the caller may hold."""

    def sub(self, a: Cipher, b: Cipher) -> Cipher:
        """Return the difference; levels and scales are equal."""

    def negate(self, a: Cipher) -> Cipher:
        """Return the negative."""

    def add_plain(self, a: Cipher, p: Plain) -> Cipher:
        """Return the sum; levels and scales are equal."""

    def mul_plain(self, a: Cipher, p: Plain) -> Cipher:
        """Slot by slot product; scales multiply, nothing is rescaled. A `p` that encodes only zeros gives about 0."""

    def dot_plain(self, ciphers: Sequence[Cipher], plains: Sequence[Plain]) -> Cipher:
        """Return sum(c * p), not rescaled: the inner loop of matrix products, without intermediate objects."""

    def mul(self, a: Cipher, b: Cipher, evaluation: Evaluation) -> Cipher:
        """Slot by slot product, relinearised (two polynomials again), not rescaled. `a is b` squares, faster."""

    def rotate(self, a: Cipher, step: int, evaluation: Evaluation) -> Cipher:
        """Return the slots moved `step` to the left (cyclically): slot i holds what slot i + step held."""

    def rescale(self, a: Cipher) -> Cipher:
        """Divide by the last prime: level - 1, scale / q. A scale within 1e-9 of the resting scale becomes it."""

    def lower(self, a: Cipher, level: int) -> Cipher:
        """Drop primes down to `level`; value and scale stay (so the result is not at rest; see `align`)."""

    def align(self, a: Cipher, level: int) -> Cipher:
        """Return a resting ciphertext at a lower level, at rest: times 1 at the right scale, rescaled."""

    # bytes (authenticated by he.wire before they come here) ----------------------------------------------------------
    def dump_cipher(self, a: Cipher) -> bytes:
        """Return the library's form."""

    def load_cipher(self, data: bytes, *, level: int, scale: float) -> Cipher:
        """Parse; refused unless well-formed for these parameters and exactly at `level` and `scale`."""

    def dump_evaluation(self, evaluation: Evaluation) -> dict[str, bytes]:
        """Return named parts: "zero", "relin", and "rotate/STEP" for every step."""

    def load_evaluation(self, parts: dict[str, bytes]) -> Evaluation:
        """Parse what `dump_evaluation` returned."""

    def dump_secret(self, secret: Secret) -> bytes:
        """Only for a file of the owner."""

    def load_secret(self, data: bytes) -> Secret:
        """Parse what `dump_secret` returned."""


def check_alike(a: Cipher | Plain, b: Cipher | Plain) -> None:
    """Raise unless two operands of a sum are at one level and one scale: an internal error, since callers align."""
    if a.level != b.level or a.scale != b.scale:
        raise InternalError(
            "scale-mismatch",
            f"a sum of levels {a.level} and {b.level}, scales {a.scale:.6g} and {b.scale:.6g}",
            hint="align both to the lower level before adding (Backend.align)",
        )


def check_rescalable(a: Cipher) -> None:
    """Raise if no prime is left to drop: an internal error, since callers check levels first."""
    if a.level == 0:
        raise InternalError("rescale-at-level-0", "a ciphertext at level 0 was rescaled", hint="check levels first")


def rotation_steps(parts: Iterable[str], slots: int) -> list[int]:
    """Return the steps in the names of the parts of evaluation keys; refuses any other name."""
    names = [name for name in parts if name not in {"relin", "zero"}]
    steps = [
        int(name[7:]) for name in names if name.startswith("rotate/") and name[7:].isascii() and name[7:].isdigit()
    ]
    if len(steps) != len(names) or any(not 0 < step < slots for step in steps) or len(set(steps)) != len(steps):
        raise malformed("set of evaluation keys", "a part that is no key")
    return steps


def missing_rotation(step: int, available: frozenset[int]) -> UsageError:
    """Return the error for a rotation without a key."""
    return UsageError(
        "rotation-missing",
        f"a rotation by {step} slots, for which the evaluation keys hold no key (they hold {len(available)})",
        hint=f"generate the keys with rotations=[..., {step}]",
    )


def malformed(name: str, why: str) -> IdentityError:
    """Return the error for bytes that a backend cannot use."""
    return IdentityError(
        "malformed-lattice-object",
        f"a {name} cannot be used: {why}",
        hint="both sides must run the same version; otherwise treat the sender as hostile",
    )
