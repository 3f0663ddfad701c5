"""A release: what leaves a site about its people, and the grant without which no noise can be drawn for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from reticent.dp.events import Event, Single, flatten
from reticent.dp.one_holder import OneHolder
from reticent.errors import PolicyRefused, UsageError

__all__ = ["Grant", "Relation", "Release", "Unit", "require_declared"]

Unit = Literal["record", "person", "site"]
"""Whose presence is hidden: one row, all rows of one person, or all rows of one site."""

Relation = Literal["add_or_remove_one", "replace_one"]
"""What neighbouring data sets are: one unit more or less, or one unit exchanged for another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Everything that one message, or one whole plan, discloses about a population.

    Attributes:
      events: The mechanisms that are run, on the same population.
      unit: Whose contribution the noise multipliers refer to.
      relation: The neighbouring relation of the claim.
      population: The people whose budget is charged; budgets belong to people, not to files.
      dataset: The version of the data of that population.
    """

    events: tuple[Event, ...]
    unit: Unit
    relation: Relation
    population: str
    dataset: str

    def __post_init__(self) -> None:
        if self.unit not in get_args(Unit):
            raise UsageError("invalid-unit", f"unit is {self.unit!r}", hint=f"use one of {', '.join(get_args(Unit))}")
        if self.relation not in get_args(Relation):
            raise UsageError(
                "invalid-relation",
                f"relation is {self.relation!r}",
                hint=f"use one of {', '.join(get_args(Relation))}",
            )

    def counts(self) -> Counter[Event]:
        """Return how often each single event occurs in the release."""
        return flatten(self.events)


class Grant(OneHolder):
    """Permission to draw noise for exactly the events that were paid for; each can be drawn once.

    There is one of it: it is not copied, pickled or carried into a forked process, and threads may share it. A ledger
    hands grants out when a charge is durable (`charge.commit()`). A notebook without a ledger uses
    `Grant.without_ledger`, which says in its name what is missing.
    """

    def __init__(self, key: str, events: Iterable[Event]) -> None:
        super().__init__()
        self.key = key
        self._left = flatten(events)

    @classmethod
    def without_ledger(cls, events: Iterable[Event]) -> Grant:
        """Return a grant that no ledger remembers: for notebooks and tests, never inside a run."""
        return cls("without-ledger", events)

    def draw(self, event: Single) -> None:
        """Use up one `event`.

        Raises:
          PolicyRefused: If this event was not paid for, or was drawn before, or this is a fork of the process that paid.
        """
        self.require_own_process()
        with self._lock:
            left = self._left[event]
            self._left[event] = max(0, left - 1)
        if left <= 0:
            raise PolicyRefused(
                "noise-not-granted",
                f"noise for {event} was not paid for, or was drawn before (grant {self.key})",
                hint="reserve and commit a charge for every draw; a repeated attempt is a new charge",
            )

    def remaining(self) -> Counter[Event]:
        """Return the events that may still be drawn."""
        with self._lock:
            return +self._left


def require_declared(grant: Grant | None, relation: Relation | None) -> Relation:
    """Return the relation in which an event is expressed; without a grant either gives the same noise.

    Raises:
      UsageError: If there is a grant and no relation.
    """
    if grant is not None and relation is None:
        raise UsageError(
            "relation-not-declared",
            "a grant was given, but not the relation of the release that it paid for",
            hint="give relation='add_or_remove_one' or 'replace_one', as in the release",
        )
    return relation or "add_or_remove_one"
