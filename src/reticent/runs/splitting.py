"""Split learning in a run: the parts of the plan's model, who holds which, and the roles that train them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reticent.data import AlignedColumns, Contract, Examples, Prepared
from reticent.errors import EnvironmentFault, PolicyRefused
from reticent.identity import Roster, SigningKey
from reticent.runs.checkpoints import Checkpoints
from reticent.study import ModelFacts, Plan, SitePlan, SplitFacts, SplitPlan, Study, training_of

if TYPE_CHECKING:
    from torch import nn

    from reticent.split import Client, Server, SplitTraining

__all__ = [
    "coordinators_part",
    "defences",
    "features_of_site",
    "joined_model",
    "joined_state",
    "probe_cut",
    "settings_of",
    "sites_parts",
    "split_client",
    "split_server",
]

Make = Callable[..., Any]


def features_of_site(contract: Contract, columns: tuple[str, ...]) -> list[int]:
    """Return which of the contract's features a site's columns become, by position."""
    place, found = 0, list[int]()
    for column in contract.columns:
        width = len(column.feature_names)
        if column.name in columns:
            found += range(place, place + width)
        place += width
    return found


def joined_model(columns: Mapping[str, tuple[str, ...]], contract: Contract, *, bottom: Make, top: Make) -> Any:
    """Return a vertical model in one piece: each site's part on its own features, side by side, and the top.

    Args:
      columns: The columns of each site, sites in the order of the plan.
      bottom, top: Called with the number of inputs.
    """
    import torch

    from reticent.split import Joined

    places = {site: features_of_site(contract, held) for site, held in columns.items()}
    bottoms = {site: bottom(len(found)) for site, found in places.items()}
    with torch.no_grad():
        width = sum(part(torch.zeros(2, len(places[site])))[0].numel() for site, part in bottoms.items())
    return Joined(bottoms, top(width), places)


def probe_cut(study: Study, model: nn.Module, facts: ModelFacts, *, code_hash: str) -> ModelFacts:
    """Return the facts with what a plan must know of the cut.

    Raises:
      UsageError: If the model cannot be cut where the study says; the message names places where it can.
    """
    import torch

    from reticent.split import cut, parts_bytes

    section = study.split
    assert section is not None  # noqa: S101 - asked for split studies only
    if study.learning.method == "vertical":
        bottoms: Any = model.bottoms
        for bottom in bottoms:
            _require_trained(bottom, f"model.factory = {facts.factory!r}")
        found = SplitFacts(cut_width=section.width or 0, head_width=facts.outputs, parts_bytes=0, code_hash=code_hash)
        return facts.model_copy(update={"split": found})
    at = (section.cut or "", section.head) if section.head else (section.cut or "",)
    parts = cut(model, at)
    _require_trained(parts[0], f"split.cut = {section.cut!r}")
    values, widths = torch.zeros(2, *study.data.input_shape), []
    with torch.no_grad():
        for part in parts[:-1]:
            values = part.eval()(values)
            widths.append(values[0].numel())
    model.train()
    handed = parts_bytes(parts[0], parts[2] if len(parts) > 2 else None, training_of(study))
    found = SplitFacts(
        cut_width=widths[0],
        head_width=widths[1] if len(widths) > 1 else 0,
        parts_bytes=handed if len(study.sites) > 1 else 0,
    )
    return facts.model_copy(update={"split": found})


def _require_trained(bottom: nn.Module, where: str) -> None:
    if not any(value.requires_grad for value in bottom.parameters()):
        raise PolicyRefused(
            "cut-sends-records",
            f"{where}: the sites' part has no weights, so that what crosses the cut is the records themselves",
            hint="cut after a layer that is trained, and better after several: names as in model.named_modules()",
        )


def _split(plan: Plan) -> SplitPlan:
    assert plan.split is not None  # noqa: S101 - asked for split plans only
    return plan.split


def settings_of(plan: Plan) -> SplitTraining:
    """Return the settings that all parties of a plan train under."""
    from reticent.split import Optimizer, SplitTraining

    split, training = _split(plan), plan.training
    sites, top = Optimizer(**training.optimizer.model_dump()), Optimizer(**split.top_optimizer.model_dump())
    return SplitTraining(
        shape=split.shape,
        sites=tuple(site.name for site in plan.sites),
        labels=split.label_site,
        start="redrawn",  # a first part that everybody knows could be used to invert the first activations
        epochs=training.rounds,
        batch_size=training.batch_size or 1,
        classes=len(plan.contract.classes),
        loss=training.loss,
        bottom_optimizer=sites,
        server_optimizer=top,
        head_optimizer=sites,
        seed=training.seed or 0,
        evaluations=plan.metrics.evaluations,
        deadline=plan.round_deadline,
    )


def coordinators_part(plan: Plan, model: nn.Module) -> nn.Module:
    """Return the part of the model that the coordinator trains: the top, or the middle of a U-shape."""
    from reticent.split import cut

    split = _split(plan)
    if split.shape == "vertical":
        part: nn.Module = model.top  # type: ignore[assignment]
        return part
    return cut(model, _places(split))[1]


def sites_parts(plan: Plan, model: nn.Module, site: str) -> Any:
    """Return what a site trains: its bottom, or bottom and head where the labels stay there."""
    from torch import nn as torch_nn

    from reticent.split import cut

    split = _split(plan)
    if split.shape == "vertical":
        bottom = model.bottoms[_number(plan, site)]  # type: ignore[index]
        # The last part is the top, at the coordinator: the site of the labels has the loss alone.
        return (bottom, torch_nn.Identity()) if site == split.label_site else bottom
    parts = cut(model, _places(split))
    return (parts[0], parts[2]) if split.shape == "u-shape" else parts[0]


def _number(plan: Plan, site: str) -> int:
    return [part.name for part in plan.sites].index(site)


def _places(split: SplitPlan) -> tuple[str, ...]:
    return (split.cut, split.head) if split.head else (split.cut,)


def split_server(plan: Plan, model: nn.Module, *, run: str) -> Server:
    """Return the coordinator's role."""
    from reticent.split import Server

    return Server(coordinators_part(plan, model), settings_of(plan), run=run)


