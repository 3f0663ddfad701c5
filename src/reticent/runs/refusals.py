"""Refusals: what a site may say about them, what it keeps to itself, and how those of several sites become one error.

Whether a site refuses is decided before a run, and why may depend on its records ("3 of 60 cells of `age` are no
numbers"). Only what follows from policy, schema and identity is sent; the rest stays in the site's own folder, where
whoever owns the site, or the whole laptop, can read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reticent.errors import DataError, IdentityError, PolicyRefused, QuorumLost, ReticentError, UsageError
from reticent.roles import Request
from reticent.runs import durable

__all__ = ["keep", "kept", "kind_of", "together", "words_to_send"]

_FILE = "refusals.jsonl"
_KINDS: Mapping[int, type[ReticentError]] = {
    2: UsageError,
    3: PolicyRefused,
    4: IdentityError,
    5: QuorumLost,
    6: DataError,
}
_GRAVEST_FIRST = (4, 6, 2, 3, 5)


def kind_of(exit_status: int) -> type[ReticentError]:
    """Return the class of errors that ends with this status."""
    return _KINDS.get(exit_status, QuorumLost)


def words_to_send(error: ReticentError, *, site: str, before_the_run: bool) -> ReticentError:
    """Return the error as the coordinator may learn it."""
    if isinstance(error, PolicyRefused | IdentityError):
        return error
    where = f"the reason stays at the site, in {_FILE} of its own folder"
    if before_the_run:
        return kind_of(error.exit_status)(error.code, f"site {site} cannot take part ({error.code})", hint=where)
    return QuorumLost("site-failed", f"site {site} could not answer", hint=where)


def keep(folder: Path, request: Request, error: ReticentError) -> None:
    """Write a refusal down in the site's own folder."""
    words = {"code": error.code, "message": error.message, "hint": error.hint, "exit_status": error.exit_status}
    place = {"round": request.round, "attempt": request.attempt, "phase": request.phase}
    durable.append_line(folder / _FILE, {**place, **words})


def kept(folder: Path, *, skip: int = 0) -> list[dict[str, Any]]:
    """Return the refusals in a site's own folder, without the first `skip`."""
    return durable.read_lines(folder / _FILE)[skip:]


def together(refusals: Mapping[str, ReticentError]) -> ReticentError:
    """Return one error for all sites that refused: the kind and code of the gravest, everyone's words and fixes."""
    by_gravity = sorted(refusals, key=lambda site: (_GRAVEST_FIRST.index(refusals[site].exit_status), site))
    gravest = refusals[by_gravity[0]]
    messages = [f"{site}: {refusals[site].message}" for site in by_gravity]
    hints = [f"{site}: {refusals[site].hint}" if len(refusals) > 1 else refusals[site].hint for site in by_gravity]
    return type(gravest)(gravest.code, "\n".join(messages), hint="\n       ".join(hints))
