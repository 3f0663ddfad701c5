"""From a plan to roles: which model, which loss, whose data. The one place where values become working parts."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent import analytics, dp, roles
from reticent.data import AlignedColumns, Prepared, SiteMapping, load_mapping, prepare, prepare_columns
from reticent.errors import PolicyRefused, UsageError
from reticent.federated import Aggregation, Client, LocalTraining, PrivateTraining, Schedule, Server
from reticent.identity import Roster, SigningKey
from reticent.runs.events import Event, Observer
from reticent.runs.factory import code_hash, find_factory, source_hash, whole_model
from reticent.runs.splitting import split_client, split_server
from reticent.runs.statistics import SiteStatistics, encoding_of
from reticent.study import Plan, SitePlan, Study

__all__ = ["Binding", "Source", "ledger_url", "sources_of"]


@dataclass(frozen=True)
class Source:
    """Where a site's rows come from: a path or a Python object (None: what the mapping names), and its own mapping."""

    data: Any
    mapping: SiteMapping | None
    ledger_url: str


def sources_of(study: Study, base: Path, given: Mapping[str, Any]) -> dict[str, Source]:
    """Return every site's source: what the caller gave, else what the study file names.

    Raises:
      UsageError: If a site has none, or data are given for a site that the study does not know.
    """
    unknown = sorted(set(given) - set(study.sites))
    if unknown:
        raise UsageError(
            "unknown-site",
            f"data were given for {', '.join(unknown)}, the study's sites are {', '.join(sorted(study.sites))}",
            hint="use the names of the study's [sites]",
        )
    found = {}
    for name, section in study.sites.items():
        mapping = load_mapping(base / section.site) if section.site else None
        if name in given:
            data = given[name]
        elif mapping is not None and mapping.data is not None:
            data = None
        elif section.file is not None:
            data = base / section.file
        else:
            raise UsageError(
                "site-without-data",
                f"site {name!r} names no data on this machine",
                hint=f'add file = "..." or site = "..." to [sites.{name}], or call reticent.run(plan, data={{...}})',
            )
        found[name] = Source(data, mapping, ledger_url(study, name, base))
    return found


def ledger_url(study: Study, site: str, base: Path) -> str:
    """Return where the ledger of `site` is: what its own file says, else the study; relative paths start at `base`."""
    section = study.sites[site]
    mapping = load_mapping(base / section.site) if section.site else None
    url = mapping.ledger if mapping and mapping.ledger else study.ledger.url
    prefix = "sqlite:///"
    if url.startswith(prefix) and not url.startswith(prefix + "/"):
        return prefix + str((base / url.removeprefix(prefix)).resolve())
    return url


