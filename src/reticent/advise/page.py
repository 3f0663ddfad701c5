"""The parts of docs/choose.md that follow from the rules, so that page and rules cannot disagree; a test compares them.

python -c "from reticent import advise; advise.rewrite_page('docs/choose.md', advise.measure())"
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from reticent.advise.figures import Measurements
from reticent.advise.needs import CONCERNS, Concern, Needs
from reticent.advise.rank import advise
from reticent.advise.table import figures_table, markdown, technique_table
from reticent.advise.techniques import COVERS, TECHNIQUES, Cover, Technique
from reticent.advise.wishes import WRONG_CHOICES

__all__ = ["page_sections", "rewrite_page", "sections_of"]

_MARK = re.compile(r"<!-- from the rules: (?P<name>\w+) -->\n(?P<body>.*?)<!-- end -->", re.DOTALL)

_C = Concern
_BASES = {
    "by cryptography": ("cryptography",),
    "by accounted noise": ("noise",),
    "by place or trust": ("place", "trust"),
}
_SITUATIONS: tuple[tuple[str, dict[str, object]], ...] = (
    ("hospitals, each with its own patients; the model is published", {"protect": (_C.updates, _C.persons_result)}),
    ("the same, and the model stays among the hospitals", {"protect": (_C.updates,), "published": False}),
    (
        "two organisations with their own people; the model is published",
        {"protect": (_C.persons_result,), "parties": 2},
    ),
    ("a bank and a shop know different things about the same people; a regression", {"data": "columns", "parties": 2}),
    (
        "the same, with a neural network",
        {"data": "columns", "parties": 2, "model": "mlp"},
    ),
    (
        "a client asks a server's model; the server must not see the record, the client may have the model",
        {"data": "one-party", "parties": 2, "task": "predict", "protect": (_C.input,), "published": False},
    ),
    (
        "the same, and the client must not have the model either",
        {"data": "one-party", "parties": 2, "task": "predict", "protect": (_C.input, _C.model), "published": False},
    ),
    (
        "a sum or a mean over hospitals, published",
        {"task": "statistics", "protect": (_C.updates, _C.persons_result)},
    ),
    ("a correlation of columns that two parties hold", {"task": "statistics", "data": "columns", "parties": 2}),
    (
        "one party has all the rows and publishes a model",
        {"data": "one-party", "parties": 1, "protect": (_C.persons_result,)},
    ),
    ("a party may cheat", {"protect": (_C.cheating,)}),
)


def sections_of(text: str) -> dict[str, str]:
    """Return the bodies of the generated parts of a page, by name."""
    return {match["name"]: match["body"].strip() for match in _MARK.finditer(text)}


def page_sections(measured: Measurements | None = None) -> dict[str, str]:
    """Return the generated parts; without figures those that hold some are left out."""
    found = {
        "situations": markdown([["who, what", "first answer", "also possible"], *_situations()]),
        "guarantees": markdown([["what is asked", *_BASES], *_guarantees()]),
        "wrong": "\n\n".join(
            f"**{choice.title[0].upper()}{choice.title[1:]}.** {choice.reason}\n\n{choice.instead}"
            for choice in WRONG_CHOICES
        ),
        "places": markdown([["technique", "guarantee, adversary and cost are said in"], *_places()]),
    }
    if measured is not None:
        found["techniques"] = technique_table(measured)
        missing = "".join(f"\n\nNot measured: {left.name}: {left.reason}" for left in measured.missing)
        found["figures"] = (
            f"{measured.data}. {measured.machine}. All runs together took {measured.seconds:.0f} s.\n\n"
            f"{figures_table(measured)}{missing}"
        )
    return found


def rewrite_page(path: str | Path, measured: Measurements | None = None) -> None:
    """Replace the generated parts of the page at `path`; parts with figures only if there are new ones."""
    path = Path(path)
    new = page_sections(measured)

    def replaced(match: re.Match[str]) -> str:
        body = new.get(match["name"], match["body"].strip())
        return f"<!-- from the rules: {match['name']} -->\n{body}\n<!-- end -->"

    path.write_text(_MARK.sub(replaced, path.read_text(encoding="utf-8")), encoding="utf-8")


def _situations() -> Iterator[list[str]]:
    for words, changes in _SITUATIONS:
        needs = Needs.model_validate(
            {
                "data": "rows",
                "parties": 4,
                "task": "train",
                "protect": (_C.rows,),
                "trusted_party": False,
                "published": True,
                **changes,
            }
        )
        advice = advise(needs)
        names = [answer.name for answer in advice.answers]
        yield [words, names[0], ", or ".join(names[1:3]) or "-"] if names else [words, advice.none, "-"]


def _guarantees() -> Iterator[list[str]]:
    for concern, words in CONCERNS.items():
        cells = ["; ".join(_covered_by(concern, bases)) or "-" for bases in _BASES.values()]
        yield [f"`{concern.value}`: {words}", *cells]


def _covered_by(concern: Concern, bases: tuple[str, ...]) -> Iterator[str]:
    for technique, covers in COVERS.items():
        for cover in covers.get(concern, ()):
            if cover.by in bases:
                partner = f" + {_title(cover.partner)}" if cover.partner else ""
                yield f"{_title(technique)}{partner}{_condition(cover)}"


def _condition(cover: Cover) -> str:
    parts = [
        "" if len(cover.tasks) == 3 else " or ".join(cover.tasks),
        "" if len(cover.data) == 4 or cover.partner else " or ".join(cover.data),
        f"{cover.parties} parties or more" if cover.parties > 1 else "",
        "if a party is trusted" if cover.trusted else "",
    ]
    stated = ", ".join(part for part in parts if part)
    return f" ({stated})" if stated else ""


def _places() -> Iterator[list[str]]:
    for entry in TECHNIQUES.values():
        room = entry.room.removeprefix("reticent.")
        yield [entry.title, f"[{entry.room}](../src/reticent/{room}/__init__.py)"]


def _title(technique: Technique) -> str:
    return TECHNIQUES[technique].title
