"""What is known about an encrypted vector without the key: the interval of its values and the size of its error.

Both follow from declared bounds and from what the evaluator adds itself, never from the data, so anybody may see them.
Ranges are interval arithmetic. Errors are standard deviations in three parts. `gaussian` and `spread` are independent
from slot to slot: a sum over n slots collects sqrt(n) of them; `common` may be shared, and a sum collects n of it. New
noise is independent of all that came before and is added in quadrature; the errors of two operands may be the same and
are added.

The announced error takes `GAUSSIAN_TAIL` deviations of the noise of encryption and `TAIL` of the rest, because that is not
Gaussian: a rescaling leaves a rounding times the secret, both Gaussian at a root of unity, and the real part of such a
product has a Laplace distribution, whose tail `exp(-sqrt(2) t)` was measured to be exact at up to 9 deviations. Each tail
leaves less than 1e-11 for each number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reticent.he.noise import FLOAT, Noise
from reticent.he.parameters import Parameters

__all__ = ["GAUSSIAN_TAIL", "TAIL", "Estimate", "Estimator"]

TAIL = 18.0
GAUSSIAN_TAIL = 7.0
_ULP = 2.0**-52


@dataclass(frozen=True)
class Estimate:
    """Values lie in [low, high]; the errors have standard deviations `gaussian`, `spread` and `common` (see above)."""

    low: float
    high: float
    gaussian: float = 0.0
    spread: float = 0.0
    common: float = 0.0

    @property
    def magnitude(self) -> float:
        """Largest absolute value."""
        return max(abs(self.low), abs(self.high))

    @property
    def error(self) -> float:
        """The announced error of each number before the final rounding; decoding in float64 included."""
        return GAUSSIAN_TAIL * self.gaussian + TAIL * (self.spread + self.common + FLOAT * self.magnitude)

    def with_zero(self) -> Estimate:
        """The same, where slots that hold no number are 0."""
        return replace(self, low=min(self.low, 0.0), high=max(self.high, 0.0))

    def hull(self, other: Estimate) -> Estimate:
        """The same errors, with a range that holds both."""
        return replace(self, low=min(self.low, other.low), high=max(self.high, other.high))

    def noisier(self, deviation: float) -> Estimate:
        """With new independent noise."""
        return replace(self, spread=math.hypot(self.spread, deviation))

    def plus(self, other: Estimate) -> Estimate:
        """Sum of two vectors, or of a vector and what is added to it."""
        pairs = zip(self._parts(), other._parts(), strict=True)
        return Estimate(self.low + other.low, self.high + other.high, *(a + b for a, b in pairs))

    def times(self, other: Estimate) -> Estimate:
        """Product of two vectors, before rescaling."""
        ends = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        a, b = self.magnitude, other.magnitude
        pairs = zip(self._parts(), other._parts(), strict=True)
        product = Estimate(min(ends), max(ends), *(b * x + a * y for x, y in pairs))
        return replace(product, common=product.common + TAIL * sum(self._parts()) * sum(other._parts()))

    def scaled(self, k: float) -> Estimate:
        """Product with an exact integer, or the other sign."""
        low, high = sorted((self.low * k, self.high * k))
        return Estimate(low, high, *(part * abs(k) for part in self._parts()))

    def summed(self, terms: int, slots: int) -> Estimate:
        """Sum of `terms` numbers that were added over `slots` slots (the others hold zero, and an error)."""
        root = math.sqrt(slots)
        # A sum of many is nearer to Gaussian, but every slot now shares it.
        shared = self.spread * root + self.common * slots + self.gaussian * root * GAUSSIAN_TAIL / TAIL
        return Estimate(self.low * terms, self.high * terms, common=shared)

    def _parts(self) -> tuple[float, float, float]:
        return self.gaussian, self.spread, self.common


class Estimator:
    """Estimates of what operations under `parameters` do at each level."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._noise = Noise(parameters)

    def fresh(self, bound: float) -> Estimate:
        """A vector whose values were checked against `bound`, encrypted at the top level."""
        scale = self._parameters.scale(self._parameters.depth)
        return Estimate(-bound, bound, gaussian=self._noise.fresh / scale, common=FLOAT * bound)

    def zero(self, level: int) -> Estimate:
        """The encryption of zero: made at the top level, its noise counts in steps of the scale of `level`."""
        return Estimate(0.0, 0.0, gaussian=self._noise.fresh / self._parameters.scale(level))

    def plain(self, values: NDArray[np.float64], level: int) -> Estimate:
        """Numbers of the evaluator, encoded for `level`."""
        low, high = float(values.min(initial=math.inf)), float(values.max(initial=-math.inf))
        largest = max(abs(low), abs(high))
        return Estimate(
            low, high, gaussian=self._noise.encoding / self._parameters.scale(level), common=FLOAT * largest
        )

    def constant(self, value: float, level: int) -> Estimate:
        """One number for all slots: its rounding is known, shared, and no matter of chance."""
        scale = self._parameters.scale(level)
        steps = round(value * scale) or 1  # backends encode a zero as one step
        return Estimate(value, value, common=(abs(steps / scale - value) + _ULP * abs(value)) / TAIL)

    def rescaled(self, product: Estimate, level: int) -> Estimate:
        """A product at `level`, rescaled to the level below."""
        return product.noisier(self._noise.rescaling / self._parameters.scale(level - 1))

    def relinearised(self, product: Estimate, level: int) -> Estimate:
        """A product of two ciphertexts at `level`, relinearised at the product of their scales."""
        return product.noisier(self._noise.key_switching(level) / self._parameters.scale(level) ** 2)

    def aligned(self, value: Estimate, level: int) -> Estimate:
        """A vector brought down to `level`: times a rounded 1, and rescaled."""
        # The factor that stands for 1 is rounded to a whole number of about the size of the scale.
        shared = value.common + value.magnitude / (self._parameters.scale(level) * TAIL)
        return self.rescaled(replace(value, common=shared), level + 1)

    def rotations_summed(self, value: Estimate, terms: int, period: int, *, level: int, scale: float) -> Estimate:
        """The sum over a period by repeated rotation and addition, at `scale`: `terms` numbers, the rest zeros."""
        return self._folded(value.summed(terms, period), period, level, scale)

    def _folded(self, value: Estimate, count: int, level: int, scale: float) -> Estimate:
        # The noise of the first rotation is added up over half of the slots, that of the last one not at all.
        variance = sum(self._noise.key_switching(level, 1 << i) ** 2 for i in range(count.bit_length() - 1))
        # The largest part is a constant of each rotation key, so that an earlier sum may have brought it in already.
        return replace(value, common=value.common + math.sqrt(variance) / scale)

    def matrix(self, value: Estimate, matrix: NDArray[np.float64], level: int, *, babies: int, folds: int) -> Estimate:
        """`vector @ matrix` at `level`, rescaled: every output may share errors with every other.

        Args:
          value: Of the vector, padding included.
          matrix: Shape `(inputs, outputs)`.
          level: Level before the product.
          babies: Rotations of the vector itself.
          folds: How often the halves of the partial sums are added after the rescaling.
        """
        noise, scale = self._noise, self._parameters.scale(level)
        upper, lower = np.clip(matrix, 0, None), np.clip(matrix, None, 0)
        largest, squares = float(np.abs(matrix).max()), float((matrix**2).sum(axis=0).max())
        # Slot 0, the noisiest, meets one sum of baby steps; the others lie further on.
        worst = min(squares, (babies + 1) * largest**2) * noise.key_switching(level) ** 2
        mean = squares * noise.key_switching(level, self._parameters.slots) ** 2 / self._parameters.slots
        spread = value.spread + value.gaussian * GAUSSIAN_TAIL / TAIL
        moved = math.sqrt(squares) * spread + math.sqrt(worst + mean) / scale
        encoded = value.magnitude * (noise.encoding / scale + FLOAT * largest) * math.sqrt(2 * len(matrix))
        shared = value.common * float(np.abs(matrix).sum(axis=0).max())
        rescaled = noise.rescaling * math.sqrt(1 << folds) / self._parameters.scale(level - 1)
        low = float((value.low * upper + value.high * lower).sum(axis=0).min())
        high = float((value.high * upper + value.low * lower).sum(axis=0).max())
        product = Estimate(low, high, common=math.hypot(math.hypot(moved, encoded), rescaled) + shared)
        return self._folded(product, 1 << folds, level - 1, self._parameters.scale(level - 1))
