"""The host of a site: it pays before it answers, remembers before it sends, and signs what it says.

Run by: the site. The order is the whole point: authenticate, look into the journal, ask the client what answering
would cost, let the ledger commit it, let the client answer, journal the answer, send it. A crash between any two of
these can waste budget and can never release more than the ledger shows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from reticent.dp import Grant, Release
from reticent.errors import IdentityError, PolicyRefused, ReticentError
from reticent.identity import Address, Roster, SigningKey, seal, unseal
from reticent.ledger import Charge, Ledger
from reticent.messages import decode, encode, record
from reticent.roles import Client, Reply, Request
from reticent.runs import durable, refusals
from reticent.runs.events import Event, Observer
from reticent.runs.journal import Journal

__all__ = ["COORDINATOR", "READY", "WITHDRAW", "Answer", "Ready", "SiteHost"]

COORDINATOR = "coordinator"
READY = "ready"
WITHDRAW = "withdraw"
MESSAGE_LIMIT = 1 << 32
_ROUNDING = 1e-6  # plans and ledgers round an epsilon up, at different decimals


@record("runs.answer", version=1)
@dataclass(frozen=True)
class Answer:
    """What a host sends back: the client's message, or a refusal with its code."""

    accepted: bool
    body: bytes = b""
    code: str = ""
    message: str = ""
    hint: str = ""
    exit_status: int = 0


@record("runs.ready", version=1)
@dataclass(frozen=True)
class Ready:
    """Coordinator to site before the first task: how many tasks of each kind are still to do."""

    plan_hash: str
    train: int
    evaluate: int
    statistics: int = 0


