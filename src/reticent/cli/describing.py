"""describe: the table that a data scientist looks at first, privately, and paid for before anything is drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from reticent.cli.output import Format, emit, say
from reticent.errors import UsageError

if TYPE_CHECKING:
    from reticent import analytics, dp

__all__ = ["describe"]


@dataclass(frozen=True)
class _Table:
    """What is described, and whose budget pays."""

    name: str
    queries: tuple[analytics.Query, ...]
    rows: analytics.Rows
    population: str
    dataset: str
    ledger: str


def describe(
    table: Annotated[
        Path | None, typer.Argument(help="CSV or Parquet; with --study, the site's own data if not given.")
    ] = None,
    epsilon: Annotated[float | None, typer.Option(help="What this description may cost.")] = None,
    delta: Annotated[float | None, typer.Option(help="Its delta.")] = None,
    population: Annotated[str | None, typer.Option(help="Whose budget pays.")] = None,
    unit: Annotated[str | None, typer.Option(help="record or person.")] = None,
    relation: Annotated[str | None, typer.Option(help="add_or_remove_one or replace_one.")] = None,
    bounds: Annotated[
        list[str] | None,
        typer.Option(help="A number and its declared range. May be given again.", metavar="COLUMN=LOW:HIGH"),
    ] = None,
    categories: Annotated[
        list[str] | None,
        typer.Option(help="A category and its declared values. May be given again.", metavar="COLUMN=A,B"),
    ] = None,
    person: Annotated[str | None, typer.Option(help="Column that says whose row it is (unit person).")] = None,
    rows_per_person: Annotated[int | None, typer.Option(help="How many rows of one person count.")] = None,
    study: Annotated[Path | None, typer.Option(help="Study whose contract declares the columns.")] = None,
    site: Annotated[str | None, typer.Option(help="With --study: the site whose data these are.")] = None,
    ledger: Annotated[str | None, typer.Option(help="Where the ledger is.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Version of the data.")] = None,
    confidence: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    plan: Annotated[bool, typer.Option("--plan", help="Say how exact it would be; nothing is drawn or spent.")] = False,
    format_: Annotated[Format, typer.Option("--format", help="text, or json on standard output.")] = Format.text,
) -> None:
    """Describe a table: rows, means, quartiles, shares, each with an interval; charged to a privacy budget."""
    from reticent import analytics

    analytics.check_confidence(confidence)
    declared = _study(study, site) if study is not None else None
    if declared is not None and declared[0].data.person == "row":
        rows_per_person = 1  # the contract says that nobody has two
    if declared is not None and declared[0].privacy.claimed:
        unit, relation = unit or declared[0].privacy.unit, relation or declared[0].privacy.relation
    needed: dict[str, object] = {"--epsilon": epsilon, "--delta": delta, "--unit": unit, "--relation": relation}
    if declared is None and not plan:
        needed |= {"--population": population, "TABLE": table}
    if absent := [name for name, value in needed.items() if value is None]:
        raise UsageError(
            "describe-undeclared",
            f"{', '.join(absent)} not given: nothing about privacy has a default",
            hint="for example: reticent describe patients.csv --bounds age=0:120 --categories sex=f,m --epsilon 0.5 "
            "--delta 1e-6 --unit record --relation add_or_remove_one --population ward-7",
        )
    asked = (
        analytics.usual_questions(declared[0].data.contract())
        if declared is not None
        else _questions(bounds or [], categories or [])
    )
    made = analytics.plan(
        asked,
        epsilon=cast("float", epsilon),
        delta=cast("float", delta),
        unit=cast("dp.Unit", unit),
        relation=cast("dp.Relation", relation),
        # What the options say is passed on, also where it fits no unit, and refused there.
        rows_per_person=rows_per_person if unit == "person" or declared is None else None,
    )
    if plan:
        emit(format_, text=_forecast(made, cast("float", delta)), data=_forecast_data(made, cast("float", delta)))
        return
    found = _located(declared, asked, table, person, population, dataset, ledger)
    _answer(found, made, cast("float", delta), confidence, format_)


def _answer(found: _Table, made: analytics.Plan, delta: float, confidence: float, chosen: Format) -> None:
    """Reserve, commit, draw, print: in this order, so that a refusal comes before any noise exists."""
    from reticent.ledger import Ledger
    from reticent.randomness import secret

    made.layout.total(found.rows)  # finds absent columns before the budget is touched
    book = Ledger(found.ledger)
    charge = book.reserve(
        made.release(population=found.population, dataset=found.dataset),
        delta=delta,
        purpose=f"describe {found.name}",
        plan_hash=made.layout.hash,
        key=f"describe {secret(16).hex()}",
    )
    grant = charge.commit("describe", (made.event,))
    answers = made.answer(found.rows, grant=grant, confidence=confidence)
    left = book.balance(found.population)
    paid = {
        "population": found.population,
        "epsilon": charge.epsilon,
        "delta": charge.delta,
        "epsilon_left": left.left_epsilon,
        "delta_left": left.left_delta,
        "unit": made.layout.unit,
        "relation": made.layout.relation,
    }
    if chosen is Format.text:
        say(
            f"spent epsilon {charge.epsilon:.4g} (delta {charge.delta:g}) of population {found.population!r}, unit "
            f"{made.layout.unit}; left {left.left_epsilon:.4g}. Keep this table: asking again is paid for again.\n"
            f"Brackets hold with probability {confidence:g} over the noise, one by one; they are about these rows, with "
            "values moved into the declared ranges.\n"
        )
    data = {"table": found.name, "paid": paid, "confidence": confidence, "statistics": answers.to_plain()}
    emit(chosen, text=_text(answers), data=data)


def _study(path: Path, site: str | None) -> tuple[Any, str, Path]:
    from reticent.study import load_study

    study = load_study(path)
    names = sorted(study.sites)
    if site not in names:
        raise UsageError(
            "describe-site",
            f"--site is {site}, the sites of the study are {', '.join(names)}",
            hint=f"say whose data these are: --site {names[0]}",
        )
    return study, site, path.parent


def _located(
    declared: tuple[Any, str, Path] | None,
    asked: tuple[analytics.Query, ...],
    table: Path | None,
    person: str | None,
    population: str | None,
    dataset: str | None,
    ledger: str | None,
) -> _Table:
    """Open the table: under the study's contract and the site's own mapping, or as the options say."""
    from reticent import analytics
    from reticent.data import load_table

    if declared is None:
        assert table is not None  # noqa: S101 - asked for above
        assert population is not None  # noqa: S101
        rows = analytics.Rows.of(load_table(table), person=person)
        return _Table(table.name, asked, rows, population, dataset or "1", ledger or "sqlite:///budget.db")
    from reticent.runs import sources_of

    study, site, base = declared
    source = sources_of(study, base, {} if table is None else {site: table})[site]
    rows = analytics.Rows.under(study.data.contract(), source.data, source.mapping)
    part = study.sites[site]
    return _Table(
        f"{study.study.name}/{site}",
        asked,
        rows,
        population or part.population or site,
        dataset or part.dataset,
        ledger or source.ledger_url,
    )


def _questions(bounds: list[str], categories: list[str]) -> tuple[analytics.Query, ...]:
    from reticent import analytics

    found: list[analytics.Query] = [analytics.count()]
    for text in bounds:
        name, _, ends = text.rpartition("=")
        low, _, high = ends.partition(":")
        try:
            pair = (float(low), float(high))
        except ValueError:
            pair = (math.nan, math.nan)
        if not name or not pair[0] < pair[1]:
            raise UsageError(
                "describe-option", f"--bounds is {text!r}", hint="write COLUMN=LOW:HIGH, such as --bounds age=0:120"
            )
        found += analytics.about_number(name, pair)
    for text in categories:
        name, _, words = text.partition("=")
        values = [word.strip() for word in words.split(",") if word.strip()]
        if not name or not values:
            raise UsageError(
                "describe-option", f"--categories is {text!r}", hint="write COLUMN=A,B, such as --categories sex=f,m"
            )
        found += analytics.about_category(analytics.histogram(name, categories=values, other=True, missing=True))
    if len(found) == 1:
        raise UsageError(
            "describe-option",
            "no column is declared",
            hint="declare some: --bounds age=0:120, --categories sex=f,m; or --study with a contract. Ranges and "
            "categories are public and are not looked up in the data, where they would tell of single people",
        )
    return tuple(found)


def _text(answers: analytics.Answers) -> str:
    """Return one small table: a block for each column, a line for each figure, shares beside their counts."""
    lines: dict[tuple[str, str], list[str]] = {}
    for query, answer in answers.items():
        column = query.axes[0].column if hasattr(query, "axes") else getattr(query, "column", None) or ""
        for row in answer.rows():
            percent = 100.0 if query.what == "shares" else 1.0
            ends = row["low"] * percent, row["high"] * percent
            value, low, high = _figures(min(max(row["value"] * percent, ends[0]), ends[1]), *ends)
            shown = f"{value} % [{low}, {high}]" if query.what == "shares" else f"{value} [{low}, {high}]"
            lines.setdefault((column, _label(query, row["label"])), []).append(shown)
    wide = [max(len(key[place]) for key in lines) for place in (0, 1)]
    counts = max(len(figures[0]) for figures in lines.values())
    found, last = [], ""
    for (column, label), figures in lines.items():
        if column != last:
            found.append("")
        named = column if column != last else ""
        cells = f"{figures[0]:<{counts}}   {figures[1]}" if len(figures) > 1 else figures[0]
        found.append(f"{named:{wide[0]}}  {label:{wide[1]}}  {cells}")
        last = column
    return "\n".join(found)


def _label(query: Any, label: str) -> str:
    """Return what a figure is called within its column's block."""
    if query.what == "quantiles":
        return "median" if label == "0.5" else f"{100 * float(label):g} %"
    if query.what == "count":
        return "rows"
    if getattr(query, "root", False):
        return "sd"
    return label or query.what


