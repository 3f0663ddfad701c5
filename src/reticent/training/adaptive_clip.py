"""A clip that follows a quantile of the units' norms, learned from a noised count that is paid for.

Andrew, Thakkar, McMahan, Ramaswamy, "Differentially private learning with adaptive clipping", NeurIPS 2021, algorithm 1.
In every step each unit adds one bit to its gradient: whether its norm was within the clip. The bit is sent as plus or
minus one half, so it has sensitivity 1/2, and noise of standard deviation sigma_b is a Gaussian of multiplier
2 sigma_b. Count and gradient come from one sample and are drawn as *one* Gaussian vector, whose multiplier z is what is
charged; what is left for the gradient is z_delta, with z^-2 = z_delta^-2 + (2 sigma_b)^-2 (theorem 1).

The denominator of the share is the expected batch, a declared constant. The realised one is private: dividing by it
(as some libraries do) is a second, unpaid release.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from reticent.errors import UsageError
from reticent.training.clipping import LARGEST_CLIP, SMALLEST_CLIP

__all__ = ["AdaptiveClip", "CountShare"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveClip:
    """How the clip is learned; given in place of a number.

    Attributes:
      initial: The clip of the first step, a public guess.
      count_noise: sigma_b, standard deviation of the noise on the count, in units. Andrew et al. use a twentieth of
        the expected batch; it must exceed half the noise multiplier, or nothing would be left for the gradient.
      quantile: Share of the units whose norm shall lie within the clip.
      learning_rate: Of the geometric update, clip * exp(-learning_rate * (share - quantile)).

    Raises:
      UsageError: With code `invalid-adaptive-clip`.
    """

    initial: float
    count_noise: float
    quantile: float = 0.5
    learning_rate: float = 0.2

    def __post_init__(self) -> None:
        wrong = {
            "initial": (SMALLEST_CLIP <= self.initial <= LARGEST_CLIP, f"{SMALLEST_CLIP:g} to {LARGEST_CLIP:g}"),
            "count_noise": (0 < self.count_noise < math.inf, "a finite number above 0"),
            "quantile": (0 < self.quantile < 1, "a number between 0 and 1"),
            "learning_rate": (0 < self.learning_rate <= 5, "a number above 0 and at most 5; 0.2 is usual"),
        }
        for name, (right, hint) in wrong.items():
            if not right:
                raise UsageError("invalid-adaptive-clip", f"{name} is {getattr(self, name)}", hint=f"give {hint}")

    def gradient_noise(self, noise_multiplier: float) -> float:
        """Return z_delta, the multiplier that is left for the gradient when `noise_multiplier` is charged in all.

        >>> clip = AdaptiveClip(initial=1.0, count_noise=10.0)
        >>> round(clip.gradient_noise(1.0), 6)
        1.001252

        Raises:
          UsageError: With code `invalid-adaptive-clip`, if the count alone would cost as much or more.
        """
        if noise_multiplier == 0:
            return 0.0
        left = noise_multiplier**-2 - (2 * self.count_noise) ** -2
        if left <= 0:
            raise UsageError(
                "invalid-adaptive-clip",
                f"count_noise is {self.count_noise:g}: the count alone costs as much as noise_multiplier "
                f"{noise_multiplier:g} in all",
                hint=f"give a count_noise above {noise_multiplier / 2:g}; expected_batch_size / 20 is usual",
            )
        return 1 / math.sqrt(left)

    def next(self, clip: float, share: float) -> float:
        """Return the clip after `share` of the expected batch, a noised number, was within `clip`."""
        exponent = -self.learning_rate * (share - self.quantile)
        return min(LARGEST_CLIP, max(SMALLEST_CLIP, clip * math.exp(min(50.0, max(-50.0, exponent)))))


@dataclass(frozen=True, slots=True)
class CountShare:
    """How one step's count is laid beside its gradient, as one more coordinate.

    Attributes:
      half: What one unit's bit is worth, plus or minus, in grid steps; 1 or larger.
      grid: Of the gradient.
      sensitivity: Largest L2 norm of one unit's gradient and bit together.
    """

    half: int
    grid: float
    sensitivity: float

    @classmethod
    def beside(cls, *, sensitivity: float, grid: float, settings: AdaptiveClip, noise_multiplier: float) -> CountShare:
        """Return the coordinate whose noise is `settings.count_noise` units when the vector's is `noise_multiplier`.

        Args:
          sensitivity: Largest L2 norm of one unit's encoded gradient.
          grid: Of the gradient; it follows the clip, which is a noised and hence public number.
          settings: Of the adaptive clip.
          noise_multiplier: z, of gradient and count together.
        """
        wanted = settings.gradient_noise(noise_multiplier) * sensitivity / (2 * settings.count_noise * grid)
        half = max(1, round(wanted))  # whatever it is rounded to, the sensitivity below is that of what is sent
        return cls(half, grid, math.hypot(sensitivity, half * grid) * (1 + 2**-50))

    def coordinate(self, *, within: int, units: int) -> int:
        """Return the exact sum of the units' bits, in grid steps."""
        return self.half * (2 * within - units)

    def share(self, noised: float, *, expected: float) -> float:
        """Return which share of the expected batch was within the clip, from the noised coordinate."""
        return noised / (2 * self.half * self.grid) / expected + 0.5
