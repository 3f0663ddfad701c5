"""report, verify, predict, export."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path
from typing import Any, cast

from reticent.cli.output import Format, emit, say
from reticent.errors import PolicyRefused

__all__ = ["export", "facts_of", "predict", "report", "summary", "verify", "write_reports"]


def facts_of(folder: Path) -> Any:
    """Return the facts of a run, from its folder and its sites' ledgers."""
    from reticent.report import gather

    return gather(folder, *_ledgers(folder))


def _ledgers(folder: Path) -> list[Any]:
    """Open the ledgers of a run's sites, each once."""
    from reticent.ledger import Ledger
    from reticent.runs import RunFolder, ledger_urls

    return [Ledger(url) for url in ledger_urls(RunFolder.open(folder))]


def write_reports(folder: Path) -> Any:
    """Write the page and the statement of a run beside it, and return the facts."""
    from reticent.report import write_page, write_statement

    facts = facts_of(folder)
    write_page(facts, folder / "report.html")
    write_statement(facts, folder / "report.json")
    return facts


def summary(facts: Any, folder: Path) -> str:
    """Return what a run ends with: the promise, the released figures, the baselines, and where the page is."""
    promise = facts.promise.sentence if facts.promise else f"No promise of privacy: {facts.why_no_promise}"
    lines = [f"run {facts.run.status}: {facts.run.rounds_done} of {facts.run.rounds_planned} rounds", "", promise]
    utility = facts.utility
    if utility.evaluations and utility.evaluations[-1].accuracy is not None:
        last = utility.evaluations[-1]
        noise = f" +- {last.accuracy_deviation:.3f} from the noise" if last.accuracy_deviation else ""
        noised = " (noised and paid for)" if utility.noised else ""
        auc = "" if last.auc is None else f", AUC {last.auc:.3f}"
        lines += ["", f"released accuracy after round {last.round}: {last.accuracy:.3f}{noise}{noised}{auc}"]
    lines += _statistics(facts.statistics)
    if utility.baselines:
        width = max(len(row.name) for row in utility.baselines)
        lines += ["", f"{utility.metric} (public data, exact, not part of the promise):"]
        for row in utility.baselines:
            spread = f" +- {row.spread:.3f} over {row.seeds} seeds" if row.spread is not None else ""
            lines.append(f"  {row.name:{width}}  {row.value:.3f}{spread}")
    return "\n".join([*lines, "", f"report: {folder / 'report.html'}"])


def _statistics(found: Any) -> list[str]:
    """Return a table of the released statistics; nothing where there are none."""
    if found is None:
        return []
    how = "noised and paid for" if found.noised else "exact"
    names = [f"{row.statistic} {row.label}".strip() for row in found.rows]
    width = max(map(len, names))
    rows = [
        f"  {name:{width}}  {row.value:.6g} ({row.low:.6g} to {row.high:.6g})"
        for name, row in zip(names, found.rows, strict=True)
    ]
    return ["", f"released statistics ({how}; {found.confidence:.0%} intervals):", *rows]


def report(folder: Path, law: str | None, open_page: bool, chosen: Format) -> None:
    """Write the report of a run, or the review for one law."""
    from reticent.report import Regulation, review

    facts = write_reports(folder)
    page = folder / "report.html"
    if law is not None:
        text = review(facts, cast("Regulation", law))
        page = folder / f"review-{law}.html"
        page.write_text(text, encoding="utf-8")
    emit(chosen, text=f"wrote {page}", data={"page": str(page), "facts": facts.model_dump(mode="json")})
    if open_page:
        webbrowser.open(page.resolve().as_uri())


def verify(folder: Path, chosen: Format) -> None:
    """Print every check; a failed one is an error of exit status 3."""
    from reticent.report import verify as check_run

    checks = check_run(folder, *_ledgers(folder))
    shown = _fewer(checks)
    text = "\n".join(f"{result:12} {name}: {words}" for result, name, words in shown)
    data = [{"name": check.name, "result": check.result, "words": check.words} for check in checks]
    emit(chosen, text=text, data=data)
    failed = [check.name for check in checks if check.result == "failed"]
    if failed:
        raise PolicyRefused(
            "verification-failed",
            f"{len(failed)} of {len(checks)} checks failed: {', '.join(failed)}",
            hint="compare with the signed page; do not use the model before the difference is explained",
        )


def _fewer(checks: list[Any]) -> list[tuple[str, str, str]]:
    """Return what is printed: files that are all in order take one line together."""
    files = [check for check in checks if check.name.startswith("model file: ") and check.ok]
    lines = [(check.result, check.name, check.words) for check in checks if check not in files]
    if files:
        lines.insert(2, ("ok", f"{len(files)} model files", "each SHA-256 is the one that the log recorded"))
    return lines


def predict(bundle: Path, table: Path, output: Path | None, code: Path | None) -> None:
    """Write predictions for the rows of a table."""
    from reticent.runs import Bundle
    from reticent.runs import predict as apply

    opened = Bundle.open(bundle)
    write_predictions(apply(opened, table, base=base_of(bundle, code)), output)


def base_of(bundle: Path, code: Path | None) -> Path:
    """Return the folder of the model's module."""
    from reticent.runs import RunFolder

    return code or (RunFolder.open(bundle).base if (bundle / "run.json").exists() else Path.cwd())


def write_predictions(frame: Any, output: Path | None) -> None:
    """Write a frame of predictions as CSV, to a file or to standard output."""
    if output is None:
        frame.to_csv(sys.stdout, index=False)
    else:
        frame.to_csv(output, index=False)
        say(f"wrote {len(frame)} predictions to {output}")


def export(folder: Path, target: Path) -> None:
    """Write a bundle of a finished run."""
    from reticent.report import model_card
    from reticent.runs import Bundle
    from reticent.runs import export as write_bundle

    hashes = write_bundle(Bundle.open(folder), target, card=model_card(facts_of(folder)))
    for name, digest in hashes.items():
        say(f"{digest}  {target / name}")
