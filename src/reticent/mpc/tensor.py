"""Secret-shared arrays with the operators of numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reticent.errors import UsageError
from reticent.mpc import arithmetic
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
        """Return the mean over `axis`."""
        total = self.sum(axis, keepdims=keepdims)
        return total * (total.size / self.size)

    # Shape --------------------------------------------------------------------------------------------------------

    def reshape(self, *shape: int | tuple[int, ...]) -> Tensor:
        """Return the same elements in another shape."""
        wanted = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        return arithmetic.linear(self, lambda words: words.reshape(wanted))  # type: ignore[arg-type]

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
