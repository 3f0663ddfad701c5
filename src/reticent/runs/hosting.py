"""Putting a host around every site of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reticent.data import AlignedColumns, Prepared
from reticent.federated import Schedule
from reticent.identity import Roster
from reticent.runs.binding import Binding, Source, ledger_url, sources_of
from reticent.runs.checkpoints import Checkpoints
from reticent.runs.events import Event, Observer
from reticent.runs.folder import RunFolder
from reticent.runs.site import SiteHost
from reticent.study import Plan, Study, load_study

__all__ = ["ledger_urls", "make_host", "open_host"]


def make_host(
    folder: RunFolder,
    binding: Binding,
    site: str,
    source: Source,
    *,
    observer: Observer,
    prepared: Callable[[], Prepared | AlignedColumns] | None = None,
) -> SiteHost:
    """Return the host of `site`; its data are opened at the first request."""
    plan, key = folder.plan, folder.key(site)

    def open_client() -> Any:
        rows = prepared() if prepared else binding.prepare(site, source, observer)
        # Sites only: a coordinator among the members of a sum would count towards the threshold that hides a site.
        sites = Roster({part.name: folder.roster[part.name] for part in plan.sites})
        kept = Checkpoints(folder.site(site) / "checkpoints")
        return binding.client(site, rows, key=key, roster=sites, checkpoints=kept, source=source)

    return SiteHost(
        name=site,
        run=folder.run,
        plan_hash=plan.hash,
        purpose=f"{plan.study}: {plan.purpose}",
        open_client=open_client,
        tasks=frozenset(
            Schedule(
                rounds=plan.training.rounds,
                evaluations=plan.metrics.evaluations,
                statistics=plan.statistics is not None,
            ).units()
        ),
        total=plan.release(site),
        delta=plan.privacy.delta if plan.privacy else 0.0,
        ledger_url=source.ledger_url,
        key=key,
        roster=folder.roster,
        folder=folder.site(site),
        observer=observer,
        paying_step="open" if plan.split is not None else "update",
        promised=_promised(plan, site),
        head_file=folder.head_file(site),
    )


def _promised(plan: Plan, site: str) -> float | None:
    """Return the epsilon that the plan promises about the people of `site`: of labels alone, only where they are."""
    guarantee, split = plan.guarantee, plan.split
    if guarantee is None or (
        guarantee.protects == "labels" and split is not None and split.label_site not in (None, site)
    ):
        return None
    return guarantee.epsilon


def open_host(
    folder: RunFolder, site: str, given: Mapping[str, Any] | None = None, *, observer: Observer | None = None
) -> SiteHost:
    """Return the host of one site of a run on disk, as a process of its own needs it."""
    study: Study = load_study(folder.path / "study.toml")
    source = sources_of(study, folder.base, given or {})[site]
    return make_host(folder, Binding(folder.plan, folder.base), site, source, observer=observer or _quiet)


def ledger_urls(folder: RunFolder) -> tuple[str, ...]:
    """Return where the ledgers of a run's sites are, each once."""
    study = load_study(folder.path / "study.toml")
    return tuple(dict.fromkeys(ledger_url(study, name, folder.base) for name in study.sites))


def _quiet(_: Event) -> None:
    """Watch nothing."""
