"""The page: one self-contained HTML file, made from the facts and nothing else.

Threat model: every text of a study, a site or a ledger may be hostile. Jinja2 escapes all of it, SVG included; the
page's own policy allows one style sheet, by hash, and no script, image, frame, form or connection at all.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from reticent.report import attack_figures, figures, wording
from reticent.report.facts import Budget, Facts, FileHash, RoundFact

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["content_policy", "environment", "render", "stylesheet", "write_page"]

_MANY_ROUNDS = 40
_MANY_CELLS = 2400
_MANY_CLASSES = 12
_CURVE = (1e-4, 0.001, 0.01, 0.05, 0.1, 0.2, 0.5)


def render(facts: Facts, *, folder_name: str = "RUN-FOLDER") -> str:
    """Return the page as text; `folder_name` stands in the command that checks the run."""
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            facts=facts,
            folder_name=folder_name,
            css=stylesheet(),
            policy=content_policy(),
            figures=_figures(facts),
            **_derived(facts),
        )
    )


def write_page(facts: Facts, path: Path | str) -> Path:
    """Write the page to `path` and return it."""
    target = Path(path)
    target.write_text(render(facts, folder_name=target.parent.name), encoding="utf-8")
    return target


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return the template environment: everything is escaped, and a name that is missing is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("reticent.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    for name in wording.__all__:
        made.filters[name] = getattr(wording, name)
    return made


@lru_cache(maxsize=1)
def stylesheet() -> Markup:
    """Return the style sheet of all pages, which is part of the package and never of the facts."""
    return Markup(resources.files("reticent.report").joinpath("page.css").read_text(encoding="utf-8"))  # noqa: S704


def content_policy() -> str:
    """Return the Content Security Policy: exactly this style sheet, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(stylesheet().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _derived(facts: Facts) -> dict[str, Any]:
    promise = facts.promise
    return {
        "promise_words": "" if promise is None else _promise_words(facts),
        "reach_words": "" if promise is None else attack_figures.describe_reach(promise),
        "rare_words": "" if promise is None else attack_figures.describe_rare(promise),
        "curve": () if promise is None else [p for p in promise.curve if p.false_positives in _CURVE],
        "budgets": _budgets(facts),
        "shown_rounds": _shown_rounds(facts.rounds),
        "shown_files": _shown_files(facts.files),
        "show_confusion": _square(facts) and len(facts.utility.classes) <= _MANY_CLASSES,
        "with_auc": any(e.auc is not None for e in facts.utility.evaluations),
        "total_seconds": sum(r.seconds for r in facts.rounds),
        "total_up": sum(r.bytes_up for r in facts.rounds),
        "total_down": sum(r.bytes_down for r in facts.rounds),
    }


def _promise_words(facts: Facts) -> str:
    """Return the promise without its symbols, which stand right beneath it in the same block."""
    promise = facts.promise
    assert promise is not None  # noqa: S101 - for the type checker; the caller asked
    half = next(odds for odds in promise.odds if odds.before == 0.5)
    return (
        f"Whoever was {wording.percent(half.before, 0)} sure {promise.secret} can become at most "
        f"{wording.percent_up(half.after)} sure by everything that this run released. Of 100 equally informed "
        f"attackers, each willing to raise one false alarm in 100, at most {promise.in_a_hundred} would "
        f"{wording.caught(promise)}."
    )


def _budgets(facts: Facts) -> list[Budget]:
    return list({site.budget.population: site.budget for site in facts.sites if site.budget is not None}.values())


def _shown_rounds(rounds: tuple[RoundFact, ...]) -> tuple[RoundFact, ...]:
    """Return all rounds, or of many those with an absence, the first and the last."""
    if len(rounds) <= _MANY_ROUNDS:
        return rounds
    notable = [r for r in rounds[1:-1] if r.absent or r.repeats]
    return (rounds[0], *notable[:_MANY_ROUNDS], rounds[-1])


def _shown_files(files: tuple[FileHash, ...]) -> tuple[FileHash, ...]:
    """Return every file that is not as recorded, and the last two."""
    return tuple(file for i, file in enumerate(files) if file.recorded != file.sha256 or i >= len(files) - 2)


def _square(facts: Facts) -> bool:
    size = len(facts.utility.classes)
    matrix = facts.utility.confusion
    return size > 0 and len(matrix) == size and all(len(row) == size for row in matrix)


def _figures(facts: Facts) -> dict[str, Any]:
    promise, utility = facts.promise, facts.utility
    measured = sum(evaluation.accuracy is not None for evaluation in utility.evaluations) > 1
    return {
        "flow": figures.flow(facts),
        "hundred": attack_figures.hundred(promise) if promise is not None else "",
        "trade_off": attack_figures.trade_off(promise) if promise is not None else "",
        "rare": attack_figures.rare(promise) if promise is not None else "",
        "learning": figures.learning(utility) if measured else "",
        "comparison": figures.comparison(utility) if utility.baselines else "",
        "participation": ""
        if len(facts.sites) * len(facts.rounds) > _MANY_CELLS
        else figures.participation([site.name for site in facts.sites], facts.rounds),
        "budgets": [
            figures.budget_bar(i, site.budget) if site.budget is not None else "" for i, site in enumerate(facts.sites)
        ],
    }
