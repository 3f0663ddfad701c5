"""Questions written down as plain values, as a study file holds them; what they need to know stands in the contract.

Bounds of a number are the range that the contract declares, categories its vocabulary: neither is typed twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from reticent.analytics import asking
from reticent.analytics.distribution import Histogram
from reticent.analytics.query import Query
from reticent.data import Column, Contract
from reticent.errors import UsageError

__all__ = ["about_category", "about_number", "queries", "usual_questions"]

Ask = Mapping[str, Any]
QUARTILES = (0.25, 0.5, 0.75)


def queries(contract: Contract, asks: Iterable[Ask]) -> tuple[Query, ...]:
    """Return the questions that plain values describe.

    Args:
      contract: Of a table; gives bounds and categories.
      asks: Such as `{"what": "mean", "column": "age"}`. Keys besides `what`: `column` or `columns`, `at` (levels of
        quantiles), `bins`, `k`, `score`, `missing`, `weight`. `{"what": "describe"}` asks all the usual questions.

    Raises:
      UsageError: If a question, a key or a column is unknown, or the contract does not declare what it needs.
    """
    if contract.kind != "table":
        raise UsageError(
            "statistics-of-tensors",
            "the contract describes tensors, which have no named columns",
            hint="ask for statistics of tables only",
        )
    return tuple(question for ask in asks for question in _asked(contract, ask))


def usual_questions(contract: Contract) -> tuple[Query, ...]:
    """Return what one looks at first: how many rows; of each number mean, deviation, quartiles and gaps; shares."""
    found: list[Query] = [asking.count()]
    for column in contract.columns:
        if not column.is_numeric:
            found += about_category(_histogram(column, missing=True))
        elif column.range is not None:
            found += about_number(column.name, column.range)
    return tuple(found)


def about_number(name: str, bounds: tuple[float, float]) -> tuple[Query, ...]:
    """Return the usual questions about a number: mean, deviation, missing values, quartiles."""
    return (
        asking.mean(name, bounds=bounds),
        asking.deviation(name, bounds=bounds),
        asking.missing(name),
        asking.quantiles(name, QUARTILES, bounds=bounds),
    )


def about_category(cells: Histogram) -> tuple[Query, ...]:
    """Return the usual questions about a category: counts and shares, at the price of the counts."""
    return cells, asking.shares(cells)


def _asked(contract: Contract, ask: Ask) -> tuple[Query, ...]:
    given = dict(ask)
    what = given.pop("what", None)
    if what not in _KINDS:
        near = get_close_matches(str(what), _KINDS, n=1)
        raise UsageError(
            "statistics-unknown",
            f"what is {what!r}, which is no statistic",
            hint=f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(sorted(_KINDS))}",
        )
    needed, allowed, build = _KINDS[what]
    for key in given:
        if key not in (*needed, *allowed, "weight"):
            raise UsageError(
                "statistics-unknown-key",
                f"{what} has the unknown key {key!r}",
                hint=f"it takes {', '.join((*needed, *allowed, 'weight'))}",
            )
    for key in needed:
        if key not in given:
            raise UsageError("statistics-unknown-key", f"{what} lacks {key!r}", hint=f"add {key} = ... to it")
    try:
        built = build(contract, given)
    except TypeError as error:
        raise UsageError(
            "statistics-unknown-key", f"{what} has a value of the wrong kind in {given}", hint="see docs/statistics.md"
        ) from error
    return built if isinstance(built, tuple) else (built,)


def _number(contract: Contract, name: str) -> dict[str, Any]:
    """Return a number with its declared bounds, as arguments."""
    column = _column(contract, name)
    if not column.is_numeric or column.range is None:
        raise UsageError(
            "statistics-not-in-contract",
            f"column {name!r} has no declared range of numbers",
            hint="declare it in the contract: range = [0.0, 120.0]; for categories ask a histogram",
        )
    return {"column": name, "bounds": column.range}


def _column(contract: Contract, name: Any) -> Column:
    for column in contract.columns:
        if column.name == name:
            return column
    names = [column.name for column in contract.columns]
    near = get_close_matches(str(name), names, n=1)
    raise UsageError(
        "statistics-not-in-contract",
        f"column {name!r} is not in the contract",
        hint=f"did you mean {near[0]!r}?" if near else f"the contract has {', '.join(names)}",
    )


def _histogram(column: Column, *, bins: int = 10, missing: bool = False, weight: float = 1.0) -> Histogram:
    if not column.is_numeric:
        return asking.histogram(
            column.name, categories=column.values, other=column.other, missing=missing, weight=weight
        )
    if column.range is None:
        raise UsageError(
            "statistics-not-in-contract",
            f"column {column.name!r} has no declared range",
            hint="declare it in the contract: range = [0.0, 120.0]",
        )
    low, high = column.range
    edges = [low + (high - low) * place / bins for place in range(bins)]
    return asking.histogram(column.name, edges=[*edges, high], missing=missing, weight=weight)


def _of_number(question: Callable[..., Query]) -> Callable[[Contract, Ask], Query]:
    return lambda contract, ask: question(**_number(contract, ask["column"]), **_rest(ask))


def _of_score(question: Callable[..., Query]) -> Callable[[Contract, Ask], Query]:
    def build(contract: Contract, ask: Ask) -> Query:
        label, score = contract.label_column, _number(contract, ask["score"])["column"]
        return question(score, label.name, classes=label.values, **_rest(ask))

    return build


def _rest(ask: Ask) -> dict[str, Any]:
    names = {"at": "levels"}
    return {names.get(key, key): value for key, value in ask.items() if key not in ("column", "columns", "score")}


def _table(contract: Contract, ask: Ask) -> Query:
    first, second = (_histogram(_column(contract, name), bins=ask.get("bins", 10)) for name in ask["columns"])
    return asking.contingency(first, second, weight=ask.get("weight", 1.0))


def _standardise(contract: Contract, ask: Ask) -> Query:
    names = ask.get("columns") or [c.name for c in contract.features if c.is_numeric and c.range is not None]
    return asking.standardisation(
        {name: _number(contract, name)["bounds"] for name in names}, weight=ask.get("weight", 1.0)
    )


def _top(contract: Contract, ask: Ask) -> Query:
    column = _column(contract, ask["column"])
    return asking.top(column.name, ask["k"], categories=column.values, weight=ask.get("weight", 1.0))


def _named(contract: Contract, ask: Ask) -> dict[str, Any]:
    """Return the arguments of a question about any column."""
    return {**ask, **({"column": _column(contract, ask["column"]).name} if "column" in ask else {})}


_KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...], Callable[[Contract, Ask], Any]]] = {
    "count": ((), ("column",), lambda contract, ask: asking.count(**_named(contract, ask))),
    "persons": ((), (), lambda _, ask: asking.persons(**ask)),
    "missing": (("column",), (), lambda contract, ask: asking.missing(**_named(contract, ask))),
    "sum": (("column",), (), _of_number(asking.total)),
    "mean": (("column",), (), _of_number(asking.mean)),
    "variance": (("column",), (), _of_number(asking.variance)),
    "deviation": (("column",), (), _of_number(asking.deviation)),
    "quantiles": (("column", "at"), ("bins",), _of_number(asking.quantiles)),
    "histogram": (
        ("column",),
        ("bins", "missing"),
        lambda contract, ask: _histogram(_column(contract, ask["column"]), **_rest(ask)),
    ),
    "shares": (
        ("column",),
        ("bins", "missing"),
        lambda contract, ask: asking.shares(_histogram(_column(contract, ask["column"]), **_rest(ask))),
    ),
    "table": (("columns",), ("bins",), _table),
    "top": (("column", "k"), (), _top),
    "standardise": ((), ("columns",), _standardise),
    "auroc": (("score",), ("bins",), _of_score(asking.auroc)),
    "calibration": (("score",), ("bins",), _of_score(asking.calibration)),
    "brier": (("score",), ("bins",), _of_score(asking.brier)),
    "describe": ((), (), lambda contract, _: usual_questions(contract)),
}
