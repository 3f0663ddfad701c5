"""What a site keeps between the rounds of a technique with a state of its own: in its folder, by round, durably."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from pathlib import Path

from reticent.runs import durable

__all__ = ["Checkpoints"]


class Checkpoints(MutableMapping[int, bytes]):
    """A mapping from round to bytes, each in a file that is there when the assignment returns."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.state"

    def __getitem__(self, number: int) -> bytes:
        try:
            return self._path(number).read_bytes()
        except FileNotFoundError:
            raise KeyError(number) from None

    def __setitem__(self, number: int, state: bytes) -> None:
        durable.write(self._path(number), state)

    def __delitem__(self, number: int) -> None:
        try:
            self._path(number).unlink()
        except FileNotFoundError:
            raise KeyError(number) from None

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(int(path.stem) for path in self._folder.glob("*.state")))

    def __len__(self) -> int:
        return sum(1 for _ in self)