class SiteHost:
    """Everything around a site's client that must not be left to the client.

    Args:
      open_client: Checks the site's data against the contract and makes the client; called once, before the first task.
      tasks: The tasks of the plan, as (task, round). Nothing else is ever answered.
      total: What the whole plan may release here, spare executions included; None where no epsilon is claimed.
      paying_step: The step of a task that costs what the whole task releases.
      promised: Epsilon of the plan's promise about this site's people; None where none is made about them.
      head_file: Where the ledger's head after the last charge is kept, for whoever verifies the run: it shows a ledger
        that was put back to an older state.
    """

    def __init__(
        self,
        *,
        name: str,
        run: str,
        plan_hash: str,
        purpose: str,
        open_client: Callable[[], Client],
        tasks: frozenset[tuple[str, int]],
        total: Release | None,
        delta: float,
        ledger_url: str,
        key: SigningKey,
        roster: Roster,
        folder: Path,
        observer: Observer,
        paying_step: str = "update",
        promised: float | None = None,
        head_file: Path | None = None,
    ) -> None:
        self.name = name
        self._head_file = head_file
        self._promised = promised
        self._paying_step = paying_step
        self._run = run
        self._plan_hash = plan_hash
        self._purpose = purpose
        self._open_client = open_client
        self._tasks = tasks
        self._total = total
        self._delta = delta
        self._ledger_url = ledger_url
        self._key = key
        self._roster = roster
        self._folder = folder
        self._journal = Journal(folder / "journal")
        self._observer = observer
        self._client: Client | None = None
        self._charge: Charge | None = None

    def answer(self, envelope: bytes) -> bytes:
        """Answer one signed request with one signed envelope; a refusal is an answer, too."""
        address, body = unseal(envelope, self._roster, recipient=self.name, limit=MESSAGE_LIMIT)
        if address.sender != COORDINATOR or address.run != self._run:
            raise IdentityError(
                "wrong-sender",
                f"a request of run {address.run} came from {address.sender}",
                hint=f"only the coordinator of run {self._run} may ask",
            )
        request = Request(address.run, address.round, address.attempt, address.phase, body)
        try:
            answer = Answer(accepted=True, body=self._answer(request))
        except ReticentError as error:
            answer = self._refuse(request, error)
        reply = Address(self._run, request.round, request.attempt, request.phase, self.name, COORDINATOR)
        self._tell("send", "before", request)
        sealed = seal(encode(answer), reply, self._key)
        self._tell("send", "after", request)
        return sealed

    def _answer(self, request: Request) -> bytes:
        if request.phase == READY:
            return self._ready(decode(request.body, Ready, limit=MESSAGE_LIMIT))
        if request.phase == WITHDRAW:
            return self._withdraw()
        self._require_planned(request)
        client = self._prepared()
        request_hash = hashlib.sha256(request.body).digest()
        known = self._journal.find(request, request_hash)
        if known is not None:
            return known.message
        release = client.cost(request)
        grant = None if release is None else self._pay(request, release)
        self._tell("train", "before", request)
        reply = client.handle(request, grant)
        self._tell("train", "after", request)
        self._tell("journal", "before", request)
        self._journal.write(request, request_hash, reply)
        self._keep(request, reply)
        self._tell("journal", "after", request)
        return reply.message

    def _require_planned(self, request: Request) -> None:
        """Refuse what the plan does not contain: without an epsilon no ledger would stop the coordinator."""
        if (request.phase.partition("/")[0], request.round) not in self._tasks or request.attempt < 1:
            raise PolicyRefused(
                "not-in-plan",
                f"the coordinator asked for {request.phase!r} in round {request.round}, attempt {request.attempt}, "
                "which the plan does not contain",
                hint="every round and every release of figures stands in the plan: run the one that this site approved",
            )

    def _pay(self, request: Request, release: Release) -> Grant:
        """Let the ledger commit what answering costs. A key that was committed before is refused by the ledger."""
        if self._charge is None or self._total is None:
            raise PolicyRefused(
                "nothing-reserved",
                f"site {self.name} is asked for a release, and its plan claims no privacy",
                hint="run the plan that this site approved",
            )
        self._tell("commit", "before", request)
        key = f"{self._run}/{self.name}/{request.phase}/{request.round}/{request.attempt}"
        grant = self._charge.commit(key=key, events=release.events)
        self._keep_head(self._charge)
        self._tell("commit", "after", request, paid=release.counts())
        return grant

    def _ready(self, wanted: Ready) -> bytes:
        if wanted.plan_hash != self._plan_hash:
            raise IdentityError(
                "plan-differs",
                f"the coordinator runs plan {wanted.plan_hash[:12]}, this site holds {self._plan_hash[:12]}",
                hint="make the plan again from the same study file and the same version at every party",
            )
        self._prepared()
        if self._charge is not None and self._total is not None:
            self._check_executions(self._charge, self._total, wanted)
        return b""

    def _withdraw(self) -> bytes:
        """Give the reservation back: another site refused before the run began. The ledger refuses if any was spent."""
        if self._charge is not None:
            self._charge.void("another site refused before the run began")
            self._charge = self._client = None
        return b""

    def _check_executions(self, charge: Charge, total: Release, wanted: Ready) -> None:
        """Refuse to go on if the plan cannot be finished with the executions that are still paid for."""
        left = total.counts()
        left.subtract(charge.committed())
        client = self._prepared()
        executions = (("statistics", wanted.statistics), ("train", wanted.train), ("evaluate", wanted.evaluate))
        for task, times in executions:
            phase = f"{task}/{self._paying_step}"
            if not times:
                continue
            release = client.cost(Request(self._run, 0, 0, phase, b""))
            for event, count in (release.counts() if release else {}).items():
                if left[event] < count * times:
                    raise PolicyRefused(
                        "no-spare-execution",
                        f"site {self.name} has paid for {left[event] // count} more executions of {phase}, "
                        f"and {times} are to do: the plan has no spare execution left",
                        hint="the model of the last checkpoint can be used as it is; for more rounds make a new plan "
                        "with privacy.spare_executions = 1 or more, and grant its budget",
                    )

    def _prepared(self) -> Client:
        """Open the data and reserve the plan's budget, once; both can be repeated after a restart."""
        if self._client is None:
            client = self._open_client()
            if self._promised is not None and self._total is None:
                raise self._broken_promise("no noise at all")
            if self._total is not None:
                event = Event("reserve", "before", site=self.name)
                self._observer(event)
                self._charge = self._reserve(self._total)
                self._keep_head(self._charge)
                self._observer(
                    Event("reserve", "after", site=self.name, detail={"committed": self._charge.committed()})
                )
            self._client = client
        return self._client

    def _broken_promise(self, found: str) -> PolicyRefused:
        return PolicyRefused(
            "promise-without-noise",
            f"the plan promises epsilon {self._promised:g}, and has {found} for site {self.name}",
            hint="a plan that was derived from a study keeps its promise: derive it again, and change nothing by hand",
        )

    def _reserve(self, total: Release) -> Charge:
        """Reserve what the plan may release; whoever wrote the plan may have promised more than its events give."""
        charge = self._reserved(total)
        if self._promised is not None and charge.epsilon > self._promised + _ROUNDING and not charge.committed():
            charge.void("the plan promises less than its events cost")
            raise self._broken_promise(f"events that cost {charge.epsilon:.6f}")
        return charge

    def _reserved(self, total: Release) -> Charge:
        try:
            return Ledger(self._ledger_url).reserve(
                total,
                delta=self._delta,
                purpose=self._purpose,
                plan_hash=self._plan_hash,
                key=f"{self._run}/{self.name}",
            )
        except PolicyRefused as error:
            if error.code != "reservation-void":
                raise
            raise PolicyRefused(
                "reservation-void",
                f"run {self._run} was refused before it began, and site {self.name} gave its budget back",
                hint="begin a new run with `reticent run`",
            ) from error

    def _refuse(self, request: Request, error: ReticentError) -> Answer:
        """Keep the whole reason here; send what `refusals` allows."""
        refusals.keep(self._folder, request, error)
        said = refusals.words_to_send(error, site=self.name, before_the_run=request.phase == READY)
        return Answer(
            accepted=False, code=said.code, message=said.message, hint=said.hint, exit_status=said.exit_status
        )

    def _keep_head(self, charge: Charge) -> None:
        if self._head_file is not None and charge.head is not None:
            durable.write(self._head_file, json.dumps(charge.head.to_plain()).encode())

    def _keep(self, request: Request, reply: Reply) -> None:
        """Keep the client's notes, exact figures among them, in the site's own folder."""
        if reply.state and reply.state != b"{}":
            notes = json.loads(reply.state)
            durable.append_line(self._folder / "exact.jsonl", {"round": request.round, "phase": request.phase, **notes})

    def _tell(self, name: str, when: Literal["before", "after"], request: Request, **detail: object) -> None:
        step = request.phase.partition("/")[2]
        if name in ("train", "journal", "send") and step != self._paying_step:
            return
        place: dict[str, Any] = {"round": request.round, "attempt": request.attempt, "phase": request.phase}
        self._observer(Event(name, when, site=self.name, detail=detail, **place))
