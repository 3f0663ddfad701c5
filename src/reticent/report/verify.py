"""Check a run afterwards: its hashes, and its epsilon from the ledger's own events.

Threat model: somebody, or a damaged disk, changed the plan, the log, a model file or a ledger after the run. What was
changed in one place disagrees with the others. Somebody who can rewrite the folder *and* every ledger can make them
agree again; against that stand the hashes on a printed and signed report.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from reticent.dp import epsilon, flatten
from reticent.errors import ReticentError
from reticent.report.charges import Charges
from reticent.report.folder import RunFolder
from reticent.report.rederive import plan_epsilon
from reticent.report.wording import count, several, up
from reticent.study.plan import SitePlan

if TYPE_CHECKING:
    from reticent.ledger import Ledger

__all__ = ["Check", "verify"]

TOLERANCE = 1e-9
"""Ledgers round an epsilon up at nine decimals."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what was compared, and what came of it. `not checked` says that the evidence is missing, and why."""

    name: str
    result: Literal["ok", "failed", "not checked"]
    words: str

    @property
    def ok(self) -> bool:
        """Whether the check passed."""
        return self.result == "ok"


def verify(run_folder: Path | str, *ledgers: Ledger) -> list[Check]:
    """Check the run in `run_folder` against itself and against the sites' ledgers.

    Returns:
      Every check in a fixed order; the run stands if none of them failed.

    Raises:
      EnvironmentFault: If the folder is incomplete or damaged.
    """
    folder = RunFolder.open(run_folder)
    checks = [_plan_text(folder), _plan_in_checkpoints(folder), *_model_files(folder), _log(folder)]
    if folder.plan.privacy is None:
        return checks
    checks.append(_promise(folder))
    sound = []
    for number, ledger in enumerate(ledgers, start=1):
        checks.append(_ledger(number, ledger))
        if checks[-1].ok:
            sound.append(ledger)
    for site in folder.plan.sites:
        if folder.plan.release(site.name) is None:
            checks += _without_noise(folder, site)
            continue
        checks += _site(folder, site, Charges.of(folder, site, sound))
        checks += _not_rolled_back(folder, site, sound)
    return checks


def _check(name: str, passed: bool, good: str, bad: str) -> Check:  # noqa: FBT001 - reads as a sentence
    return Check(name, "ok", good) if passed else Check(name, "failed", bad)


def _plan_text(folder: RunFolder) -> Check:
    return _check(
        "plan: canonical text",
        folder.plan_text.strip() == folder.plan.canonical(),
        f"plan.json is the plan's canonical text; its SHA-256 is {folder.plan_hash}",
        "plan.json is not the canonical text of the plan: it was changed after it was written",
    )


def _plan_in_checkpoints(folder: RunFolder) -> Check:
    name = "plan: named by every model file"
    checkpoints = folder.checkpoints()
    if not checkpoints:
        return Check(name, "not checked", "the run folder holds no model file")
    other = [c.file for c in checkpoints if c.plan_hash != folder.plan_hash]
    return _check(
        name,
        not other,
        f"{several(len(checkpoints), 'model file', 'model files')}: the hash of plan.json is in each",
        f"{', '.join(other[:3])} name another plan than plan.json: the plan or the file was exchanged",
    )


def _model_files(folder: RunFolder) -> Iterator[Check]:
    found = folder.checkpoints()
    for checkpoint in found:
        name = f"model file: {checkpoint.file}"
        if checkpoint.recorded is None:
            yield Check(name, "failed", "the log recorded no hash of it, so it cannot be told from an exchanged file")
        else:
            yield _check(
                name,
                checkpoint.sha256 == checkpoint.recorded,
                f"SHA-256 is the one that the log recorded ({checkpoint.sha256[:16]}...)",
                f"SHA-256 is {checkpoint.sha256[:16]}..., the log recorded {checkpoint.recorded[:16]}...",
            )
    missing = sorted(folder.recorded_hashes().keys() - {checkpoint.file for checkpoint in found})
    if missing:
        yield Check("model file: missing", "failed", f"{', '.join(missing[:3])} stood in the log and is gone")


def _log(folder: RunFolder) -> Check:
    return _check(
        "log: readable",
        folder.damaged_lines <= 1,
        f"{count(len(folder.lines))} lines read"
        + (", and one that a sudden stop cut off" if folder.damaged_lines else ""),
        f"{folder.damaged_lines} lines of log.jsonl cannot be read",
    )


def _ledger(number: int, ledger: Ledger) -> Check:
    name = f"ledger {number}: adds up"
    try:
        entries = ledger.verify()
    except ReticentError as error:
        return Check(name, "failed", error.message)
    return Check(name, "ok", f"{count(entries)} entries, each follows from those before it")