def split_client(
    plan: Plan,
    model: nn.Module,
    site: str,
    rows: Prepared | AlignedColumns,
    *,
    key: SigningKey | None,
    roster: Roster | None,
    checkpoints: MutableMapping[int, bytes] | None,
) -> Client:
    """Return the role of `site` on its prepared rows."""
    from reticent.split import Client

    train, test, ids = _examples(rows)
    return Client(
        sites_parts(plan, model, site),
        train,
        settings_of(plan),
        site=site,
        test=test,
        ids=ids,
        key=key,
        roster=roster,
        checkpoints=checkpoints,
        covers="labels" if plan.guarantee and plan.guarantee.protects == "labels" else "record",
        **defences(plan, plan.site(site), train.units),
    )


def joined_state(plan: Plan, coordinators: Mapping[str, Any], sites: Path) -> dict[str, Any]:
    """Return the weights of the whole model, on a machine that owns the folders of all parties of a run.

    Args:
      coordinators: The weights of the coordinator's part.
      sites: The folder that holds the sites' folders.

    Raises:
      EnvironmentFault: If a site's part is not there: in a federation it is nowhere but at that site.
    """
    from reticent.split import state_dicts

    split, last = _split(plan), plan.training.rounds
    vertical = split.shape == "vertical"
    state = {f"top.{name}" if vertical else name: value for name, value in coordinators.items()}
    for site in plan.sites if vertical else plan.sites[:1]:  # where sites hold rows, all hold the same part at the end
        kept = Checkpoints(sites / site.name / "checkpoints")
        if last not in kept:
            raise EnvironmentFault(
                "part-not-here",
                f"the part of site {site.name} after round {last} is not in {sites}",
                hint="give the folder of a finished run with the folders of all its sites",
            )
        prefix = f"bottoms.{_number(plan, site.name)}." if vertical else ""
        state |= {f"{prefix}{name}": value for name, value in state_dicts(kept[last]).items()}
    return state


def _examples(rows: Prepared | AlignedColumns) -> tuple[Examples, Examples, tuple[str, ...] | None]:
    """Return training rows, test rows, and what stands for the order of aligned rows."""
    if isinstance(rows, Prepared):
        return rows.train, rows.test, None
    parts = []
    for features, labels in ((rows.train, rows.train_labels), (rows.test, rows.test_labels)):
        # A site without labels has none to send: the zeros are never read.
        parts.append(Examples.of(features, np.zeros(len(features), np.int64) if labels is None else labels))
    return parts[0], parts[1], (rows.order.hex(),)


def defences(plan: Plan, site: SitePlan, units: NDArray[np.int64]) -> dict[str, Any]:
    """Return the noise of the plan as the site's boundaries: of `activations`, and where the labels are of `outputs`.

    Args:
      units: Whose row each of the site's training rows is.
    """
    from reticent.split import BoundaryNoise, BoundaryPrivacy, GaussianBoundary

    privacy, noise = plan.privacy, _split(plan).boundary.get(site.name)
    if privacy is None or noise is None:
        return {}
    declared: dict[str, Any] = {
        "passes": plan.training.rounds + privacy.spare_executions,
        "unit": privacy.unit,
        "relation": privacy.relation,
        "population": site.population,
        "dataset": site.dataset,
    }
    found: dict[str, Any] = {}
    if noise.activation_noise:
        activations = BoundaryPrivacy(
            kind="activations",
            noise=BoundaryNoise(vectors=noise.activation_noise, updates=noise.update_noise),
            max_norm=noise.activation_norm,
            max_update_norm=noise.update_norm,
            **declared,
        )
        found["activations"] = GaussianBoundary(activations, units=units)
    if noise.output_noise:
        outputs = BoundaryPrivacy(
            kind="outputs", noise=BoundaryNoise(vectors=noise.output_noise), max_norm=noise.output_norm, **declared
        )
        found["outputs"] = GaussianBoundary(outputs, units=units)
    return found
