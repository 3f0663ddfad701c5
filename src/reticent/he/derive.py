"""From depth, bound and precision to the smallest ring that keeps all three."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress

from reticent.errors import UsageError
from reticent.he.estimate import Estimator
from reticent.he.noise import Noise
from reticent.he.parameters import SECURITY_BITS, Parameters

__all__ = ["derive"]

_SPARE_SCALE = 4
_SPECIAL_MARGIN = 10  # bits of the special prime above the others: then key switching adds less than a rescaling


def derive(*, depth: int, bound: float, precision: float, degree: int | None = None) -> Parameters:
    """Return parameters under which every product of up to `depth + 1` factors within `bound` fits and is precise.

    Where the smallest such ring has room for it, a sum over all slots of such products fits too, and up to four spare
    bits of precision are used.

    Args:
      depth: Products in sequence, 0 to 20.
      bound: Largest absolute value that is encrypted, above 0.
      precision: Largest absolute error of a result, above 0 and at most `bound`.
      degree: Ring degree to use; default: the smallest that fits.

    Raises:
      UsageError: `no-parameters` if no ring of the 128-bit table holds this.
    """
    if not (0 <= depth <= 20 and 0 < precision <= bound < math.inf):
        raise UsageError(
            "invalid-parameters",
            f"depth {depth}, bound {bound:g}, precision {precision:g}",
            hint="depth is 0 to 20, and 0 < precision <= bound",
        )
    for candidate in SECURITY_BITS if degree is None else (degree,):
        for sums in (candidate / 2, 1.0):
            found = _smallest_scale(candidate, depth, bound, precision, sums)
            if found is not None:
                return found
    raise UsageError(
        "no-parameters",
        f"no ring {'of the 128-bit table' if degree is None else f'of degree {degree}'} holds depth {depth} with bound "
        f"{bound:g} and precision {precision:g}",
        hint="scale the numbers down (a smaller bound), ask for less precision, or need fewer products in sequence",
    )


def _smallest_scale(degree: int, depth: int, bound: float, precision: float, sums: float) -> Parameters | None:
    largest = bound ** (depth + 1) * sums
    for scale_bits in range(15, 60):
        for parameters in _candidates(degree, depth, scale_bits, bound, precision, largest):
            if product_error(parameters) <= precision / 2:
                spare = range(scale_bits + _SPARE_SCALE, scale_bits, -1)
                primes = len(parameters.base_bits)
                better = (p for s in spare for p in _candidates(degree, depth, s, bound, precision, largest))
                kept = (p for p in better if len(p.base_bits) == primes and product_error(p) <= precision / 2)
                return next(kept, parameters)
    return None


def _candidates(  # noqa: PLR0917
    degree: int, depth: int, scale_bits: int, bound: float, precision: float, largest: float
) -> Iterator[Parameters]:
    needed = scale_bits + max(2, math.ceil(math.log2(largest)) + 3)
    smallest = int(math.log2(2 * degree)) + 2
    for count in (1, 2):
        base = tuple(max(smallest, (needed + i) // count) for i in range(count))
        top = max(*base, scale_bits)
        if top > 60 or (depth and scale_bits < smallest):
            continue
        special = min(60, top + _SPECIAL_MARGIN)
        while special >= top:
            total = sum(base) + depth * scale_bits + special
            if total <= SECURITY_BITS[degree]:
                with suppress(UsageError):  # too few primes of this size
                    parameters = Parameters(degree, base, (scale_bits,) * depth, special, scale_bits, bound, precision)
                    if parameters.capacity(0) >= largest:
                        yield parameters
                break
            special -= 1


def product_error(parameters: Parameters) -> float:
    """Return the announced error of a product of `depth + 1` factors at the bound, made one after the other, rotated."""
    estimator, depth = Estimator(parameters), parameters.depth
    fresh = estimator.fresh(parameters.bound)
    result = fresh
    for level in range(depth, 0, -1):
        factor = fresh if level == depth else estimator.aligned(fresh, level)
        result = estimator.rescaled(estimator.relinearised(result.times(factor), level), level)
    return result.noisier(Noise(parameters).key_switching(0) / parameters.scale(0)).error
