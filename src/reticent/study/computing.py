"""Secure computation in a plan: the parties, what each sees, what is taken for granted, and what is not promised."""

from __future__ import annotations

from collections.abc import Iterator

from reticent.study.parts import ComputationFacts, ComputationPlan
from reticent.study.plan import Cost, Visibility
from reticent.study.sections import SecureComputationSection, Study

__all__ = ["assumptions", "columns_of", "computation", "cost", "not_covered", "who_sees"]

_DEALER = "coordinator"


def columns_of(study: Study) -> dict[str, tuple[str, ...]]:
    """Return the columns of each site in the order of the contract; empty where sites hold rows."""
    if not study.by_columns:
        return {}
    order = [column.name for column in study.data.columns]
    return {name: tuple(sorted(site.columns, key=order.index)) for name, site in sorted(study.sites.items())}


def computation(study: Study) -> ComputationPlan:
    """Return who computes, and on what."""
    section = _section(study)
    return ComputationPlan(
        protocol=section.protocol,
        holds=section.holds,
        columns=columns_of(study),
        label_site=study.label_site if study.by_columns else None,
        fraction_bits=section.fraction_bits,
        dealer=_DEALER if section.protocol == "additive" else None,
    )


def cost(study: Study, facts: ComputationFacts) -> Cost:
    """Return the traffic of a site on average; what is received is what others send."""
    sites, total = len(study.sites), facts.bytes_once + facts.steps * facts.bytes_per_step
    each = facts.steps * facts.bytes_per_step // (study.learning.rounds * sites)
    return Cost(download_per_round=each, upload_per_round=each, total_per_site=total // sites)


def who_sees(study: Study) -> tuple[Visibility, ...]:
    """Return the table *who sees what*: own site, other sites, coordinator, reader."""
    figures = "" if study.release.metrics is None else ", exact counts of right and wrong answers over all sites"
    columns = ", the names of all columns" if study.by_columns else ""
    opened = f"the opened model{figures}, how many rows there are{columns}, and this plan"
    return (
        Visibility(
            party="a person's own site",
            sees=f"its own records and {opened}",
            does_not_see="a record, a label or a share that determines one, of any other site",
        ),
        Visibility(
            party="the other sites",
            sees=f"shares of this site's records, each uniformly distributed by itself; {opened}",
            does_not_see="this site's records, labels, or any gradient, as far as the opened model does not reveal them",
        ),
        Visibility(
            party="the coordinator",
            sees=f"that the sites compute, when, and how much they send; {opened}"
            + ("; it deals random triples, of which it knows every value" if _dealt(study) else ""),
            does_not_see="records, labels, gradients, or any share of them",
        ),
        Visibility(
            party="a reader of the model or the report",
            sees=opened,
            does_not_see="records, labels, gradients and shares of any site",
        ),
    )


def assumptions(study: Study) -> tuple[str, ...]:
    """Return what must be true for the shares to hide anything."""
    return tuple(_assumed(study))


def not_covered(study: Study) -> tuple[str, ...]:
    """Return what an attacker may learn in spite of the shares."""
    return tuple(_uncovered(study))


def _assumed(study: Study) -> Iterator[str]:
    yield "Every site follows the protocol (semi-honest): it computes what the plan says, and may read all it receives."
    if _section(study).protocol == "replicated":
        yield (
            "No two of the three sites put their shares together: two of them have every record. (Honest majority; Araki "
            "et al., CCS 2016.)"
        )
    else:
        yield (
            "The coordinator, which deals the triples, does not put them together with a site's messages: it and one site "
            "could open what the others shared. All sites but one may otherwise collude."
        )
    yield "Keys were pinned correctly, and channels between processes are mutual TLS 1.3 with these keys."
    if study.by_columns:
        yield (
            f"The rows of all sites are the same people, told by {study.data.person!r}; that they are the same set is "
            "checked by a keyed digest, and that nobody is called by two names is not."
        )
    yield "Columns, ranges, vocabularies and fill-in values of the contract were chosen without looking at these data."


def _uncovered(study: Study) -> Iterator[str]:
    yield (
        "The opened model"
        + (" and the figures" if study.release.metrics is not None else "")
        + ": they are exact results "
        "of the records, released without noise. No epsilon is claimed, and attacks on models apply to them."
    )
    yield (
        "How many training and test rows each site has"
        + (
            ", and whether a person is in the set that all sites hold: alignment presupposes that they know"
            * study.by_columns
        )
        + ": shapes are public under sharing."
    )
    if study.by_columns:
        yield (
            "Whom a site lacks, if the lists of people differ in few: the digest that is compared is a function of the "
            "whole list and of data.split_key, and a site can try lists that are almost its own."
        )
    yield "A site that departs from the protocol: it can spoil the result, and may learn more. Nothing detects it."
    yield "A site that stops while the result is opened: it may have the model, and the others not, until they run again."
    yield "A site that enters false records: the model can be spoilt or biased by any site."
    yield "Numbers beyond the declared ranges of the encoding: the learning rate must keep the model small."
    yield "Whether a site takes part at all, and computing time and traffic, which depend on shapes alone."
    yield "A site's own exact files (data, keys) and whoever can read them there."


def _dealt(study: Study) -> bool:
    return _section(study).protocol == "additive"


def _section(study: Study) -> SecureComputationSection:
    assert study.secure_computation is not None  # noqa: S101 - `techniques.check_sections` has seen it
    return study.secure_computation
