"""A whole run of secure computation on this machine: check every site's rows, compute on shares, keep what was opened."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from reticent.engines.parties import as_processes, as_threads
from reticent.errors import ReticentError
from reticent.roles import Metrics, Request
from reticent.runs import Binding, Event, Observer, Opened, RunFolder, load_opened, refusals, save_model

__all__ = ["compute_here"]

Rows = Mapping[str, Callable[[], Any]]


def compute_here(folder: RunFolder, binding: Binding, rows: Rows, observer: Observer) -> None:
    """Run the computation of a plan and write model, figures and log lines. A broken one is simply begun again.

    Raises:
      ReticentError: Of the gravest refusal, or of the party that was lost.
    """
    plan, attempt = folder.plan, folder.next_attempt()
    separate = folder.record["settings"]["engine"] == "processes"
    if not separate:
        _ready(folder, rows)
    folder.log(Event("ready", "after", attempt=attempt))
    began = time.monotonic()
    if separate:
        opened, sent = as_processes(folder, attempt=attempt, deadline=plan.round_deadline)
    else:
        opened, sent = as_threads(plan, rows, deadline=plan.round_deadline)
    place: dict[str, Any] = {"round": plan.training.rounds, "attempt": attempt}
    model = load_opened(binding.model(), opened)
    digest = save_model(
        folder.path / "model.safetensors", model, plan=plan, round_number=plan.training.rounds, attempt=attempt
    )
    folder.log(Event("checkpoint", "after", detail={"file": "model.safetensors", "sha256": digest}, **place))
    detail = {
        "task": "train",
        "contributors": [site.name for site in plan.sites],
        "absent": {},
        "seconds": round(time.monotonic() - began, 4),
        "bytes_up": sent,
        "bytes_down": {},
        "messages_in_turn": opened.rounds,
    }
    folder.log(Event("round", "after", detail=detail, **place))
    observer(Event("round", "after", detail=detail, **place))
    _figures(folder, opened, place, observer)


def _ready(folder: RunFolder, rows: Rows) -> None:
    """Prepare every site's rows; what one refuses stays in its folder, and ends the run before it begins."""
    reasons: dict[str, ReticentError] = {}
    for site, prepare in rows.items():
        try:
            prepare()
        except ReticentError as error:
            refusals.keep(folder.site(site), Request(folder.run, 0, 0, "ready", b""), error)
            reasons[site] = error
    if reasons:
        folder.log(Event("withdrawn", "after"))
        raise refusals.together(reasons)


def _figures(folder: RunFolder, opened: Opened, place: Mapping[str, Any], observer: Observer) -> None:
    if not opened.confusion.size:
        return
    metrics = Metrics(opened.confusion, None)
    figures = {
        "confusion": metrics.confusion.tolist(),
        "loss": None,
        "accuracy": metrics.accuracy,
        "accuracy_deviation": None,
        "contributors": [site.name for site in folder.plan.sites],
    }
    folder.log(Event("metrics", "after", detail=figures, **place))
    observer(Event("metrics", "after", detail=figures, **place))