def _not_rolled_back(folder: RunFolder, site: SitePlan, ledgers: Sequence[Ledger]) -> Iterator[Check]:
    """Compare with the head that the run kept: a ledger put back to an older state agrees with itself, not with it."""
    head = folder.head(site.name)
    if head is None:
        return
    name = f"site {site.name}: its ledger still holds what this run charged"
    for ledger in ledgers:
        found = ledger.head()
        if found is not None and found.ledger == head.ledger:
            try:
                ledger.verify(head=head)
            except ReticentError as error:
                yield Check(name, "failed", error.message)
            else:
                yield Check(name, "ok", f"entry {head.seq} is there, with the hash {head.hash[:16]}...")
            return
    yield Check(name, "not checked", f"no ledger that was given and adds up is ledger {head.ledger[:8]}...")


def _promise(folder: RunFolder) -> Check:
    derived, guarantee = plan_epsilon(folder.plan), folder.plan.guarantee
    promised = -math.inf if guarantee is None else guarantee.epsilon
    return _check(
        "promise: epsilon of the plan's events",
        derived <= promised + TOLERANCE,
        f"derived again: {derived:.6f}, promised: {promised:.6f}",
        f"the plan's events cost {derived:.6f}, and it promises {promised:.6f}",
    )


def _without_noise(folder: RunFolder, site: SitePlan) -> Iterator[Check]:
    """Fail a site whose releases have no bound, unless the promise is about labels and the site has none."""
    guarantee, split = folder.plan.guarantee, folder.plan.split
    labels_elsewhere = split is not None and split.label_site not in (None, site.name)
    if guarantee is None or guarantee.protects != "labels" or not labels_elsewhere:
        yield Check(
            f"site {site.name}: what it releases is bounded",
            "failed",
            "the plan promises an epsilon and lets this site release without noise",
        )


def _site(folder: RunFolder, site: SitePlan, charges: Charges) -> Iterator[Check]:
    where = f"site {site.name}"
    if not charges.found:
        made = [line for line in folder.rounds() if site.name in line.contributors]
        yield _check(
            f"{where}: reservation",
            not made,
            "the site took part in no round, and no ledger holds a reservation for it",
            f"the log shows {len(made)} rounds of this site, and no ledger that was given holds its reservation",
        )
        return
    yield _reserved(folder, site, charges)
    yield _rederived(folder, site, charges)
    over = charges.overdrawn()
    yield _check(
        f"{where}: committed within reserved",
        not over,
        f"{len(charges.commits)} commits, all covered by the reservation",
        f"{count(sum(over.values()))} events were committed beyond the reservation",
    )
    yield _nothing_unpaid(folder, site, charges)


def _reserved(folder: RunFolder, site: SitePlan, charges: Charges) -> Check:
    release = folder.plan.release(site.name)
    hashes = {entry.plan_hash for entry in charges.reserved}
    events = flatten(event for entry in charges.reserved for event in entry.events)
    planned = release.counts() if release is not None else flatten([])
    return _check(
        f"site {site.name}: reservation is this plan's",
        hashes == {folder.plan_hash} and events == planned,
        "the ledger reserved exactly the plan's events, under the hash of plan.json",
        "the ledger reserved other events, or under another plan's hash, than plan.json says",
    )


def _rederived(folder: RunFolder, site: SitePlan, charges: Charges) -> Check:
    privacy = folder.plan.privacy
    assert privacy is not None  # noqa: S101 - for the type checker; asked only where an epsilon is claimed
    events = tuple(event for entry in charges.reserved for event in entry.events)
    derived = epsilon(events, delta=privacy.delta, relation=privacy.relation)
    stated = min(
        math.inf if site.epsilon is None else site.epsilon,
        *(entry.epsilon for entry in charges.reserved),
        folder.plan.guarantee.epsilon if folder.plan.guarantee is not None else math.inf,
    )
    return _check(
        f"site {site.name}: epsilon from the ledger's events",
        derived <= stated + TOLERANCE,
        f"derived again: {up(derived)}, not more than was promised and charged ({up(stated)})",
        f"the ledger's events cost {derived:.6f}, and only {stated:.6f} was promised or charged",
    )


def _nothing_unpaid(folder: RunFolder, site: SitePlan, charges: Charges) -> Check:
    tasks = [line.task for line in folder.tasks() if site.name in line.contributors]
    kinds = {"train": "rounds", "evaluate": "evaluations", "statistics": "statistics"}
    made = {task: tasks.count(task) for task in kinds if task in tasks or task == "train"}
    events = {task: folder.plan.discloses(task, site.name) for task in made}
    paid = {task: 0 if event is None else charges.times(event) for task, event in events.items()}
    # Two tasks with the same noise are one event in the ledger: its commits pay for both together.
    owed = {task: sum(made[other] for other in made if events[other] == events[task]) for task in made}
    shown = " and ".join(f"{times} {kinds[task]}" for task, times in made.items())
    committed = " and ".join(str(times) for times in paid.values())
    return _check(
        f"site {site.name}: every release was paid for",
        all(owed[task] <= paid[task] for task in made),
        f"{shown} in the log, {committed} committed",
        f"the log shows {shown} of this site, and its ledger only {committed} commits",
    )
