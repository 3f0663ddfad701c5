"""What the promise takes for granted, and what it does not cover: said in the plan, before anybody signs."""

from __future__ import annotations

from collections.abc import Iterator

from reticent.study.sections import Study
from reticent.study.visibility import who_sees

__all__ = ["assumptions", "not_covered", "who_sees"]


def assumptions(study: Study) -> tuple[str, ...]:
    """Return everything that must be true for the promise to hold and that no code can check."""
    return tuple(_assumed(study))


def not_covered(study: Study) -> tuple[str, ...]:
    """Return what an attacker may learn in spite of the plan."""
    return tuple(_uncovered(study))


def _assumed(study: Study) -> Iterator[str]:
    yield (
        "Sizes of the sites (rows), from which the weights in the average follow, are public constants: declared, not "
        "counted from these data, and never compared with them."
    )
    yield (
        "Columns, ranges, vocabularies, classes and fill-in values of the contract were chosen without looking at "
        "these data."
    )
    yield "The initial model and the choice of sites do not depend on the data" + (
        "." if study.learning.seed is None else f"; they follow from the public seed {study.learning.seed}."
    )
    if study.privacy.claimed:
        yield from _assumed_by_the_promise(study)
    if study.aggregation.protocol == "secagg":
        yield (
            "For the masks alone: the coordinator follows the protocol, keys were pinned correctly, and fewer than "
            f"{study.threshold} sites help it."
        )


def _assumed_by_the_promise(study: Study) -> Iterator[str]:
    privacy = study.privacy
    if privacy.unit == "person":
        yield (
            'Every row is another person (person = "row").'
            if study.data.person == "row"
            else f"The person column ({study.data.person}) tells persons apart without error."
        )
    if privacy.sites_per_person == 1:
        yield "No person has records at more than one site, so the populations of the sites are disjoint."
    else:
        yield (
            f"No person has records at more than {privacy.sites_per_person} sites; what that many sites release is "
            "composed."
        )
    yield "A person's own site runs this software unchanged and keeps its noise, samples and exact files to itself."
    if study.learning.clients_per_round not in (None, len(study.sites)):
        yield "Each site is charged as if it were chosen in every round: being chosen is public and hides nobody."
    if study.statistics is not None and study.statistics.rows_per_person is not None:
        yield (
            f"No person has more than {study.statistics.rows_per_person} rows: further rows of a person are left out of "
            "the statistics, which protects the person and changes what the statistics say."
        )
    if privacy.spare_executions:
        yield f"Up to {privacy.spare_executions} repetitions of a round and of an evaluation are charged, used or not."


def _uncovered(study: Study) -> Iterator[str]:
    yield (
        "Whether a site takes part at all, which it decides after a look at its data, and whether and when it answers "
        "in a round."
    )
    yield "Remaining differences in computing time, memory and network traffic."
    yield "Declared sizes of the sites, names, schema and settings: they are public."
    yield (
        "Choosing settings (learning rate, rounds, clipping norm, model) by looking at these data, in earlier runs or "
        "by hand. Every run is charged to the ledger; what people learn by looking is not."
    )
    yield "A site's own exact files (data, figures, journal, keys) and whoever can read them there."
    if study.privacy.claimed:
        yield from _uncovered_by_the_promise(study)
    else:
        yield (
            "The model and the figures themselves: without differential privacy they may reveal single records, to "
            "every site, the coordinator and every reader."
        )
        yield "Any use of the exported model, and any attack on it."
    yield from _uncovered_by_the_sum(study)
    yield "A site that sends wrong updates: the model can be spoilt or biased by any site."


def _uncovered_by_the_promise(study: Study) -> Iterator[str]:
    privacy = study.privacy
    yield (
        "Rounding of floating-point gradients: batches of different size can differ in the last digit, about one part in "
        "ten million, before each contribution is clipped and rounded to the grid."
    )
    yield (
        "What is true of people in general: if the model learns that smoking harms, that concerns a smoker whether or "
        "not the smoker took part."
    )
    if privacy.unit == "record" and study.data.person != "row":
        yield (
            "A person with many rows: the unit is one record, so somebody with m rows is protected as a group of m, "
            "with about m times the epsilon."
        )
    elif privacy.unit == "record":
        yield "A person who has several rows without the study knowing: the unit is one record."
    yield "Families and other groups: k persons together are protected with about k times the epsilon."
    yield "Other studies on the same people, unless they are charged to the same population in the same ledger."
    yield (
        "Use of the exported model: it may be published under this promise, but further training, tuning or evaluation "
        "on these data is a new release."
    )


def _uncovered_by_the_sum(study: Study) -> Iterator[str]:
    if study.aggregation.protocol == "plain":
        yield (
            "Updates of single sites, which the coordinator sees"
            + (" with their noise" if study.privacy.claimed else " exactly: it may reconstruct records from them")
            + "."
        )
        return
    cohort = study.learning.clients_per_round or len(study.sites)
    if not study.privacy.claimed and study.threshold < cohort:
        yield (
            "A round that is repeated with other survivors: the difference of the two sums is about the sites that were "
            "in one of them, and without an epsilon nothing bounds what it tells."
        )
    behind = "then only the noise of each site protects" if study.privacy.claimed else "then nothing protects"
    yield (
        f"The masks against {study.threshold} or more sites that collude with the coordinator, or a coordinator that "
        f"departs from the protocol: {behind} a single update."
    )
    yield (
        f"What follows from the sum: in a round of {study.threshold} sites, all but one of them know the last one's "
        "update by subtraction" + (", with its noise." if study.privacy.claimed else ".")
    )
