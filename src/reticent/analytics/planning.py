"""What questions cost before anything is drawn, and their answers from one table."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from reticent import dp
from reticent.analytics.answers import Answers, check_confidence
from reticent.analytics.layout import Layout, Noised
from reticent.analytics.noise import Kind
from reticent.analytics.query import Query
from reticent.analytics.rows import Rows

__all__ = ["Plan", "answer", "plan", "release"]

Noises = Literal["gaussian", "laplace", "smaller"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Questions with the noise of their answer: a public value, made without any data.

    Attributes:
      layout: The questions as one vector.
      noise_multiplier: Of the one release of that vector.
    """

    layout: Layout
    noise_multiplier: float

    @property
    def event(self) -> dp.Gaussian | dp.Laplace:
        """What is drawn."""
        return self.layout.event(self.noise_multiplier)

    def release(self, *, population: str, dataset: str) -> dp.Release:
        """Return what answering discloses about a population, for a ledger."""
        layout = self.layout
        return dp.Release(
            events=(self.event,), unit=layout.unit, relation=layout.relation, population=population, dataset=dataset
        )

    def epsilon(self, *, delta: float) -> float:
        """Return what answering costs."""
        return dp.epsilon(self.event, delta=delta, relation=self.layout.relation)

    @cached_property
    def count_noise(self) -> float:
        """Standard deviation of the noise in a count of weight 1: how many rows the answers are blurred by."""
        factor = math.sqrt(2) if self.layout.kind == "laplace" else 1.0
        return factor * self.noise_multiplier * self.layout.sensitivity

    def answer(
        self, table: Any, *, person: str | None = None, grant: dp.Grant | None = None, confidence: float = 0.95
    ) -> Answers:
        """Draw the noise and return the answers for `table`.

        Args:
          table: A `pandas.DataFrame`, a mapping of columns, or `Rows`.
          person: Under unit `person`, the column that says whose row it is.
          grant: Paid for `event`. None: no ledger remembers this draw (`Grant.without_ledger`); for notebooks.
          confidence: Of the intervals.

        Raises:
          PolicyRefused: If the grant does not cover the event.
          UsageError: If unit is `person` and the table names none.
          DataError: If a column is absent.
        """
        check_confidence(confidence)
        rows = Rows.of(table, person=person)
        vector = self.layout.vector(
            rows,
            noise_multiplier=self.noise_multiplier,
            grant=grant or dp.Grant.without_ledger([self.event]),
        )
        return self.layout.answers(vector, noise_multiplier=self.noise_multiplier, confidence=confidence)


def plan(
    queries: Query | Iterable[Query],
    *,
    epsilon: float,
    delta: float,
    unit: dp.Unit,
    relation: dp.Relation,
    rows_per_person: int | None = None,
    noise: Noises = "smaller",
) -> Plan:
    """Return the plan whose release costs (epsilon, delta) and no more.

    Args:
      queries: What is asked, together.
      epsilon, delta: The target.
      unit: `record` or `person`.
      relation: The neighbouring relation.
      rows_per_person: Under unit `person`, how many rows of a person count.
      noise: `gaussian`, `laplace` (whose loss is epsilon alone; better for a few counts), or `smaller`: whichever
        blurs these questions less, which depends on no data.

    Raises:
      UsageError: If an argument is out of range.
    """
    asked = (queries,) if isinstance(queries, Query) else tuple(queries)
    target = dp.Target(epsilon=epsilon, delta=delta)
    kinds: tuple[Kind, ...] = ("gaussian", "laplace") if noise == "smaller" else (noise,)
    plans = [
        Plan(
            layout=Layout(queries=asked, unit=unit, relation=relation, rows_per_person=rows_per_person, kind=kind),
            noise_multiplier=_multiplier(kind, target, relation),
        )
        for kind in kinds
    ]
    return min(plans, key=_blur)


def _multiplier(kind: Kind, target: dp.Target, relation: dp.Relation) -> float:
    if kind == "gaussian":
        return dp.noise_multiplier(
            epsilon=target.epsilon, delta=target.delta, sampling_probability=1.0, steps=1, relation=relation
        )
    apart = 1.0 if relation == "add_or_remove_one" else 2.0
    return math.nextafter(apart / target.epsilon * (1 + 2**-50), math.inf)


def _blur(made: Plan) -> float:
    """Return the mean logarithm of the features' noise in their own counts."""
    logs = []
    noised = Noised(made.layout, np.zeros(made.layout.length), made.noise_multiplier)
    for slot in made.layout.slots:
        part = noised.part(slot)
        decoder = getattr(part.feature, "decoder", None)
        shape = decoder(part.steps)[len(part.vector) // 2] if decoder else np.ones(1)
        logs.append(math.log(max(part.noise.deviation(shape), 1e-300)))
    return sum(logs) / len(logs)


def release(
    queries: Query | Iterable[Query],
    *,
    noise_multiplier: float,
    unit: dp.Unit,
    relation: dp.Relation,
    population: str,
    dataset: str,
    rows_per_person: int | None = None,
    kind: Kind = "gaussian",
) -> dp.Release:
    """Return what answering would disclose: what a ledger charges, before anything is drawn."""
    asked = (queries,) if isinstance(queries, Query) else tuple(queries)
    layout = Layout(queries=asked, unit=unit, relation=relation, rows_per_person=rows_per_person, kind=kind)
    return Plan(layout=layout, noise_multiplier=noise_multiplier).release(population=population, dataset=dataset)


def answer(
    table: Any,
    queries: Query | Iterable[Query],
    *,
    epsilon: float,
    delta: float,
    unit: dp.Unit,
    relation: dp.Relation,
    rows_per_person: int | None = None,
    person: str | None = None,
    noise: Noises = "smaller",
    grant: dp.Grant | None = None,
    confidence: float = 0.95,
) -> Answers:
    """Plan and answer in one step; without a grant no ledger remembers it. See `plan` and `Plan.answer`."""
    made = plan(
        queries,
        epsilon=epsilon,
        delta=delta,
        unit=unit,
        relation=relation,
        rows_per_person=rows_per_person,
        noise=noise,
    )
    return made.answer(table, person=person, grant=grant, confidence=confidence)
