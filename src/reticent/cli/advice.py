"""advise: which technique, or which together, and what they cost on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reticent.cli.output import Format, emit, say
from reticent.errors import UsageError

if TYPE_CHECKING:
    from reticent.advise import Needs, Question

__all__ = ["advise"]


def advise(
    needs: Annotated[
        Path | None, typer.Argument(help="TOML file with a table [needs]; asked at the terminal if not given.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Give or replace a need: key=value. May be given again.", metavar="KEY=VALUE"),
    ] = None,
    measure: Annotated[bool, typer.Option(help="Run each technique once, small, on this machine.")] = True,
    data: Annotated[
        Path | None, typer.Option(help="A table of your own to measure on, instead of Breast Cancer Wisconsin.")
    ] = None,
    label: Annotated[str, typer.Option(help="Name of the label column of --data.")] = "label",
    format_: Annotated[Format, typer.Option("--format", help="text, or json on standard output.")] = Format.text,
) -> None:
    """Say which technique fits, what each party will see, what it does not protect, and what it costs here."""
    from reticent import advise as room

    found = _needs(needs, set_ or [], format_)
    advice = room.advise(found)
    measured = None
    if measure:
        trial = room.example_trial() if data is None else room.table_trial(data, label)
        measured = room.measure(trial, say=lambda run: say(f"measuring: {run}"))
    emit(format_, text=room.in_words(advice, measured), data=room.as_data(advice, measured))


def _needs(path: Path | None, settings: list[str], chosen: Format) -> Needs:
    """Read the needs from file and settings; without either ask, if somebody is there to answer."""
    from reticent.advise import load_needs
    from reticent.cli.studies import overrides_of

    if path is not None or settings:
        return load_needs(path, overrides_of(settings))
    if chosen is Format.json or not sys.stdin.isatty():
        raise UsageError(
            "needs-missing",
            "no needs are given, and nobody is at the terminal to be asked",
            hint="give a file with a table [needs], or --set data=rows --set parties=3 and so on; see docs/choose.md",
        )
    return _asked()


def _asked() -> Needs:
    from reticent.advise import QUESTIONS, load_needs

    say("A few questions; press Enter for the answer in brackets.\n")
    return load_needs(None, {question.key: _ask(question) for question in QUESTIONS})


def _ask(question: Question) -> str:
    """Ask until the answer is one that the question takes."""
    for answer, words in question.answers.items():
        say(f"  {answer:26} {words}")
    while True:
        text: Any = typer.prompt(question.text, default=question.default, err=True)
        parts = [part.strip() for part in str(text).split(",") if part.strip()]
        if not question.answers or (parts and all(part in question.answers for part in parts)):
            say("")
            return ", ".join(parts)
        say(f"please answer with {', '.join(question.answers)}")
