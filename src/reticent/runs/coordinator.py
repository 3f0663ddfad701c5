"""The coordinator's loop: ask the server for a step, let the engine carry it, feed the answers, write a checkpoint.

Run by: the coordinator. Nothing here depends on where the sites live. A task that loses its quorum is repeated as a
new attempt while the plan has spare executions; after a crash the same happens through `resume`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from reticent.errors import IdentityError, PolicyRefused, QuorumLost, ReticentError
from reticent.identity import Address, SigningKey, seal, unseal
from reticent.messages import decode, encode
from reticent.roles import Engine, Exchange, Finished, Server
from reticent.runs import refusals
from reticent.runs.events import Event, Observer
from reticent.runs.folder import RunFolder
from reticent.runs.site import COORDINATOR, MESSAGE_LIMIT, READY, WITHDRAW, Answer, Ready
from reticent.runs.statistics import answers_of

__all__ = ["coordinate"]

_MOST_WORDS = 4000


@dataclass
class _Traffic:
    """What one task moved, and who was absent from it."""

    started: float = field(default_factory=time.monotonic)
    up: dict[str, int] = field(default_factory=dict)
    down: dict[str, int] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    refusals: dict[str, ReticentError] = field(default_factory=dict)

    def add(self, counts: dict[str, int], site: str, size: int) -> None:
        counts[site] = counts.get(site, 0) + size


def coordinate(
    folder: RunFolder,
    server: Server,
    engine: Engine,
    *,
    observer: Observer,
    checkpoint: Callable[[Finished], None],
) -> None:
    """Drive `server` to the end of its schedule, from the last state on disk.

    Raises:
      PolicyRefused: If a site refused before the run, or the run cannot go on within the budgets.
      QuorumLost: If too few sites are left and no repetition is allowed any more.
    """
    plan = folder.plan
    retries = plan.privacy.spare_executions if plan.privacy else 2
    first_state = server.dump()
    attempt = folder.next_attempt()
    server.load(folder.state() or first_state, attempt=attempt)
    loop = _Loop(folder, engine, folder.key(COORDINATOR))
    loop.ready(server, first=folder.never_began)
    folder.log(Event("ready", "after", attempt=attempt))
    while server.remaining:
        traffic = _Traffic()
        try:
            loop.task(server, traffic, observer)
        except (QuorumLost, IdentityError) as lost:
            # Shares that do not fit together spoil a sum like an absence does, and name nobody: both may be repeated.
            if policy := next((e for e in traffic.refusals.values() if isinstance(e, PolicyRefused)), None):
                raise policy from lost
            if not retries:
                raise
            retries -= 1
            observer(Event("repeat", detail={"reason": lost.message, "absent": dict(traffic.absent)}))
            server.load(folder.state() or first_state, attempt=folder.next_attempt())
            continue
        _finish_task(folder, server, traffic, observer, checkpoint)


def _finish_task(
    folder: RunFolder,
    server: Server,
    traffic: _Traffic,
    observer: Observer,
    checkpoint: Callable[[Finished], None],
) -> None:
    done, plan = server.finished, folder.plan
    assert done is not None  # noqa: S101  (the loop above has just completed a task)
    place: dict[str, Any] = {"round": done.round, "attempt": done.attempt}
    observer(Event("checkpoint", "before", **place))
    checkpoint(done)
    detail = {
        "task": done.task,
        "contributors": list(done.contributors),
        "absent": traffic.absent,
        "seconds": round(time.monotonic() - traffic.started, 4),
        "bytes_up": traffic.up,
        "bytes_down": traffic.down,
    }
    folder.log(Event("round", "after", **place, detail=detail))
    if done.metrics is not None:
        figures = {
            "confusion": done.metrics.confusion.tolist(),
            "loss": done.metrics.loss,
            "accuracy": done.metrics.accuracy,
            "accuracy_deviation": done.metrics.accuracy_deviation(
                (plan.metrics.noise_multiplier or 0.0) * len(done.contributors) ** 0.5
            ),
            "contributors": list(done.contributors),
            **({} if done.metrics.auc is None else {"auc": done.metrics.auc}),
        }
        folder.log(Event("metrics", "after", **place, detail=figures))
        observer(Event("metrics", "after", **place, detail=figures))
    if done.statistics is not None:
        found = {
            "answers": answers_of(plan, done.statistics, sites=len(done.contributors)),
            "contributors": list(done.contributors),
        }
        folder.log(Event("statistics", "after", **place, detail=found))
        observer(Event("statistics", "after", **place, detail=found))
    # The state goes last: a crash before it repeats the task, a crash after it does not.
    folder.save_state(server.dump())
    observer(Event("checkpoint", "after", **place))
    observer(Event("round", "after", **place, detail=detail))


class _Loop:
    """Signing, sending and opening, for one coordinator."""

    def __init__(self, folder: RunFolder, engine: Engine, key: SigningKey) -> None:
        self._folder = folder
        self._run = folder.run
        self._roster = folder.roster
        self._plan = folder.plan
        self._engine = engine
        self._key = key

    def ready(self, server: Server, *, first: bool) -> None:
        """Let every site check its data and reserve its budget; the first refusal ends the run before it begins.

        If nothing was ever asked in this run (`first`), the other sites then take their reservations back: a run that
        never began costs nobody anything. A resumed run keeps them, to be resumed again.
        """
        kinds = [kind for kind, _ in server.remaining]
        wanted = Ready(
            self._plan.hash,
            train=kinds.count("train"),
            evaluate=kinds.count("evaluate"),
            statistics=kinds.count("statistics"),
        )
        sites = [site.name for site in self._plan.sites]
        exchange = Exchange(0, 0, READY, dict.fromkeys(sites, encode(wanted)), self._plan.round_deadline)
        traffic = _Traffic()
        accepted = self._exchange(exchange, traffic)
        if traffic.refusals:
            if first:
                self._withdraw(accepted, everybody=not set(traffic.absent) - set(traffic.refusals))
            raise refusals.together(traffic.refusals)
        if len(traffic.absent) > len(sites) - self._plan.aggregation.threshold:
            raise QuorumLost(
                "too-few-sites",
                f"no answer from {', '.join(sorted(traffic.absent))}",
                hint="look into the sites' own logs, start them, then resume",
            )

    def _withdraw(self, accepted: Iterable[str], *, everybody: bool) -> None:
        """Let those who were ready give their reservations back, and note it if nobody can be left holding one."""
        exchange = Exchange(0, 0, WITHDRAW, dict.fromkeys(accepted, b""), self._plan.round_deadline)
        traffic = _Traffic()
        self._exchange(exchange, traffic)
        if everybody and not traffic.absent:
            self._folder.log(Event("withdrawn", "after"))

    def task(self, server: Server, traffic: _Traffic, observer: Observer) -> None:
        """Exchange step after step until one task is complete."""
        while (exchange := server.step()) is not None:
            replies = self._exchange(exchange, traffic)
            absent = frozenset(exchange.requests) - frozenset(replies)
            place: dict[str, Any] = {"round": exchange.round, "attempt": exchange.attempt, "phase": exchange.phase}
            last = exchange.phase.endswith(("/unmask", "/update"))
            if last:
                observer(Event("sum", "before", **place))
            completed = server.feed(replies, absent)
            if last:
                observer(Event("sum", "after", **place))
            if completed:
                return

    def _exchange(self, exchange: Exchange, traffic: _Traffic) -> dict[str, bytes]:
        envelopes = {}
        for site, body in exchange.requests.items():
            address = Address(self._run, exchange.round, exchange.attempt, exchange.phase, COORDINATOR, site)
            envelopes[site] = seal(body, address, self._key)
            traffic.add(traffic.down, site, len(envelopes[site]))
        arrived = self._engine.exchange(envelopes, deadline=exchange.deadline)
        replies = {}
        for site in envelopes:
            if site not in arrived:
                traffic.absent[site] = f"no answer to {exchange.phase} within {exchange.deadline:g} s"
                continue
            traffic.add(traffic.up, site, len(arrived[site]))
            answer = self._open(site, arrived[site], exchange, traffic)
            if answer is not None:
                replies[site] = answer
        return replies

    def _open(self, site: str, envelope: bytes, exchange: Exchange, traffic: _Traffic) -> bytes | None:
        """Return the reply of `site`; a refusal, or an answer to something else, makes the site absent."""
        try:
            address, body = unseal(envelope, self._roster, recipient=COORDINATOR, limit=MESSAGE_LIMIT)
            expected = (self._run, exchange.round, exchange.attempt, exchange.phase, site)
            if (address.run, address.round, address.attempt, address.phase, address.sender) != expected:
                raise IdentityError(
                    "wrong-sender", f"an answer of {site} is to another request", hint="restart that site"
                )
            answer = decode(body, Answer, limit=MESSAGE_LIMIT)
        except IdentityError as error:
            traffic.absent[site] = error.message
            return None
        if answer.accepted:
            return answer.body
        kind = refusals.kind_of(answer.exit_status)
        code = answer.code if re.fullmatch(r"[a-z0-9-]{1,64}", answer.code) else "site-failed"
        traffic.refusals[site] = kind(code, _shown(answer.message), hint=_shown(answer.hint))
        traffic.absent[site] = f"refused: {code}"
        return None


def _shown(text: str) -> str:
    """Return a site's words without what a terminal would obey: escape codes could rewrite what the operator reads."""
    return "".join(sign for sign in text[:_MOST_WORDS] if sign.isprintable() or sign == "\n")
