"""What the messages of a split run show to known attacks, on canaries: rows that belong to nobody.

Run on a machine that owns the parts of all parties. A figure is a function of the trained weights and of public rows:
under an epsilon it is post-processing, and without one it is listed in the plan with everything else that is released.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from reticent.runs.binding import Binding
from reticent.runs.splitting import defences, features_of_site
from reticent.study import Plan, SplitPlan

__all__ = ["measure_leakage"]

_ROWS = 512


def measure_leakage(binding: Binding, model: Any) -> list[dict[str, Any]]:
    """Return each measure as `what`, `value`, `words` and `measured_on`.

    Args:
      binding: A plan of split learning with its code.
      model: The whole trained model.
    """
    split = binding.plan.split
    assert split is not None  # noqa: S101 - asked for split plans only
    found = _vertical(binding, model, split) if split.shape == "vertical" else _horizontal(binding, model, split)
    return [{**row, "measured_on": f"{_ROWS} canaries"} for row in found]


def _horizontal(binding: Binding, model: Any, split: SplitPlan) -> Iterator[dict[str, Any]]:
    from reticent.split import canary_activations, canary_gradients, cut, make_canaries

    plan = binding.plan
    canaries = make_canaries(plan.contract, rows=_ROWS)
    noise = _noise(plan, plan.sites[0].name)
    parts = cut(model, (split.cut, split.head) if split.head else (split.cut,))
    sent = canary_activations(canaries, parts[0], boundary=noise.get("activations"))
    yield _inputs("activations sent to the coordinator", canaries.features, sent)
    if split.shape == "vanilla":
        yield {"what": "labels sent to the coordinator", "value": 1.0, "words": "it gets every label as it is"}
        return
    entered = canary_activations(_of(sent, canaries), parts[1])
    back = canary_gradients(canaries, entered, parts[2], binding.loss_function, boundary=noise.get("outputs"))
    yield from _labels("gradients sent to the coordinator", back, canaries.labels)


def _vertical(binding: Binding, model: Any, split: SplitPlan) -> Iterator[dict[str, Any]]:
    import torch

    from reticent.split import canary_activations, canary_gradients, make_canaries

    plan = binding.plan
    canaries, sent = make_canaries(plan.contract, rows=_ROWS), {}
    for number, site in enumerate(plan.sites):
        own = canaries.columns(np.array(features_of_site(plan.contract, plan.columns(site.name))))
        noise = _noise(plan, site.name)
        sent[site.name] = canary_activations(own, model.bottoms[number], boundary=noise.get("activations"))
        yield _inputs(f"activations that {site.name} sends", own.features, sent[site.name])
    joined = np.concatenate(list(sent.values()), axis=1)
    outputs = _noise(plan, split.label_site or "").get("outputs")
    entered = canary_activations(_of(joined, canaries), model.top)
    back = canary_gradients(canaries, entered, torch.nn.Identity(), binding.loss_function, boundary=outputs)
    yield from _labels("gradients sent to the coordinator", back, canaries.labels)
    gradients = canary_gradients(canaries, joined, model.top, binding.loss_function, boundary=outputs)
    places = np.cumsum([0, *(values.shape[1] for values in sent.values())])
    for number, site in enumerate(plan.sites):
        if site.name != split.label_site:
            part = gradients[:, places[number] : places[number + 1]]
            yield from _labels(f"gradients that {site.name} gets", part, canaries.labels)


def _of(values: Any, canaries: Any) -> Any:
    from reticent.split import Canaries

    return Canaries(values.astype(np.float32), canaries.labels)


def _noise(plan: Plan, site: str) -> dict[str, Any]:
    return defences(plan, plan.site(site), np.arange(_ROWS)) if plan.split and site in plan.split.boundary else {}


def _inputs(what: str, features: Any, sent: Any) -> dict[str, Any]:
    from reticent.split import distance_correlation

    value = distance_correlation(features, sent)
    return {
        "what": f"{what}: distance correlation with the rows",
        "value": round(value, 4),
        "words": "0 if they say nothing about the rows, 1 if the rows can be rebuilt from them",
    }


def _labels(what: str, gradients: Any, labels: Any) -> Iterator[dict[str, Any]]:
    from reticent.split import label_auc

    if labels.dtype.kind != "i":
        return
    found = {
        "length": label_auc(gradients, labels, by="norm"),
        "direction": label_auc(gradients, labels, by="direction"),
    }
    for how, value in found.items():
        if value is not None:
            yield {
                "what": f"{what}: labels inferred from their {how}, area under the ROC curve",
                "value": round(value, 4),
                "words": ".5 is guessing, 1 is every label known",
            }
