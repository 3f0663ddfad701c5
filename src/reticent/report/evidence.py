"""Sentences of evidence for a review: each says what the facts of one run are, and where on the page they stand.

Facts only. No sentence says whether a requirement is met; that judgement is left to the reader.
"""

from __future__ import annotations

from collections.abc import Callable

from reticent.report.facts import Facts
from reticent.report.wording import caught, down, plain, protected, several, up

__all__ = ["EVIDENCE"]


def _purpose(facts: Facts) -> str:
    return f"The study states this purpose: “{facts.study.purpose}”; contact: {facts.study.contact} (top of the page)."


def _purpose_bound(facts: Facts) -> str:
    charged = sum(site.budget is not None for site in facts.sites)
    return (
        "The purpose is part of the plan, whose hash names every charge in the ledgers; "
        f"the budgets of {charged} of {len(facts.sites)} sites were given to this report. What the model is used for "
        "afterwards is not known to the software."
    )


def _parties(facts: Facts) -> str:
    names = ", ".join(site.name for site in facts.sites)
    return f"What each of {len(facts.who_sees)} kinds of parties sees stands at the end of this page. Sites: {names}."


def _left_the_site(facts: Facts) -> str:
    kinds = sorted({release.what for site in facts.sites for release in site.releases})
    sent = sum(r.bytes_up for r in facts.rounds)
    return f"What left each site: {'; '.join(kinds)}; {sent} bytes in all. Records stayed where they were."


def _columns(facts: Facts) -> str:
    return (
        f"The model reads: {', '.join(facts.model.inputs)}; it predicts {facts.model.label}. Whether a column is of a "
        "special category or identifies people is not known to the software."
    )


def _bound(facts: Facts) -> str:
    promise = facts.promise
    if promise is None:
        return (
            "No bound on what the released model reveals about single people was asked for"
            + (f": {facts.why_no_promise}" if facts.why_no_promise else "")
            + ". Such a model may reveal something about them."
        )
    return (
        f"{promise.sentence} Of 100 equally informed attackers, each willing to raise one false alarm in 100, at most "
        f"{promise.in_a_hundred} would {caught(promise)}. "
        f"Protected is {protected(promise)}."
    )


def _limits(facts: Facts) -> str:
    return (
        f"The plan lists {several(len(facts.not_covered), 'point', 'points')} that it does not cover and "
        f"{several(len(facts.assumptions), 'assumption', 'assumptions')}: they stand at the end of this page."
    )


def _identifiers(_: Facts) -> str:
    return (
        "No name, number or other key of a person is sent to another party by this software; it does not remove or "
        "replace identifiers in a site's own records, and does not check for them. Where a person column is used, it "
        "is used at the site, to sample and clip by person."
    )


def _accuracy(facts: Facts) -> str:
    measured = [e.accuracy for e in facts.utility.evaluations if e.accuracy is not None]
    last = f"the last released {facts.utility.metric} is {measured[-1]:.3f}" if measured else "no figure was released"
    return (
        "Each site checked its data against the declared columns, units and ranges before the run; values beyond a "
        f"range were moved to its end, with a warning at the site. As to the model, {last}; "
        f"{len(facts.utility.baselines)} baselines stand beside it."
    )


def _kept(facts: Facts) -> str:
    return (
        f"The run folder keeps the plan, the log and {len(facts.files)} model files; each site keeps a journal of its "
        "own replies. Nothing is deleted by the software, and no period is set by it. The field for retention is: "
        f"{facts.retention or 'blank'}."
    )


def _legal_basis(facts: Facts) -> str:
    field = facts.legal_basis or "blank"
    return f"The software knows of no legal basis, consent or contract. The field on the page is: {field}."


def _protocol(facts: Facts) -> str:
    return (
        f"Messages were signed with pinned keys (Ed25519); {facts.model.crossing}. {facts.protection.mechanism[0].upper()}"
        f"{facts.protection.mechanism[1:]}. Data at rest at a site are not encrypted by the software."
    )


def _before_it_leaves(facts: Facts) -> str:
    if facts.promise is None:
        return "Records stay at their site by design; no noise was added, as the study asked."
    noised = (
        "noise is added there to all that depends on labels; activations of single rows leave it as they are"
        if facts.promise.protects == "labels"
        else "noise is added there before anything leaves it"
    )
    return (
        f"By design records stay at their site, and {noised}. Nothing about privacy has a default value; a run "
        "without a granted budget is refused before it begins. "
        f"Mechanism: {facts.protection.mechanism}."
    )


def _accountable(facts: Facts) -> str:
    return (
        f"The plan's SHA-256 is {facts.plan_hash}. `reticent verify` derives epsilon again from the ledgers' own "
        "records of mechanisms and compares all hashes. The same facts exist as a machine-readable statement."
    )


def _ledger(facts: Facts) -> str:
    lines = [
        f"{site.budget.population}: granted {plain(site.budget.granted_epsilon)}, "
        f"spent {up(site.budget.spent_epsilon)}, left {down(site.budget.left_epsilon)}; "
        + ", ".join(f"{g.signer or 'not stated'}: “{g.reason}”" for g in site.budget.grants)
        for site in facts.sites
        if site.budget is not None
    ]
    return (
        f"Budgets (epsilon) with who granted them and why: {' | '.join(lines) or 'no ledger was given to this report'}."
    )


def _log(facts: Facts) -> str:
    absent = sum(len(r.absent) for r in facts.rounds)
    return (
        f"The log holds {facts.run.rounds_done} of {facts.run.rounds_planned} planned rounds with who took part, "
        f"{absent} absences with their reasons, times and bytes; the ledgers are append-only. Who may read or operate "
        "the machines is outside the software."
    )


def _integrity(facts: Facts) -> str:
    recorded = sum(file.recorded == file.sha256 for file in facts.files)
    return f"{recorded} of {len(facts.files)} model files have the SHA-256 that the log recorded; messages were signed."


def _erasure(facts: Facts) -> str:
    kept = (
        "The model files hold parameters and no records. Deleting a record at a site does not change a finished model"
    )
    if facts.promise is None:
        return f"{kept}, and nothing bounds how much of the record the model reveals."
    if facts.promise.protects == "labels":
        return f"{kept}; the promise above bounds how much it can depend on one label, and nothing bounds the rest."
    return f"{kept}; the promise above bounds how much a model can depend on one {facts.promise.unit}."


def _outside(_: Facts) -> str:
    return (
        "The facts of a run do not speak to this: contracts, notices, policies and training of staff are outside the "
        "software."
    )


EVIDENCE: dict[str, Callable[[Facts], str]] = {
    "accountable": _accountable,
    "accuracy": _accuracy,
    "before it leaves": _before_it_leaves,
    "bound": _bound,
    "columns": _columns,
    "erasure": _erasure,
    "identifiers": _identifiers,
    "integrity": _integrity,
    "kept": _kept,
    "ledger": _ledger,
    "left the site": _left_the_site,
    "legal basis": _legal_basis,
    "limits": _limits,
    "log": _log,
    "outside": _outside,
    "parties": _parties,
    "protocol": _protocol,
    "purpose": _purpose,
    "purpose bound": _purpose_bound,
}
