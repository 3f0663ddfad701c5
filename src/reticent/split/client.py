"""The site's role in split learning: its bottom on its own rows, and its head where labels must not leave.

Run by: the site. Requires: authenticated requests in the order of the protocol, and with a boundary a grant for each
pass over the rows. Reveals to the coordinator: activations of every row in every epoch, from which features can be
partly inverted; in the shape vanilla the labels; with a head, gradients, from which labels can be inferred. None of it
is a guarantee: that comes only from a boundary (`reticent.split.boundary_port`). A coordinator that lies can steer a
bottom by its gradients until it inverts it (Pasquini et al., CCS 2021): split learning does not hide rows from it.
"""

from __future__ import annotations

import json
import re
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from reticent.data import Examples
from reticent.dp import Grant, Release
from reticent.errors import IdentityError, PolicyRefused
from reticent.identity import Roster, SigningKey
from reticent.messages import decode, encode
from reticent.randomness import secret
from reticent.roles import Reply, Request
from reticent.split.boundary_port import Boundary
from reticent.split.defended import Defences
from reticent.split.hand_over import Courier, place_of
from reticent.split.holding import Holding
from reticent.split.rows import order_digest
from reticent.split.settings import SplitTraining
from reticent.split.sides import to_array, to_tensor
from reticent.split.state import Checkpoint
from reticent.split.wire import (
    EVALUATE,
    TRAIN,
    Activations,
    BatchRequest,
    CloseRequest,
    Counts,
    Handed,
    HeadGradient,
    HeadRequest,
    HeldParts,
    Nothing,
    Open,
    Opened,
)

__all__ = ["Client"]

_MESSAGE_LIMIT = 1 << 32
_PHASE = re.compile(
    r"(?P<task>train|evaluate)/((?P<step>open|take|close|keep)|(?P<numbered>batch|head)-(?P<number>\d{1,12}))", re.ASCII
)


@dataclass
class _Task:
    """One pass under way: which, over which batches, and how far."""

    kind: str
    epoch: int
    attempt: int
    batches: list[NDArray[np.int64]]
    courier: Courier | None = None
    taken: bool = True
    sent: int = 0
    headed: int = 0
    closed: bool = False


