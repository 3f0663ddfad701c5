"""Advice and figures as text, as data, and as the guides' table: technique, use, complexity, overhead."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from reticent.advise.figures import Figure, Measurements
from reticent.advise.needs import CONCERNS, Needs
from reticent.advise.rank import Advice, Answer, Refused
from reticent.advise.techniques import TECHNIQUES, Technique

__all__ = ["as_data", "cost_of", "figures_table", "in_words", "markdown", "overhead_of", "technique_table"]

_SHOWN = 3
_DEEP = "; measured with the small network: a deep one costs more at least in proportion to its size"


def in_words(advice: Advice, measured: Measurements | None = None, *, width: int = 100) -> str:
    """Return the advice as plain text: the best answers in full, the others by name, and what was left out."""
    blocks: list[tuple[str, list[str]]] = []
    asked = [f"{concern.value}: {CONCERNS[concern]}" for concern in advice.needs.concerns] or ["nothing"]
    blocks.append(("To be guaranteed", asked))
    if advice.wish is not None:
        verdict = "fits" if advice.wish.fits else "does not do this"
        instead = [advice.wish.instead] if advice.wish.instead else []
        blocks.append((f"You thought of {advice.wish.wish}: it {verdict}", [*advice.wish.reasons, *instead]))
    if advice.none:
        blocks.append(("No answer", [advice.none]))
    for number, answer in enumerate(advice.answers[:_SHOWN], start=1):
        blocks.append((f"{number}. {answer.name}", list(_answer(answer, advice.needs, measured))))
    if rest := advice.answers[_SHOWN:]:
        blocks.append(("Also possible, at more cost", [answer.name for answer in rest]))
    if advice.notes:
        blocks.append(("Note", list(advice.notes)))
    blocks.append(
        ("Not recommended", [f"{' + '.join(left.techniques)}: {'; '.join(left.reasons)}" for left in _near(advice)])
    )
    if measured is not None:
        blocks.append((f"Measured here ({measured.machine}; {measured.data}; {measured.seconds:.0f} s in all)", []))
    text = "\n\n".join(_block(title, lines, max(width, 60)) for title, lines in blocks)
    return text if measured is None else f"{text}\n{_aligned(_figure_rows(measured))}\n{_missing(measured)}".rstrip()


def _near(advice: Advice) -> list[Refused]:
    """Return what was left out although it is built for this, or else everything: the rest stands in the JSON."""
    return [left for left in advice.refused if left.fits] or list(advice.refused)


def _answer(answer: Answer, needs: Needs, measured: Measurements | None) -> Iterator[str]:
    yield from (f"why: {why}" for why in answer.why)
    for view in answer.who_sees:
        hidden = "" if view.does_not_see == "-" else f"; hidden from it: {view.does_not_see}"
        yield f"seen by {view.party}: {view.sees}{hidden}"
    yield from (f"not protected: {limit}" for limit in answer.not_protected)
    yield from (f"rank: +{mark.points:g} {mark.words}" for mark in answer.marks)
    cost = cost_of(answer.techniques, needs, measured)
    if cost:
        yield f"cost: {cost}"


def cost_of(techniques: Sequence[Technique], needs: Needs, measured: Measurements | None) -> str:
    """Return what was measured for an answer, and separately what its network adds, computed; empty if unknown."""
    figure = _nearest(tuple(techniques), needs, measured)
    if figure is None:
        return ""
    outcome = figure.outcome
    text = (
        f"measured here, {figure.model}: {_seconds(outcome.seconds)} for {_what(figure)} "
        f"({_times(figure.overhead)} the plain run), {_size(outcome.bytes)} in {outcome.rounds} rounds, "
        f"accuracy {outcome.accuracy:.3f} (plain {figure.plain_accuracy:.3f})"
    )
    if needs.latency_ms is not None or needs.bandwidth_mbit is not None:
        latency, bandwidth = needs.latency_ms or 0.0, needs.bandwidth_mbit or float("inf")
        over = figure.over_network(latency, bandwidth)
        text += f"; computed for {latency:g} ms and {bandwidth:g} Mbit/s: {_seconds(over)}"
    return text + (_DEEP if needs.model == "deep" else "")


def _nearest(techniques: tuple[Technique, ...], needs: Needs, measured: Measurements | None) -> Figure | None:
    if measured is None or needs.task == "statistics":
        return None
    return measured.of(techniques, needs.task, "logistic" if needs.model == "logistic" else "mlp")


def as_data(advice: Advice, measured: Measurements | None = None) -> dict[str, Any]:
    """Return everything as plain values for JSON; computed figures stand apart from measured ones."""
    data: dict[str, Any] = {
        "needs": advice.needs.model_dump(mode="json"),
        "answers": [
            {
                **dataclasses.asdict(answer),
                "burden": answer.burden,
                "cost": cost_of(answer.techniques, advice.needs, measured) or None,
            }
            for answer in advice.answers
        ],
        "none": advice.none,
        "not_recommended": [dataclasses.asdict(left) for left in advice.refused],
        "notes": list(advice.notes),
        "wish": None if advice.wish is None else dataclasses.asdict(advice.wish),
        "measured": None,
    }
    if measured is not None:
        data["measured"] = {
            "machine": measured.machine,
            "data": measured.data,
            "seconds": measured.seconds,
            "figures": [_figure_data(figure, advice.needs) for figure in measured.figures],
            "missing": [dataclasses.asdict(missing) for missing in measured.missing],
        }
    return data


def _figure_data(figure: Figure, needs: Needs) -> dict[str, Any]:
    data = {**dataclasses.asdict(figure), "overhead": figure.overhead, "computed_network_seconds": None}
    if needs.latency_ms is not None or needs.bandwidth_mbit is not None:
        data["computed_network_seconds"] = figure.over_network(
            needs.latency_ms or 0.0, needs.bandwidth_mbit or float("inf")
        )
    return data


def technique_table(measured: Measurements | None) -> str:
    """Return the guides' table as Markdown: technique, use, complexity, overhead with the figures of this machine."""
    rows = [["technique", "use", "complexity", "overhead"]]
    for technique, entry in TECHNIQUES.items():
        rows.append([entry.title, entry.use, entry.complexity, overhead_of(technique, measured)])
    return markdown(rows)


