"""Encrypted vectors: arithmetic that knows where the numbers lie, how large they can be, and how wrong.

Every operation first decides, from layout, level, range and error alone, whether its result can be right, and refuses
(`level-exhausted`, `range-exceeded`) before the lattice library computes. Products rescale at once, so every vector is
at rest (see `port`); operands at different levels are brought to the lower one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reticent.errors import UsageError
from reticent.he.estimate import Estimate
from reticent.he.layout import Layout
from reticent.he.operands import numbers_of, unequal_lengths
from reticent.he.port import Cipher, TransparentResultError

if TYPE_CHECKING:
    from reticent.he.context import Context

__all__ = ["Vector"]

Array = NDArray[np.float64]
_INTEGER = 2.0**30  # whole numbers up to here multiply exactly and cost no level


class Vector:
    """An encrypted vector of known length; `Context.encrypt` and `Context.load` make them.

    Supports + - * with vectors of the same length (or length 1), arrays and numbers, `** k`, `/` by a number, `sum`,
    `dot`, and `@` with a matrix. A product costs a level, except by a whole number.

    Attributes:
      context: The evaluator's side, or the client's.
      level: Products that may still follow.
      layout: Where the numbers lie.
      estimate: Their range and error, without looking at them.
    """

    __array_ufunc__ = None  # so that `array * vector` comes here and not element by element
    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self,
        context: Context,
        ciphers: list[Cipher],
        layout: Layout,
        estimate: Estimate,
        *,
        fresh: tuple[bytes, ...] = (),
    ) -> None:
        self.context = context
        self.layout = layout
        self.estimate = estimate
        self._ciphers = ciphers
        self.fresh = fresh

    # what is known ---------------------------------------------------------------------------------------------------
    def __len__(self) -> int:
        return self.layout.length

    @property
    def level(self) -> int:
        """Products that may still follow."""
        return self._ciphers[0].level

    @property
    def ciphers(self) -> list[Cipher]:
        """One for each chunk of the layout."""
        return list(self._ciphers)

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest value that a number in it can have."""
        return self.estimate.low, self.estimate.high

    @property
    def error(self) -> float:
        """The announced error: how far each number may be from the exact result, before the rounding of `decrypt`."""
        return self.estimate.error

    def __repr__(self) -> str:
        state = "encrypted" if self.context.backend.name == "seal" else "simulated: NOT encrypted"
        return f"Vector(length={len(self)}, level={self.level}, error<={self.error:.1e}, {state})"

    # sums ------------------------------------------------------------------------------------------------------------
    def __add__(self, other: Any) -> Vector:
        if isinstance(other, Vector):
            return self._combined(other, self.context.backend.add)
        return self._plus(numbers_of(other))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Vector:
        if isinstance(other, Vector):
            return self._combined(other, self.context.backend.sub, sign=-1.0)
        return self._plus(-numbers_of(other))

    def __rsub__(self, other: Any) -> Vector:
        return (-self)._plus(numbers_of(other))

    def __neg__(self) -> Vector:
        ciphers = [self.context.backend.negate(c) for c in self._ciphers]
        return Vector(self.context, ciphers, self.layout, self.estimate.scaled(-1.0))

    def _combined(self, other: Vector, operation: Callable[[Cipher, Cipher], Cipher], sign: float = 1.0) -> Vector:
        layout = self._common_layout(other)
        level = min(self.level, other.level)
        a, b = self._down(level), other._down(level)
        same = a.layout == b.layout and a.layout.clean
        left, right = (v.estimate if same else v._slots for v in (a, b))
        # A number that is spread over all slots fills the padding of the vector that it is added to.
        layout = replace(layout, clean=same or layout.full)
        estimate = self.check_range(left.plus(right.scaled(sign)), level)
        return Vector(self.context, [self._nontrivial(operation, *pair) for pair in _pairs(a, b)], layout, estimate)

    def _nontrivial(self, operation: Callable[[Cipher, Cipher], Cipher], a: Cipher, b: Cipher) -> Cipher:
        try:
            return operation(a, b)
        except TransparentResultError:  # x - x: without other randomness the result would not be a ciphertext
            backend, keys = self.context.backend, self.context.evaluation
            zero = backend.zero(keys.handle, level=a.level, scale=a.scale)
            try:
                blinded = backend.add(a, zero)
            except TransparentResultError:  # x is that zero itself, with the other sign
                blinded = backend.sub(a, zero)
            return operation(blinded, b)

    def _plus(self, numbers: Array) -> Vector:
        backend, level, layout = self.context.backend, self.level, self._layout_with(numbers)
        grown = layout.length > len(self)
        estimate = (self._slots if grown else self.estimate).plus(self.context.estimator.plain(numbers, level))
        if grown or not layout.clean:
            estimate = estimate.hull(self._slots)
        estimate = self.check_range(estimate, level)
        plains: list[Any]
        if numbers.ndim == 0 and layout.full:
            plains = [backend.encode(float(numbers), level=level)] * layout.chunks
        else:
            # Only where the numbers lie: a constant in every slot would turn padding into data.
            placed = layout.place(np.broadcast_to(numbers, (layout.length,)))
            plains = [backend.encode(part, level=level) for part in placed]
        ciphers = [backend.add_plain(c, p) for c, p in zip(self._spread(layout), plains, strict=True)]
        return Vector(
            self.context, ciphers, replace(layout, clean=layout.full or (layout.clean and not grown)), estimate
        )

    # products --------------------------------------------------------------------------------------------------------
    def __mul__(self, other: Any) -> Vector:
        if isinstance(other, Vector):
            return self._product(other).rescaled()
        numbers = numbers_of(other)
        if numbers.ndim == 0 and float(numbers).is_integer() and abs(float(numbers)) <= _INTEGER:
            return self._times_integer(int(numbers))
        return self._product(numbers).rescaled()

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Vector:
        numbers = numbers_of(other)
        if not numbers.all():
            raise UsageError(
                "division-by-zero", "an encrypted vector was divided by zero", hint="divide by other numbers"
            )
        return self * (1.0 / numbers)

    def __pow__(self, exponent: int) -> Vector:
        if not isinstance(exponent, int) or exponent < 1:
            raise UsageError(
                "unsupported-operand", f"the power {exponent!r} of an encrypted vector", hint="use 1, 2, 3, ..."
            )
        if exponent == 1:
            return self
        half = self ** (exponent // 2)
        return half * half if exponent % 2 == 0 else half * half * self

    def _times_integer(self, factor: int) -> Vector:
        backend, level = self.context.backend, self.level
        estimate = self.check_range(self.estimate.scaled(float(factor)), level)
        if factor == 0:
            zero = backend.zero(self.context.evaluation.handle, level=level, scale=self._ciphers[0].scale)
            return Vector(
                self.context,
                [zero] * self.layout.chunks,
                replace(self.layout, clean=True),
                self.context.estimator.zero(level),
            )
        plain = backend.encode(float(factor), level=level, scale=1.0)
        return Vector(self.context, [backend.mul_plain(c, plain) for c in self._ciphers], self.layout, estimate)

    def _product(self, other: Vector | Array) -> _Product:
        """Return the product before rescaling, checked against what the level below holds."""
        context, backend = self.context, self.context.backend
        if isinstance(other, Vector):
            layout, level = self._common_layout(other), min(self.level, other.level)
            self._needs_level(level)
            a, b = self._down(level), other._down(level)
            same = a.layout == b.layout and a.layout.clean
            left, right = (v.estimate if same else v._slots for v in (a, b))
            estimate = context.estimator.relinearised(left.times(right), level)
            # Zero times anything is zero: one clean padding is enough, if it is the padding of the result.
            clean = any(v.layout.clean and v.layout.length == layout.length for v in (a, b))
            self.check_range(estimate, level - 1)
            keys = context.evaluation.handle
            ciphers = [backend.mul(x, y, keys) for x, y in _pairs(a, b)]
        else:
            layout, level = self._layout_with(other), self.level
            self._needs_level(level)
            if other.ndim == 0:
                plain = context.estimator.constant(float(other), level)
                plains, clean = [backend.encode(float(other), level=level)] * layout.chunks, self.layout.clean
            else:
                plain, clean = context.estimator.plain(other, level), True
                placed = layout.place(np.broadcast_to(other, (layout.length,)))
                plains = [backend.encode(part, level=level) for part in placed]
            estimate = (self.estimate if layout == self.layout else self._slots).times(plain)
            self.check_range(estimate, level - 1)
            ciphers = [backend.mul_plain(c, p) for c, p in zip(self._spread(layout), plains, strict=True)]
        return _Product(context, ciphers, replace(layout, clean=clean or layout.full), estimate)

    # over the whole vector -------------------------------------------------------------------------------------------
    def sum(self) -> Vector:
        """Return the sum of all numbers, a vector of length 1; padding that is not zero is cleared first (a level)."""
        readable = self if self.layout.readable else self._cleared()
        return _Product(self.context, readable._ciphers, readable.layout, readable.estimate).summed().vector()

    def dot(self, other: Any) -> Vector:
        """Return the inner product with a vector or array of the same length, a vector of length 1; costs a level."""
        if not isinstance(other, Vector):
            other = np.broadcast_to(numbers_of(other), (len(self),))
        elif not (self.layout.readable or other.layout.readable):
            return self._cleared().dot(other)
        return self._product(other).summed().rescaled()

    def __matmul__(self, other: Any) -> Vector:
        if isinstance(other, Vector):
            return self.dot(other)
        matrix = np.asarray(other, dtype=np.float64)
        return self.dot(matrix) if matrix.ndim == 1 else self.matmul(matrix)

    def matmul(self, matrix: Array) -> Vector:
        """Return `self @ matrix` for a matrix of shape `(length, outputs)`; costs a level."""
        from reticent.he.matvec import vector_matrix

        self._needs_level(self.level)
        return vector_matrix(self if self.layout.readable else self._cleared(), matrix)

    def _cleared(self) -> Vector:
        return self._product(np.ones(len(self))).rescaled()

    # the way out -----------------------------------------------------------------------------------------------------
    def decrypt(self, precision: float | None = None) -> Array:
        """Return the numbers, rounded to multiples of the context's precision; see `Context.decrypt`."""
        return self.context.decrypt(self, precision=precision)

    # checks ----------------------------------------------------------------------------------------------------------
    @property
    def _slots(self) -> Estimate:
        """The range of all slots: padding included."""
        return self.estimate if self.layout.full else self.estimate.with_zero()

    def check_range(self, estimate: Estimate, level: int) -> Estimate:
        """Return `estimate` if a result of its size fits at `level`; raises `range-exceeded`."""
        capacity = self.context.parameters.capacity(level)
        if not estimate.magnitude + estimate.error <= capacity:
            raise UsageError(
                "range-exceeded",
                f"the result may reach {estimate.magnitude:.4g}, and level {level} holds numbers up to {capacity:.4g}: "
                "larger ones would wrap around and spoil every slot",
                hint="scale the numbers down, declare the bound that really holds (context.encrypt(values, bound=...)), "
                f"or make the context for larger numbers: he.context(bound={2 * self.context.parameters.bound:g}, ...)",
            )
        return estimate

    def _needs_level(self, level: int) -> None:
        if level < 1:
            depth = self.context.parameters.depth
            raise UsageError(
                "level-exhausted",
                f"a product after the last level: this context allows {depth} in sequence",
                hint=f"he.context(depth={depth + 1}, ...); products by whole numbers and sums cost no level",
            )

    def _down(self, level: int) -> Vector:
        if level == self.level:
            return self
        estimate = self.check_range(self.context.estimator.aligned(self.estimate, level), level)
        ciphers = [self.context.backend.align(c, level) for c in self._ciphers]
        return Vector(self.context, ciphers, self.layout, estimate)

    def _common_layout(self, other: Vector) -> Layout:
        if self.context.evaluation.fingerprint != other.context.evaluation.fingerprint:
            raise UsageError(
                "mixed-contexts", "two vectors under different keys", hint="encrypt both with the same context"
            )
        if len(self) != len(other) and 1 not in (len(self), len(other)):
            raise unequal_lengths(len(self), len(other))
        return self.layout if len(self) >= len(other) else other.layout

    def _layout_with(self, numbers: Array) -> Layout:
        if numbers.ndim == 0 or len(numbers) in (1, len(self)):
            return self.layout
        if len(self) != 1:
            raise unequal_lengths(len(self), len(numbers))
        return Layout(len(numbers), self.layout.slots)

    def _spread(self, layout: Layout) -> list[Cipher]:
        return self._ciphers if len(self._ciphers) == layout.chunks else self._ciphers * layout.chunks


class _Product:
    """Ciphertexts between a product and its rescaling; with `summed` at the larger scale, where it costs no precision."""

    def __init__(self, context: Context, ciphers: list[Cipher], layout: Layout, estimate: Estimate) -> None:
        self._context, self._ciphers, self._layout, self._estimate = context, ciphers, layout, estimate

    def summed(self) -> _Product:
        """Return the sum over the numbers in every slot."""
        context, layout = self._context, self._layout
        backend, level, scale = context.backend, self._ciphers[0].level, self._ciphers[0].scale
        chunks, resting = layout.chunks, context.parameters.scale(level)
        gathered = replace(
            self._estimate,
            gaussian=self._estimate.gaussian * math.sqrt(chunks),
            spread=self._estimate.spread * math.sqrt(chunks),
            common=self._estimate.common * chunks,
        )
        estimate = context.estimator.rotations_summed(gathered, layout.length, layout.period, level=level, scale=scale)
        total = Vector(context, self._ciphers, layout, estimate)
        total.check_range(estimate, level if scale == resting else level - 1)
        steps = [1 << i for i in range(layout.period.bit_length() - 1)]
        context.ensure_rotations(steps)
        cipher = self._ciphers[0]
        for other in self._ciphers[1:]:
            cipher = backend.add(cipher, other)
        for step in steps:
            cipher = backend.add(cipher, backend.rotate(cipher, step, context.evaluation.handle))
        return _Product(context, [cipher], Layout(1, layout.slots), estimate)

    def vector(self) -> Vector:
        """Return the ciphertexts as they are: they were at rest."""
        return Vector(self._context, self._ciphers, self._layout, self._estimate)

    def rescaled(self) -> Vector:
        """Return the vector at rest, one level down."""
        level = self._ciphers[0].level
        ciphers = [self._context.backend.rescale(c) for c in self._ciphers]
        estimate = self._context.estimator.rescaled(self._estimate, level)
        return Vector(self._context, ciphers, self._layout, estimate)


def _pairs(a: Vector, b: Vector) -> list[tuple[Cipher, Cipher]]:
    wide = a.layout if len(a) >= len(b) else b.layout
    return list(zip(a._spread(wide), b._spread(wide), strict=True))
