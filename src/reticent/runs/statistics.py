"""The statistics of a study at one site, and what the coordinator makes of their sum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent import analytics
from reticent.dp import Grant, Release
from reticent.errors import InternalError, PolicyRefused
from reticent.federated import Encoding
from reticent.study import Plan, StatisticsPlan, statistics_layout

__all__ = ["SiteStatistics", "answers_of", "encoding_of"]


def _part(plan: Plan) -> StatisticsPlan:
    if plan.statistics is None:
        raise InternalError("no-statistics", "a plan without statistics was asked for them", hint="please report this")
    return plan.statistics


def _layout(plan: Plan) -> analytics.Layout:
    part, privacy = _part(plan), plan.privacy
    layout = statistics_layout(
        part,
        plan.contract,
        unit=privacy.unit if privacy else None,
        relation=privacy.relation if privacy else None,
    )
    if layout.hash != part.layout_hash:
        raise PolicyRefused(
            "statistics-version",
            f"this version asks the statistics of the plan otherwise ({layout.hash[:12]}, the plan says "
            f"{part.layout_hash[:12]})",
            hint="install the version of reticent that made the plan at every party, or make the plan again",
        )
    return layout


def encoding_of(plan: Plan) -> Encoding | None:
    """Return how the plan's statistics are summed; None if it has none."""
    part = plan.statistics
    return None if part is None else Encoding(length=part.length, bound=part.bound, precision=part.grid)


def answers_of(plan: Plan, vector: NDArray[np.float64], *, sites: int) -> list[dict[str, Any]]:
    """Return the released statistics as plain records, one for each number, from the sum over `sites` sites."""
    part = _part(plan)
    answers = _layout(plan).answers(
        vector, noise_multiplier=part.noise_multiplier or 0.0, sites=sites, confidence=part.confidence
    )
    return [row for answer in answers.values() for row in answer.rows()]


@dataclass(frozen=True)
class SiteStatistics:
    """What one site answers.

    Args:
      rows: Opens the site's rows in the terms of the contract; called once, when the site is asked.
    """

    plan: Plan
    site: str
    rows: Callable[[], analytics.Rows]

    @cached_property
    def _layout(self) -> analytics.Layout:
        return _layout(self.plan)

    @property
    def encoding(self) -> Encoding:
        """Length, bound and step of the vector."""
        part = _part(self.plan)
        return Encoding(length=part.length, bound=part.bound, precision=part.grid)

    def cost(self) -> Release | None:
        """Return the one release; None where no epsilon is claimed."""
        event, privacy = self.plan.described(), self.plan.privacy
        if event is None or privacy is None:
            return None
        site = self.plan.site(self.site)
        return Release(
            events=(event,),
            unit=privacy.unit,
            relation=privacy.relation,
            population=site.population,
            dataset=site.dataset,
        )

    def vector(self, grant: Grant | None) -> NDArray[np.float64]:
        """Return the vector, noised where an epsilon is claimed; cut off at the bound, after the noise."""
        layout, part = self._layout, _part(self.plan)
        multiplier = part.noise_multiplier or 0.0
        if grant is None:
            if self.plan.privacy is not None:
                raise PolicyRefused(
                    "nothing-reserved",
                    "statistics were asked without a grant, and an epsilon is claimed",
                    hint="run the plan that this site approved",
                )
            grant = Grant.without_ledger([layout.event(0.0)])
        found = layout.vector(self.rows(), noise_multiplier=multiplier, grant=grant)
        return np.clip(found, -part.bound, part.bound)
