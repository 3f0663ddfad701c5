"""What was released: descriptions of mechanisms, apart from their analysis.

An event says what happened, never what it cost; `reticent.dp.epsilon` judges it and may refuse. The design is that
of dp_accounting's DpEvent. The meaning of an event never changes, since ledgers store events and are re-accounted
years later. Noise multipliers are sigma over the largest norm of *one unit's contribution*: under the relation
`replace_one` neighbours are therefore twice that apart.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reticent.errors import UsageError

__all__ = ["Composed", "Event", "Gaussian", "PoissonSampled", "Repeated", "flatten", "from_json", "to_json"]


@dataclass(frozen=True, slots=True)
class Gaussian:
    """Gaussian noise of standard deviation `noise_multiplier` times the norm of one unit's contribution."""

    noise_multiplier: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.noise_multiplier) and self.noise_multiplier >= 0):
            raise UsageError(
                "invalid-noise-multiplier",
                f"noise_multiplier is {self.noise_multiplier}",
                hint="give a finite number, 0 or larger; 0 means no noise and an infinite epsilon",
            )


@dataclass(frozen=True, slots=True)
class PoissonSampled:
    """`event` computed on a sample that holds each unit independently with `sampling_probability`."""

    sampling_probability: float
    event: Gaussian

    def __post_init__(self) -> None:
        if not 0 < self.sampling_probability <= 1:
            raise UsageError(
                "invalid-sampling-probability",
                f"sampling_probability is {self.sampling_probability}",
                hint="give a number above 0 and at most 1",
            )


@dataclass(frozen=True, slots=True)
class Repeated:
    """`event`, `count` times, with fresh randomness each time."""

    event: Event
    count: int

    def __post_init__(self) -> None:
        if self.count < 0:
            raise UsageError("invalid-count", f"count is {self.count}", hint="give 0 or a larger whole number")


@dataclass(frozen=True, slots=True)
class Composed:
    """All of `events`, on the same data."""

    events: tuple[Event, ...]


Event = Gaussian | PoissonSampled | Repeated | Composed


def flatten(events: Iterable[Event]) -> Counter[Event]:
    """Return how often each single event (Gaussian or PoissonSampled) occurs in `events`.

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
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            "unknown-event", f"not an event: {text[:200]!r}", hint="use events written by this version or an older one"
        ) from error


def _plain(event: Event) -> dict[str, Any]:
    match event:
        case Gaussian(noise_multiplier):
            return {"kind": "gaussian", "noise_multiplier": float(noise_multiplier)}
        case PoissonSampled(probability, inner):
            return {"kind": "poisson_sampled", "sampling_probability": float(probability), "event": _plain(inner)}
        case Repeated(inner, count):
            return {"kind": "repeated", "count": int(count), "event": _plain(inner)}
        case Composed(events):
            return {"kind": "composed", "events": [_plain(inner) for inner in events]}
    raise UsageError("unknown-event", f"not an event: {event!r}", hint="use the types of reticent.dp.events")


def _event(plain: dict[str, Any]) -> Event:
    fields = {key: value for key, value in plain.items() if key != "kind"}
    match plain["kind"]:
        case "gaussian":
            return Gaussian(**fields)
        case "poisson_sampled":
            inner = _event(fields.pop("event"))
            if not isinstance(inner, Gaussian):
                raise ValueError(inner)
            return PoissonSampled(event=inner, **fields)
        case "repeated":
            return Repeated(event=_event(fields.pop("event")), **fields)
        case "composed":
            return Composed(tuple(_event(inner) for inner in fields.pop("events")), **fields)
    raise ValueError(plain["kind"])
