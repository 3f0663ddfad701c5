"""Private statistics over a table, at one site or at many: counts, means, quantiles, histograms, and how a model does.

A question declares what it needs to be safe: bounds of numbers, categories, how many rows of a person count. All
questions of one list are answered by one noised vector, so that ten of them cost less than ten times one.

GUARANTEE. The answers satisfy (epsilon, delta)-differential privacy for one record, or for one person with all their
rows, and each comes with an interval that covers its noise. Sums are whole numbers of grid steps and noise is drawn by
`reticent.dp`; bounds, categories and limits are declared and never read from the data, and n is as private as the rest.

ADVERSARY. Sees all answers, knows the questions, this code and every record but one unit's. What a site computes before
the noise never leaves it; in a federation every site's vector is noised at the site, and under secure aggregation the
coordinator sees the sum alone. Not covered: how long an answer took, and that a table lacks a column (refused).

COST. Noise. One count at epsilon 1 is off by 1.4, each of ten questions together by three to fifteen (Laplace or
Gaussian, whichever is less); means and quantiles by that many rows' worth. Milliseconds for a million rows.
"""

from __future__ import annotations

from reticent.analytics.answers import Answer, Answers, check_confidence
from reticent.analytics.asking import (
    auroc,
    brier,
    calibration,
    contingency,
    count,
    deviation,
    histogram,
    mean,
    missing,
    persons,
    quantiles,
    shares,
    standardisation,
    top,
    total,
    variance,
)
from reticent.analytics.client import Client
from reticent.analytics.layout import Layout
from reticent.analytics.planning import Plan, answer, plan, release
from reticent.analytics.query import Query
from reticent.analytics.rows import Rows
from reticent.analytics.sections import about_category, about_number, queries, usual_questions
from reticent.analytics.server import Server
from reticent.analytics.settings import Charged, Statistics
from reticent.analytics.simulation import simulate

__all__ = [
    "Answer",
    "Answers",
    "Charged",
    "Client",
    "Layout",
    "Plan",
    "Query",
    "Rows",
    "Server",
    "Statistics",
    "about_category",
    "about_number",
    "answer",
    "auroc",
    "brier",
    "calibration",
    "check_confidence",
    "contingency",
    "count",
    "deviation",
    "histogram",
    "mean",
    "missing",
    "persons",
    "plan",
    "quantiles",
    "queries",
    "release",
    "shares",
    "simulate",
    "standardisation",
    "top",
    "total",
    "usual_questions",
    "variance",
]
