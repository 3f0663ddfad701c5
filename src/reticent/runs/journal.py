"""A site's memory of what it answered: kept before a reply is sent, so that a repeated question costs nothing.

Replies that release something, to the step `update`, are durable before they leave. The steps of the masks release
nothing and cannot be answered by another process, since keys are never written down: their replies live in memory.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path

from reticent.errors import IdentityError
from reticent.messages import decode, encode, record
from reticent.roles import Reply, Request
from reticent.runs import durable

__all__ = ["Journal"]

_KEPT = 8
"""Replies in memory that are kept whole: split learning answers once for each batch, with megabytes."""


@record("runs.answered", version=1)
@dataclass(frozen=True)
class _Answered:
    request_hash: bytes
    message: bytes
    state: bytes


class Journal:
    """The replies of one site in one run: the present round's, and of every update a file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._in_memory: dict[Path, _Answered] = {}
        self._whole: deque[Path] = deque()

    def _path(self, request: Request) -> Path:
        phase = request.phase.replace("/", ".")
        return self._folder / f"{request.round:06d}-{request.attempt:04d}-{phase}.reply"

    def find(self, request: Request, request_hash: bytes) -> Reply | None:
        """Return the reply that was given to this request, or None.

        Raises:
          IdentityError: If another request was answered under the same name: answering both would be two releases.
        """
        path = self._path(request)
        known = self._in_memory.get(path)
        if known is None and path.exists():
            data = path.read_bytes()
            known = decode(data, _Answered, limit=len(data))
        if known is None:
            return None
        if known.request_hash != request_hash:
            raise IdentityError(
                "request-changed",
                f"round {request.round}, attempt {request.attempt}, {request.phase} was asked before in other words",
                hint="a coordinator must open a new attempt for a new question: do not answer before this is explained",
            )
        if path in self._in_memory and path not in self._whole:
            raise IdentityError(
                "reply-forgotten",
                f"round {request.round}, attempt {request.attempt}, {request.phase} was answered {_KEPT} replies ago",
                hint="ask again at once when an answer was lost; to repeat the round, open a new attempt",
            )
        return Reply(known.message, known.state)

    def write(self, request: Request, request_hash: bytes, reply: Reply) -> None:
        """Remember `reply`, durably if it releases something, and forget earlier rounds, which are not asked for again."""
        path, answered = self._path(request), _Answered(request_hash, reply.message, reply.state)
        if not request.phase.endswith("/update"):
            self._remember(path, answered)
            return
        durable.write(path, encode(answered))
        for old in self._folder.glob("*.reply"):
            if int(old.name[:6]) < request.round:
                old.unlink(missing_ok=True)
        self._in_memory = {
            place: kept for place, kept in self._in_memory.items() if int(place.name[:6]) >= request.round
        }

    def _remember(self, path: Path, answered: _Answered) -> None:
        """Keep the last replies whole, and of older ones of the round their hash: no question is answered twice anew."""
        number = int(path.name[:6])
        if any(int(place.name[:6]) < number for place in self._in_memory):
            self._in_memory = {place: kept for place, kept in self._in_memory.items() if int(place.name[:6]) >= number}
        self._in_memory[path] = answered
        self._whole.append(path)
        if len(self._whole) > _KEPT:
            old = self._whole.popleft()
            if old in self._in_memory:
                self._in_memory[old] = _Answered(self._in_memory[old].request_hash, b"", b"")
