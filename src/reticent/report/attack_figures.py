"""The figures about attacks: what a promise, and all releases together, leave to the best attack there can be.

Meaning is never carried by colour alone: lines differ in their dashes, marks in their shape, and all are labelled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from reticent.report.drawing import Frame, element, figure, path
from reticent.report.facts import Promise
from reticent.report.wording import caught, count, percent, percent_up, plain, reach, up

__all__ = ["describe_rare", "describe_reach", "hundred", "rare", "trade_off"]

_RAREST = 1e-4
"""The fewest false alarms that are drawn: 1 in 10,000."""


def hundred(promise: Promise) -> Markup:
    """Draw 100 equally informed attackers: how many are right about somebody who took part, how many are wrong."""
    parts = [_hundred_marks(0, promise.in_a_hundred), _hundred_marks(236, 1)]
    present = promise.relation == "add_or_remove_one"  # else the attacker does not ask who is there
    for left, first, second in (
        (0, f"{promise.in_a_hundred} of 100 at most", "are right about one who took part" if present else "are right"),
        (236, "1 of 100", "is wrong about one who did not" if present else "is wrong"),
    ):
        parts.append(element("text", first, x=left, y=14, class_="strong"))
        parts.append(element("text", second, x=left, y=33, class_="name"))
    return figure(
        "hundred",
        title="One hundred equally informed attackers",
        description=(
            f"Two squares of one hundred marks. Of 100 attackers at most {promise.in_a_hundred} would {caught(promise)} "
            "(filled squares), if they accept that 1 of 100 is wrong where there is nothing to find."
        ),
        width=456,
        height=250,
        parts=parts,
    )


def _hundred_marks(left: int, filled: int) -> Markup:
    step = 20
    return Markup("").join(
        element("rect", x=left + 1 + step * (i % 10), y=49 + step * (i // 10), width=15, height=15, rx=2, class_="mark")
        if i < filled
        else element("circle", cx=left + 8.5 + step * (i % 10), cy=56.5 + step * (i // 10), r=6, class_="ring")
        for i in range(100)
    )


def trade_off(promise: Promise) -> Markup:
    """Draw what any attack can reach: share of members found (or of secrets told) against share of false alarms."""
    present = promise.relation == "add_or_remove_one"  # else the attacker does not ask who is there
    frame = Frame(480, 380, (0, 1), (0, 1), top=26)
    promised = [(point.false_positives, point.promised) for point in promise.curve]
    derived = [(point.false_positives, point.derived) for point in promise.curve]
    below = path([frame.at(x, y) for x, y in [*promised, (1, 0), (0, 0)]], "area", close=True)
    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
    axes = frame.axes(
        x_ticks=ticks,
        y_ticks=ticks,
        x_name="false alarms among those who did not take part" if present else "false alarms",
        y_name="found among those who took part, at most" if present else "told rightly, at most",
        say_x=lambda tick: percent(tick, 0),
        say_y=lambda tick: percent(tick, 0),
    )
    key = [
        ("promised", f"promised: \u03b5 {up(promise.epsilon)}, \u03b4 {plain(promise.delta)}"),
        ("derived", "derived from every release together"),
        ("guess", "guessing: nothing was learnt"),
    ]
    parts = [below, axes, frame.line([(0, 0), (1, 1)], "guess"), frame.line(promised, "promised")]
    parts += [frame.line(derived, "derived"), *_key(key, x=184, y=266)]
    return figure(
        "trade-off",
        title="What any attack can reach",
        description=(
            f"A curve above the diagonal of guessing. At 1 % false alarms, at most {promise.in_a_hundred} % "
            f"{'of those who took part are found' if present else 'are told rightly'}. No attack lies above the curve."
        ),
        width=480,
        height=380,
        parts=parts,
    )


def rare(promise: Promise) -> Markup:
    """Draw the same where false alarms are few, each axis in powers of ten: what an attacker does who must be sure."""
    present = promise.relation == "add_or_remove_one"
    floor = _RAREST
    frame = Frame(480, 380, (math.log10(floor), 0), (math.log10(floor), 0), left=88, top=26)

    def line(reached: Sequence[float]) -> list[tuple[float, float]]:
        # Straight lines between corners sag above the curve once both axes are logarithmic: the drawing is a bound too.
        return [
            (math.log10(point.false_positives), math.log10(max(share, floor)))
            for point, share in zip(promise.curve, reached, strict=True)
            if point.false_positives >= floor
        ]

    promised = line([point.promised for point in promise.curve])
    derived = line([point.derived for point in promise.curve])
    bottom = math.log10(floor)
    ticks = list(range(round(bottom), 1))
    axes = frame.axes(
        x_ticks=ticks,
        y_ticks=ticks,
        x_name="false alarms among those who did not take part" if present else "false alarms",
        y_name="found among those who took part, at most" if present else "told rightly, at most",
        say_x=_one_in,
        say_y=_one_in,
    )
    below = path([frame.at(x, y) for x, y in [*promised, (0, bottom), (bottom, bottom)]], "area", close=True)
    key = [("promised", "promised"), ("derived", "every release together"), ("guess", "guessing")]
    lines = [
        frame.line(points, name)
        for points, name in (([(bottom, bottom), (0, 0)], "guess"), (promised, "promised"), (derived, "derived"))
    ]
    least = next(point for point in promise.curve if point.false_positives >= floor)
    return figure(
        "rare",
        title="What an attack can reach with few false alarms",
        description=(
            f"The same curves with both axes in powers of ten. At 1 false alarm in {count(1 / floor)}, at most "
            f"{percent_up(least.promised, 2)} {'of those who took part are found' if present else 'are told rightly'} "
            f"as promised, and at most {percent_up(least.derived, 2)} as derived from every release together."
        ),
        width=480,
        height=380,
        parts=[below, axes, *lines, *_key(key, x=270, y=266)],
    )


def _one_in(power: float) -> str:
    return "all" if power == 0 else f"1 in {count(10**-power)}"


def _key(entries: Sequence[tuple[str, str]], *, x: int, y: int) -> list[Markup]:
    return [
        part
        for i, (class_, words) in enumerate(entries)
        for part in (
            path([(x, y + 22 * i - 4), (x + 28, y + 22 * i - 4)], class_),
            element("text", words, x=x + 36, y=y + 22 * i, class_="tick"),
        )
    ]


def describe_rare(promise: Promise) -> str:
    """Return the sentence that stands beside the curve at few false alarms."""
    least = next(point for point in promise.curve if point.false_positives >= _RAREST)
    return (
        f"An attacker who may be wrong about 1 in {count(1 / _RAREST)} only: no attack "
        f"{reach(promise, percent_up(least.derived, 2))}. Guessing would give {percent(_RAREST, 2)}."
    )


def describe_reach(promise: Promise) -> str:
    """Return the sentence that stands beside the curve."""
    point = min(promise.curve, key=lambda p: abs(p.false_positives - 0.01))
    return (
        f"At {percent(point.false_positives, 0)} false alarms no attack {reach(promise, percent_up(point.promised))}; "
        f"counting every release together, not more than {percent_up(point.derived)}. "
        "Both are certified: no attack lies above them."
    )
