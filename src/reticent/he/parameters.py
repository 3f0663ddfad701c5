"""Parameters of CKKS from what the user knows: depth, bound and precision; never outside the 128-bit table.

The ring has degree N (N / 2 slots). The modulus is a product of primes: a base (one prime, or two), one prime for each
level, and the special prime of key switching, which counts for security like the others. Security of RLWE with ternary
secrets falls with the total number of bits and grows with N; the table is that of the Homomorphic Encryption Security
Standard (Albrecht et al., 2018, table 1, ternary, 128 bits classical).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import islice

from reticent.errors import UsageError
from reticent.messages import encode, record

__all__ = ["SECURITY_BITS", "Parameters"]

SECURITY_BITS: dict[int, int] = {1024: 27, 2048: 54, 4096: 109, 8192: 218, 16384: 438, 32768: 881}
"""Ring degree N to the largest total bits of the modulus, special prime included, at 128 bits of security."""


@record("he.parameters", version=1)
@dataclass(frozen=True)
class Parameters:
    """One CKKS instance.

    Attributes:
      degree: Ring degree N; N / 2 slots.
      base_bits: Bits of the primes that remain at level 0 (one or two).
      level_bits: Bits of the primes of levels 1, 2, ..., depth: `scale_bits` each.
      special_bits: Bits of the special prime; at least the largest of the others.
      scale_bits: Bits of the scale: the level primes are chosen around it.
      bound: Largest absolute value that may be encrypted.
      precision: Largest absolute error that a decrypted result may have.

    Raises:
      UsageError: `insecure-parameters` if the modulus is too wide for the degree, `invalid-parameters` if the numbers
        make no scheme.
    """

    degree: int
    base_bits: tuple[int, ...]
    level_bits: tuple[int, ...]
    special_bits: int
    scale_bits: int
    bound: float
    precision: float

    def __post_init__(self) -> None:
        allowed = SECURITY_BITS.get(self.degree)
        if allowed is None:
            raise UsageError(
                "invalid-parameters",
                f"ring degree {self.degree}",
                hint=f"choose one of {', '.join(map(str, SECURITY_BITS))}",
            )
        if self.total_bits > allowed:
            enough = [n for n, bits in SECURITY_BITS.items() if bits >= self.total_bits]
            raise UsageError(
                "insecure-parameters",
                f"a modulus of {self.total_bits} bits at ring degree {self.degree}: 128 bits of security allow "
                f"{allowed}, the special prime included",
                hint=f"use ring degree {enough[0]}" if enough else "ask for a smaller depth, bound or precision",
            )
        self._check_shape()

    def _check_shape(self) -> None:
        bits = (*self.base_bits, *self.level_bits, self.special_bits)
        smallest = int(math.log2(2 * self.degree)) + 2  # primes are 1 modulo 2 N
        if not (
            1 <= len(self.base_bits) <= 2
            and all(smallest <= b <= 60 for b in bits)
            and self.special_bits >= max(bits)
            and 10 <= self.scale_bits <= 60
            and all(b == self.scale_bits for b in self.level_bits)
            and 0 < self.precision <= self.bound < math.inf
        ):
            raise UsageError(
                "invalid-parameters",
                f"base {self.base_bits}, levels {self.level_bits}, special prime {self.special_bits}, scale "
                f"{self.scale_bits} bits, bound {self.bound:g}, precision {self.precision:g}",
                hint=f"primes have {smallest} to 60 bits, the special one the most; level primes as many as the scale; "
                "0 < precision <= bound",
            )
        if self.capacity(0) < self.bound:
            raise UsageError(
                "invalid-parameters",
                f"level 0 holds numbers up to {self.capacity(0):.3g}, below the bound {self.bound:g}",
                hint="widen the base primes or lower the scale",
            )

    @property
    def total_bits(self) -> int:
        """Bits of the whole modulus, the special prime included: what the security table limits."""
        return sum(self.base_bits) + sum(self.level_bits) + self.special_bits

    @property
    def slots(self) -> int:
        """Numbers in one ciphertext: N / 2."""
        return self.degree // 2

    @property
    def depth(self) -> int:
        """Products in sequence that a fresh ciphertext bears: the level of fresh ciphertexts."""
        return len(self.level_bits)

    @cached_property
    def _chain(self) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """The primes (base, level 1 to depth, special) and the scales of the levels.

        By definition `s[l - 1] = s[l]^2 / q[l]`, so that a rescaled product is at rest. A deviation of the scale from
        the primes would double with every level; each level therefore takes, of the unused primes of its size, the one
        that brings the next scale back to the middle.
        """
        step = 2 * self.degree
        outer: list[int] = []
        for bits in (self.special_bits, *self.base_bits):
            outer.append(self._first(bits, outer))
        pool = [q for q in _largest_primes(self.scale_bits, step, 3 * self.depth + 8) if q not in outer]
        if len(pool) < self.depth:
            raise self._too_few(self.scale_bits)
        middle = float(pool[len(pool) // 2]) if self.depth else 2.0**self.scale_bits
        levels, scales = list[int](), [middle]
        for _ in range(self.depth):
            wanted = scales[-1] ** 2 / middle
            levels.append(min(pool, key=lambda q: abs(q - wanted)))
            pool.remove(levels[-1])
            scales.append(scales[-1] ** 2 / levels[-1])
        return (*outer[1:], *reversed(levels), outer[0]), tuple(reversed(scales))

    def _first(self, bits: int, taken: Sequence[int]) -> int:
        for prime in _largest_primes(bits, 2 * self.degree, 4):
            if prime not in taken:
                return prime
        raise self._too_few(bits)

    def _too_few(self, bits: int) -> UsageError:
        return UsageError(
            "invalid-parameters",
            f"there are too few primes of {bits} bits that are 1 modulo {2 * self.degree}",
            hint="use larger primes",
        )

    @property
    def primes(self) -> tuple[int, ...]:
        """The primes: base, level 1 to depth, special; distinct, each 1 modulo 2 N and of its stated bits."""
        return self._chain[0]

    def prime(self, level: int) -> int:
        """The prime that `rescale` drops at `level` (1 to depth)."""
        return self.primes[len(self.base_bits) + level - 1]

    def scale(self, level: int) -> float:
        """The scale of a ciphertext at rest at `level`."""
        return self._chain[1][level]

    def modulus_primes(self, level: int) -> tuple[int, ...]:
        """The primes of ciphertexts at `level`."""
        return self.primes[: len(self.base_bits) + level]

    def capacity(self, level: int, scale: float | None = None) -> float:
        """The largest absolute value that a ciphertext holds there without wrapping, with a factor 2 to spare.

        Coefficients are averages of slot values, so none exceeds the largest value times the scale, and all must stay
        below half of the modulus.
        """
        modulus = math.prod(map(float, self.modulus_primes(level)))
        return modulus / (4.0 * (self.scale(level) if scale is None else scale))

    @cached_property
    def fingerprint(self) -> bytes:
        """SHA-256 over everything: two parties whose fingerprints agree compute in the same ring."""
        return hashlib.sha256(b"reticent he parameters 1\0" + encode(self)).digest()


@lru_cache(maxsize=1024)
def _largest_primes(bits: int, step: int, count: int) -> tuple[int, ...]:
    """Return up to `count` primes of exactly `bits` bits that are 1 modulo `step`, the largest first."""
    candidates = range((1 << bits) - step + 1, 1 << (bits - 1), -step)
    return tuple(islice(filter(_is_prime, candidates), count))


def _is_prime(n: int) -> bool:
    """Miller and Rabin with the first twelve primes as bases: exact below 3.3e24 (Sorenson and Webster, 2015)."""
    bases = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
    if n in bases or any(n % b == 0 for b in bases):
        return n in bases
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in bases:
        x = pow(base, odd, n)
        if x not in (1, n - 1) and all((x := x * x % n) != n - 1 for _ in range(twos - 1)):
            return False
    return True
