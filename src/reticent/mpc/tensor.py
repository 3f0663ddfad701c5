"""Secret-shared arrays with the operators of numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reticent.errors import UsageError
from reticent.mpc import arithmetic, comparison, division, elementary
from reticent.mpc.schedule import Node

if TYPE_CHECKING:
    from reticent.mpc.session import Session

__all__ = ["Tensor"]

Axis = int | tuple[int, ...] | None


class Tensor:
    """An array of which each party holds a share.

    Attributes:
      session: The session it belongs to.
      shape: Its shape, public.
      fraction: Its bits after the point; 0 for the outcomes of comparisons.
    """

    __array_ufunc__ = None  # so that `array * tensor` comes to __rmul__ here

    def __init__(self, session: Session, node: Node, shape: tuple[int, ...], fraction: int) -> None:
        self.session = session
        self.node = node
        self.shape = shape
        self.fraction = fraction

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Tensor(shape={self.shape}, fraction={self.fraction})"

    def __bool__(self) -> bool:
        raise UsageError(
            "secret-branch",
            "a program was to branch on a secret-shared value",
            hint="use tensor.select(...), or reveal the value first if everybody may know it",
        )

    # Sums and products --------------------------------------------------------------------------------------------

    def __add__(self, other: Tensor | ArrayLike) -> Tensor:
        return arithmetic.add(self, other)

    __radd__ = __add__

    def __neg__(self) -> Tensor:
        return arithmetic.negate(self)

    def __sub__(self, other: Tensor | ArrayLike) -> Tensor:
        return arithmetic.add(self, arithmetic.negate(other) if isinstance(other, Tensor) else np.negative(other))

    def __rsub__(self, other: Tensor | ArrayLike) -> Tensor:
        return arithmetic.add(arithmetic.negate(self), other)

    def __mul__(self, other: Tensor | ArrayLike) -> Tensor:
        return arithmetic.product("multiply", self, other)

    __rmul__ = __mul__

    def __matmul__(self, other: Tensor | ArrayLike) -> Tensor:
        return arithmetic.matmul(self, other)

    def __rmatmul__(self, other: ArrayLike) -> Tensor:
        return arithmetic.matmul_public_left(other, self)

    def square(self) -> Tensor:
        """Return the elementwise square."""
        return self * self

    def sum(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
        """Return the sum over `axis`; no message."""
        return arithmetic.linear(self, lambda words: words.sum(axis=axis, keepdims=keepdims, dtype=words.dtype))

    def mean(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
        """Return the mean over `axis`: within two units in the last place and a relative error of 2^-fraction_bits."""
        return arithmetic.mean(self, axis, keepdims=keepdims)

    def __truediv__(self, other: Tensor | ArrayLike) -> Tensor:
        """Return the quotient; a secret divisor must lie in the domain that `reciprocal` has by default."""
        if isinstance(other, Tensor):
            return division.divide(self, other)
        return self * (1.0 / np.asarray(other, dtype=np.float64))

    def __rtruediv__(self, other: ArrayLike) -> Tensor:
        return self.reciprocal() * other

    # Comparison ---------------------------------------------------------------------------------------------------

    # Without these Python would compare identities, and answer False in silence.
    def __eq__(self, other: Tensor | ArrayLike) -> Tensor:  # type: ignore[override]
        return 1 - (self < other) - (self > other)

    def __ne__(self, other: Tensor | ArrayLike) -> Tensor:  # type: ignore[override]
        return (self < other) + (self > other)

    __hash__ = object.__hash__

    def __lt__(self, other: Tensor | ArrayLike) -> Tensor:
        return comparison.negative(self - other)

    def __gt__(self, other: Tensor | ArrayLike) -> Tensor:
        return comparison.negative(-(self - other))

    def __ge__(self, other: Tensor | ArrayLike) -> Tensor:
        return 1 - (self < other)

    def __le__(self, other: Tensor | ArrayLike) -> Tensor:
        return 1 - (self > other)

    def relu(self) -> Tensor:
        """Return max(x, 0)."""
        return comparison.relu(self)

    def abs(self) -> Tensor:
        """Return the absolute value."""
        return comparison.absolute(self)

    def select(self, a: Tensor | ArrayLike, b: Tensor | ArrayLike) -> Tensor:
        """Return a where this outcome of a comparison is 1, b where it is 0."""
        return comparison.select(self, a, b)

    def max(self, axis: int, *, keepdims: bool = False) -> Tensor:
        """Return the maximum over `axis`."""
        return comparison.largest(self, axis, keepdims=keepdims)

    def argmax(self, axis: int, *, one_hot: bool = False) -> Tensor:
        """Return the index of the first maximum over `axis`, as whole numbers or as a one among zeros."""
        return comparison.argmax(self, axis, hot=one_hot)

    # Functions with an error bound over a domain; see the modules `division` and `elementary` -----------------------

    def reciprocal(self, *, low: float = 2.0**-10, high: float = 2.0**14, positive: bool = False) -> Tensor:
        """Return 1 / x for low <= |x| < high; with `positive`, for x > 0 only and faster."""
        return division.reciprocal(self, low=low, high=high, positive=positive)

    def sqrt(self, *, low: float = 2.0**-10, high: float = 2.0**14) -> Tensor:
        """Return the square root for low <= x < high, and 0 for 0."""
        return division.sqrt(self, low=low, high=high)

    def exp(self) -> Tensor:
        """Return the exponential for x up to (36 - fraction_bits) ln 2: 13.8 for 16 bits."""
        return elementary.exp(self)

    def sigmoid(self) -> Tensor:
        """Return 1 / (1 + exp(-x)), for every x."""
        return elementary.sigmoid(self)

    def tanh(self) -> Tensor:
        """Return the hyperbolic tangent, for every x."""
        return elementary.sigmoid(self * 2) * 2 - 1

    def softmax(self, axis: int = -1) -> Tensor:
        """Return exp(x) / sum(exp(x)) over `axis`, for every x."""
        return elementary.softmax(self, axis)

    # Shape --------------------------------------------------------------------------------------------------------

    def reshape(self, *shape: int | tuple[int, ...]) -> Tensor:
        """Return the same elements in another shape."""
        wanted = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        return arithmetic.linear(self, lambda words: words.reshape(wanted))

    def transpose(self, *axes: int) -> Tensor:
        """Return the same elements with the axes in another order; reversed if none are given."""
        return arithmetic.linear(self, lambda words: words.transpose(*axes))

    @property
    def T(self) -> Tensor:  # noqa: N802 - numpy's name
        """The transpose."""
        return self.transpose()

    def __getitem__(self, index: Any) -> Tensor:
        return arithmetic.linear(self, lambda words: words[index])

    def take(self, indices: NDArray[np.integer[Any]], *, fill: int | None = None) -> Tensor:
        """Return the elements of the flattened array at public `indices`; zero where the index is `fill`."""
        return arithmetic.take(self, indices, fill)

    def broadcast_to(self, shape: tuple[int, ...]) -> Tensor:
        """Return it repeated along new or single axes."""
        return arithmetic.linear(self, lambda words: np.broadcast_to(words, shape))

    # Results ------------------------------------------------------------------------------------------------------

    def reveal(self, to: int | str = "all") -> NDArray[np.float64] | None:
        """Reveal the array to all parties, or to party `to`; None at the others.

        Raises:
          UsageError: If `to` is neither "all" nor the number of a party.
        """
        return self.session.reveal_together(self, to=to)[0]