@dataclass(frozen=True)
class Binding:
    """A plan with the code it names.

    Args:
      factory, loss: Python objects that stand in for the names in the plan; only the local engine can run them.
      base: Folder from which the plan's module is imported.
    """

    plan: Plan
    base: Path
    factory: Callable[..., Any] | None = None
    loss: Callable[..., Any] | None = None

    @cached_property
    def _factory(self) -> Callable[..., Any]:
        factory = self.factory or find_factory(self.plan.model.factory, self.base)
        found = code_hash(factory, loss=self._loss, loss_name=self.plan.training.loss)
        if found != self.plan.model.code_hash:
            raise PolicyRefused(
                "model-changed",
                f"the source of {self.plan.model.factory}, or of the loss, is not the one that the plan pins",
                hint="restore the file, or make a new plan and let every site approve it",
            )
        return factory

    @cached_property
    def _loss(self) -> Callable[..., Any]:
        from reticent.training import loss_by_name

        return self.loss or loss_by_name(self.plan.training.loss)

    @cached_property
    def _top(self) -> Callable[..., Any] | None:
        split, facts = self.plan.split, self.plan.model.split
        if split is None or not split.top or facts is None:
            return None
        found = find_factory(split.top, self.base)
        if source_hash(found) != facts.code_hash:
            raise PolicyRefused(
                "model-changed",
                f"the source of {split.top} is not the one that the plan pins",
                hint="restore the file, or make a new plan and let every site approve it",
            )
        return found

    @property
    def loss_function(self) -> Callable[..., Any]:
        """The loss that the plan names."""
        return self._loss

    def model(self) -> Any:
        """Build the initial model in one piece, the same at every party."""
        plan = self.plan
        return whole_model(
            self._factory,
            plan.contract,
            outputs=plan.model.outputs,
            seed=plan.training.seed,
            columns=plan.split.columns if plan.split else None,
            width=plan.split.width if plan.split else 0,
            top=self._top,
        )

    def prepare(self, site: str, source: Source, observer: Observer) -> Prepared | AlignedColumns:
        """Check the data of `site` against the contract; warnings go to the observer and stay on this machine."""
        self._check_consent(site, source.mapping)
        contract, columns = self.plan.contract, self.plan.columns(site)
        prepared = (
            prepare_columns(contract, columns, source.data, source.mapping)
            if columns
            else prepare(contract, source.data, source.mapping)
        )
        for warning in prepared.warnings:
            observer(Event("warning", site=site, detail={"text": warning}))
        return prepared

    def _check_consent(self, site: str, mapping: SiteMapping | None) -> None:
        """Refuse what the site's own file does not allow: it always wins over the study."""
        if mapping is None:
            return
        part = self.plan.site(site)
        spends = 0.0 if mapping.max_epsilon is None else self._epsilon(site)
        if mapping.max_epsilon is not None and spends > mapping.max_epsilon:
            raise PolicyRefused(
                "over-site-limit",
                f"the plan spends epsilon {spends:.4f} at {site}, its own site file allows {mapping.max_epsilon}",
                hint="lower privacy.target.epsilon, or ask the site to raise max_epsilon",
            )
        if mapping.purposes and self.plan.purpose not in mapping.purposes:
            raise PolicyRefused(
                "purpose-not-allowed",
                f"the study's purpose {self.plan.purpose!r} is not among those that {site} allows",
                hint="ask the site to add the purpose to its site file, word for word",
            )
        for name, own, planned in (
            ("population", mapping.population, part.population),
            ("dataset", mapping.dataset, part.dataset),
        ):
            if own is not None and own != planned:
                raise PolicyRefused(
                    "population-differs",
                    f"{site} declares {name} {own!r}, the plan would charge {planned!r}",
                    hint=f'write {name} = "{own}" under [sites.{site}] of the study',
                )

    def _epsilon(self, site: str) -> float:
        """Return what the plan's events cost at `site`: whoever wrote the plan may have written a smaller number in it."""
        release, privacy = self.plan.release(site), self.plan.privacy
        if release is None or privacy is None:
            return math.inf  # a plan without a claim has no bound at all
        return max(
            dp.epsilon(release.events, delta=privacy.delta, relation=privacy.relation),
            self.plan.site(site).epsilon or 0.0,
        )

    def server(self, *, run: str, roster: Roster | None) -> roles.Server:
        """Return the coordinator's role at the beginning of the plan; without a roster sums are plain."""
        if self.plan.split is not None:
            return split_server(self.plan, self.model(), run=run)
        return self.federated_server(run=run, roster=roster)

    def released(self, server: roles.Server) -> Any:
        """Return what the coordinator holds, as a torch module: the model, or its part of one that is cut."""
        from reticent.training import load_flat

        if self.plan.split is not None:
            return server.part  # type: ignore[attr-defined]  # of split learning
        model = self.model()
        load_flat(model, server.model)  # type: ignore[attr-defined]  # of federated learning
        return model

    def federated_server(self, *, run: str, roster: Roster | None, metrics: bool = True) -> Server:
        """Return the coordinator's role in federated learning."""
        from reticent.training import flatten

        plan = self.plan
        start: NDArray[np.floating[Any]] = flatten(self.model())
        aggregation = self._aggregation()
        return Server(
            start,
            weights={site.name: site.weight for site in plan.sites},
            schedule=Schedule(
                rounds=plan.training.rounds,
                evaluations=plan.metrics.evaluations if metrics else (),
                clients_per_round=plan.training.clients_per_round,
                deadline=plan.round_deadline,
                seed=plan.training.seed,
                statistics=metrics and plan.statistics is not None,
            ),
            aggregation=aggregation if roster else dataclasses.replace(aggregation, protocol="plain"),
            classes=len(plan.contract.classes),
            private=plan.privacy is not None,
            run=run,
            roster=roster,
            statistics=encoding_of(plan),
        )

    def client(
        self,
        site: str,
        prepared: Prepared | AlignedColumns,
        *,
        key: SigningKey,
        roster: Roster,
        checkpoints: MutableMapping[int, bytes] | None = None,
        source: Source | None = None,
    ) -> roles.Client:
        """Return the role of `site` on its prepared rows; statistics read its `source`, as it was observed."""
        if self.plan.split is not None:
            return split_client(
                self.plan, self.model(), site, prepared, key=key, roster=roster, checkpoints=checkpoints
            )
        assert isinstance(prepared, Prepared)  # noqa: S101 - federated sites hold rows
        masked = self.plan.aggregation.protocol == "secagg"
        return self.federated_client(
            site, prepared, key=key if masked else None, roster=roster if masked else None, source=source
        )

    def federated_client(
        self,
        site: str,
        prepared: Prepared,
        *,
        key: SigningKey | None,
        roster: Roster | None,
        training: LocalTraining | None = None,
        source: Source | None = None,
    ) -> Client:
        """Return the role of `site` in federated learning; without a key sums are plain."""
        contract = self.plan.contract
        statistics = None
        if self.plan.statistics is not None and source is not None:
            statistics = SiteStatistics(
                self.plan, site, lambda: analytics.Rows.under(contract, source.data, source.mapping)
            )
        aggregation = self._aggregation()
        return Client(
            self.model(),
            training or self.training(site),
            aggregation if key else dataclasses.replace(aggregation, protocol="plain"),
            train=prepared.train,
            test=prepared.test,
            name=site,
            key=key,
            roster=roster,
            statistics=statistics,
        )

    def _aggregation(self) -> Aggregation:
        plan = self.plan
        return Aggregation(
            protocol="secagg" if plan.aggregation.protocol == "secagg" else "plain",
            cohort=plan.training.clients_per_round,
            dropouts=plan.training.clients_per_round - plan.aggregation.threshold,
            bound=plan.aggregation.bound,
            precision=plan.aggregation.precision,
        )

    def training(self, name: str) -> LocalTraining:
        """Return how the site `name` trains within a round."""
        from reticent.training import optimizer_factory

        site, training = self.plan.site(name), self.plan.training
        chosen = training.optimizer
        return LocalTraining(
            weight=site.weight,
            classes=len(self.plan.contract.classes),
            loss=self._loss,
            optimizer=optimizer_factory(
                chosen.name,
                learning_rate=chosen.learning_rate,
                momentum=chosen.momentum,
                weight_decay=chosen.weight_decay,
            ),
            batch_size=training.batch_size,
            local_steps=site.local_steps,
            local_epochs=site.local_epochs,
            mu=training.mu,
            seed=training.seed,
            private=_private(self.plan, site),
        )


def _private(plan: Plan, site: SitePlan) -> PrivateTraining | None:
    privacy = plan.privacy
    if (
        privacy is None
        or site.sampling_probability is None
        or site.noise_multiplier is None
        or site.expected_batch_size is None
    ):
        return None
    return PrivateTraining(
        unit=privacy.unit,
        relation=privacy.relation,
        population_size=site.rows,
        expected_batch_size=site.expected_batch_size,
        sampling_probability=site.sampling_probability,
        noise_multiplier=site.noise_multiplier,
        metrics_noise_multiplier=plan.metrics.noise_multiplier,
        max_grad_norm=privacy.max_grad_norm,
        contribution=privacy.contribution,
        population=site.population,
        dataset=site.dataset,
    )
