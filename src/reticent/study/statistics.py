"""Private statistics within a study: what `[statistics]` asks for, as one release of one vector.

Bounds and categories are those of the contract, which every site approved; nothing is typed twice. The release is
charged like a release of figures, with its own part of the target, before the first round of training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from reticent import analytics
from reticent.data import Contract
from reticent.dp import Relation, Unit
from reticent.errors import PolicyRefused, UsageError
from reticent.study.parts import StatisticsPlan
from reticent.study.sections import Study

__all__ = ["check_statistics", "layout_of", "statistics_cost", "statistics_layout", "statistics_plan"]


def layout_of(study: Study) -> analytics.Layout | None:
    """Return the vector that the study's questions compile to; None if it asks none."""
    section = study.statistics
    if section is None:
        return None
    privacy = study.privacy
    return _layout(study.data, section.ask, privacy.unit, privacy.relation, section.rows_per_person)


def statistics_layout(
    part: StatisticsPlan, contract: Contract, *, unit: Unit | None, relation: Relation | None
) -> analytics.Layout:
    """Return the same from a plan, as every party derives it for itself."""
    return _layout(contract, part.ask, unit, relation, part.rows_per_person)


def _layout(
    contract: Contract,
    ask: Sequence[dict[str, Any]],
    unit: Unit | None,
    relation: Relation | None,
    rows_per_person: int | None,
) -> analytics.Layout:
    """Without a claim the unit decides nothing; where every row is another person, a record is a person."""
    of_persons = unit == "person" and contract.person != "row"
    return analytics.Layout(
        queries=analytics.queries(contract, ask),
        unit="person" if of_persons else "record",
        relation=relation or "add_or_remove_one",
        rows_per_person=rows_per_person if of_persons else None,
    )


def statistics_plan(study: Study, noise_multiplier: float | None) -> StatisticsPlan | None:
    """Return the plan's part; None if the study asks for nothing."""
    section, layout = study.statistics, layout_of(study)
    if section is None or layout is None:
        return None
    most = max(site.rows for site in study.sites.values())
    # Declared sizes are those for training, and rows kept for tests are counted, too.
    most = math.ceil(most / (1 - study.data.test_fraction)) * (section.rows_per_person or 1)
    return StatisticsPlan(
        ask=section.ask,
        rows_per_person=section.rows_per_person,
        confidence=section.confidence,
        noise_multiplier=noise_multiplier,
        length=layout.length,
        bound=layout.bound(4 * most, noise_multiplier or 0.0),
        grid=layout.grid,
        layout_hash=layout.hash,
    )


def check_statistics(study: Study, at: str) -> None:
    """Refuse questions that cannot be asked, or cannot be paid for, in this study.

    Raises:
      UsageError: If a question does not fit the contract, or a key is missing or not read.
      PolicyRefused: If the statistics leave nothing of the target for training.
    """
    section, privacy, target = study.statistics, study.privacy, study.privacy.target
    if section is None:
        return
    if not study.federated:
        raise UsageError(
            "section-of-another-method",
            f"{at}[statistics] is not read with learning.method = {study.learning.method!r}",
            hint='remove it, or ask in a study with method = "fedavg", whose sums it needs',
        )
    if study.clients < len(study.sites):
        raise UsageError(
            "statistics-clients-per-round",
            f"{at}learning.clients_per_round is {study.clients}, and statistics are a sum over all {len(study.sites)} "
            "sites",
            hint="leave clients_per_round out, or ask the statistics in a study of their own",
        )
    of_persons = privacy.unit == "person" and study.data.person != "row"
    if (section.rows_per_person is not None) != of_persons:
        raise UsageError(
            "statistics-rows-per-person",
            f"{at}statistics.rows_per_person is {section.rows_per_person}, privacy.unit is {privacy.unit!r} and "
            f"data.person is {study.data.person!r}",
            hint="declare how many rows of one person count exactly where a person can have several: rows_per_person = 5",
        )
    if (section.epsilon is not None) != privacy.claimed:
        raise UsageError(
            "statistics-epsilon",
            f"{at}statistics.epsilon is {section.epsilon} with privacy.guarantee = {privacy.guarantee!r}",
            hint="statistics need their part of the target exactly where an epsilon is claimed: epsilon = 0.2",
        )
    metrics = study.release.metrics.epsilon or 0.0 if study.release.metrics else 0.0
    if section.epsilon is not None and target is not None and section.epsilon + metrics >= target.epsilon:
        raise PolicyRefused(
            "statistics-epsilon-too-large",
            f"{at}statistics.epsilon is {section.epsilon:g}, which with that of the metrics leaves nothing of "
            f"privacy.target.epsilon {target.epsilon:g} for training",
            hint=f"give statistics a small part of the target, for example {target.epsilon / 10:.2g}",
        )
    layout_of(study)


def statistics_cost(study: Study, noise_multiplier: float | None) -> tuple[int, int] | None:
    """Return length and width in bits of what a site sends for its statistics; None if there are none."""
    part = statistics_plan(study, noise_multiplier)
    if part is None:
        return None
    if study.aggregation.protocol == "plain":
        return part.length, 64
    from reticent.secagg import Parameters

    parameters = Parameters(
        clients=study.clients, length=part.length, bound=part.bound, precision=part.grid, dropouts=study.dropouts
    )
    return part.length, parameters.ring_bits
