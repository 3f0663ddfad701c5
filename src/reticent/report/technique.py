"""How a run's technique protects what travels, in the words of a report: one place for all techniques."""

from __future__ import annotations

from reticent.report.facts import Protection, Technique
from reticent.report.wording import several
from reticent.study.plan import Plan

__all__ = ["crossing", "message", "protection", "technique"]


def technique(plan: Plan) -> Technique:
    """Return the name of the technique."""
    if plan.computation is not None:
        return "secure computation"
    return "split learning" if plan.split is not None else "federated learning"


def message(plan: Plan) -> str:
    """Return what a site releases once a round."""
    if plan.computation is not None:
        return "shares of its rows, and at the end its part of the opened model"
    if plan.split is not None:
        labels = ", with labels" if plan.split.shape == "vanilla" else ""
        return f"activations and gradients of every row in one pass{labels}"
    return "model update of one round"


def crossing(plan: Plan) -> str:
    """Return what of a site's messages the coordinator, or the other parties, can read."""
    if plan.computation is not None:
        return "every number was shared, so that no party but the owner saw it; the model was opened at the end"
    if plan.split is not None:
        noises = list(plan.split.boundary.values())
        if noises and not noises[0].activation_noise:
            return (
                "activations of single rows went to the coordinator as they are, gradients where labels are with noise"
            )
        noised = "with noise" if noises else "as they are"
        return f"activations and gradients of single rows went to the coordinator {noised}"
    if plan.aggregation.protocol == "secagg":
        threshold = plan.aggregation.threshold
        return f"updates were masked so that the coordinator learns only sums of at least {threshold} sites"
    return "updates were not masked: the coordinator saw each"


def protection(plan: Plan) -> Protection:
    """Return how the promise is kept, in the terms of NIST SP 800-226; what is not promised is said to be so."""
    return Protection(
        trust_model=_trust(plan),
        mechanism=_mechanism(plan),
        composition=_composition(plan),
        side_channels="see what is not covered; refusals during the run depend on schema and policy alone",
        floating_point="not applicable: no noise is drawn" if plan.privacy is None else _FLOATING_POINT,
        data_collection_exposure="records stay at their site; this system does not protect them while collected there",
    )


_FLOATING_POINT = (
    "contributions are summed as integers on a grid, and the Gaussian is rounded to the same grid; randomness "
    "comes from the operating system through AES in counter mode and cannot be seeded"
)


def _trust(plan: Plan) -> str:
    if plan.computation is not None:
        return (
            "three parties follow the protocol, and no two pool what they see"
            if plan.computation.protocol == "replicated"
            else f"all parties follow the protocol; the {plan.computation.dealer}, which deals triples, colludes with none"
        )
    if plan.split is not None:
        return "each site trusts itself only; the coordinator follows the protocol and sees messages about single rows"
    masked = plan.aggregation.protocol == "secagg"
    return "each site trusts itself only" + (
        "; the coordinator follows the protocol and sees sums" if masked else "; the coordinator sees each update"
    )


def _mechanism(plan: Plan) -> str:
    privacy = plan.privacy
    if privacy is None:
        return (
            "secret sharing; the result is not noised, and no epsilon is claimed"
            if plan.computation
            else ("no noise; no epsilon is claimed")
        )
    if plan.split is not None:
        noise = next(iter(plan.split.boundary.values()))
        if not noise.activation_noise:
            return (
                f"where the labels are, each row's gradient at the model's outputs clipped to norm {noise.output_norm:g}, "
                "rounded to a grid, with Gaussian noise, before anything is computed from it (noise mode local)"
            )
        return (
            f"each row's activation clipped to norm {noise.activation_norm:g}, its gradient of the site's part to "
            f"{privacy.max_grad_norm:g} and at the outputs to its declared norm; rounding to a grid; Gaussian noise on "
            "all three, added at the site before anything leaves it (noise mode local)"
        )
    if privacy.contribution == "update":
        return (
            f"each sampled person trains alone on their own rows; the update is clipped to norm {privacy.max_grad_norm:g} "
            f"and rounded to a grid of {privacy.grid:.3g}, Gaussian noise is added to the sum of a round at the site "
            "before anything leaves it (noise mode local)"
        )
    return (
        f"per-{privacy.unit} clipping to norm {privacy.max_grad_norm:g}, rounding to a grid of {privacy.grid:.3g} or "
        "finer, Gaussian noise in every local step, added at the site before anything leaves it (noise mode local)"
    )


def _composition(plan: Plan) -> str:
    if plan.privacy is None:
        return "none"
    spare = several(plan.privacy.spare_executions, "spare execution", "spare executions")
    what = "all passes over the rows" if plan.split is not None else "all local steps of all rounds, released figures"
    return (
        f"one release fixed before the run: {what} and {spare} together, by privacy loss distributions (upper bounds)"
    )
