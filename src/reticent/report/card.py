"""The model card that travels with an exported model: what it is for, what it learnt from, what it promises.

After Mitchell et al. (FAT* 2019): intended use, training data, evaluation, and caveats, in Markdown. What software
cannot know is left open for people.
"""

from __future__ import annotations

import re

from reticent.report.facts import Facts
from reticent.report.wording import caught, count, percent, plain, up

__all__ = ["model_card"]

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+!|~&$-])")


def model_card(facts: Facts) -> str:
    """Return the card as Markdown; every text of the study is escaped, so that it cannot become a link or a tag."""
    parts = [
        f"# {_text(facts.study.name)}",
        f"{_text(facts.study.purpose)}\n\nContact: {_text(facts.study.contact)}",
        _section("Model", _model(facts)),
        _section("Learnt from", _data(facts)),
        _section("Promise", _promise(facts)),
        _section("How good it is", _utility(facts)),
        _section("Not covered", [_text(line) for line in facts.not_covered]),
        _section("Assumptions", [_text(line) for line in facts.assumptions]),
        _section("To be filled in by people", ["Uses that are not intended:", "Known groups it serves worse:"]),
        _section("Provenance", _provenance(facts)),
    ]
    return "\n\n".join(parts) + "\n"


def _section(title: str, lines: list[str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {line}" for line in lines or ["nothing stated"])


def _text(words: str) -> str:
    """Return untrusted words as one line of Markdown that shows them and does nothing else."""
    return _SPECIAL.sub(r"\\\1", " ".join(words.split()))


def _model(facts: Facts) -> list[str]:
    model = facts.model
    return [
        f"made by {_text(model.factory)}, {count(model.parameters)} parameters",
        f"reads {_text(', '.join(model.inputs))}; predicts {_text(model.label)}",
        f"learnt by {_text(model.method)} in {facts.run.rounds_done} of {facts.run.rounds_planned} rounds, loss "
        f"{_text(model.loss)}, {_text(model.optimizer)}",
    ]


def _data(facts: Facts) -> list[str]:
    return [
        f"{_text(site.name)}: {_text(site.population)}, data version {_text(site.dataset)}, declared size "
        f"{count(site.declared_rows)}"
        for site in facts.sites
    ]


def _promise(facts: Facts) -> list[str]:
    promise = facts.promise
    if promise is None:
        reason = f" ({_text(facts.why_no_promise)})" if facts.why_no_promise else ""
        return [f"none: the model may reveal something about single people, and nothing bounds how much{reason}"]
    return [
        _text(promise.sentence),
        f"of 100 equally informed attackers, each willing to raise one false alarm in 100, at most "
        f"{promise.in_a_hundred} would {caught(promise)}",
        f"derived again from the mechanisms: epsilon {up(promise.derived_epsilon)} at delta {plain(promise.delta)}",
    ]


def _utility(facts: Facts) -> list[str]:
    utility = facts.utility
    measured = [e for e in utility.evaluations if e.accuracy is not None]
    lines = []
    if measured:
        last = measured[-1]
        noised = " (from noised counts)" if utility.noised else ""
        if last.accuracy_deviation is not None:
            noised = f" (from noised counts; standard deviation of the noise {percent(last.accuracy_deviation)})"
        lines.append(f"{_text(utility.metric)} after round {last.round}: {percent(last.accuracy)}{noised}")
    for row in utility.baselines:
        spread = "" if row.spread is None else f", spread {percent(row.spread)}"
        lines.append(f"{_text(row.name)}: {percent(row.value)}{spread}, {row.seeds} seeds")
    return lines or ["no figures were released"]


def _provenance(facts: Facts) -> list[str]:
    return [
        f"run {_text(facts.run.name)}, {_text(facts.run.started)}",
        f"plan SHA-256 {facts.plan_hash}",
        *(f"{_text(file.file)} SHA-256 {file.sha256}" for file in facts.files[-1:]),
        _text(", ".join(f"{name} {value}" for name, value in facts.versions.items())) or "versions not recorded",
    ]
