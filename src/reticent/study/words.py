"""The plan in words, for the terminal: the promise, what it costs, who sees what, and what is not covered."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from reticent import dp
from reticent.study.plan import Plan, SitePlan

__all__ = ["in_words", "method_in_words", "size", "topics"]

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


def method_in_words(plan: Plan) -> str:
    """Return the method of learning in a few words, as a plan and a report name it."""
    split, computation = plan.split, plan.computation
    if split is not None:
        return {
            "vanilla": f"split learning, cut after {split.cut!r}; labels go to the coordinator",
            "u-shape": f"split learning, cut after {split.cut!r} and {split.head!r}; labels stay",
            "vertical": f"vertical split learning, {split.width} values of each site for one row; labels stay",
        }[split.shape]
    if computation is not None:
        dealer = f", triples from the {computation.dealer}" if computation.dealer else ""
        return f"secure computation on {computation.protocol} shares of {computation.holds}{dealer}"
    return {"fedavg": "FedAvg", "fedprox": f"FedProx (mu {plan.training.mu:g})"}[plan.training.method]


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
    yield (
        f"{method_in_words(plan)}, {training.rounds} rounds, {training.clients_per_round} of {len(plan.sites)} sites "
        f"in each, {training.optimizer.name} with learning rate {training.optimizer.learning_rate:g}"
    )
    yield f"model {plan.model.factory}, {plan.model.parameters} parameters, loss {training.loss}"


def _promise(plan: Plan) -> str:
    if plan.guarantee is None:
        return f"No promise of differential privacy is made: {plan.why_no_promise}"
    return plan.guarantee.sentence()


def _sites(plan: Plan, left: Mapping[str, float]) -> Iterator[str]:
    for site in plan.sites:
        if columns := plan.columns(site.name):
            yield f"{site.name} holds {', '.join(columns)}"
        if site.epsilon is None or plan.guarantee is None:
            weight = f", weight {site.weight:.1%}" if plan.federated else ""
            yield f"{site.name}: {site.rows} rows declared{weight}"
            continue
        after = ""
        if site.name in left:
            after = f"; left before {_down(left[site.name])}, after {_down(left[site.name] - site.epsilon)}"
        yield (
            f"{site.name}: epsilon {_up(site.epsilon)} at delta {plan.guarantee.delta:g}, charged to "
            f"{site.population!r} (dataset {site.dataset}){after}"
        )
        yield f"  {_noise(plan, site)}"
    if plan.guarantee is not None:
        yield "The charge is for the plan as a whole: stopping early gives nothing back."
        yield from _filters(plan)


def _filters(plan: Plan) -> Iterator[str]:
    """Say what the plan costs under either filter: the one adds up epsilons, the other adds up Renyi curves."""
    releases = {site.name: plan.release(site.name) for site in plan.sites}
    promised = [release for release in releases.values() if release is not None]
    if not promised or plan.guarantee is None:
        return
    # A ledger's Renyi filter converts at half of delta: the rest pays for the choice of the order afterwards.
    delta = plan.guarantee.delta / 2
    alone = max(dp.renyi_epsilon(dp.renyi_curve(r.events, relation=r.relation), delta=delta) for r in promised)
    yield (
        f'Under the filter "sum" the epsilons of plans add up. Under "renyi" (chosen when the budget is granted) this '
        f"plan alone costs about {_up(alone)}, and each further one less than its own."
        if math.isfinite(alone)
        else 'The epsilons of plans add up; under the filter "renyi" this plan has no bound.'
    )


def _noise(plan: Plan, site: SitePlan) -> str:
    if plan.split is not None:
        noise = plan.split.boundary[site.name]
        kinds = {
            "activations": noise.activation_noise,
            "updates": noise.update_noise,
            "gradients at the outputs": noise.output_noise,
        }
        used = ", ".join(f"{kind} {multiplier:g}" for kind, multiplier in kinds.items() if multiplier)
        return f"noise multipliers: {used}; one pass a round, every row once"
    unit = plan.guarantee.unit if plan.guarantee else "row"
    if plan.privacy is not None and plan.privacy.contribution == "update":
        return (
            f"{site.rows} persons declared, weight {site.weight:.1%}; in a round each is sampled with probability "
            f"{site.sampling_probability:.4g} and trains alone, noise multiplier {site.noise_multiplier:g}"
        )
    return (
        f"{site.rows} {unit}s declared, weight {site.weight:.1%}; {site.local_steps} steps a "
        f"round, sampling probability {site.sampling_probability:.4g}, noise multiplier {site.noise_multiplier:g}"
    )


def _who_sees(plan: Plan) -> Iterator[str]:
    for row in plan.who_sees:
        yield f"{row.party}: sees {row.sees}"
        yield f"  does not see {row.does_not_see}"


def _releases(plan: Plan) -> Iterator[str]:
    spare = plan.privacy.spare_executions if plan.privacy else 0
    paid = f" (and up to {spare} repetition{'s' if spare > 1 else ''}, paid for in advance)" if spare else ""
    yield _message(plan) + paid
    if plan.split is not None and any(part.activation_noise for part in plan.split.boundary.values()):
        yield (
            "Noise on every single row leaves little to learn from, at any epsilon that promises something: measured in "
            "docs/results/split-leakage.md. Federated learning adds noise to sums over many rows."
        )
    if plan.statistics is not None:
        asked = len(plan.statistics.ask)
        multiplier = plan.statistics.noise_multiplier
        noised = "exactly" if multiplier is None else f"as one vector with noise multiplier {multiplier:g}"
        yield f"the answers to {asked} question{'s' if asked > 1 else ''} {noised}, before round 1{paid}"
    evaluations = plan.metrics.evaluations
    if not evaluations:
        yield "no figures"
        return
    noise = plan.metrics.noise_multiplier
    how = f"with noise multiplier {noise:g}" if noise is not None else "exactly"
    if plan.split is not None:
        label = " and its label" if plan.split.shape == "vanilla" else ""
        yield f"the activation of every test row{label}, after {_rounds(evaluations)}"
        yield f"confusion counts, loss and area under the ROC curve {how}, after {_rounds(evaluations)}"
        return
    yield f"confusion counts {how}, after {_rounds(evaluations)}{paid}"


def _message(plan: Plan) -> str:
    rounds = plan.training.rounds
    if plan.computation is not None:
        return "shares, which say nothing by themselves; after the last round the opened model, exactly"
    if plan.split is not None:
        noises = list(plan.split.boundary.values())
        noised = "noised " if noises and noises[0].activation_noise else "exact "
        back = "noised " if noises else "exact "
        labels = "and the labels" if plan.split.shape == "vanilla" else f"and {back}gradients where the labels are"
        return f"the {noised}activation of every training row {labels}, in each of {rounds} passes"
    return f"an update in each of {rounds} rounds"


def _rounds(rounds: Sequence[int]) -> str:
    if len(rounds) <= 6:
        return f"round{'s' if len(rounds) > 1 else ''} {', '.join(map(str, rounds))}"
    return f"{len(rounds)} rounds, from {rounds[0]} to {rounds[-1]}"


def _traffic(plan: Plan) -> str:
    cost, aggregation = plan.cost, plan.aggregation
    if plan.computation is not None:
        facts = plan.model.computation
        waits = f"; {facts.steps} steps of {facts.rounds_per_step} messages that wait for each other" if facts else ""
        return f"{size(cost.upload_per_round)} from a site in a round, {size(cost.total_per_site)} in all{waits}"
    how = (
        f"masked, {aggregation.ring_bits} bits a value; at least {aggregation.threshold} sites in a sum"
        if aggregation.protocol == "secagg"
        else "not masked"
    )
    if plan.split is not None:
        how = "four bytes a value, at declared sizes"
    return (
        f"{size(cost.download_per_round)} down and {size(cost.upload_per_round)} up for a site in a round ({how}); "
        f"{size(cost.total_per_site)} for a site in all"
    )


def _up(epsilon: float) -> str:
    return f"{math.ceil(epsilon * 100 - 1e-9) / 100:.2f}"


def _down(epsilon: float) -> str:
    return f"{math.floor(epsilon * 100 + 1e-9) / 100:.2f}"
