"""Split learning in a plan: who holds which part, what crosses the cut, what it shows, and what noise promises there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from reticent import dp
from reticent.errors import InternalError
from reticent.study.calibrate import evaluations_of, shown
from reticent.study.computing import columns_of
from reticent.study.parts import BoundaryPlan, OptimizerPlan, SplitFacts, SplitPlan
from reticent.study.plan import Cost, ModelFacts, Visibility
from reticent.study.sections import SplitSection, Study

if TYPE_CHECKING:
    from reticent.split import SplitTraining

__all__ = [
    "assumptions",
    "cost",
    "epsilons",
    "labels_stay",
    "not_covered",
    "shape_of",
    "split_plan",
    "training_of",
    "who_sees",
]


def shape_of(study: Study) -> Literal["vanilla", "u-shape", "vertical"]:
    """Return `vanilla` (labels go to the coordinator), `u-shape` (they stay) or `vertical` (sites hold columns)."""
    if study.learning.method == "vertical":
        return "vertical"
    return "u-shape" if _section(study).head else "vanilla"


def labels_stay(study: Study) -> bool:
    """Return whether labels never leave the site that has them."""
    return shape_of(study) != "vanilla"


def split_plan(study: Study, facts: ModelFacts) -> SplitPlan:
    """Return where the model is cut, who holds which part, and the noise at each site."""
    section, learning = _section(study), study.learning
    return SplitPlan(
        shape=shape_of(study),
        cut=section.cut or "",
        head=section.head or "",
        width=section.width or (facts.split.cut_width if facts.split else 0),
        top=section.top or "",
        top_optimizer=OptimizerPlan(
            name=section.top_optimizer or learning.optimizer,
            learning_rate=section.top_learning_rate or learning.learning_rate,
            momentum=learning.momentum if section.top_optimizer in (None, learning.optimizer) else 0.0,
            weight_decay=learning.weight_decay,
        ),
        columns=columns_of(study),
        label_site=study.label_site if study.by_columns else None,
        boundary=boundary(study),
    )


def training_of(study: Study) -> SplitTraining:
    """Return the settings of the training, as far as traffic depends on them."""
    from reticent.split import Optimizer, SplitTraining

    learning = study.learning
    sites = Optimizer(name=learning.optimizer, learning_rate=learning.learning_rate, momentum=learning.momentum)
    return SplitTraining(
        shape=shape_of(study),
        sites=tuple(sorted(study.sites)),
        labels=study.label_site if study.by_columns else None,
        start="redrawn",
        epochs=learning.rounds,
        batch_size=learning.batch_size or 1,
        classes=len(study.data.classes),
        bottom_optimizer=sites,
        head_optimizer=sites,
        evaluations=evaluations_of(study),
    )


def cost(study: Study, facts: SplitFacts) -> Cost:
    """Return the traffic of a site on average, if every site has as many rows as it declares.

    Test rows are taken to be as many as the contract's fraction says.
    """
    from reticent.split import traffic

    settings, sites = training_of(study), sorted(study.sites)
    held = study.data.test_fraction / (1 - study.data.test_fraction)
    shape: dict[str, Any] = {
        "widths": dict.fromkeys(sites, (facts.cut_width,)),
        "head_width": (facts.head_width,) if facts.head_width else (),
        "parts_bytes": facts.parts_bytes,
    }
    rows = {name: study.sites[name].rows for name in sites}
    tested = {name: round(held * count) for name, count in rows.items()}
    epochs = [traffic(settings, epoch=number, rows=rows, **shape) for number in (1, study.learning.rounds)]
    evaluation = traffic(settings, task="evaluate", rows=tested, **shape)
    one, last, test = (found.total + found.messages * (_REQUEST + _REPLY) // 2 for found in (*epochs, evaluation))
    total = one * (study.learning.rounds - 1) + last + test * len(settings.evaluations)
    # Every activation that goes one way is answered by a gradient the other way; labels go up alone.
    up = epochs[0].labels + (epochs[0].total - epochs[0].labels + epochs[0].messages * _REPLY) // 2
    return Cost(
        download_per_round=(one - up) // len(sites),
        upload_per_round=up // len(sites),
        total_per_site=total // len(sites),
    )


_REQUEST, _REPLY = 306, 413
"""A signed envelope with its address; around a reply also the record that says it was accepted."""


def boundary(study: Study) -> dict[str, BoundaryPlan]:
    """Return the noise of each site, so that a person at as many sites as declared stays within the target.

    Everything is an unsampled Gaussian: the vectors of the rows (whoever receives one knows whose it is), the sums by
    which a site's part learns, and where the labels are the gradients at the outputs. Such releases compose into one,
    whose 1 / multiplier^2 is the sum of theirs (Dong, Roth, Su 2022, corollary 3.3); so the budget is a sum of shares.
    """
    from reticent.split import boundary_noise_multiplier

    privacy, target = study.privacy, study.privacy.target
    activation, update, output = privacy.max_activation_norm, privacy.max_grad_norm, privacy.max_gradient_norm
    if target is None or output is None:
        return {}
    passes = study.learning.rounds + privacy.spare_executions
    once = boundary_noise_multiplier(epsilon=target.epsilon, delta=target.delta, passes=passes, trains=False).vectors
    once *= math.sqrt(privacy.sites_per_person)
    found = {}
    for name in sorted(study.sites):
        labels = not study.by_columns or name == study.label_site
        if activation is None or update is None:  # only labels are protected, where they are
            if labels:
                found[name] = BoundaryPlan(output_norm=output, output_noise=_up(once))
            continue
        shares = _SHARES if labels else {key: _SHARES[key] / (1 - _SHARES["outputs"]) for key in _SHARES}
        found[name] = BoundaryPlan(
            activation_norm=activation,
            activation_noise=_up(once / math.sqrt(shares["activations"])),
            update_norm=update,
            update_noise=_up(once / math.sqrt(shares["updates"])),
            output_norm=output if labels else 0.0,
            output_noise=_up(once / math.sqrt(shares["outputs"])) if labels else 0.0,
        )
    return found


def epsilons(study: Study, split: SplitPlan) -> tuple[dict[str, float], float]:
    """Return the certified epsilon of each site, and of one person at `sites_per_person` sites, whichever they are."""
    target, passes = study.privacy.target, study.learning.rounds + study.privacy.spare_executions
    assert target is not None  # noqa: S101 - asked only where an epsilon is claimed
    events = {name: dp.Repeated(noise.one_pass(), passes) for name, noise in split.boundary.items()}

    def certified(*parts: dp.Event) -> float:
        return dp.epsilon(parts, delta=target.delta, relation="replace_one")

    alone = {name: certified(event) for name, event in events.items()}
    loudest = sorted(events, key=lambda name: alone[name])[-study.privacy.sites_per_person :]
    together = certified(*(events[name] for name in loudest))
    if together > target.epsilon:
        raise InternalError(
            "noise-not-found",
            f"the noise of {', '.join(loudest)} still gives epsilon {together:g}, above {target.epsilon:g}",
            hint="please report this with the study file",
        )
    return {name: shown(value, target.epsilon) for name, value in alone.items()}, shown(together, target.epsilon)


_SHARES = {"activations": 0.375, "updates": 0.25, "outputs": 0.375}
"""Parts of the budget; a sum over a batch bears more noise than the vector of a single row."""


def _up(multiplier: float) -> float:
    return math.ceil(multiplier * 1e4) / 1e4


def who_sees(study: Study) -> tuple[Visibility, ...]:
    """Return the table *who sees what*: own site, other sites, coordinator, reader."""
    noised = "noised " if _records_protected(study) else ""
    back = "noised " if study.privacy.claimed else ""
    return (
        Visibility(
            party="a person's own site",
            sees=f"its own records, its own part of the model, and the {back}gradients that come back for its rows",
            does_not_see="records or activations of any other site, and the coordinator's part of the model",
        ),
        _other_sites(study, noised),
        _coordinator(study, noised),
        Visibility(
            party="a reader of the report",
            sees="this plan, " + ("no figures" if study.release.metrics is None else "the released figures"),
            does_not_see="any part of the model: each part stays with the party that trained it",
        ),
    )


def _other_sites(study: Study, noised: str) -> Visibility:
    if study.by_columns:
        label = study.label_site
        return Visibility(
            party="the other sites",
            sees=f"that the same people are rows here; {label}, which holds the label: the model's outputs for every row",
            does_not_see="this site's columns, its activations, and its part of the model",
        )
    return Visibility(
        party="the other sites",
        sees="the sites' part of the model, which is handed from one to the next, sealed for the next one alone",
        does_not_see=f"this site's records and {noised}activations, as far as the handed-over part does not reveal them",
    )


def _coordinator(study: Study, noised: str) -> Visibility:
    labels = "" if labels_stay(study) else ", the label of each row"
    hidden = f"records, {'labels, ' if labels_stay(study) else ''}and the sites' part of the model"
    if labels_stay(study):
        labels = (
            ", the gradient at the model's output for each row, from which labels can often be inferred"
            if (not study.privacy.claimed)
            else ", the noised gradient at the model's output for each row"
        )
    return Visibility(
        party="the coordinator",
        sees=f"the {noised}activation of every single row in every pass{labels}; which site trains when",
        does_not_see=hidden
        + (
            ""
            if _records_protected(study)
            else ", as far as activations do not reveal them: inputs can often be reconstructed"
        ),
    )


def assumptions(study: Study) -> tuple[str, ...]:
    """Return what must be true for what is said to hold."""
    return tuple(_assumed(study))


def not_covered(study: Study) -> tuple[str, ...]:
    """Return what an attacker may learn in spite of the cut."""
    return tuple(_uncovered(study))


def _assumed(study: Study) -> Iterator[str]:
    if not _records_protected(study):
        yield "Every party follows the protocol: a coordinator that steers gradients can turn a site's part into a leak."
    yield "Keys were pinned correctly; what a site hands to the next is sealed for that site's key."
    if study.by_columns:
        yield (
            f"The rows of all sites are the same people, told by {study.data.person!r}; that they are the same set is "
            "checked by a keyed digest, and that nobody is called by two names is not."
        )
    yield "Columns, ranges, vocabularies and fill-in values of the contract were chosen without looking at these data."
    if study.privacy.claimed:
        yield "A row that lacks a value takes part as zeros, so that how many rows are sent says nothing about any of them."
        yield "Every row is another person; the order of the batches is public and does not depend on the data."
        yield "A person's own site runs this software unchanged and keeps its noise and exact files to itself."


def _uncovered(study: Study) -> Iterator[str]:
    if not study.privacy.claimed:
        yield (
            "Measured, no guarantee: activations and gradients of single rows leave the sites as they are. The report "
            "shows how much known attacks found; an attack that was not tried may find more."
        )
    elif not _records_protected(study):
        yield (
            "Everything but the labels: activations of single rows leave the sites as they are, and inputs can often be "
            "reconstructed from them. And what the features themselves say about the label."
        )
        if not study.by_columns:
            yield "Whether a row has a label at all: one without takes part as zeros, which its activations show."
    yield "How many training and test rows a site has, which row is in which batch, and whether and when a site answers."
    if study.by_columns:
        yield "Whether a person is in the set that all sites hold: joining rows presupposes that they know."
    if labels_stay(study):
        yield (
            "What the gradients say about labels: "
            + ("the noise bounds it." if study.privacy.claimed else "often all of it.")
        )
    else:
        yield "The labels: the coordinator gets them."
    more = (
        "" if _records_protected(study) else f", and learn more{' of all but labels' if study.privacy.claimed else ''}"
    )
    yield f"A party that departs from the protocol, or enters false records: it can spoil the model{more}."
    yield "Both parts of the model, put together, and any attack on the whole model."
    yield "A site's own exact files (data, its part of the model, keys) and whoever can read them there."


def _records_protected(study: Study) -> bool:
    return study.privacy.claimed and study.privacy.protects == "records"


def _section(study: Study) -> SplitSection:
    assert study.split is not None  # noqa: S101 - `techniques.check_sections` has seen it
    return study.split
