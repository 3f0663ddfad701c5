"""new, plan, run, resume."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import typer

from reticent.cli.output import Format, emit, say
from reticent.cli.progress import Progress
from reticent.cli.results import facts_of, summary, write_reports
from reticent.errors import ReticentError, UsageError
from reticent.runs import Event

if TYPE_CHECKING:
    from reticent.api import BoundPlan

__all__ = ["new", "plan", "resume", "run"]


def new(folder: Path, sites: list[str]) -> None:
    """Write a study to start from into a new folder."""
    from reticent.study import new_study

    if folder.exists() and any(folder.iterdir()):
        raise UsageError("folder-not-empty", f"{folder} is not empty", hint="name a new folder; nothing was written")
    if len(sites) < 3:
        raise UsageError(
            "too-few-site-names",
            f"--sites names {len(sites)}",
            hint="name at least three sites, separated by commas: a masked sum of two tells each the other's part",
        )
    path = folder / "study.toml"
    text = new_study(folder.name, sites=sites)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    say(f"wrote {path}\nnext: put each site's table where it says, then  reticent plan {path}")


def overrides_of(settings: list[str]) -> dict[str, str]:
    """Read `--set section.key=value` options."""
    found = {}
    for setting in settings:
        key, sign, value = setting.partition("=")
        if not sign or not key.strip():
            raise UsageError("bad-override", f"--set {setting}", hint="write --set section.key=value")
        found[key.strip()] = value.strip()
    return found


def plan(study: Path, settings: list[str], chosen: Format) -> None:
    """Print the plan of a study."""
    from reticent.api import plan as make_plan
    from reticent.study import in_words

    bound = make_plan(study, overrides=overrides_of(settings))
    left = _left(bound) if bound.plan.guarantee is not None else {}
    facts = {"hash": bound.plan.hash, "left_epsilon": left, **bound.plan.model_dump(mode="json")}
    emit(chosen, text=in_words(bound.plan, left=left), data=facts)


def _left(bound: BoundPlan) -> dict[str, float]:
    """Return what each site's population has left, as far as the ledgers on this machine know; looking makes no file."""
    from reticent.ledger import Ledger
    from reticent.runs import ledger_url

    found = {}
    for site in bound.plan.sites:
        try:
            book = Ledger(ledger_url(bound.study, site.name, bound.base))
            found[site.name] = book.balance(site.population).left_epsilon
        except ReticentError as error:
            if error.code == "unknown-population":
                found[site.name] = 0.0
    return found


def run(study: Path, settings: list[str], chosen: Format, baseline_seeds: int) -> None:
    """Run a study and write its report."""
    from reticent.api import plan as make_plan
    from reticent.api import run as run_plan

    bound = make_plan(study, overrides=overrides_of(settings))
    if bound.plan.guarantee is not None:
        say(bound.plan.guarantee.sentence())
    engine = "processes" if bound.study.run.separate_processes else "local"
    with _first_interrupt_ends_the_round() as stop, Progress(bound.plan) as progress:
        result = run_plan(
            bound, engine=engine, observer=lambda event: stop(event, progress), baseline_seeds=baseline_seeds
        )
    facts = write_reports(result.folder)
    emit(
        chosen,
        text=summary(facts, result.folder),
        data={"run": str(result.folder), "facts": facts.model_dump(mode="json")},
    )


def resume(folder: Path, chosen: Format) -> None:
    """Go on with a stopped run and write its report; a finished run is left as it is, and only shown."""
    from reticent.api import resume as resume_run
    from reticent.runs import RunFolder

    opened = RunFolder.open(folder)
    if opened.is_finished:
        say(f"{folder} is finished already; nothing was changed")
        facts = facts_of(folder)
    else:
        with _first_interrupt_ends_the_round() as stop, Progress(opened.plan) as progress:
            result = resume_run(folder, observer=lambda event: stop(event, progress))
        facts = write_reports(result.folder)
    emit(chosen, text=summary(facts, folder), data={"run": str(folder), "facts": facts.model_dump(mode="json")})


class _Stop:
    """Remembers the first Ctrl-C and acts on it when a checkpoint has been written."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self, event: Event, progress: Progress) -> None:
        progress(event)
        if self.asked and (event.name, event.when) == ("checkpoint", "after"):
            raise KeyboardInterrupt


@contextmanager
def _first_interrupt_ends_the_round() -> Iterator[_Stop]:
    """Let the first Ctrl-C end the round cleanly; the second stops at once. Neither takes a charge back."""
    stop = _Stop()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True
        say("stopping after this round; press Ctrl-C again to stop at once")

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield stop
    except KeyboardInterrupt:
        say("stopped; what the ledger committed stays spent, and `reticent resume` goes on from the last checkpoint")
        raise typer.Exit(130) from None
    finally:
        signal.signal(signal.SIGINT, before)
