"""Codes of `reticent.federated`."""

from __future__ import annotations

__all__ = ["EXPLANATIONS"]

EXPLANATIONS: dict[str, str] = {
    "attempt-lost": (
        "A site was asked to go on with an attempt whose keys it no longer has, as after a restart. Keys are never "
        "written down, because masks that are used twice hide nothing. Repeat the round as a new attempt; "
        "`reticent resume` does so."
    ),
    "metrics-not-released": (
        "The coordinator asked a site for figures that the plan does not release. A site answers nothing that was not "
        "planned and paid for. Add [release] metrics to the study, and make a new plan."
    ),
    "model-differs": (
        "The model that reached this site is not the one that was announced when the round was opened. A coordinator "
        "that sends different models to different sites can undo secure aggregation (Pasquini et al. 2022). The site "
        "answers nothing; find out why before the next round."
    ),
    "no-identity": (
        "Secure aggregation signs every key with the site's identity, and this client was made without one. Give "
        "federated.Client a name, a key and the roster of all sites."
    ),
    "protocol-order": (
        "The steps of a protocol were called in an order that its design excludes. This is a bug of ours or of an "
        "engine: please report it."
    ),
    "too-few-sites": (
        "Fewer sites answered than the plan allows to be absent. The round was not summed, and nothing of it was "
        "released. Bring the absent sites back and resume, or plan for more dropouts."
    ),
    "statistics-not-released": (
        "The coordinator asked a site for statistics that the plan does not contain. What leaves a site stands in the "
        "plan that it approved. Add [statistics] to the study and make a new plan."
    ),
    "unknown-phase": (
        "A site was asked for a step that its version of the protocol does not have. Run the same version of reticent "
        "and the same plan at every party."
    ),
    "wrong-cohort": (
        "The coordinator opened a sum over another number of sites than the plan says. A site hides among the planned "
        "number or not at all: in a smaller company, or among members that the coordinator plays itself, the sum could be "
        "its own update."
    ),
    "wrong-update-shape": (
        "An update has another number of values than the plan's model. The parties run different code. Install the "
        "study's model in the same version everywhere; the plan pins its hash."
    ),
}
