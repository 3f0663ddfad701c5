"""Who sees what: one row for each party, in words that fit the protocol and the promise of this study."""

from __future__ import annotations

from reticent.study.plan import Visibility
from reticent.study.sections import Study

__all__ = ["holds_against", "who_sees"]


_OWN_SITE = Visibility(
    party="a person's own site",
    sees="its own records, its exact figures, and the model of every round",
    does_not_see="records, updates or figures of any other single site",
)


def who_sees(study: Study) -> tuple[Visibility, ...]:
    """Return the table *who sees what*: own site, other sites, coordinator, reader of the model or report."""
    return (_OWN_SITE, _other_sites(study), _coordinator(study), _reader(study))


def holds_against(study: Study) -> str:
    """Return everyone against whom the promise holds. Noise is added at the site, so nobody else need be trusted."""
    if study.by_columns and study.privacy.protects == "labels":
        return (
            f"everyone but {study.label_site}, which has the labels: the other sites, the coordinator and all readers"
        )
    own = "site" if study.privacy.sites_per_person == 1 else "sites"
    return f"everyone but the person's own {own}: the other sites, the coordinator and all readers, even together"


def _noised(study: Study) -> str:
    return "noised " if study.privacy.claimed else "exact "


def _figures(study: Study) -> str:
    released = ["figures"] if study.release.metrics is not None else []
    released += ["statistics"] if study.statistics is not None else []
    return f", {_noised(study)}{' and '.join(released)} summed over the sites" if released else ""


def _other_sites(study: Study) -> Visibility:
    hidden = "this site's records, and its own update and figures"
    if not study.privacy.claimed:
        hidden += ", as far as the model does not reveal them"
    return Visibility(
        party="the other sites",
        sees=f"the model of every round{_figures(study)}, declared sizes and names of the sites",
        does_not_see=hidden,
    )


def _coordinator(study: Study) -> Visibility:
    common = f"the model of every round{_figures(study)}, which sites answer and when, sizes of messages"
    if study.aggregation.protocol == "secagg":
        return Visibility(
            party="the coordinator",
            sees=f"the sum of the {_noised(study)}updates of at least {study.threshold} sites; {common}",
            does_not_see=f"any record; the update or figures of a single site, unless {study.threshold} sites help it",
        )
    of_each = " and figures" if study.release.metrics is not None else ""
    of_each += " and statistics" if study.statistics is not None else ""
    return Visibility(
        party="the coordinator",
        sees=f"the {_noised(study)}update{of_each} of every single site; {common}",
        does_not_see="any record" + ("; anything before noise" if study.privacy.claimed else ""),
    )


def _reader(study: Study) -> Visibility:
    released = "no figures" if study.release.metrics is None else f"the released {_noised(study)}figures"
    if study.statistics is not None:
        released += f", the released {_noised(study)}statistics"
    return Visibility(
        party="a reader of the model or the report",
        sees=f"the final model, {released}, names and declared sizes of the sites, and this plan",
        does_not_see="records, updates of single sites, and exact figures of any site",
    )
