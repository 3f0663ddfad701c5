"""The plan in words, for the terminal: the promise, what it costs, who sees what, and what is not covered."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from reticent.study.plan import Plan

__all__ = ["in_words", "size", "topics"]

Lines = tuple[str, ...]


def in_words(plan: Plan, *, left: Mapping[str, float] | None = None, width: int = 100) -> str:
    """Return the plan as plain text, for terminals of at least 60 columns.

    Args:
      plan: A plan.
      left: What each site's ledger has left before this study, epsilon by site name, if it is known.
      width: Columns; smaller than 60 counts as 60.
    """
    width = max(width, 60)
    blocks = []
    for title, lines in topics(plan, left=left).items():
        body = (textwrap.fill(line, width, initial_indent="  ", subsequent_indent="    ") for line in lines)
        blocks.append("\n".join((title, *body)))
    return "\n\n".join(blocks)


def topics(plan: Plan, *, left: Mapping[str, float] | None = None) -> dict[str, Lines]:
    """Return what `in_words` says, as lines under their titles, for other ways to show it."""
    return {
        f"Plan {plan.study} ({plan.hash[:12]})": tuple(_summary(plan)),
        "The promise": (_promise(plan),),
        "Privacy budget" if plan.guarantee else "Sites": tuple(_sites(plan, left or {})),
        "Who sees what": tuple(_who_sees(plan)),
        "What leaves the sites": tuple(_releases(plan)),
        "Traffic": (_traffic(plan),),
        "Taken for granted": plan.assumptions,
        "Not covered": plan.not_covered,
    }


def size(count: float) -> str:
    """Return a number of bytes with a unit that fits it.

    >>> size(950), size(1_234_567)
    ('950 B', '1.23 MB')
    """
    units = ("B", "kB", "MB", "GB", "TB")
    step = min(max(len(str(int(count))) - 1, 0) // 3, len(units) - 1)
    return f"{count / 1000**step:.3g} {units[step]}"


def _summary(plan: Plan) -> Iterator[str]:
    training = plan.training
    yield f"purpose: {plan.purpose}; contact: {plan.contact}"
    mu = f" (mu {training.mu:g})" if training.method == "fedprox" else ""
    chosen = training.clients_per_round
    yield (
        f"{training.method}{mu}, {training.rounds} rounds, {chosen} of {len(plan.sites)} sites in each, "
        f"{training.optimizer.name} with learning rate {training.optimizer.learning_rate:g}"
    )
    yield f"model {plan.model.factory}, {plan.model.parameters} parameters, loss {training.loss}"


def _promise(plan: Plan) -> str:
    if plan.guarantee is None:
        return f"No promise of differential privacy is made: {plan.why_no_promise}"
    return plan.guarantee.sentence()


def _sites(plan: Plan, left: Mapping[str, float]) -> Iterator[str]:
    for site in plan.sites:
        if site.epsilon is None or plan.guarantee is None:
            yield f"{site.name}: {site.rows} rows declared, weight {site.weight:.1%}"
            continue
        after = ""
        if site.name in left:
            after = f"; left before {_down(left[site.name])}, after {_down(left[site.name] - site.epsilon)}"
        yield (
            f"{site.name}: epsilon {_up(site.epsilon)} at delta {plan.guarantee.delta:g}, charged to "
            f"{site.population!r} (dataset {site.dataset}){after}"
        )
        yield (
            f"  {site.rows} {plan.guarantee.unit}s declared, weight {site.weight:.1%}; {site.local_steps} steps a "
            f"round, sampling probability {site.sampling_probability:.4g}, noise multiplier {site.noise_multiplier:g}"
        )
    if plan.guarantee is not None:
        yield "The charge is for the plan as a whole: stopping early gives nothing back. Charges of plans add up."


def _who_sees(plan: Plan) -> Iterator[str]:
    for row in plan.who_sees:
        yield f"{row.party}: sees {row.sees}"
        yield f"  does not see {row.does_not_see}"


def _releases(plan: Plan) -> Iterator[str]:
    spare = plan.privacy.spare_executions if plan.privacy else 0
    paid = f" (and up to {spare} repetition{'s' if spare > 1 else ''}, paid for in advance)" if spare else ""
    yield f"an update in each of {plan.training.rounds} rounds{paid}"
    evaluations = plan.metrics.evaluations
    if not evaluations:
        yield "no figures"
        return
    noise = plan.metrics.noise_multiplier
    how = f"with noise multiplier {noise:g}" if noise is not None else "exactly"
    yield f"confusion counts {how}, after {_rounds(evaluations)}{paid}"


def _rounds(rounds: Sequence[int]) -> str:
    if len(rounds) <= 6:
        return f"round{'s' if len(rounds) > 1 else ''} {', '.join(map(str, rounds))}"
    return f"{len(rounds)} rounds, from {rounds[0]} to {rounds[-1]}"


def _traffic(plan: Plan) -> str:
    cost, aggregation = plan.cost, plan.aggregation
    how = (
        f"masked, {aggregation.ring_bits} bits a value; at least {aggregation.threshold} sites in a sum"
        if aggregation.protocol == "secagg"
        else "not masked"
    )
    return (
        f"{size(cost.download_per_round)} down and {size(cost.upload_per_round)} up for a site in a round ({how}); "
        f"{size(cost.total_per_site)} for a site in all"
    )


def _up(epsilon: float) -> str:
    return f"{math.ceil(epsilon * 100 - 1e-9) / 100:.2f}"


def _down(epsilon: float) -> str:
    return f"{math.floor(epsilon * 100 + 1e-9) / 100:.2f}"