def _figures(value: float, low: float, high: float) -> tuple[str, str, str]:
    """Return the three numbers to two digits of the interval's width: more would be noise."""
    width = high - low
    places = 0 if not 0 < width < math.inf else max(0, 1 - math.floor(math.log10(width)))
    first, second, third = (f"{figure:.{min(places, 6)}f}" for figure in (value, low, high))
    return first, second, third


def _forecast_data(made: analytics.Plan, delta: float) -> dict[str, Any]:
    return {
        "epsilon": made.epsilon(delta=delta),
        "delta": delta,
        "unit": made.layout.unit,
        "relation": made.layout.relation,
        "noise": made.layout.kind,
        "noise_multiplier": made.noise_multiplier,
        "count_noise": made.count_noise,
        "numbers": made.layout.length,
    }


def _forecast(made: analytics.Plan, delta: float) -> str:
    blur = made.count_noise
    return (
        f"would cost epsilon {made.epsilon(delta=delta):.4g} (delta {delta:g}), unit {made.layout.unit}, "
        f"{made.layout.relation}; {made.layout.kind} noise\n"
        f"each count would be off by {blur:.3g} (one standard deviation); the mean of a number by about\n"
        + "\n".join(
            f"  {min(100 * 0.75 * blur / count, 100):.2g} % of its declared range in a table of {count:,} rows"
            for count in (100, 1_000, 10_000, 100_000)
        )
    )
