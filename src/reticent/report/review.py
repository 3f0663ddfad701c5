"""Facts of a run beside the articles and sections that they speak to, with the judgement left blank."""

from __future__ import annotations

from reticent.errors import UsageError
from reticent.report.evidence import EVIDENCE
from reticent.report.facts import Facts
from reticent.report.html import content_policy, environment, stylesheet
from reticent.report.provisions import LAWS, Regulation

__all__ = ["REGULATIONS", "Regulation", "review"]

REGULATIONS: tuple[Regulation, ...] = tuple(LAWS)


def review(facts: Facts, regulation: Regulation) -> str:
    """Return a self-contained HTML page that maps the facts to one law.

    Args:
      facts: What `gather` returned.
      regulation: gdpr, hipaa or ccpa.

    Raises:
      UsageError: If the law is not known.
    """
    law = LAWS.get(regulation)
    if law is None:
        raise UsageError(
            "unknown-regulation",
            f"regulation is {regulation!r}",
            hint=f"use one of {', '.join(REGULATIONS)}; for other laws the statement (JSON) holds the same facts",
        )
    rows = [(provision, [EVIDENCE[name](facts) for name in provision.evidence]) for provision in law.provisions]
    return (
        environment()
        .get_template("review.html.j2")
        .render(facts=facts, law=law, rows=rows, css=stylesheet(), policy=content_policy())
    )
