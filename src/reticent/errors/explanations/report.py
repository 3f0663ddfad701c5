"""Explanations of the error codes that `reticent.report` raises."""

from __future__ import annotations

__all__ = ["EXPLANATIONS"]

EXPLANATIONS: dict[str, str] = {
    "run-folder-incomplete": (
        "A report is made from the folder of one run: plan.json, run.json and log.jsonl. One of them is missing or "
        "cannot be read. Give the folder that `reticent run` printed, and check that you may read it."
    ),
    "promise-without-bound": (
        "The plan in the run folder promises an epsilon, but the mechanisms that it lists have none: somewhere the "
        "noise is missing. No page is made that would repeat such a promise. Run `reticent verify` on the folder; if "
        "the plan was not changed after the run, report this as a bug and treat the model as unprotected."
    ),
    "run-folder-damaged": (
        "A file of the run folder does not hold what a run writes there, so the facts of the run are not known. "
        "Nothing is guessed in a page that somebody signs. Restore the file from a copy, or report the run as damaged."
    ),
    "unknown-regulation": (
        "A review maps the facts of a run to the articles or sections of one law. Only gdpr, hipaa and ccpa are "
        "known. For another law, use the statement (JSON): it holds the same facts."
    ),
}
