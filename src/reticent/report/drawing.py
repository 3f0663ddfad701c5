"""Hand-written SVG: an element, a frame with axes, and the wrapper that makes a drawing readable without sight.

A few kilobytes for each figure instead of a plotting library's hundred, and colours that follow the page's own style
sheet into dark mode and print. Every text is escaped; no style attribute is used, so the page's policy can forbid them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

__all__ = ["Frame", "element", "figure", "path"]


def element(tag: str, content: str | Markup = "", **attributes: object) -> Markup:
    """Return one SVG element; `class_` stands for class and `_` in a name for a hyphen."""
    said = Markup("").join(
        Markup(' {}="{}"').format(name.rstrip("_").replace("_", "-"), _short(value))
        for name, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(tag), said, content)  # noqa: S704 - `tag` is a literal of this room


def figure(name: str, *, title: str, description: str, width: int, height: int, parts: Iterable[Markup]) -> Markup:
    """Return a complete drawing with the role, title and description that a screen reader announces."""
    head = element("title", title, id=f"{name}-title") + element("desc", description, id=f"{name}-desc")
    return element(
        "svg",
        head + Markup("").join(parts),
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
        class_=f"figure {name}",
    )


def path(points: Sequence[tuple[float, float]], class_: str, *, close: bool = False) -> Markup:
    """Return a line through `points`, given in the drawing's own units."""
    steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return element("path", d=f"M{steps}{'Z' if close else ''}", class_=class_)


@dataclass(frozen=True, slots=True)
class Frame:
    """A plotting area with its axes; `x` and `y` are the ranges of the data."""

    width: int
    height: int
    x: tuple[float, float]
    y: tuple[float, float]
    left: int = 52
    right: int = 16
    top: int = 14
    bottom: int = 46

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return where the point (x, y) of the data lies in the drawing."""
        across = (x - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        upward = (y - self.y[0]) / ((self.y[1] - self.y[0]) or 1)
        return (
            self.left + across * (self.width - self.left - self.right),
            self.height - self.bottom - upward * (self.height - self.top - self.bottom),
        )

    def line(self, points: Iterable[tuple[float, float]], class_: str) -> Markup:
        """Return a line through points of the data."""
        return path([self.at(*point) for point in points], class_)

    def text(self, x: float, y: float, words: str, *, shift: tuple[float, float] = (0, 0), **more: object) -> Markup:
        """Return a text at a point of the data, moved by `shift` units of the drawing."""
        across, down = self.at(x, y)
        return element("text", words, x=across + shift[0], y=down + shift[1], **more)

    def axes(
        self,
        *,
        x_ticks: Sequence[float],
        y_ticks: Sequence[float],
        x_name: str,
        y_name: str,
        say_x: Callable[[float], str],
        say_y: Callable[[float], str],
    ) -> Markup:
        """Return grid lines, tick labels and the names of both axes; the vertical one is named above the plot."""
        parts = [self.line([(self.x[0], tick), (self.x[1], tick)], "grid") for tick in y_ticks]
        parts += [
            self.text(self.x[0], tick, say_y(tick), shift=(-8, 4), class_="tick", text_anchor="end") for tick in y_ticks
        ]
        parts += [
            self.text(tick, self.y[0], say_x(tick), shift=(0, 19), class_="tick", text_anchor="middle")
            for tick in x_ticks
        ]
        parts.append(self.line([(self.x[0], self.y[0]), (self.x[1], self.y[0])], "axis"))
        middle = (self.left + self.width - self.right) / 2
        parts.append(element("text", x_name, x=middle, y=self.height - 6, class_="name", text_anchor="middle"))
        parts.append(element("text", y_name, x=4, y=self.top - 14, class_="name"))
        return Markup("").join(parts)


def _short(value: object) -> str | Markup:
    return f"{value:.1f}" if isinstance(value, float) else escape(str(value))
