"""The coordinator's role in split learning: the part between or above the sites' parts, batch after batch.

Run by: the coordinator. Reveals to it: activations of every row (which can be inverted in part), gradients at the upper
cut (which tell labels apart), in vanilla the labels; never rows, bottoms or heads. What the sites hand on to each other
passes through it sealed. All state between two tasks is its part, its optimiser and the place in the schedule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from reticent.errors import InternalError, UsageError
from reticent.messages import decode, encode, record
from reticent.roles import Exchange, Finished, Metrics
from reticent.split.middle import Middle
from reticent.split.passes import Figures, Pass, Step, begin
from reticent.split.settings import SplitTraining

__all__ = ["Server"]


@record("split.state", version=1)
@dataclass(frozen=True)
class _State:
    """What survives between tasks."""

    done: int
    parts: bytes


class Server:
    """The coordinator, for any cut model.

    Args:
      part: The top (vanilla, or vertical with the coordinator's labels) or the middle (where sites hold heads).
      settings: The same at all parties.
      labels, test_labels: Vertical with `settings.labels = None` only: the coordinator's labels, in the common order.
      order: Vertical: `split.order_digest` of the ids of these labels, of the training and then of the held-out rows;
        compared with the sites' own.

    Attributes:
      part: The coordinator's part, trained in place.
      finished: The task that `feed` has just completed.

    Raises:
      UsageError: If labels are given where none belong, or missing.
    """

    def __init__(
        self,
        part: nn.Module,
        settings: SplitTraining,
        *,
        labels: Any = None,
        test_labels: Any = None,
        order: bytes = b"",
        run: str = "simulation",
    ) -> None:
        needs_labels = settings.shape == "vertical" and settings.labels is None
        if (labels is not None) != needs_labels or (test_labels is not None and not needs_labels):
            raise UsageError(
                "parts-do-not-fit",
                f"the coordinator was given {'labels' if labels is not None else 'no labels'} in the shape "
                f"{settings.shape} with labels = {settings.labels!r}",
                hint="pass labels to the server exactly where the settings are vertical with labels = None",
            )
        self.part = part
        self.finished: Finished | None = None
        self._settings = settings
        self._middle = Middle(part, settings, labels, test_labels, order)
        self._tasks = settings.tasks()
        self._run = run
        self._done = 0
        self._attempt = 1
        self._pass: Pass | None = None
        self._pending: Step | None = None

    @property
    def remaining(self) -> tuple[tuple[str, int], ...]:
        """The tasks still to do, as (task, epoch)."""
        return self._tasks[self._done :]

    def step(self) -> Exchange | None:
        """Return the next request to the sites, or None when the schedule is done."""
        if self._done == len(self._tasks):
            return None
        kind, epoch = self._tasks[self._done]
        if self._pass is None:
            self._pass = begin(kind, epoch, self._middle, self._settings)
            self._pending = next(self._pass)
        if self._pending is None:
            raise InternalError("protocol-order", "step was called twice", hint="feed the replies between two steps")
        pending = self._pending
        return Exchange(epoch, self._attempt, f"{kind}/{pending.name}", pending.requests, self._settings.deadline)

    def feed(self, replies: Mapping[str, bytes], absent: frozenset[str]) -> bool:
        """Take the answers of one step; returns True when a task has just been completed.

        Raises:
          QuorumLost: If a site is absent: nobody else has its rows in this place. `load` repeats the epoch.
          DataError: If the rows of a vertical study are not aligned.
        """
        if self._pass is None:
            raise InternalError("protocol-order", "feed was called before step", hint="step, then feed")
        try:
            self._pending = self._pass.send({site: reply for site, reply in replies.items() if site not in absent})
        except StopIteration as stop:
            self._complete(stop.value)
            return True
        return False

    def _complete(self, found: Figures | None) -> None:
        kind, epoch = self._tasks[self._done]
        metrics = None
        if found is not None:
            classes = self._settings.classes
            metrics = Metrics(found.confusion.reshape(classes, classes), found.loss, found.auc)
        self.finished = Finished(kind, epoch, self._attempt, self._settings.sites, metrics)
        self._done += 1
        self._pass = self._pending = None

    def dump(self) -> bytes:
        """Return the coordinator's part with its optimiser, and the place in the schedule."""
        return encode(_State(self._done, self._middle.pack()))

    def load(self, state: bytes, *, attempt: int) -> None:
        """Go back to `state`; the next task is a new attempt, and the sites go back to their checkpoints with it."""
        known = decode(state, _State, limit=len(state))
        self._middle.unpack(known.parts)
        self._done = known.done
        self._attempt = attempt
        self._pass = self._pending = None
