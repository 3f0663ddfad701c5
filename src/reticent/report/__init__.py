"""What a run has to show for itself: facts, gathered once, and the pages that format them for three readers.

The facts hold only what was released or declared: the report opens no site's private folder, so that no page can become
a side channel. Every epsilon on it is derived again from the mechanisms; `verify` compares them with the ledgers.

Threat model: texts of studies, sites and ledgers may be hostile (they are escaped, and the page's policy forbids
scripts), and files may have been changed after the run (`verify` finds what disagrees).
"""

from reticent.report.card import model_card
from reticent.report.facts import Facts
from reticent.report.gather import gather
from reticent.report.html import render, write_page
from reticent.report.prediction import (
    PredictionFacts,
    facts_of_prediction,
    plan_of_prediction,
    write_prediction_page,
)
from reticent.report.review import REGULATIONS, Regulation, review
from reticent.report.statement import write_statement
from reticent.report.verify import Check, verify

__all__ = [
    "REGULATIONS",
    "Check",
    "Facts",
    "PredictionFacts",
    "Regulation",
    "facts_of_prediction",
    "gather",
    "model_card",
    "plan_of_prediction",
    "render",
    "review",
    "verify",
    "write_page",
    "write_prediction_page",
    "write_statement",
]
