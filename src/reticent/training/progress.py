"""How far a private training has come, what it has spent, and which clip is next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from reticent.dp import Event
from reticent.errors import PolicyRefused
from reticent.training.adaptive_clip import AdaptiveClip

if TYPE_CHECKING:
    from reticent.training.mechanism import SampledMechanism

__all__ = ["Progress"]


class Progress:
    """The count of steps. A step that was begun counts, whether or not it came to its end.

    Attributes:
      mechanism: Whose steps.
      before: What trainings released whose state was loaded, as (first, stop) of their steps.
      first: The first step done here.
      done: Steps done, those of loaded trainings included.
    """

    def __init__(self, mechanism: SampledMechanism) -> None:
        self.mechanism = mechanism
        self.before: tuple[tuple[int, int], ...] = ()
        self.first = self.done = 0
        self._clip = mechanism.bound.initial if isinstance(mechanism.bound, AdaptiveClip) else None
        self._interrupted = False
        self._allowed: int | None = None

    @property
    def max_norm(self) -> float:
        """The clip of the next step; after the last one, of that."""
        bound = self.mechanism.bound
        if isinstance(bound, AdaptiveClip):
            return bound.initial if self._clip is None else self._clip
        return bound.at(min(self.done, self.mechanism.steps - 1))

    @property
    def begun(self) -> int:
        """Steps done, and the one that was interrupted."""
        return self.done + self._interrupted

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """What was spent, as (first, stop) of steps."""
        here = ((self.first, self.begun),) if self.begun > self.first else ()
        return (*self.before, *here)

    @property
    def spent(self) -> tuple[Event, ...]:
        """What was spent, as events."""
        return tuple(self.mechanism.event_of(*span) for span in self.spans)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Mark a step that has looked at its sample; should it fail from here on, no other may follow."""
        self._interrupted = True
        yield
        self._interrupted = False

    def step_done(self, max_norm: float | None) -> None:
        """Count one step, after which `max_norm` is the clip, if it adapts."""
        self.done += 1
        if max_norm is not None:
            self._clip = max_norm

    def refuse_interrupted(self) -> None:
        """Refuse a step after one that failed on its sample, or beyond what the last saved state allows for.

        Raises:
          PolicyRefused: With code `step-interrupted` or `state-outdated`.
        """
        if self._interrupted:
            raise PolicyRefused(
                "step-interrupted",
                f"step {self.done} was interrupted after it had looked at its sample",
                hint="make a new trainer from trainer.state() with a grant for the steps that are left; the "
                "interrupted step stays spent, or samples could be refused until one pleases",
            )
        if self._allowed is not None and self.done >= self._allowed:
            raise PolicyRefused(
                "state-outdated",
                f"the state saved last does not count step {self.done}, and a training resumed from it would forget it",
                hint="call trainer.state(ahead=k) every k steps: k further steps then count as spent in it",
            )

    def save(self, ahead: int) -> tuple[int, tuple[tuple[int, int], ...], float | None]:
        """Return (steps done, spans spent, adaptive clip) for a state after which `ahead` steps may follow here."""
        stop = min(self.mechanism.steps, self.begun + ahead)
        self._allowed = stop
        here = ((self.first, stop),) if stop > self.first else ()
        return self.begun, (*self.before, *here), self._clip

    def load(self, done: int, spans: tuple[tuple[int, int], ...], clip: float | None) -> None:
        """Go on after `done` steps, with `spans` spent already."""
        self.first = self.done = done
        self.before = spans
        self._clip = clip
