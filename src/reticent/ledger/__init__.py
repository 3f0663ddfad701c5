"""Persistent privacy budgets: who allowed what, which plan holds it, and what was spent.

    grant    a person allows (epsilon, delta) for a population, once or several times
    reserve  a plan holds its whole (epsilon, delta), for all planned and spare executions; may be voided while unused
    commit   one bit of the plan may draw its noise; the first commit spends the whole plan, later ones cost nothing

The charge is durable before the noise exists, so a crash can only overstate what was released. An adaptive plan that
stops early gets nothing back: its epsilon was computed for the fixed sequence and has no parts.

Threat model: processes that crash at any instant, that race, a disk that fills up, and mistakes (typing errors,
deleted files, other programs' files). Not covered: whoever may write the file can change it, or put an older copy
back.
"""

from reticent.ledger.book import Ledger
from reticent.ledger.charge import Charge
from reticent.ledger.entries import Balance, Entry

__all__ = ["Balance", "Charge", "Entry", "Ledger"]
