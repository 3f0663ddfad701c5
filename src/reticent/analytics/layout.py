"""All questions as one vector: what a unit can add to it, the noise that hides that, and the way back to answers.

One Gaussian release of the joint vector costs what its joint norm says. Questions about the same column share
coordinates, so that mean, variance and the number of missing values of a column cost as much as its mean alone.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent import dp
from reticent.analytics.answers import Answers, check_confidence
from reticent.analytics.bounding import chosen_rows
from reticent.analytics.features import Feature, Geometry, Presence
from reticent.analytics.noise import Kind, Noise, Part
from reticent.analytics.query import Query
from reticent.analytics.rows import Rows
from reticent.errors import PolicyRefused, UsageError

__all__ = ["Layout", "Noised"]

_PRECISION = 20
"""A row's weight is 2^20 grid steps: rounding a value moves a mean by less than a millionth of its bounds."""

_MOST_ROWS = 2**40


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What a list of questions compiles to; it depends on nothing in any data.

    Attributes:
      queries: The questions, in order; the same one twice is one.
      unit: `record` or `person`.
      relation: The neighbouring relation.
      rows_per_person: Under unit `person`, how many rows of a person count; None under unit `record`.
      kind: Which noise it is for.
    """

    queries: tuple[Query, ...]
    unit: dp.Unit
    relation: dp.Relation
    rows_per_person: int | None = None
    kind: Kind = "gaussian"

    def __post_init__(self) -> None:
        object.__setattr__(self, "queries", tuple(dict.fromkeys(self.queries)))
        if not self.queries:
            raise UsageError(
                "statistics-nothing-asked", "no question was asked", hint="ask one: analytics.count(), for example"
            )
        # The unit and the relation are checked where every release checks them.
        dp.Release(events=(), unit=self.unit, relation=self.relation, population="", dataset="")
        if self.unit == "site":
            raise PolicyRefused(
                "statistics-unit",
                "unit is 'site', and nothing bounds what a whole site adds to a count",
                hint="use unit 'record', or 'person' with rows_per_person",
            )
        self._check_rows()

    def _check_rows(self) -> None:
        given = self.rows_per_person
        fits = given is None if self.unit == "record" else isinstance(given, int) and 1 <= given <= 2**16
        if not fits:
            raise UsageError(
                "statistics-rows-per-person",
                f"rows_per_person is {given} and unit is {self.unit!r}",
                hint="declare how many rows of one person count, such as rows_per_person=5, under unit 'person'; "
                "leave it out under unit 'record'",
            )
        if self.unit == "record" and ("persons",) in self._compiled[1]:
            raise UsageError(
                "statistics-rows-per-person",
                "persons() is asked under unit 'record'",
                hint="ask count(), or use unit 'person'",
            )

    @cached_property
    def features(self) -> tuple[tuple[Feature, int], ...]:
        """The features in order, each with the weight of one row in grid steps."""
        return tuple(
            (feature, max(1, math.floor(share * 2**self._bits / feature.norm))) for feature, share in self._compiled[0]
        )

    @cached_property
    def _compiled(self) -> tuple[tuple[tuple[Feature, float], ...], dict[Any, int]]:
        """Features of one slot as one, and where each slot went.

        A count of missing cells joins the moments of its column, where it is free.
        """
        found: dict[Any, tuple[Feature, float]] = {}
        homes: dict[Any, Any] = {}
        asked = [(feature, query.weight) for query in self.queries for feature in query.features(self.kind)]
        for feature, weight in sorted(asked, key=lambda pair: isinstance(pair[0], Presence)):  # stable: moments first
            home = feature.slot
            if isinstance(feature, Presence) and feature.column is not None:
                home = next((slot for slot in found if slot[:2] == ("moments", feature.column)), home)
            known = found.get(home)
            found[home] = (feature, weight) if known is None else (known[0].merged(feature), max(known[1], weight))
            homes[feature.slot] = home
        places = {home: place for place, home in enumerate(found)}
        return tuple(found.values()), {slot: places[home] for slot, home in homes.items()}

    @property
    def slots(self) -> tuple[Any, ...]:
        """What the features are about; each names one to `part`."""
        return tuple({place: slot for slot, place in reversed(self._compiled[1].items())}.values())

    @property
    def _bits(self) -> int:
        return _PRECISION - math.ceil(math.log2(self.rows_per_person or 1))

    @property
    def grid(self) -> float:
        """One grid step of the vector; a power of two. A row of weight 1 has norm 1."""
        return 2.0**-self._bits

    @property
    def length(self) -> int:
        """Number of coordinates."""
        return sum(feature.width for feature, _ in self.features)

    @cached_property
    def geometry(self) -> Geometry:
        """How long one unit's joint contribution can be, in grid steps; all coordinates at their worst together."""
        parts = [
            feature.geometry(steps).times(1 if feature.per_unit else self.rows_per_person or 1)
            for feature, steps in self.features
        ]
        return Geometry(
            sum(part.l1 for part in parts),
            sum(part.l2_squared for part in parts),
            sum(part.l1_apart for part in parts),
            sum(part.l2_squared_apart for part in parts),
        )

    @property
    def sensitivity(self) -> float:
        """Largest norm of one unit's contribution, L2 for Gaussian and L1 for Laplace noise, in units of the vector.

        Under `replace_one` it is half the largest distance of two contributions: events take neighbours to be twice
        the norm apart, and contributions that are never negative are less than that.
        """
        box = self.geometry
        if self.relation == "replace_one":
            length = box.l1_apart / 2 if self.kind == "laplace" else math.sqrt(box.l2_squared_apart) / 2
        else:
            length = box.l1 if self.kind == "laplace" else math.sqrt(box.l2_squared)
        return math.nextafter(length * (1 + 2**-50), math.inf) * self.grid

    @property
    def hash(self) -> str:
        """Names this layout: two that differ in anything have different hashes."""
        plain = [
            [query.to_plain() for query in self.queries],
            self.unit,
            self.relation,
            self.rows_per_person,
            self.kind,
            _PRECISION,
        ]
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()

    def event(self, noise_multiplier: float) -> dp.Gaussian | dp.Laplace:
        """Return what one release of the vector is accounted as."""
        return dp.Gaussian(noise_multiplier) if self.kind == "gaussian" else dp.Laplace(noise_multiplier)

    def bound(self, rows: int, noise_multiplier: float) -> float:
        """Return what no coordinate of a noised vector of `rows` rows exceeds, for the ring of a secure sum.

        Args:
          rows: Declared and public, never counted; a larger site's coordinates are cut off there, after the noise.
          noise_multiplier: Of the release.
        """
        widest = max(steps for _, steps in self.features) * self.grid  # no feature's coefficient is above 1
        return math.ceil((rows * widest + 64 * noise_multiplier * self.sensitivity) / self.grid) * self.grid

    def total(self, rows: Rows) -> NDArray[np.int64]:
        """Return the exact sum of all contributions, in grid steps, shape `(length,)`. It never leaves a site."""
        columns = tuple(sorted({name for feature, _ in self.features for name in feature.columns}))
        chosen = chosen_rows(rows, columns, self.rows_per_person)
        if len(chosen) > _MOST_ROWS:
            raise UsageError("statistics-table", "the table has more than 2^40 rows", hint="split it")
        return np.concatenate([feature.total(rows, chosen, steps) for feature, steps in self.features])

    def vector(self, rows: Any, *, noise_multiplier: float, grant: dp.Grant) -> NDArray[np.float64]:
        """Return the noised vector of one site's rows, shape `(length,)`; it satisfies the guarantee by itself.

        Args:
          rows: A table, or `Rows` with persons under unit `person`.
          noise_multiplier: Relative to `sensitivity`.
          grant: Paid for `event(noise_multiplier)`.

        Raises:
          PolicyRefused: If the event was not paid for.
        """
        event = self.event(noise_multiplier)
        total, sensitivity = self.total(Rows.of(rows)), self.sensitivity
        if isinstance(event, dp.Gaussian):
            return dp.add_gaussian(total, event=event, sensitivity=sensitivity, grid=self.grid, grant=grant)
        return dp.add_laplace(total, event=event, sensitivity=sensitivity, grid=self.grid, grant=grant)

    def answers(
        self, vector: NDArray[np.float64], *, noise_multiplier: float, sites: int = 1, confidence: float = 0.95
    ) -> Answers:
        """Return the answers that a vector holds: one site's, or the sum of the vectors of `sites` sites.

        Post-processing: it costs nothing, however often it is done.
        """
        check_confidence(confidence)
        noised = Noised(self, np.asarray(vector, dtype=np.float64), noise_multiplier, sites)
        return Answers({query: query.answer(noised, 1 - confidence) for query in self.queries})

    def part(self, slot: Any) -> tuple[Feature, int, int]:
        """Return the feature that a slot was merged into, its first coordinate and its steps."""
        place = self._compiled[1][slot]
        start = sum(feature.width for feature, _ in self.features[:place])
        feature, steps = self.features[place]
        return feature, start, steps


@dataclass(frozen=True, slots=True)
class Noised:
    """A released vector, and what is known of its noise."""

    layout: Layout
    vector: NDArray[np.float64]
    noise_multiplier: float
    sites: int = 1

    def part(self, slot: Any) -> Part:
        """Return the coordinates that belong to `slot`, in units of one row's weight."""
        feature, start, steps = self.layout.part(slot)
        weight = steps * self.layout.grid
        noise = Noise(
            self.layout.kind,
            self.noise_multiplier * self.layout.sensitivity / weight,
            self.sites,
            0.5 / steps,
        )
        return Part(feature, self.vector[start : start + feature.width] / weight, noise, steps)
