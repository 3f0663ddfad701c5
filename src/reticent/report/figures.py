"""The figures of the page. Each says in its description what it shows; the page has the same numbers in a table.

Meaning is never carried by colour alone: lines differ in their dashes, marks in their shape, and all are labelled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from reticent.report.drawing import Frame, element, figure, path
from reticent.report.facts import Budget, Facts, RoundFact, Utility
from reticent.report.wording import down, percent, plain, up

__all__ = ["budget_bar", "comparison", "flow", "learning", "participation"]


def flow(facts: Facts) -> Markup:
    """Draw where data go: each site, the sum, the coordinator, the reader of the model."""
    names = [site.name for site in facts.sites]
    shown = [*names[:4], f"and {len(names) - 4} more"] if len(names) > 5 else names
    height = max(150, 62 * len(shown) + 30)
    words = _flow_words(facts)
    middle = height / 2
    parts: list[Markup] = []
    for i, name in enumerate(shown):
        y = 20 + 62 * i
        parts += [_box((2, y), (130, 46), name, "records stay here")]
        parts.append(path([(134, y + 23), (206, middle)], "arrow"))
    parts += [_head(206, middle), _box((216, middle - 28), (116, 56), words.sent, words.each)]
    parts += [path([(334, middle), (364, middle)], "arrow"), _head(364, middle)]
    parts.append(_box((374, middle - 28), (116, 56), words.receiver, words.sees))
    parts += [path([(492, middle), (522, middle)], "arrow"), _head(522, middle)]
    parts.append(_box((532, middle - 28), (106, 56), "model", words.model))
    return figure(
        "flow",
        title="Where data go",
        description=(f"{len(names)} sites keep their records. {words.description}"),
        width=640,
        height=int(height),
        parts=parts,
    )


@dataclass(frozen=True)
class _Flow:
    """What the boxes of the drawing say."""

    sent: str
    each: str
    receiver: str
    sees: str
    model: str
    description: str


def _flow_words(facts: Facts) -> _Flow:
    if facts.model.technique == "secure computation":
        return _Flow(
            "shares",
            "each random",
            "the sites",
            "compute on shares",
            "opened, exact",
            "Each deals shares of its numbers to the others; they compute on shares, and open the model at the end.",
        )
    if facts.model.technique == "split learning":
        noised = "with noise" if facts.promise and facts.promise.protects == "records" else "row by row"
        return _Flow(
            "activations",
            noised,
            "coordinator",
            "trains its part",
            "in parts",
            "Each sends what its part of the model makes of every row; the coordinator trains the other part and "
            "sends gradients back. Nobody holds the whole model.",
        )
    made = "The coordinator makes the model, which whoever receives it may read."
    if facts.model.protocol == "secagg":
        hidden = "Each sends one clipped update a round; masks hide each, and the coordinator learns their sum."
        return _Flow("masked sum", "no single update", "coordinator", "sees the sum", "may be read", f"{hidden} {made}")
    seen = "Each sends one clipped update a round; the coordinator sees each."
    return _Flow("updates", "one by one", "coordinator", "sees each update", "may be read", f"{seen} {made}")


def _head(x: float, y: float) -> Markup:
    return path([(x, y - 4), (x + 8, y), (x, y + 4)], "head", close=True)


def _box(corner: tuple[float, float], size: tuple[float, float], first: str, second: str) -> Markup:
    (x, y), (width, height) = corner, size
    centre = x + width / 2
    short = first if len(first) <= 16 else f"{first[:15]}\u2026"
    return Markup("").join(
        [
            element("rect", x=x, y=y, width=width, height=height, rx=6, class_="box"),
            element("text", short, x=centre, y=y + height / 2 - 3, class_="strong", text_anchor="middle"),
            element("text", second, x=centre, y=y + height / 2 + 14, class_="tick", text_anchor="middle"),
        ]
    )


def learning(utility: Utility) -> Markup:
    """Draw the released accuracy of every evaluated round."""
    points = [(float(e.round), e.accuracy) for e in utility.evaluations if e.accuracy is not None]
    values = [value for _, value in points]
    low, high = _nice(min(values), max(values))
    first, last = points[0][0], points[-1][0]
    frame = Frame(480, 300, (first, last if last > first else first + 1), (low, high), top=26)
    axes = frame.axes(
        x_ticks=_whole_ticks(first, last),
        y_ticks=[low + (high - low) * i / 4 for i in range(5)],
        x_name="round",
        y_name=f"{utility.metric} over all sites" + (", noised as released" if utility.noised else ""),
        say_x=lambda tick: f"{tick:.0f}",
        say_y=lambda tick: percent(tick, 0 if high - low > 0.1 else 1),
    )
    marks = [element("circle", cx=frame.at(*p)[0], cy=frame.at(*p)[1], r=3.2, class_="dot") for p in points]
    return figure(
        "learning",
        title=f"Released {utility.metric} by round",
        description=(
            f"{len(points)} released evaluations, from {percent(values[0])} in round {first:.0f} to "
            f"{percent(values[-1])} in round {last:.0f}."
        ),
        width=480,
        height=300,
        parts=[axes, frame.line(points, "promised"), *marks],
    )


def comparison(utility: Utility) -> Markup:
    """Draw the baselines as dots with one standard deviation to each side."""
    ends = [b.value + sign * (b.spread or 0) for b in utility.baselines for sign in (-1, 1)]
    low, high = _nice(max(0.0, min(ends)), min(1.0, max(ends)))
    rows = len(utility.baselines)
    frame = Frame(480, 60 + 34 * rows, (low, high), (0, rows), left=190, top=8)
    parts = [
        frame.axes(
            x_ticks=[low + (high - low) * i / 4 for i in range(5)],
            y_ticks=[],
            x_name=utility.metric,
            y_name="",
            say_x=lambda tick: percent(tick, 0 if high - low > 0.1 else 1),
            say_y=str,
        )
    ]
    for i, row in enumerate(utility.baselines):
        height = rows - i - 0.5
        spread = row.spread or 0
        x, y = frame.at(row.value, height)
        parts.append(frame.line([(low, height), (high, height)], "grid"))
        parts.append(
            frame.line([(max(low, row.value - spread), height), (min(high, row.value + spread), height)], "whisker")
        )
        parts.append(element("circle", cx=x, cy=y, r=5, class_="dot"))
        name = row.name if len(row.name) <= 27 else f"{row.name[:26]}\u2026"
        parts.append(element("text", name, x=180, y=y + 4, class_="tick", text_anchor="end"))
    best = max(utility.baselines, key=lambda row: row.value)
    return figure(
        "comparison",
        title=f"{utility.metric.capitalize()} beside its baselines",
        description=(
            f"{rows} rows of dots with standard deviations; the highest is {best.name} with {percent(best.value)}."
        ),
        width=480,
        height=60 + 34 * rows,
        parts=parts,
    )


def participation(sites: Sequence[str], rounds: Sequence[RoundFact]) -> Markup:
    """Draw who took part in which round: a filled square did, a cross was absent, a point was not asked."""
    step = min(22.0, 480 / max(1, len(rounds)))
    height = 26 * len(sites) + 26
    parts: list[Markup] = []
    for row, site in enumerate(sites):
        name = site if len(site) <= 16 else f"{site[:15]}\u2026"
        parts.append(element("text", name, x=112, y=26 * row + 18, class_="tick", text_anchor="end"))
        for column, done in enumerate(rounds):
            parts.append(_attendance(124 + step * column, 26 * row + 5, max(step - 4, 1.5), site, done))
    for column, done in enumerate(rounds):
        if column in {0, len(rounds) - 1} or (column + 1) % 5 == 0:
            x = 124 + step * (column + 0.5) - 2
            parts.append(element("text", str(done.round), x=x, y=height - 5, class_="tick", text_anchor="middle"))
    absences = sum(len(done.absent) for done in rounds)
    return figure(
        "participation",
        title="Who took part in which round",
        description=(
            f"{len(sites)} sites by {len(rounds)} rounds; {absences} absences, each marked by a cross; "
            "who was not asked has a point."
        ),
        width=int(124 + step * len(rounds) + 8),
        height=height,
        parts=parts,
    )


def _attendance(x: float, y: float, size: float, site: str, done: RoundFact) -> Markup:
    if site in done.contributors:
        return element("rect", x=x, y=y, width=size, height=18, rx=2, class_="mark")
    across, down = x + size / 2, y + 9
    if site not in done.absent:
        return element("circle", cx=across, cy=down, r=1.5, class_="point")
    half = min(size, 12) / 2
    return path([(across - half, down - half), (across + half, down + half)], "cross") + path(
        [(across - half, down + half), (across + half, down - half)], "cross"
    )


def budget_bar(number: int, budget: Budget) -> Markup:
    """Draw one budget: spent (filled), reserved (hatched), left (empty); the words stand in the drawing too."""
    total = budget.granted_epsilon or 1.0
    width = 240.0
    spent = width * min(1.0, budget.spent_epsilon / total)
    held = width * min(1.0, budget.reserved_epsilon / total)
    parts = [element("rect", x=1, y=1, width=width, height=14, rx=4, class_="ring")]
    parts.append(element("rect", x=1, y=1, width=spent, height=14, rx=4, class_="mark"))
    parts += [
        path([(1 + spent + offset, 15), (1 + spent + offset + 5, 1)], "whisker")
        for offset in range(2, max(2, int(held) - 4), 6)
    ]
    return figure(
        f"budget-{number}",
        title=f"Privacy budget of {budget.population}",
        description=(
            f"{up(budget.spent_epsilon)} of {plain(budget.granted_epsilon)} spent, {up(budget.reserved_epsilon)} "
            f"reserved, {down(budget.left_epsilon)} left."
        ),
        width=242,
        height=16,
        parts=parts,
    )


def _nice(low: float, high: float) -> tuple[float, float]:
    """Return a range around [low, high] within [0, 1] whose quarters fall on whole or half percents."""
    step = 0.02 if high - low < 0.06 else 0.1
    below, above = math.floor(low / step) * step, math.ceil(high / step) * step
    if above - below < step:
        above = below + step
    return (max(0.0, below), above) if above <= 1 else (max(0.0, 1 - (above - below)), 1.0)


def _whole_ticks(first: float, last: float) -> list[float]:
    span = max(1, round(last - first))
    step = max(1, math.ceil(span / 8))
    return [first + step * i for i in range(span // step + 1)]
