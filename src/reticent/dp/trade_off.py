"""What any attack can reach: true positives against false alarms, from many points (epsilon, delta) at once.

An attacker who has to tell two neighbouring data sets apart raises some false alarms and finds some of those who took
part. The *trade-off function* of a mechanism says how few it must miss at each rate of false alarms (Dong, Roth, Su,
JRSS B 2022, definition 2.1); here it is turned around, into the most that it can find. One point (epsilon, delta)
bounds that curve by two straight lines (Kairouz, Oh, Viswanath, ICML 2015, theorem 2.1); the lowest of the lines of
many points is much tighter (Dong, Roth, Su, proposition 2.12). Every number here is an upper bound on what an
attacker gets, whichever of the two neighbours is the true one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reticent.dp.accounting import loss_distribution
from reticent.dp.divergence import gaussian_delta
from reticent.dp.events import Event, Gaussian, PoissonSampled, flatten
from reticent.dp.release import Relation
from reticent.errors import UsageError

__all__ = ["TradeOff", "trade_off"]

_LARGEST_EPSILON = 700.0
"""Beyond it e^epsilon is no float64; a line that steep bounds nothing that the others do not."""

_ROUNDING = 1e-12
"""Relative slack for the arithmetic of this file, added to every delta and to every mu."""

_FAR = 30.0
"""Where epsilon is beyond it, points are chosen by their delta: by epsilon nearly all of them would lie in the tail."""

Floats = NDArray[np.float64]


class TradeOff:
    """A certified bound on every attack at once, for both directions of the neighbouring relation.

    Made by `trade_off(events, relation=...)`, `TradeOff.gaussian`, `TradeOff.claim` or `TradeOff.profile`.

    Attributes:
      slopes: e^epsilon of the lines that matter, falling, each 1 or larger, shape `(k,)`.
      heights: delta of the same lines, rising, shape `(k,)`.
      exact_mu: A mu for which the mechanism is known to be mu-Gaussian-DP from elsewhere; infinity if there is none.
    """

    def __init__(self, epsilons: ArrayLike, deltas: ArrayLike, *, exact_mu: float = math.inf) -> None:
        losses, masses = np.atleast_1d(np.asarray(epsilons, float)), np.atleast_1d(np.asarray(deltas, float))
        if losses.shape != masses.shape or not np.all(losses >= 0) or not np.all((masses >= 0) & (masses <= 1)):
            raise UsageError(
                "invalid-profile",
                "a point of the privacy profile has an epsilon below 0, or a delta outside [0, 1]",
                hint="give equally many epsilons (0 or larger) and deltas (from 0 to 1)",
            )
        usable = losses <= _LARGEST_EPSILON
        self.slopes, self.heights = _lowest(np.exp(losses[usable]), masses[usable])
        self.exact_mu = exact_mu

    @classmethod
    def claim(cls, epsilon: float, delta: float) -> TradeOff:
        """Return the curve of everything that is (epsilon, delta)-private: what that one pair says, and no more."""
        return cls([epsilon], [delta])

    @classmethod
    def gaussian(cls, mu: float) -> TradeOff:
        """Return the curve of one Gaussian release whose two neighbours lie `mu` standard deviations apart.

        Drawn by 4000 tangents, which lie above it by less than 1e-6.
        """
        if mu == 0:
            return cls([0.0], [0.0], exact_mu=0.0)
        if not 0 < mu < math.inf:
            raise UsageError("invalid-mu", f"mu is {mu}", hint="give a finite number, 0 or larger")
        # Dense where the mass is; beyond 38 standard deviations it is no float64.
        losses = mu * np.concatenate([np.linspace(0.0, 8.0, 3200), np.linspace(8.0, 38.0, 800)])
        return cls(losses, np.minimum(gaussian_delta(losses, sigma=1 / mu) * (1 + _ROUNDING), 1.0), exact_mu=mu)

    def true_positives(self, at_false_positives: ArrayLike) -> Floats:
        """Return the most that any attack finds at each rate of false alarms, of the shape of the rates."""
        rates = np.asarray(at_false_positives, float)
        steep = rates[..., None] * self.slopes + self.heights
        shallow = 1 - (1 - self.heights - rates[..., None]) / self.slopes
        return np.asarray(np.clip(np.minimum(steep, shallow).min(-1) * (1 + _ROUNDING), 0.0, 1.0))

    def false_positives(self, at_true_positives: ArrayLike) -> Floats:
        """Return the fewest false alarms with which any attack finds each share: the inverse of `true_positives`."""
        shares = np.asarray(at_true_positives, float)
        steep = (shares[..., None] - self.heights) / self.slopes
        shallow = 1 - self.heights - (1 - shares[..., None]) * self.slopes
        return np.asarray(np.clip(np.maximum(steep, shallow).max(-1) - _ROUNDING * shares, 0.0, 1.0))

    def delta(self, epsilon: float) -> float:
        """Return the smallest delta at which the curve is (epsilon, delta)-private, epsilon of any sign."""
        if epsilon < 0:  # the curve is its own mirror image
            return 1 - math.exp(epsilon) * (1 - self.delta(-epsilon))
        growth = math.exp(min(epsilon, _LARGEST_EPSILON))
        steeper = int(np.count_nonzero(self.slopes >= growth))
        if steeper == 0:
            return float(self.heights[0])
        corners = self._upper_corners()[0][1:]
        line = min(steeper, len(corners)) - 1
        above = (self.slopes[line] - growth) * corners[line] * (1 + _ROUNDING)
        return float(min(1.0, self.heights[line] + above))

    def advantage(self) -> float:
        """Return the largest difference of true and false positives: the total variation distance of neighbours.

        An attacker who guesses rightly half of the time without the release is right (1 + advantage) / 2 of the time.
        """
        return self.delta(0.0)

    def success(self, *, prior: float) -> float:
        """Return how often the best guess is right, if a share `prior` of those guessed about took part."""
        _require_share("prior", prior)
        rates, found = self.corners()
        return float(min(1.0, np.max(prior * found + (1 - prior) * (1 - rates))))

    def belief(self, *, prior: float, at_false_positives: float) -> float:
        """Return the share of an attack's alarms that are right, at most, at this rate of false alarms.

        It is also what one who was `prior` sure can conclude from such an alarm. Fewer false alarms may tell more.
        """
        _require_share("prior", prior)
        right = prior * float(self.true_positives(at_false_positives))
        return right / (right + (1 - prior) * at_false_positives) if right > 0 else 0.0

    def chance_of_belief(self, belief: float, *, prior: float) -> float:
        """Return the largest probability that the release makes somebody who was `prior` sure `belief` sure or more.

        Whoever ends up there saw an output whose likelihood grew by the ratio of the odds; the set of all such outputs
        is one attack, so its probabilities lie on or below the curve.
        """
        _require_share("prior", prior)
        _require_share("belief", belief)
        ratio = belief / (1 - belief) * (1 - prior) / prior
        if ratio <= 1:
            return 1.0
        slopes = np.concatenate([self.slopes, 1 / self.slopes, [0.0]])
        heights = np.concatenate([self.heights, 1 - (1 - self.heights) / self.slopes, [1.0]])
        below = slopes < ratio
        return float(min(1.0, ratio * np.min(heights[below] / (ratio - slopes[below])) * (1 + _ROUNDING)))

    def gaussian_mu(self, *, slack: float) -> float:
        """Return a mu such that no attack finds more than against one Gaussian release of that mu, plus `slack`.

        Certified: `delta(epsilon) <= delta of mu-Gaussian-DP(epsilon) + slack` for every epsilon. With a slack of 0 that
        is mu-Gaussian-DP itself, which is infinite for whatever has a delta that no epsilon removes: one pair
        (epsilon, delta > 0), and every curve that was computed up to some largest epsilon, unless it is known in closed
        form (Gaussians alone). Pure epsilon-DP has a finite one, 2 * Phi^-1(e^epsilon / (1 + e^epsilon)). A slack of
        the delta of the claim gives away nothing that the claim did not.
        """
        from scipy.special import ndtri

        if slack < 0:
            raise UsageError("invalid-slack", f"slack is {slack}", hint="give 0, or the delta of the claim")
        if self.heights[0] > slack:
            return self.exact_mu
        rates, found = self._upper_corners()
        least = 2 * ndtri((1 + max(0.0, self.advantage() - slack)) / 2)
        reached = found - slack
        matter = (reached > rates) & (rates > 0)
        if np.any(reached[matter] >= 1):
            return self.exact_mu
        needed = ndtri(reached[matter]) - ndtri(rates[matter])
        return float(min(self.exact_mu, max(least, *needed, 0.0) * (1 + 1e3 * _ROUNDING)))

    def corners(self) -> tuple[Floats, Floats]:
        """Return (false positives, true positives) where the bound bends, from rate 0 to rate 1: straight in between."""
        rates, found = self._upper_corners()
        return np.concatenate([rates, (1 - found)[::-1], [1.0]]), np.concatenate([found, (1 - rates)[::-1], [1.0]])

    def _upper_corners(self) -> tuple[Floats, Floats]:
        """Return the corners up to the middle, where the curve meets its own mirror image."""
        steep, low = self.slopes, self.heights
        between = (low[1:] - low[:-1]) / (steep[:-1] - steep[1:])
        middle = (1 - low) / (1 + steep)  # where each line meets its mirror image
        last = int(np.argmin(steep * middle + low))
        rates = np.concatenate([[0.0], between[:last], middle[last : last + 1]])
        line = np.concatenate([np.arange(last + 1), [last]])  # the one that ends there: both meet in the corner
        return rates, np.minimum((steep[line] * rates + low[line]) * (1 + _ROUNDING), 1.0)

    def tightened(self, epsilons: ArrayLike, deltas: ArrayLike) -> TradeOff:
        """Return the bound of this curve and of further points (epsilon, delta) of the same mechanism together."""
        losses = np.concatenate([np.log(self.slopes), np.atleast_1d(np.asarray(epsilons, float))])
        masses = np.concatenate([self.heights, np.atleast_1d(np.asarray(deltas, float))])
        return TradeOff(losses, masses, exact_mu=self.exact_mu)

    def thinned(self, rates: ArrayLike) -> TradeOff:
        """Return a bound of fewer lines that is as low as this one at each of `rates`."""
        x = np.asarray(rates, float)
        steep = x[:, None] * self.slopes + self.heights
        shallow = 1 - (1 - self.heights - x[:, None]) / self.slopes
        kept = np.unique(np.where(steep.min(1) <= shallow.min(1), steep.argmin(1), shallow.argmin(1)))
        return TradeOff(np.log(self.slopes[kept]), self.heights[kept], exact_mu=self.exact_mu)


def trade_off(events: Iterable[Event] | Event, *, relation: Relation) -> TradeOff:
    """Return the curve of all `events` on the same data: what any attack on everything together can reach.

    Raises:
      UsageError: If the relation is unknown, or an event is not supported under it.
    """
    parts = (events,) if isinstance(events, Event) else tuple(events)
    mu = _gaussian_mu(parts, relation)
    if mu < math.inf:
        return TradeOff.gaussian(mu)
    epsilons, deltas = _profile(parts, relation)
    return TradeOff(epsilons, deltas)


def _profile(events: tuple[Event, ...], relation: Relation) -> tuple[Floats, Floats]:
    """Return certified points (epsilon, delta) of all events together; between them the bound is a little too high."""
    losses = loss_distribution(events, relation=relation)
    far = losses.epsilon(1e-9)
    if far <= _FAR:
        epsilons = far * np.linspace(0.0, 1.0, 40) ** 1.3  # denser near 0, where most of the curve is
        return epsilons, losses.delta(epsilons)
    deltas = np.concatenate([np.linspace(0.95, 0.1, 18), np.geomspace(0.06, 1e-9, 16)])
    found = np.array([losses.epsilon(float(delta)) for delta in deltas])
    bounded = np.isfinite(found)
    return np.append(found[bounded], 0.0), np.append(deltas[bounded], losses.delta(0.0))


def _gaussian_mu(events: Iterable[Event], relation: Relation) -> float:
    """Return the exact mu of Gaussians without sampling (Dong, Roth, Su 2022, corollary 3.3), else infinity."""
    energy = 0.0
    for event, count in flatten(events).items():
        drawn = event.event if isinstance(event, PoissonSampled) and event.sampling_probability == 1 else event
        if not isinstance(drawn, Gaussian) or drawn.noise_multiplier < 1e-150:
            return math.inf
        energy += count / min(drawn.noise_multiplier, 1e150) ** 2
    return (2.0 if relation == "replace_one" else 1.0) * math.sqrt(energy)


def _lowest(slopes: Floats, heights: Floats) -> tuple[Floats, Floats]:
    """Return the lines that are lowest somewhere at rates from 0 on, by falling slope and rising height."""
    kept: list[tuple[float, float]] = []
    for at in np.lexsort((-slopes, heights)):
        slope, height = float(slopes[at]), float(heights[at])
        if kept and slope >= kept[-1][0]:
            continue  # neither lower nor shallower
        while len(kept) > 1 and _meets(kept[-1], (slope, height)) <= _meets(kept[-2], kept[-1]):
            kept.pop()
        kept.append((slope, height))
    if not kept:
        return np.array([1.0]), np.array([1.0])
    return np.array([slope for slope, _ in kept]), np.array([height for _, height in kept])


def _meets(first: tuple[float, float], second: tuple[float, float]) -> float:
    return (second[1] - first[1]) / (first[0] - second[0])


def _require_share(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise UsageError("invalid-share", f"{name} is {value}", hint="give a number above 0 and below 1")
