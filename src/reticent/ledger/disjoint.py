"""Several populations at once: budgets add up, unless somebody vouched that nobody is in two of them.

If nobody is in two of k populations, each person meets one of the k budgets, and what is promised to all is the largest
(parallel composition; McSherry, SIGMOD 2009). Whether that is so no ledger can know: it takes the word of a named
person, records it, and adds up everything that nobody vouched for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reticent.dp import Relation, Unit
from reticent.errors import UsageError
from reticent.ledger.entries import Balance, Entry

__all__ = ["Total", "total_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """What somebody who may be in any of several populations was promised, and has met so far.

    Attributes:
      unit: Whose presence is hidden.
      relation: The neighbouring relation.
      granted_epsilon: What all grants together allow.
      granted_delta: Likewise.
      held_epsilon: What was spent or is reserved.
      held_delta: Likewise.
      groups: The populations; those in one group are disjoint, and of each group the largest budget counts.
      assumptions: Positions of the entries whose word that takes; empty where everything was added up.
    """

    unit: Unit
    relation: Relation
    granted_epsilon: float
    granted_delta: float
    held_epsilon: float
    held_delta: float
    groups: tuple[tuple[str, ...], ...]
    assumptions: tuple[int, ...]


def total_of(balances: Iterable[Balance], declarations: Iterable[Entry]) -> Total:
    """Return the total of some populations.

    Any division into groups of pairwise disjoint populations gives an upper bound; populations are put, the largest
    first, into the first group that they fit into.

    Args:
      balances: Of all populations in question.
      declarations: All entries of kind disjoint.

    Raises:
      UsageError: If there is no population, or they count different units or relations.
    """
    found = sorted(balances, key=lambda balance: (-balance.granted_epsilon, balance.population))
    claims = sorted({(balance.unit, balance.relation) for balance in found})
    if len(claims) != 1:
        words = " and ".join(" ".join(claim) for claim in claims) or "none"
        raise UsageError(
            "no-common-unit",
            f"the populations have no unit and relation in common: {words}",
            hint="add up populations whose budgets count the same unit under the same relation",
        )
    words_given = [(entry.seq, frozenset(entry.members)) for entry in declarations]
    groups: list[list[Balance]] = []
    used: set[int] = set()
    for balance in found:
        for group in groups:
            vouched = [_vouched(balance.population, other.population, words_given) for other in group]
            if None not in vouched:
                used.update(seq for seq in vouched if seq is not None)
                group.append(balance)
                break
        else:
            groups.append([balance])
    return Total(
        unit=found[0].unit,
        relation=found[0].relation,
        granted_epsilon=sum(max(b.granted_epsilon for b in group) for group in groups),
        granted_delta=sum(max(b.granted_delta for b in group) for group in groups),
        held_epsilon=sum(max(b.spent_epsilon + b.reserved_epsilon for b in group) for group in groups),
        held_delta=sum(max(b.spent_delta + b.reserved_delta for b in group) for group in groups),
        groups=tuple(tuple(b.population for b in group) for group in groups),
        assumptions=tuple(sorted(used)),
    )


def _vouched(one: str, other: str, words_given: list[tuple[int, frozenset[str]]]) -> int | None:
    return next((seq for seq, names in words_given if one in names and other in names), None)
