"""From a run folder and its ledgers to the facts. Everything that is stated was read, or derived from what was read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from reticent.dp import Event, Repeated
from reticent.report.charges import Charges, budget_of
from reticent.report.facts import (
    Baseline,
    Evaluation,
    Facts,
    FileHash,
    LeakageFact,
    ModelFact,
    ReleaseFact,
    RoundFact,
    RunFact,
    Seen,
    SiteFact,
    StatisticFact,
    Statistics,
    StudyFact,
    Utility,
)
from reticent.report.folder import RoundLine, RunFolder
from reticent.report.rederive import finite_epsilon, promise_of
from reticent.report.technique import crossing, message, protection, technique
from reticent.report.wording import mechanism
from reticent.study import method_in_words
from reticent.study.plan import Plan, SitePlan

if TYPE_CHECKING:
    from reticent.ledger import Ledger

__all__ = ["gather"]


def gather(run_folder: Path | str, *ledgers: Ledger) -> Facts:
    """Return the facts of the run in `run_folder`.

    Args:
      run_folder: The folder that a run wrote.
      ledgers: Where the sites' budgets are kept: one, several, or none. Without the ledger of a site the facts say
        what was planned there, and nothing about what was spent.

    Raises:
      EnvironmentFault: If the folder is incomplete or damaged.
    """
    folder = RunFolder.open(run_folder)
    plan = folder.plan
    return Facts(
        generated=datetime.now(UTC).isoformat(timespec="seconds"),
        study=StudyFact(name=plan.study, purpose=plan.purpose, contact=plan.contact),
        run=_run(folder),
        model=_model(plan),
        promise=promise_of(plan),
        why_no_promise=plan.why_no_promise,
        protection=protection(plan),
        who_sees=tuple(Seen(party=r.party, sees=r.sees, does_not_see=r.does_not_see) for r in plan.who_sees),
        sites=tuple(_site(folder, site, Charges.of(folder, site, ledgers), ledgers) for site in plan.sites),
        utility=_utility(folder),
        rounds=_rounds(folder),
        leakage=tuple(LeakageFact(**line.model_dump()) for line in folder.leakage()),
        statistics=_statistics(folder),
        assumptions=plan.assumptions,
        not_covered=plan.not_covered,
        settings=_settings(plan),
        versions=dict(sorted(folder.run.versions.items())),
        plan_hash=folder.plan_hash,
        files=tuple(FileHash(file=c.file, sha256=c.sha256, recorded=c.recorded) for c in folder.checkpoints()),
    )


def _run(folder: RunFolder) -> RunFact:
    status, reason, ended = folder.finished()
    return RunFact(
        name=folder.run.run,
        started=folder.run.started,
        ended=ended,
        status=status,
        reason=reason,
        engine=folder.run.engine,
        public_data=folder.run.public_data,
        rounds_planned=folder.plan.training.rounds,
        rounds_done=_rounds_done(folder),
        damaged_log_lines=folder.damaged_lines,
    )


def _rounds_done(folder: RunFolder) -> int:
    """Return the rounds that were completed; a computation on shares opens nothing, and logs nothing, before the last."""
    rounds = folder.rounds()
    return len(rounds) if folder.plan.computation is None else max((line.round for line in rounds), default=0)


def _model(plan: Plan) -> ModelFact:
    contract, training = plan.contract, plan.training
    shape = "\N{MULTIPLICATION SIGN}".join(str(size) for size in contract.shape)
    return ModelFact(
        factory=plan.model.factory,
        code_hash=plan.model.code_hash,
        parameters=plan.model.parameters,
        inputs=tuple(column.name for column in contract.features) or (f"arrays of shape {shape}",),
        label=contract.label or "class",
        method=method_in_words(plan),
        loss=training.loss,
        optimizer=f"{training.optimizer.name}, learning rate {training.optimizer.learning_rate:g}",
        protocol=plan.aggregation.protocol,
        threshold=plan.aggregation.threshold,
        technique=technique(plan),
        crossing=crossing(plan),
    )


def _site(folder: RunFolder, site: SitePlan, charges: Charges, ledgers: Sequence[Ledger]) -> SiteFact:
    plan = folder.plan
    release = plan.release(site.name)
    committed = charges.committed_events() if charges.found else None
    return SiteFact(
        name=site.name,
        population=site.population,
        dataset=site.dataset,
        declared_rows=site.rows,
        weight=site.weight,
        sampling_probability=site.sampling_probability,
        noise_multiplier=site.noise_multiplier,
        local_steps=site.local_steps,
        releases=_releases(plan, site, charges),
        promised_epsilon=site.epsilon,
        planned_epsilon=None if release is None else _epsilon(plan, release.events),
        committed_epsilon=None if committed is None else _epsilon(plan, committed),
        budget=budget_of(site.population, ledgers),
        ledger_head=_anchor(folder, site.name),
    )


def _anchor(folder: RunFolder, site: str) -> str:
    head = folder.head(site)
    return "" if head is None else f"ledger {head.ledger}, entry {head.seq}, {head.hash}"


def _releases(plan: Plan, site: SitePlan, charges: Charges) -> tuple[ReleaseFact, ...]:
    rounds, evaluations = plan.training.rounds, len(plan.metrics.evaluations)
    spare = 0 if plan.privacy is None else plan.privacy.spare_executions
    times = rounds + spare if plan.computation is None else 1  # shares release nothing; what is opened is opened once
    found = [_release(plan, message(plan), plan.execution(site.name), times, charges)]
    if plan.statistics is not None:
        found.append(_release(plan, "one vector of statistics", plan.described(), 1 + spare, charges))
    if evaluations:
        what = "confusion counts of one evaluation"
        found.append(_release(plan, what, plan.evaluation(), evaluations + spare, charges))
    return tuple(found)


def _release(plan: Plan, what: str, event: Event | None, planned: int, charges: Charges) -> ReleaseFact:
    return ReleaseFact(
        what=what,
        mechanism=mechanism(event),
        planned=planned,
        made=charges.times(event) if event is not None and charges.found else None,
        epsilon_one=None if event is None else _epsilon(plan, [event]),
        epsilon_all=None if event is None else _epsilon(plan, [Repeated(event, planned)]),
    )


def _epsilon(plan: Plan, events: Sequence[Event]) -> float | None:
    if plan.privacy is None:
        return None
    return finite_epsilon(events, delta=plan.privacy.delta, relation=plan.privacy.relation)


def _statistics(folder: RunFolder) -> Statistics | None:
    line, part = folder.statistics(), folder.plan.statistics
    if line is None or part is None:
        return None
    return Statistics(
        noised=part.noise_multiplier is not None,
        confidence=part.confidence,
        rows_per_person=part.rows_per_person,
        contributors=line.contributors,
        rows=tuple(StatisticFact(**row.model_dump()) for row in line.answers),
    )


def _utility(folder: RunFolder) -> Utility:
    lines = folder.metrics()
    rows = folder.baselines.rows if folder.baselines is not None and folder.run.public_data else ()
    return Utility(
        metric=folder.baselines.metric if folder.baselines is not None else "accuracy",
        noised=folder.plan.metrics.noise_multiplier is not None,
        evaluations=tuple(
            Evaluation(
                round=m.round, accuracy=m.accuracy, accuracy_deviation=m.accuracy_deviation, loss=m.loss, auc=m.auc
            )
            for m in lines
        ),
        baselines=tuple(Baseline(name=r.name, value=r.accuracy, spread=r.spread, seeds=r.seeds) for r in rows),
        classes=tuple(folder.plan.contract.classes),
        confusion=lines[-1].confusion if lines else (),
    )


def _rounds(folder: RunFolder) -> tuple[RoundFact, ...]:
    tasks = folder.tasks()
    return tuple(_round(line, [task for task in tasks if task.round == line.round]) for line in folder.rounds())


def _round(line: RoundLine, tasks: Sequence[RoundLine]) -> RoundFact:
    """Return one round; seconds and bytes are those of its training, its evaluation and whatever was done again."""
    return RoundFact(
        round=line.round,
        attempt=line.attempt,
        contributors=line.contributors,
        absent=line.absent,
        repeats=sum(task.task == "train" for task in tasks) - 1,
        seconds=sum(task.seconds for task in tasks),
        bytes_up=sum(sum(task.bytes_up.values()) for task in tasks),
        bytes_down=sum(sum(task.bytes_down.values()) for task in tasks),
    )


def _settings(plan: Plan) -> dict[str, str]:
    training, aggregation, privacy = plan.training, plan.aggregation, plan.privacy
    found = {
        "rounds": str(training.rounds),
        "sites in a round": f"{training.clients_per_round} of {len(plan.sites)}",
        "weight decay and momentum": f"{training.optimizer.weight_decay:g}, {training.optimizer.momentum:g}",
        **(
            {
                "aggregation": f"{aggregation.protocol}, at least {aggregation.threshold} sites, precision "
                f"{aggregation.precision:.3g}, ring of {aggregation.ring_bits} bits"
            }
            if plan.federated
            else {}
        ),
        "predicted bytes of one site": str(plan.cost.total_per_site),
        "deadline of a round": f"{plan.round_deadline:g} s",
    }
    if privacy is not None:
        found |= {
            "clipping norm": f"{privacy.max_grad_norm:g} per {privacy.unit}",
            "grid and sensitivity": f"{privacy.grid:.6g}, {privacy.sensitivity:.6g}",
            "spare executions": str(privacy.spare_executions),
            "sites at which one person may have records": str(privacy.sites_per_person),
        }
    return found
