"""A site's memory of what it answered: written before a reply is sent, so that a repeated question costs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reticent.errors import IdentityError
from reticent.messages import decode, encode, record
from reticent.roles import Reply, Request
from reticent.runs import durable

__all__ = ["Journal"]


@record("runs.answered", version=1)
@dataclass(frozen=True)
class _Answered:
    request_hash: bytes
    message: bytes
    state: bytes


class Journal:
    """The replies of one site in one run, one file for each answered request."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, request: Request) -> Path:
        phase = request.phase.replace("/", ".")
        return self._folder / f"{request.round:06d}-{request.attempt:04d}-{phase}.reply"

    def find(self, request: Request, request_hash: bytes) -> Reply | None:
        """Return the reply that was given to this request, or None.

        Raises:
          IdentityError: If another request was answered under the same name: answering both would be two releases.
        """
        path = self._path(request)
        if not path.exists():
            return None
        data = path.read_bytes()
        known = decode(data, _Answered, limit=len(data))
        if known.request_hash != request_hash:
            raise IdentityError(
                "request-changed",
                f"round {request.round}, attempt {request.attempt}, {request.phase} was asked before in other words",
                hint="a coordinator must open a new attempt for a new question: do not answer before this is explained",
            )
        return Reply(known.message, known.state)

    def write(self, request: Request, request_hash: bytes, reply: Reply) -> None:
        """Remember `reply` durably, and forget replies of earlier rounds, which can no longer be asked for."""
        durable.write(self._path(request), encode(_Answered(request_hash, reply.message, reply.state)))
        for old in self._folder.glob("*.reply"):
            if int(old.name[:6]) < request.round:
                old.unlink(missing_ok=True)
