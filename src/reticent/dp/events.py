"""What was released: descriptions of mechanisms, apart from their analysis.

An event says what happened, never what it cost; `reticent.dp.epsilon` judges it and may refuse. The design is that
of dp_accounting's DpEvent. The meaning of an event never changes, since ledgers store events and are re-accounted
years later. Scales are relative to the largest norm of *one unit's contribution*: under the relation `replace_one`
neighbours are therefore twice that apart. Where an event is itself a claim (`PureDP`, `ApproximateDP`, `BoundedRange`),
the claim is made for the relation of the release that holds it.
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from reticent.errors import UsageError

__all__ = [
    "ApproximateDP",
    "BoundedRange",
    "Composed",
    "DiscreteGaussian",
    "DiscreteLaplace",
    "Event",
    "Gaussian",
    "Laplace",
    "Mechanism",
    "PoissonSampled",
    "PureDP",
    "RandomizedResponse",
    "Repeated",
    "SampledWithoutReplacement",
    "Single",
    "flatten",
    "from_json",
    "to_json",
]


def _require(ok: bool, name: str, value: object, hint: str) -> None:  # noqa: FBT001
    if not ok:
        raise UsageError("invalid-event", f"{name} is {value}", hint=hint)


def _is_whole(value: float) -> bool:
    """Say whether a number is whole. Half a draw would be charged as half, stored as none, and drawn as one."""
    return isinstance(value, int) or (math.isfinite(value) and value == int(value))


def _is_scale(value: float) -> bool:
    return 0 <= value <= sys.float_info.max  # false for NaN, and for whole numbers that no float holds


@dataclass(frozen=True, slots=True)
class Gaussian:
    """Gaussian noise of standard deviation `noise_multiplier` times the norm of one unit's contribution."""

    noise_multiplier: float

    def __post_init__(self) -> None:
        if not _is_scale(self.noise_multiplier):
            raise UsageError(
                "invalid-noise-multiplier",
                f"noise_multiplier is {self.noise_multiplier}",
                hint="give a finite number, 0 or larger; 0 means no noise and an infinite epsilon",
            )


@dataclass(frozen=True, slots=True)
class Laplace:
    """Laplace noise of scale b = `noise_multiplier` times the largest L1 norm of one unit's contribution."""

    noise_multiplier: float

    def __post_init__(self) -> None:
        if not _is_scale(self.noise_multiplier):
            raise UsageError(
                "invalid-noise-multiplier",
                f"noise_multiplier is {self.noise_multiplier}",
                hint="give a finite number, 0 or larger; 0 means no noise and an infinite epsilon",
            )


@dataclass(frozen=True, slots=True)
class DiscreteGaussian:
    """Integer noise with P(x) proportional to exp(-x^2 / (2 sigma^2)) in each coordinate (Canonne et al. 2020).

    Attributes:
      sigma: In steps of the integer grid.
      sensitivity: Largest L2 norm of one unit's contribution, in steps; a whole number where there is one coordinate.
      coordinates: How many numbers one unit changes at once.
    """

    sigma: float
    sensitivity: float = 1
    coordinates: int = 1

    def __post_init__(self) -> None:
        _require(_is_scale(self.sigma), "sigma", self.sigma, "give a finite number, 0 or larger")
        _require(
            self.coordinates >= 1 and _is_whole(self.coordinates),
            "coordinates",
            self.coordinates,
            "give a whole number, 1 or larger",
        )
        _require(
            0 < self.sensitivity < 2**62 and (self.coordinates > 1 or _is_whole(self.sensitivity)),
            "sensitivity",
            self.sensitivity,
            "give it in whole steps of the grid",
        )