def overhead_of(technique: Technique, measured: Measurements | None) -> str:
    """Return the smallest and largest measured overhead of a technique, where it is the last that was added."""
    if technique in (Technique.plain, Technique.local_model):
        return "none"
    alone = {
        Technique.privacy: (Technique.federated, Technique.privacy),
        Technique.masks: (Technique.federated, technique),
    }
    wanted = alone.get(technique, (technique,))
    found = [figure for figure in (measured.figures if measured else ()) if figure.techniques == wanted]
    parts = []
    for task in ("train", "predict"):
        here = [figure for figure in found if figure.task == task]
        if here:
            times = sorted(figure.overhead for figure in here)
            sent = sorted(figure.outcome.bytes for figure in here)
            rounds = sorted(figure.outcome.rounds for figure in here)
            parts.append(
                f"{'training' if task == 'train' else 'prediction'} {_span([_times(value) for value in times])}, "
                f"{_span([_size(value) for value in sent])}, {_span([str(value) for value in rounds])} rounds"
            )
    return "; ".join(parts) or "not measured"


def figures_table(measured: Measurements) -> str:
    """Return every figure as a Markdown table."""
    return markdown(_figure_rows(measured))


def _figure_rows(measured: Measurements) -> list[list[str]]:
    rows = [["technique", "task", "model", "time", "plain", "bytes", "rounds", "accuracy", "plain"]]
    for figure in measured.figures:
        outcome = figure.outcome
        rows.append(
            [
                figure.name,
                _what(figure),
                figure.model,
                _seconds(outcome.seconds),
                _seconds(figure.plain_seconds),
                _size(outcome.bytes),
                str(outcome.rounds),
                f"{outcome.accuracy:.3f}",
                f"{figure.plain_accuracy:.3f}",
            ]
        )
    return rows


def _missing(measured: Measurements) -> str:
    return "\n".join(f"not measured: {missing.name}: {missing.reason}" for missing in measured.missing)


def _what(figure: Figure) -> str:
    return "training" if figure.task == "train" else f"{figure.outcome.rows} predictions"


def _seconds(value: float) -> str:
    if value < 1e-3:
        return f"{value * 1e6:.0f} µs"
    return f"{value * 1e3:.0f} ms" if value < 1 else f"{value:.1f} s"


def _size(count: float) -> str:
    units = ("B", "kB", "MB", "GB")
    step = min(max(len(str(int(count))) - 1, 0) // 3, len(units) - 1)
    return f"{count / 1000**step:.3g} {units[step]}"


def _times(value: float) -> str:
    return f"{value:.1f} times" if value < 10 else f"{value:,.0f} times".replace(",", " ")


def _span(values: Sequence[str]) -> str:
    if values[0] == values[-1]:
        return values[0]
    return f"{values[0].removesuffix(' times')} to {values[-1]}"


def markdown(rows: list[list[str]]) -> str:
    """Return rows of cells as a Markdown table, the first as its head."""
    head, *body = ("| " + " | ".join(row) + " |" for row in rows)
    return "\n".join((head, "|" + "---|" * len(rows[0]), *body))


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _block(title: str, lines: Sequence[str], width: int) -> str:
    body = (textwrap.fill(line, width, initial_indent="  ", subsequent_indent="    ") for line in lines)
    return "\n".join((textwrap.fill(title, width), *body))
