"""The number of an operation: what keeps every use of randomness apart from every other."""

from __future__ import annotations

__all__ = ["Operation"]


class Operation:
    """The number of an operation, and of each use of randomness in it; the same at every participant."""

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name
        self._uses = 0

    def next(self) -> tuple[int, int]:
        """Return a number that no other use of randomness in this session has."""
        self._uses += 1
        return (self.number, self._uses)