@dataclass(frozen=True, slots=True)
class DiscreteLaplace:
    """Integer noise with P(x) proportional to exp(-|x| / scale), also called geometric (Ghosh et al. 2009).

    Attributes:
      scale: In steps of the integer grid.
      sensitivity: Largest L1 norm of one unit's contribution, in whole steps.
    """

    scale: float
    sensitivity: int = 1

    def __post_init__(self) -> None:
        _require(_is_scale(self.scale), "scale", self.scale, "give a finite number, 0 or larger")
        _require(
            0 < self.sensitivity < 2**62 and _is_whole(self.sensitivity),
            "sensitivity",
            self.sensitivity,
            "give it in whole steps of the grid",
        )


@dataclass(frozen=True, slots=True)
class RandomizedResponse:
    """Each unit's answer is kept, or with `flip_probability` replaced by a uniform one of all `categories`.

    Whose answer it is may be seen, so it is a claim about replacing a unit (Warner 1965).
    """

    flip_probability: float
    categories: int = 2

    def __post_init__(self) -> None:
        _require(0 <= self.flip_probability <= 1, "flip_probability", self.flip_probability, "give a number in [0, 1]")
        _require(
            self.categories >= 2 and _is_whole(self.categories),
            "categories",
            self.categories,
            "give the number of possible answers, 2 or more",
        )


@dataclass(frozen=True, slots=True)
class PureDP:
    """Any mechanism known to be (epsilon, 0)-private under the relation of the release."""

    epsilon: float

    def __post_init__(self) -> None:
        _require(_is_scale(self.epsilon), "epsilon", self.epsilon, "give a finite number, 0 or larger")


@dataclass(frozen=True, slots=True)
class ApproximateDP:
    """Any mechanism known to be (epsilon, delta)-private under the relation of the release."""

    epsilon: float
    delta: float

    def __post_init__(self) -> None:
        _require(_is_scale(self.epsilon), "epsilon", self.epsilon, "give a finite number, 0 or larger")
        _require(0 <= self.delta < 1, "delta", self.delta, "give a number from 0 to below 1")


@dataclass(frozen=True, slots=True)
class BoundedRange:
    """A mechanism whose privacy loss has a range of at most `epsilon` (Durfee and Rogers 2019): the exponential one."""

    epsilon: float

    def __post_init__(self) -> None:
        _require(_is_scale(self.epsilon), "epsilon", self.epsilon, "give a finite number, 0 or larger")


Mechanism = (
    Gaussian | Laplace | DiscreteGaussian | DiscreteLaplace | RandomizedResponse | PureDP | ApproximateDP | BoundedRange
)
"""One draw on all data."""


@dataclass(frozen=True, slots=True)
class PoissonSampled:
    """`event` computed on a sample that holds each unit independently with `sampling_probability`."""

    sampling_probability: float
    event: Mechanism

    def __post_init__(self) -> None:
        if not 0 < self.sampling_probability <= 1:
            raise UsageError(
                "invalid-sampling-probability",
                f"sampling_probability is {self.sampling_probability}",
                hint="give a number above 0 and at most 1",
            )


@dataclass(frozen=True, slots=True)
class SampledWithoutReplacement:
    """`event` computed on a uniform sample of exactly `sample_size` of `population` units, drawn anew each time.

    Both are public constants, so it is a claim about replacing a unit.
    """

    population: int
    sample_size: int
    event: Mechanism

    def __post_init__(self) -> None:
        _require(
            self.population >= 1 and _is_whole(self.population),
            "population",
            self.population,
            "give the number of units, 1 or larger",
        )
        _require(
            1 <= self.sample_size <= self.population and _is_whole(self.sample_size),
            "sample_size",
            self.sample_size,
            f"give a whole number from 1 to population = {self.population}",
        )


@dataclass(frozen=True, slots=True)
class Repeated:
    """`event`, `count` times, with fresh randomness each time."""

    event: Event
    count: int

    def __post_init__(self) -> None:
        if not (self.count >= 0 and _is_whole(self.count)):
            raise UsageError("invalid-count", f"count is {self.count}", hint="give 0 or a larger whole number")


