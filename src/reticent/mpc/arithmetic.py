"""Sums, products and changes of shape of secret-shared arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reticent.errors import UsageError
from reticent.mpc.operation import Operation
from reticent.mpc.products import PRODUCTS, shape_of_product
from reticent.mpc.protocol import Protocol
from reticent.mpc.rounds import Steps, Words
from reticent.mpc.shared import Shared
from reticent.mpc.truncation import rounds_of as rounds_of_truncation
from reticent.mpc.truncation import truncate
from reticent.rings import Ring64

if TYPE_CHECKING:
    from reticent.mpc.tensor import Tensor

__all__ = ["add", "concat", "encode_constant", "linear", "matmul", "mean", "product", "rescaled", "stack", "take"]

_MOST_FRACTION = 44
_FEW = 256  # terms of a mean whose sum is multiplied as it is


def linear(x: Tensor, function: Callable[[NDArray[Any]], Any]) -> Tensor:
    """Return a rearrangement or sum of the elements of `x`, share by share."""
    shape = np.shape(function(np.broadcast_to(np.uint64(0), x.shape)))
    return x.session.local(lambda shared: shared.map(function), [x], shape=shape, fraction=x.fraction)


def lifted(x: Tensor, fraction: int) -> Tensor:
    """Return `x` with more fraction bits; no message."""
    if fraction == x.fraction:
        return x
    shift = np.uint64(fraction - x.fraction)
    return x.session.local(lambda s: s.map(lambda w: np.left_shift(w, shift)), [x], shape=x.shape, fraction=fraction)


def add(x: Tensor, other: Tensor | ArrayLike) -> Tensor:
    """Return the sum, with broadcasting; no message."""
    from reticent.mpc.tensor import Tensor

    if isinstance(other, Tensor):
        check_session(x, other)
        shape = broadcast_shape(x.shape, other.shape)
        fraction = max(x.fraction, other.fraction)
        left, right = lifted(x, fraction), lifted(other, fraction)
        return x.session.local(lambda a, b: a.combine(b, np.add), [left, right], shape=shape, fraction=fraction)
    fraction = max(x.fraction, encode_constant(other, x.session.fraction_bits)[1])
    fraction = min(fraction, max(x.fraction, x.session.fraction_bits))
    words = Ring64(fraction).encode(other)
    protocol = x.session.protocol
    shape = broadcast_shape(x.shape, words.shape)
    return x.session.local(
        lambda a: protocol.add_public(a, words), [lifted(x, fraction)], shape=shape, fraction=fraction
    )


def negate(x: Tensor) -> Tensor:
    """Return the negative; no message."""
    return linear(x, np.negative)


def product(
    kind: str, x: Tensor, other: Tensor | ArrayLike, *, fraction: int | None = None, exact: bool | None = None
) -> Tensor:
    """Return a product of `x` with a tensor, an array or a number.

    Args:
      kind: "multiply" or "matmul".
      x: Left operand.
      other: Right operand.
      fraction: Most fraction bits of the result, to which it is truncated; the session's if None.
      exact: Whether the truncation is; as the session says if None.
    """
    from reticent.mpc.tensor import Tensor

    session = x.session
    if not isinstance(other, Tensor):
        words, bits = encode_constant(other, session.fraction_bits)
        shape = product_shape(kind, x.shape, words.shape)
        raw = session.local(
            lambda a: a.map(lambda part: PRODUCTS[kind](part, words)), [x], shape=shape, fraction=x.fraction + bits
        )
        return rescaled(raw, fraction=fraction, exact=exact)
    check_session(x, other)
    shape = product_shape(kind, x.shape, other.shape)
    both = x.fraction + other.fraction
    kept = min(both, session.fraction_bits if fraction is None else fraction)
    protocol, precisely = session.protocol, session.exact if exact is None else exact

    def start(operation: Operation, a: Shared, b: Shared) -> Steps[Shared]:
        if kept == both:
            return (yield from protocol.product(operation, kind, a, b))
        words = yield from protocol.group_product(operation, kind, a, b)
        return (yield from truncated(protocol, operation, words, shape, both - kept, exact=precisely))

    return session.defer(f"{kind} {x.shape} {other.shape}", start, [x, other], shape=shape, fraction=kept)


def rescaled(x: Tensor, *, fraction: int | None = None, exact: bool | None = None) -> Tensor:
    """Return `x` truncated to at most `fraction` bits after the point (None: the session's)."""
    session = x.session
    kept = session.fraction_bits if fraction is None else fraction
    if x.fraction <= kept:
        return x
    protocol, shape, drop = session.protocol, x.shape, x.fraction - kept
    precisely = session.exact if exact is None else exact

    def start(operation: Operation, a: Shared) -> Steps[Shared]:
        words = protocol.to_group(a)
        return (yield from truncated(protocol, operation, words, shape, drop, exact=precisely))

    return session.defer(f"truncate {shape}", start, [x], shape=shape, fraction=kept)


def truncated(
    protocol: Protocol, operation: Operation, words: Words, shape: tuple[int, ...], bits: int, *, exact: bool
) -> Steps[Shared]:
    """Return the array that the group shares, divided by 2^bits, as shares of all parties."""
    count = int(np.prod(shape, dtype=np.int64))
    share = yield from protocol.gate(
        operation,
        "truncation",
        {"count": count, "bits": bits, "exact": exact},
        lambda material: truncate(protocol.group, material, words.reshape(-1), bits=bits),
        rounds=rounds_of_truncation(bits, exact=exact),
    )
    found = yield from protocol.from_group(operation, None if share is None else [share], [shape])
    return found[0]


def mean(x: Tensor, axis: int | tuple[int, ...] | None, *, keepdims: bool) -> Tensor:
    """Return the mean over `axis`.

    Raises:
      UsageError: If it is a mean of nothing.
    """
    total = x.sum(axis, keepdims=keepdims)
    count = x.size // total.size if total.size else 1
    if not count:
        raise UsageError(
            "no-such-axis",
            f"the mean of a tensor of shape {x.shape} over axis {axis}",
            hint="name an axis with elements",
        )
    shift = count.bit_length() - 1
    if count < _FEW or count == 1 << shift:
        return total * (1.0 / count)
    # The sum of many terms times 1 / count, of fraction_bits digits, would wrap around where the mean is far from it.
    part = x.session.local(lambda s: s, [total], shape=total.shape, fraction=total.fraction + shift)
    return rescaled(part, exact=False) * (2.0**shift / count)


def matmul(x: Tensor, other: Tensor | ArrayLike) -> Tensor:
    """Return the matrix product, with numpy's rules for vectors and batches."""
    from reticent.mpc.tensor import Tensor

    right = other if isinstance(other, Tensor) else np.asarray(other, dtype=np.float64)
    if x.ndim == 0 or right.ndim == 0:
        _refuse_shapes("matmul", x.shape, right.shape)
    left = x[np.newaxis, :] if x.ndim == 1 else x
    column = right[:, np.newaxis] if right.ndim == 1 else right
    out = product("matmul", left, column)
    if right.ndim == 1:
        out = out[..., 0]
    return out[..., 0, :] if x.ndim == 1 and right.ndim > 1 else out[0] if x.ndim == 1 else out


def matmul_public_left(other: ArrayLike, x: Tensor) -> Tensor:
    """Return `other @ x` for a public matrix or vector."""
    left = np.asarray(other, dtype=np.float64)
    if x.ndim == 1:
        return matmul(x, np.moveaxis(left, -1, 0)) if left.ndim <= 2 else matmul(x[:, np.newaxis].T, left)
    swapped = matmul(x.transpose(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2), np.swapaxes(np.atleast_2d(left), -1, -2))
    out = swapped.transpose(*range(swapped.ndim - 2), swapped.ndim - 1, swapped.ndim - 2)
    return out[..., 0, :] if left.ndim == 1 else out


def take(x: Tensor, indices: NDArray[np.integer[Any]], fill: int | None) -> Tensor:
    """Return elements of the flattened array; zero where the index is `fill`."""
    if fill is None:
        return linear(x, lambda words: words.reshape(-1)[indices])
    empty = np.asarray(indices) == fill
    inside = np.where(empty, 0, indices)

    def taken(words: NDArray[Any]) -> NDArray[Any]:
        out = words.reshape(-1)[inside]
        out[empty] = 0
        return out

    return linear(x, taken)


def concat(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Return `tensors` joined along an existing axis; no message."""
    return _joined(tensors, lambda arrays: np.concatenate(arrays, axis=axis))


def stack(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Return `tensors` joined along a new axis; no message."""
    return _joined(tensors, lambda arrays: np.stack(arrays, axis=axis))


def _joined(tensors: Sequence[Tensor], join: Callable[[list[NDArray[Any]]], NDArray[Any]]) -> Tensor:
    if not tensors:
        raise UsageError(
            "nothing-to-join", "an empty list of tensors was to be joined", hint="give at least one tensor"
        )
    for tensor in tensors[1:]:
        check_session(tensors[0], tensor)
    fraction = max(tensor.fraction for tensor in tensors)
    shape = join([np.broadcast_to(np.uint8(0), tensor.shape) for tensor in tensors]).shape

    def function(*values: Shared) -> Shared:
        holder = values[0].holder if len({value.holder for value in values}) == 1 else None
        return Shared(tuple(join(list(parts)) for parts in zip(*(v.parts for v in values), strict=True)), holder)

    return tensors[0].session.local(function, [lifted(t, fraction) for t in tensors], shape=shape, fraction=fraction)


def encode_constant(value: ArrayLike, fraction_bits: int) -> tuple[Words, int]:
    """Return public numbers as words, and the fewest fraction bits that hold them to `fraction_bits` digits.

    Whole numbers take none, so that multiplying by them needs no truncation; numbers below 1 take more bits, so that
    their relative error stays below 2^-fraction_bits, as far down as 2^(fraction_bits - 44).
    """
    array = np.asarray(value, dtype=np.float64)
    largest = float(np.abs(array).max(initial=0.0))
    exponent = int(np.floor(np.log2(largest))) if 0 < largest < np.inf else 0
    most = min(_MOST_FRACTION, max(0, fraction_bits - min(exponent, 0)))
    sample = array.reshape(-1)[:64]
    for bits in range(most):
        if _whole(sample * 2.0**bits) and _whole(array * 2.0**bits):
            most = bits
            break
    # Codes of a ring without fraction bits: finite and in range, whatever the number of bits after the point.
    return Ring64(0).encode(array * 2.0**most), most


def _whole(scaled: NDArray[np.float64]) -> bool:
    return bool(np.array_equal(scaled, np.rint(scaled)))


def check_session(x: Tensor, y: Tensor) -> None:
    """Refuse tensors of different sessions: their shares do not belong together."""
    if x.session is not y.session:
        raise UsageError(
            "tensor-of-other-session",
            "tensors of two sessions were to be combined",
            hint="give the input to the session in which it is used",
        )


def broadcast_shape(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """Return the common shape."""
    return product_shape("multiply", a, b)


def product_shape(kind: str, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a product.

    Raises:
      UsageError: If the shapes do not fit.
    """
    try:
        return shape_of_product(kind, a, b)
    except ValueError:
        _refuse_shapes(kind, a, b)


def _refuse_shapes(kind: str, a: tuple[int, ...], b: tuple[int, ...]) -> NoReturn:
    raise UsageError(
        "shapes-do-not-fit", f"{kind} of shapes {a} and {b}", hint="shapes follow numpy's rules of broadcasting"
    )
