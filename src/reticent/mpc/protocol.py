"""What the two protocols have in common: gates among additive shares, with randomness from somebody outside them.

A gate runs between the members of a *group*, on additive shares, with correlated randomness from a *helper* who is not
in the group and never receives what the group opens. Under `additive` the group is all computing parties and the helper
the dealer; under `replicated` it is parties 0 and 1, and party 2 helps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np

from reticent.errors import InternalError
from reticent.mpc.group import Group
from reticent.mpc.link import Link
from reticent.mpc.material import DealerSource, PartySource
from reticent.mpc.operation import Operation
from reticent.mpc.recipes import RECIPES, encode_request
from reticent.mpc.rounds import Steps, Words, idle
from reticent.mpc.shared import Shared

__all__ = ["Protocol"]

T = TypeVar("T")


class Protocol(ABC):
    """One party's side of a protocol.

    Security: semi-honest. It holds against parties that follow the protocol and look at all they see; a party that
    deviates can falsify results. One party (replicated) or all but one (additive, if the dealer colludes with nobody)
    learn nothing but what is revealed to them.

    Attributes:
      parties: Number of computing parties.
      me: Own number.
      group: Who holds additive shares during a gate.
      helper: Number of the participant that deals.
      parts: How many shares a party holds of an array.
    """

    parts: ClassVar[int]

    def __init__(self, link: Link, *, parties: int, members: tuple[int, ...], helper: int) -> None:
        self.link = link
        self.parties = parties
        self.me = link.me
        self.group = Group(self.me, members)
        self.helper = helper
        self._dealt: set[tuple[int, ...]] = set()

    @property
    def helping(self) -> bool:
        """Whether this party is the helper and stays out of the group's rounds."""
        return self.me == self.helper

    def gate(
        self,
        operation: Operation,
        recipe: str,
        arguments: dict[str, Any],
        online: Callable[[Any], Steps[T]],
        *,
        rounds: int,
    ) -> Steps[T | None]:
        """Run a gate on fresh material, `online(material)`; None at the helper, who deals and stays out of it."""
        number = self.fresh(operation)
        if self.helping:
            self._deal(number, recipe, arguments)
            yield from idle(rounds)
            return None
        self.ask(encode_request(number, operation.name, recipe, arguments))
        source = PartySource(self.group, self.link.keys.stream(self.helper, "deal", number), sender=self.helper)
        return (yield from self.follow(source, online(RECIPES[recipe](source, **arguments))))

    def fresh(self, operation: Operation) -> tuple[int, int]:
        """Return the number of a new piece of material.

        Raises:
          InternalError: If it was given out before.
        """
        number = operation.next()
        if number in self._dealt:
            raise InternalError(
                "material-reused",
                f"material {number} was asked for twice",
                hint="one piece of material serves one gate",
            )
        self._dealt.add(number)
        return number

    def corrections(self) -> memoryview:
        """Return what the helper sent for the oldest gate that has not had its corrections; nothing but for the last."""
        return self.link.receive_bytes(self.helper) if self.group.last else memoryview(b"")

    def follow(self, source: PartySource, steps: Steps[T]) -> Steps[T]:
        """Run a gate, with its corrections there from the start."""
        source.finish(self.corrections())
        return (yield from steps)

    def _deal(self, number: tuple[int, int], recipe: str, arguments: dict[str, Any]) -> None:
        streams = [self.link.keys.stream(member, "deal", number) for member in self.group.members]
        source = DealerSource(self.group, streams)
        RECIPES[recipe](source, **arguments)
        self.link.send(self.group.members[-1], source.corrections)

    @abstractmethod
    def ask(self, request: bytes) -> None:
        """Tell the helper what to deal, if it does not know from the program."""

    @abstractmethod
    def input(self, operation: Operation, owner: int, words: Words | None, shape: tuple[int, ...]) -> Steps[Shared]:
        """Share the array that `owner` has; `words` is None at the others."""

    @abstractmethod
    def add_public(self, shared: Shared, words: Words) -> Shared:
        """Return `shared` plus an array that everybody knows."""

    @abstractmethod
    def product(self, operation: Operation, kind: str, x: Shared, y: Shared) -> Steps[Shared]:
        """Return the product, with the fraction bits of both."""

    @abstractmethod
    def group_product(self, operation: Operation, kind: str, x: Shared, y: Shared) -> Steps[Words]:
        """Return the product as the group's share (empty at a helper), ready to be truncated."""

    @abstractmethod
    def to_group(self, shared: Shared) -> Words:
        """Return this party's additive share among the group; empty at a helper."""

    @abstractmethod
    def from_group(
        self, operation: Operation, arrays: Sequence[Words] | None, shapes: Sequence[tuple[int, ...]]
    ) -> Steps[list[Shared]]:
        """Return the arrays that the group shares (None at a helper) as shares of all parties."""

    @abstractmethod
    def open(self, operation: Operation, shared: Shared, to: int | None) -> Steps[Words | None]:
        """Reveal the array to all parties (`to` None) or to one; None at the others."""

    def public(self, words: Words) -> Shared:
        """Return an array that everybody knows as if it were shared."""
        zero = Shared(tuple(np.zeros(words.shape, dtype=np.uint64) for _ in range(self.parts)), 0)
        return self.add_public(zero, words)