@dataclass(frozen=True, slots=True)
class Composed:
    """All of `events`, on the same data."""

    events: tuple[Event, ...]


Single = Mechanism | PoissonSampled | SampledWithoutReplacement
"""What is drawn, granted and counted as one."""

Event = Single | Repeated | Composed


def flatten(events: Iterable[Event]) -> Counter[Event]:
    """Return how often each single event occurs in `events`.

    >>> flatten([Repeated(Composed((Gaussian(1.0), Gaussian(2.0))), 3), Gaussian(1.0)])
    Counter({Gaussian(noise_multiplier=1.0): 4, Gaussian(noise_multiplier=2.0): 3})
    """
    counts: Counter[Event] = Counter()
    for event in events:
        match event:
            case Repeated(inner, count):
                for single, times in flatten([inner]).items():
                    counts[single] += times * count
            case Composed(inner_events):
                counts.update(flatten(inner_events))
            case _:
                counts[event] += 1
    return +counts


def to_json(event: Event) -> str:
    """Return the canonical text of an event, as ledgers store it."""
    return json.dumps(_plain(event), sort_keys=True, separators=(",", ":"), allow_nan=False)


def from_json(text: str) -> Event:
    """Return the event that `to_json` wrote; refuses anything else."""
    try:
        return _event(json.loads(text))
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise UsageError(
            "unknown-event", f"not an event: {text[:200]!r}", hint="use events written by this version or an older one"
        ) from error


_KINDS: dict[str, type[Mechanism]] = {
    "gaussian": Gaussian,
    "laplace": Laplace,
    "discrete_gaussian": DiscreteGaussian,
    "discrete_laplace": DiscreteLaplace,
    "randomized_response": RandomizedResponse,
    "pure_dp": PureDP,
    "approximate_dp": ApproximateDP,
    "bounded_range": BoundedRange,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_WHOLE = ("coordinates", "categories", "count", "population", "sample_size")


def _plain(event: Event) -> dict[str, Any]:
    match event:
        case PoissonSampled(probability, inner):
            return {"kind": "poisson_sampled", "sampling_probability": float(probability), "event": _plain(inner)}
        case SampledWithoutReplacement(population, size, inner):
            sizes = {"population": int(population), "sample_size": int(size)}
            return {"kind": "sampled_without_replacement", **sizes, "event": _plain(inner)}
        case Repeated(inner, count):
            return {"kind": "repeated", "count": int(count), "event": _plain(inner)}
        case Composed(events):
            return {"kind": "composed", "events": [_plain(inner) for inner in events]}
    if type(event) not in _NAMES:
        raise UsageError("unknown-event", f"not an event: {event!r}", hint="use the types of reticent.dp.events")
    values = {field.name: getattr(event, field.name) for field in fields(event)}
    numbers = {
        name: int(value) if name in _WHOLE or _is_long(value) else float(value) for name, value in values.items()
    }
    return {"kind": _NAMES[type(event)], **numbers}


def _is_long(value: float) -> bool:
    """Say whether a float would lose low bits, as it does for a sensitivity beyond 2^53."""
    return isinstance(value, int) and int(float(value)) != value


def _event(plain: dict[str, Any]) -> Event:
    given = {key: value for key, value in plain.items() if key != "kind"}
    kind = plain["kind"]
    match kind:
        case "poisson_sampled":
            return PoissonSampled(event=_mechanism(given.pop("event")), **given)
        case "sampled_without_replacement":
            return SampledWithoutReplacement(event=_mechanism(given.pop("event")), **given)
        case "repeated":
            return Repeated(event=_event(given.pop("event")), **given)
        case "composed":
            return Composed(tuple(_event(inner) for inner in given.pop("events")), **given)
    return _KINDS[kind](**given)


def _mechanism(plain: dict[str, Any]) -> Mechanism:
    return _KINDS[plain["kind"]](**{key: value for key, value in plain.items() if key != "kind"})
