"""Dominating pairs under replace-one for mechanisms that see a sample: of a fixed size, or Poisson.

Let R be the output where the exchanged unit is not in the sample, P and P' where it is, before and after the exchange:
the outputs on neighbours are (1 - q) R + q P and (1 - q) R + q P'. With e^x = 1 + q (e^y - 1) and b = e^x / e^y, for
y >= 0 (Balle, Barthe, Gaboardi, NeurIPS 2018, theorem 2, advanced joint convexity),
  H(e^x) = q H_{e^y}(P || (1 - b) R + b P') <= q ((1 - b) H_{e^y}(P || R) + b H_{e^y}(P || P')).
For x < 0 the reverse bound of the exchanged pair holds: H(e^-x) = 1 - e^-x + e^-x H'(e^x).

Fixed size. R comes from a sample in which another unit stands where the exchanged one was (each sample with the unit is
matched with all samples that have another unit there), so that both P against R and P against P' are replacements
within the sample: H(e^x) <= q H_base(e^y), with q = sample_size / population (theorem 11 there, and Zhu, Dong, Wang,
AISTATS 2022, theorem 11, in the form of a dominating pair).

Poisson. P against R is a unit more, P against P' a replacement.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reticent.dp.accounting.pairs import Pair
from reticent.dp.accounting.pairs_lattice import replaced
from reticent.dp.accounting.renyi import unsupported
from reticent.dp.events import DiscreteGaussian, Mechanism, RandomizedResponse, SampledWithoutReplacement
from reticent.dp.release import Relation

__all__ = ["Exchanged", "pairs", "poisson_replaced"]

Losses = NDArray[np.float64]


def pairs(event: SampledWithoutReplacement, relation: Relation) -> tuple[Pair, ...]:
    """Return the pair that dominates `event`.

    Raises:
      UsageError: `unsupported-event` under add-or-remove-one, which a fixed size contradicts, and for randomized
        response, which shows who is in the sample.
    """
    if relation != "replace_one" or isinstance(event.event, RandomizedResponse):
        raise unsupported(event, relation)
    whole = _unsampled_pairs(event.event, relation)
    if event.sample_size == event.population:
        return whole
    chosen = event.sample_size / event.population
    return tuple(Exchanged(pair, pair, chosen) for pair in whole)


def poisson_replaced(mechanism: Mechanism, probability: float) -> tuple[Pair, ...]:
    """Return the pair that dominates `mechanism` on a Poisson sample when a unit is replaced.

    A claim made for replacing says nothing about a unit more, so sampling hides less: with probability 1 - q nothing
    differs, else all of the claim's divergence.

    Raises:
      UsageError: `unsupported-event` for randomized response.
    """
    if isinstance(mechanism, RandomizedResponse):
        raise unsupported(mechanism, "replace_one")
    if isinstance(mechanism, DiscreteGaussian) and mechanism.sigma > 1e-9 and probability < 1:
        pair = replaced(mechanism.sigma, mechanism.sensitivity, mechanism.coordinates, probability)
        if pair is not None:
            return (pair,)
    far = _unsampled_pairs(mechanism, "replace_one")
    if probability == 1:
        return far
    if hasattr(mechanism, "noise_multiplier") or hasattr(mechanism, "sensitivity"):
        near = _unsampled_pairs(mechanism, "add_or_remove_one")
        return tuple(Exchanged(one, other, probability) for one, other in zip(near, far, strict=True))
    return tuple(Hidden(pair, probability) for pair in far)


def _unsampled_pairs(mechanism: Mechanism, relation: Relation) -> tuple[Pair, ...]:
    """Return the symmetric pair of a mechanism without sampling."""
    from reticent.dp.accounting.terms import pairs_of

    return pairs_of(mechanism, relation)


@dataclass(frozen=True, slots=True)
class Exchanged:
    """Advanced joint convexity, from symmetric pairs: `near` for P against R, `far` for P against P'."""

    near: Pair
    far: Pair
    probability: float

    @property
    def infinite(self) -> float:
        """Mass at infinite loss."""
        return self.probability * max(self.near.infinite, self.far.infinite)

    def loss_range(self) -> tuple[float, float]:
        """Return the image of the larger range of the two."""
        top = max(self.near.loss_range()[1], self.far.loss_range()[1], 0.0)
        top = float(np.logaddexp(math.log1p(-self.probability), math.log(self.probability) + top)) * (1 + 1e-15)
        return -top, top

    def deltas(self, losses: Losses) -> Losses:
        """Return the bound at each loss."""
        size = np.abs(losses)
        inner = _inner_loss(size, self.probability)
        # 1 - b = (1 - q) (1 - e^-y): the part of R.
        apart = (1 - self.probability) * -np.expm1(-inner)
        above = self.probability * (apart * self.near.deltas(inner) + (1 - apart) * self.far.deltas(inner))
        above = np.minimum(above * (1 + 1e-14), 1.0)
        negative = -np.expm1(-size) + np.exp(-size) * above
        return np.asarray(np.where(losses < 0, negative, above), dtype=np.float64)


def _inner_loss(loss: Losses, probability: float) -> Losses:
    """Return y >= 0 with e^loss = 1 + q (e^y - 1), rounded down, without overflow."""
    small = np.log1p(np.expm1(np.minimum(loss, 1.0)) / probability)
    large = np.maximum(loss, 1.0)
    far = large - math.log(probability) + np.log1p(-(1 - probability) * np.exp(-large))
    y = np.where(loss <= 1.0, small, far)
    return np.asarray(np.maximum(y * (1 - 4e-16), 0.0), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Hidden:
    """With probability 1 - q both neighbours give the same output, else `pair`: joint convexity."""

    pair: Pair
    probability: float

    @property
    def infinite(self) -> float:
        """Mass at infinite loss."""
        return self.probability * self.pair.infinite

    def loss_range(self) -> tuple[float, float]:
        """Return the range of `pair` and 0."""
        low, high = self.pair.loss_range()
        return min(low, 0.0), max(high, 0.0)

    def deltas(self, losses: Losses) -> Losses:
        """Return the bound at each loss."""
        same = (1 - self.probability) * -np.expm1(np.minimum(losses, 0.0))
        return np.asarray((same + self.probability * self.pair.deltas(losses)) * (1 + 1e-15), dtype=np.float64)