class Client:
    """One site, for any cut model.

    Args:
      parts: The bottom; or `(bottom, head)` where the labels stay at this site.
      train: Training rows, which never leave. Their labels are read only in vanilla and beside a head.
      settings: The same at all parties.
      test: Held-out rows; None for none.
      site: This site's name among `settings.sites`.
      ids, test_ids: Vertical: the ids of the rows, in order; the sites' digests of them are compared.
      key, roster: Identity and pinned keys of all sites; needed to hand parts on.
      checkpoints: Where the state after each epoch is kept, by epoch; a mapping onto a disk makes it durable.
      activations: Defence of the features. The bottom is frozen, or learns by the boundary's updates alone.
      outputs: Defence of the labels; needs a head.
      covers: What the defences are to cover: `record`, the features and labels of a row, with a boundary for whatever
        of both this site holds; or `labels` alone, with features in the clear.
      metrics_noise_multiplier: Noise in the counts of an evaluation; with a defence, exact ones are never sent.

    Raises:
      UsageError: If the parts do not fit the shape.
      PolicyRefused: If a defence could not keep its promise.
      DataError: If labels are no classes, or a row of a vertical study is incomplete.
    """

    def __init__(
        self,
        parts: nn.Module | tuple[nn.Module, nn.Module],
        train: Examples,
        settings: SplitTraining,
        *,
        site: str = "site",
        test: Examples | None = None,
        ids: Sequence[str] | None = None,
        test_ids: Sequence[str] | None = None,
        key: SigningKey | None = None,
        roster: Roster | None = None,
        checkpoints: MutableMapping[int, bytes] | None = None,
        activations: Boundary | None = None,
        outputs: Boundary | None = None,
        covers: Literal["record", "labels"] = "record",
        metrics_noise_multiplier: float | None = None,
    ) -> None:
        self._settings = settings
        self._site = site
        defended = activations is not None or outputs is not None
        self._holding = Holding(parts, train, test, settings, site=site, defended=defended)
        self._defences = Defences(activations, outputs, metrics_noise_multiplier, settings, covers=covers, site=site)
        self._defences.check(self._holding, train.features.shape[1:])
        self._order = _digest_of(ids) + _digest_of(test_ids)
        self._key = key
        self._roster = roster
        self._checkpoints = {} if checkpoints is None else checkpoints
        self._order_secret = secret(32)
        self._done: int | None = None
        self._task: _Task | None = None

    def cost(self, request: Request) -> Release | None:
        """Return what a whole pass reveals when it opens, and nothing for the steps within it."""
        task, step, _ = _parse(request)
        return self._defences.cost(task) if step == "open" else None

    def handle(self, request: Request, grant: Grant | None) -> Reply:
        """Answer one step of a task.

        Raises:
          IdentityError: If a step comes out of order, twice, or does not fit; a row or label is never asked for twice.
          PolicyRefused: If an attempt cannot go on after a restart, or a defence has not been paid for.
        """
        task, step, number = _parse(request)
        if step == "open":
            return Reply(self._open(task, request, grant))
        current = self._current(task, request)
        match step:
            case "take":
                return Reply(self._take(current, request.body))
            case "batch":
                return Reply(self._batch(current, number, request.body))
            case "head":
                return Reply(self._head(current, number, request.body))
            case "close":
                return self._close(current, request.body)
            case "keep":
                return Reply(self._keep(current, request.body))
        raise _unknown_step(request)

    def _open(self, kind: str, request: Request, grant: Grant | None) -> bytes:
        if decode(request.body, Open, limit=_MESSAGE_LIMIT).settings != self._settings.digest():
            raise IdentityError(
                "split-settings-differ",
                f"the coordinator trains under other settings than site {self._site}",
                hint="give every party the same SplitTraining",
            )
        self._return_to(request.round - 1 if kind == TRAIN else request.round)
        self._defences.open(kind, grant)
        courier = None
        if kind == TRAIN and self._settings.hands_to(self._site, request.round):
            place = place_of(request.run, request.round, request.attempt)
            courier = Courier(self._site, place, self._key, self._roster)
        batches = self._holding.batches(kind, request.round, self._order_secret)
        self._task = _Task(kind, request.round, request.attempt, batches, courier)
        self._task.taken = courier is None or self._site == self._settings.sites[0]
        rows = len(self._holding.rows(kind))
        public, signature = (courier.public, courier.signature) if courier else (b"", b"")
        return encode(Opened(rows, self._order, public, signature))

    def _return_to(self, epoch: int) -> None:
        """Be where epoch `epoch` ended, from memory or from its checkpoint."""
        unspoiled = self._task is None or self._task.kind == EVALUATE
        if self._done == epoch and unspoiled:
            return
        if epoch in self._checkpoints:
            kept = decode(self._checkpoints[epoch], Checkpoint, limit=_MESSAGE_LIMIT)
            self._holding.unpack(kept.parts, generator=True)
            self._order_secret = kept.order_secret
        elif epoch == 0 and self._done is None:
            if self._settings.start == "redrawn":
                self._holding.redraw()
            self._save(0)
        else:
            raise PolicyRefused(
                "no-checkpoint",
                f"site {self._site} is to go on from epoch {epoch}, and holds no checkpoint of it",
                hint="resume with the folder that the site used before, or begin a new run",
            )
        self._done, self._task = epoch, None

    def _current(self, kind: str, request: Request) -> _Task:
        task = self._task
        if task is None or (task.kind, task.epoch, task.attempt) != (kind, request.round, request.attempt):
            raise PolicyRefused(
                "split-attempt-lost",
                f"site {self._site} is not in {kind} {request.round}, attempt {request.attempt}",
                hint="an epoch that was interrupted is repeated from its beginning, as a new attempt",
            )
        return task

    def _take(self, task: _Task, body: bytes) -> bytes:
        if task.taken or task.sent:
            raise _out_of_order("take", self._site)
        place = self._settings.sites.index(self._site)
        self._receive(task, decode(body, HeldParts, limit=_MESSAGE_LIMIT), expected=self._settings.sites[place - 1])
        task.taken = True
        return encode(Nothing())

    def _receive(self, task: _Task, held: HeldParts, *, expected: str) -> None:
        if task.courier is None or held.sender != expected:
            raise _out_of_order("hand-over", self._site)
        self._holding.unpack(task.courier.open(held.sealed, held.sender), generator=False)

    def _batch(self, task: _Task, number: int, body: bytes) -> bytes:
        if number != task.sent or number >= len(task.batches) or not task.taken or task.closed:
            raise _out_of_order(f"batch-{number}", self._site)
        self._learn(task, decode(body, BatchRequest, limit=_MESSAGE_LIMIT).gradient)
        rows = task.batches[number]
        values, labels = self._holding.forward(task.kind, rows)
        task.sent += 1
        values = self._defences.activations(values.detach(), rows, self._holding.rows(task.kind).units[rows])
        shown = to_array(labels) if self._settings.shape == "vanilla" else None
        return encode(Activations(to_array(values), shown))

    def _learn(self, task: _Task, gradient: NDArray[np.generic] | None) -> None:
        """Take the gradient of the batch before: there must be one exactly where a batch waits for it."""
        bottom = self._holding.bottom
        if (gradient is None) != (bottom.waiting is None) or (bottom.waiting is not None and not self._headed(task)):
            raise _out_of_order("gradient", self._site)
        if gradient is None:
            return
        returned = to_tensor(gradient, bottom.module)
        if not self._defences.trains:
            bottom.backward(returned)
            return
        rows = task.batches[task.sent - 1]
        features, _ = self._holding.rows(TRAIN).take(rows)

        def update(mean: Tensor) -> None:
            self._defences.update(bottom, features, mean * len(rows), rows)

        bottom.learn_by(returned, update)

    def _headed(self, task: _Task) -> bool:
        return self._holding.labels is None or task.headed == task.sent

    def _head(self, task: _Task, number: int, body: bytes) -> bytes:
        labels = self._holding.labels
        if labels is None or number != task.headed or number != task.sent - 1:
            raise _out_of_order(f"head-{number}", self._site)
        rows = task.batches[number]
        known = self._holding.rows(task.kind)
        values = to_tensor(decode(body, HeadRequest, limit=_MESSAGE_LIMIT).values, labels.side.module)
        if len(values) != len(rows):
            raise _out_of_order(f"head-{number}", self._site)
        _, truth = known.take(rows)
        task.headed += 1
        if task.kind == EVALUATE:
            labels.count(values, truth)
            return encode(Nothing())

        def protect(gradient: Tensor) -> Tensor:
            return self._defences.outputs(gradient, rows, known.units[rows])

        defended = protect if self._defences.outputs_defended else None
        return encode(HeadGradient(to_array(labels.learn(values, truth, defended))))

    def _close(self, task: _Task, body: bytes) -> Reply:
        wanted = decode(body, CloseRequest, limit=_MESSAGE_LIMIT)
        if task.sent != len(task.batches) or not self._headed(task) or task.closed or not task.taken:
            raise _out_of_order("close", self._site)
        task.closed = True
        if task.kind == EVALUATE:
            return self._counts()
        self._learn(task, wanted.gradient)
        sealed = {}
        for recipient in self._settings.hands_to(self._site, task.epoch):
            if task.courier is None or recipient not in wanted.keys or recipient not in wanted.signatures:
                raise _out_of_order("close", self._site)
            public, signature = wanted.keys[recipient], wanted.signatures[recipient]
            parts = self._holding.pack(generator=False)
            sealed[recipient] = task.courier.seal(parts, recipient, public, signature)
        return Reply(encode(Handed(sealed)))

    def _counts(self) -> Reply:
        """Answer with the counts where the labels are; the exact ones stay here as notes."""
        labels = self._holding.labels
        if labels is None:
            return Reply(encode(Counts(np.zeros(0), None, None, None)))
        counts, exact = self._defences.counts(labels.counted, self._holding.rows(EVALUATE).units)
        return Reply(encode(counts), json.dumps(exact, sort_keys=True).encode())

    def _keep(self, task: _Task, body: bytes) -> bytes:
        held = decode(body, HeldParts, limit=_MESSAGE_LIMIT)
        if task.kind != TRAIN or not task.closed:
            raise _out_of_order("keep", self._site)
        last = self._settings.sites[-1]
        if self._site != last and self._site in self._settings.hands_to(last, task.epoch):
            self._receive(task, held, expected=last)
        self._save(task.epoch)
        for old in [epoch for epoch in self._checkpoints if epoch < task.epoch - 1]:
            del self._checkpoints[old]
        self._done, self._task = task.epoch, None
        return encode(Nothing())

    def _save(self, epoch: int) -> None:
        self._checkpoints[epoch] = encode(Checkpoint(self._holding.pack(generator=True), self._order_secret))


def _digest_of(ids: Sequence[str] | None) -> bytes:
    return b"" if ids is None else order_digest(ids)


def _parse(request: Request) -> tuple[str, str, int]:
    """Return task, step and number of a phase such as "train/batch-17"."""
    found = _PHASE.fullmatch(request.phase)
    if found is None:
        raise _unknown_step(request)
    task, step, number = found["task"], found["step"] or found["numbered"], found["number"]
    return task, step, int(number or 0)


def _unknown_step(request: Request) -> IdentityError:
    return IdentityError(
        "unknown-split-step", f"phase is {request.phase[:64]!r}", hint="run the same version at every party"
    )


def _out_of_order(what: str, site: str) -> IdentityError:
    return IdentityError(
        "split-out-of-order",
        f"{what} reached site {site} where the protocol has another step",
        hint="repeat the epoch as a new attempt; a coordinator that asks twice for a row learns more than was agreed",
    )
