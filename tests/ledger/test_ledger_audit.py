"""Rows that add up, and still cannot have happened: each has one defect that only one check of the audit can see."""

from __future__ import annotations

from typing import Any

import pytest

from reticent import dp
from reticent.errors import EnvironmentFault
from reticent.ledger.amounts import NOTHING, Amount
from reticent.ledger.audit import audit
from reticent.ledger.entries import Entry, Standing

STEP = dp.Gaussian(2.0)
PLAN = Amount(10, 10)
GRANT = ("grant", "w", Amount(100, 100), {})
RESERVE = ("reserve", "w", PLAN, {"key": "a", "events": (dp.Repeated(STEP, 3),)})
FIRST = ("commit", "w", PLAN, {"key": "a", "events": (STEP,)})
LATER = ("commit", "w", NOTHING, {"key": "a", "events": (STEP,)})
VOID = ("void", "w", PLAN, {"key": "a"})


def rows(*actions: tuple[Any, ...]) -> list[tuple[Entry, Standing]]:
    """Return entries with the totals that follow from them."""
    standings: dict[str, Standing] = {}
    written = []
    for seq, (kind, population, amount, fields) in enumerate(actions, start=1):
        claim: dict[str, Any] = {"population": population, "unit": "record", "relation": "replace_one"}
        claim |= {"filter": fields.get("filter", "sum")}
        before = standings.get(population, Standing(**claim, favoured=120 if claim["filter"] == "renyi" else 0))
        standings[population] = before.after(kind, amount, fields.get("curve", ()))
        entry = Entry(**{"seq": seq, "kind": kind, "time": "", "amount": amount, **claim, **fields})
        written.append((entry, standings[population].written_with(amount)))
    return written


def test_what_can_have_happened() -> None:
    assert audit([]) == 0
    assert audit(rows(GRANT, RESERVE, FIRST, LATER, LATER)) == 5
    assert audit(rows(GRANT, RESERVE, VOID)) == 3


RENYI = {"filter": "renyi"}
CURVE = (10**7,) * len(dp.RENYI_ORDERS)
LARGE = (5 * 10**11,) * len(dp.RENYI_ORDERS)
RENYI_GRANT = ("grant", "w", Amount(10**9, 10**12), RENYI)
RENYI_RESERVE = ("reserve", "w", PLAN, {**RESERVE[3], **RENYI, "curve": CURVE})
VOUCH = ("disjoint", "", NOTHING, {"members": ("v", "w")})


def test_what_can_have_happened_under_the_renyi_filter() -> None:
    first = ("commit", "w", PLAN, {**FIRST[3], **RENYI, "curve": CURVE})
    later = ("commit", "w", NOTHING, {**FIRST[3], **RENYI})
    assert audit(rows(RENYI_GRANT, RENYI_RESERVE, first, later, later)) == 5
    assert audit(rows(RENYI_GRANT, RENYI_RESERVE, ("void", "w", PLAN, {"key": "a", **RENYI, "curve": CURVE}))) == 3


IMPOSSIBLE = {
    "is missing": [row for row in rows(GRANT, RESERVE, FIRST, LATER, LATER) if row[0].seq != 4],
    "reserves under a key used before": rows(GRANT, RESERVE, RESERVE),
    "follows a void": rows(GRANT, RESERVE, (*RESERVE[:3], {**RESERVE[3], "key": "b"}), VOID, FIRST),
    "gives back what was spent": rows(GRANT, RESERVE, (*RESERVE[:3], {**RESERVE[3], "key": "b"}), FIRST, VOID),
    "commits more than was reserved": rows(GRANT, RESERVE, FIRST, LATER, LATER, LATER),
    "has a wrong amount": rows(GRANT, RESERVE, LATER),
    "belongs to no reservation": rows(
        GRANT,
        RESERVE,
        ("grant", "v", Amount(100, 100), {}),
        ("reserve", "v", PLAN, {"key": "b", "events": (STEP,)}),
        ("commit", "v", PLAN, {"key": "a", "events": (STEP,)}),
    ),
    "adds up by another filter": rows(GRANT, RENYI_RESERVE),
    "has another curve than its reservation": rows(
        RENYI_GRANT, RENYI_RESERVE, ("void", "w", PLAN, {"key": "a", **RENYI, "curve": tuple(x - 1 for x in CURVE)})
    ),
    "has a curve where none belongs": rows(GRANT, (*RESERVE[:3], {**RESERVE[3], "curve": CURVE})),
    "or none where one does": rows(RENYI_GRANT, (*RESERVE[:3], {**RESERVE[3], **RENYI})),
    "does not add up\n": rows(RENYI_GRANT, (*RENYI_RESERVE[:3], {**RENYI_RESERVE[3], "curve": LARGE})),
    "is about populations that have no such grants": rows(GRANT, VOUCH),
    "names other populations than its kind does": rows(GRANT, ("disjoint", "", NOTHING, {})),
    "does not add up": rows(GRANT, ("reserve", "w", Amount(101, 10), RESERVE[3])),
}


@pytest.mark.parametrize("problem", IMPOSSIBLE)
def test_what_cannot_have_happened(problem: str) -> None:
    with pytest.raises(EnvironmentFault, match=problem):
        audit(IMPOSSIBLE[problem])
