"""Progress of a run: a bar in a terminal, plain lines elsewhere. Shows only what the plan releases anyway."""

from __future__ import annotations

import sys
import time
from collections import Counter
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from reticent.cli.output import say
from reticent.dp import Composed, Repeated, epsilon, flatten
from reticent.runs import Event
from reticent.study import Plan

__all__ = ["Progress"]


class Progress(AbstractContextManager["Progress"]):
    """An observer of a run's events; use as a context manager."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._paid: dict[str, Counter[Any]] = {}
        self._remote: dict[str, Counter[Any]] = {}
        self._started = time.monotonic()
        self._first: int | None = None
        self._every = max(1, plan.training.rounds // 20)
        self._last: float | None = None
        self._bar: Any = None
        self._task: Any = None
        if sys.stderr.isatty():
            self._open_bar()

    def _open_bar(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            TextColumn("round {task.completed}/{task.total}"),
            BarColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task("waiting for the sites", total=self._plan.training.rounds)
        self._bar.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, event: Event) -> None:
        """Take one event."""
        match event.name, event.when:
            case "started", _:
                self._say(f"run folder: {event.detail['folder']}")
            case "reserve", "after":
                self._paid[event.site] = Counter(event.detail["committed"])
            case "commit", "after":
                self._paid[event.site].update(event.detail["paid"])
            case "round", "after":
                self._count_remote(event)
                if event.detail["task"] == "train":
                    self._round(event)
            case "statistics", "after":
                self._say(f"{len(event.detail['answers'])} statistics over {len(event.detail['contributors'])} sites")
            case "metrics", "after":
                self._metrics(event)
            case "warning", _:
                self._say(f"{event.site}: {event.detail['text']} (said here only)")
            case "repeat", _:
                self._say(f"the round is repeated as a new attempt: {event.detail['reason']}")
            case "baselines", "before":
                self._say("computing baselines on the public data, over several seeds")

    def _say(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            say(text)

    def _count_remote(self, event: Event) -> None:
        """Sites in processes of their own tell nothing: count what the plan says that each contributor released."""
        for site in event.detail["contributors"]:
            paid = self._remote.setdefault(site, Counter())
            disclosed = self._plan.discloses(event.detail["task"], site)
            paid.update(flatten([disclosed] if disclosed else []))

    def _round(self, event: Event) -> None:
        total = self._plan.training.rounds
        contributors, absent = event.detail["contributors"], event.detail["absent"]
        sites = f"{len(contributors)} sites" + (f", absent: {', '.join(sorted(absent))}" if absent else "")
        if event.round % self._every == 0 or event.round == total:
            self._last = self._spent()
        spent = self._last
        words = sites if spent is None else f"{sites}, epsilon spent so far at most {spent:.2f}"
        if self._bar is not None:
            self._bar.update(self._task, completed=event.round, description=words)
            return
        self._first = event.round if self._first is None else self._first
        done = event.round - self._first + 1
        left = (time.monotonic() - self._started) / done * (total - event.round)
        if event.round % self._every == 0 or event.round == total:
            say(f"round {event.round}/{total}: {words}, about {left:.0f} s left")

    def _metrics(self, event: Event) -> None:
        figures = [
            f"{name} {event.detail[name]:.3f}" for name in ("accuracy", "loss") if event.detail[name] is not None
        ]
        deviation = event.detail["accuracy_deviation"]
        noised = f" (noised, paid for; the noise has a standard deviation of {deviation:.3f})" if deviation else ""
        self._say(f"round {event.round}/{self._plan.training.rounds}: {', '.join(figures)}{noised}")

    def _spent(self) -> float | None:
        """Return an upper bound on what the most exposed site has spent; computed at most twenty times in a run."""
        privacy = self._plan.privacy
        if privacy is None:
            return None
        worst = 0.0
        for paid in (self._paid or self._remote).values():
            events = tuple(Repeated(event, count) for event, count in paid.items())
            composed = Repeated(Composed(events), privacy.sites_per_person)
            worst = max(worst, epsilon(composed, delta=privacy.delta, relation=privacy.relation))
        return min(worst, self._plan.guarantee.epsilon) if self._plan.guarantee else worst
