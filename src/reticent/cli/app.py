"""The verbs and their options; what they do is imported when they are called, so that `--help` answers at once."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from reticent.cli.advice import advise
from reticent.cli.describing import describe
from reticent.cli.output import Format, report_error, say
from reticent.errors import ReticentError, UsageError

__all__ = ["run_app"]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Organisations that may not show each other their data learn from it together, under one stated guarantee.",
)
ledger = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Privacy budgets: who allowed, spent and holds what."
)
app.add_typer(ledger, name="ledger")

StudyFile = Annotated[Path, typer.Argument(help="The study file, TOML.", metavar="STUDY")]
RunPath = Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN")]
FormatOption = Annotated[Format, typer.Option("--format", help="text, or json on standard output.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Replace a setting of the study: section.key=value. May be given again.", metavar="KEY=VALUE"
    ),
]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"reticent {version('reticent')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Hold the options that come before a verb."""


@app.command()
def new(
    folder: Annotated[Path, typer.Argument(help="Folder to make.")],
    sites: Annotated[str, typer.Option(help="Names of the sites, separated by commas.")] = "north,south,east",
) -> None:
    """Write a commented study to start from."""
    from reticent.cli import studies

    studies.new(folder, [site.strip() for site in sites.split(",") if site.strip()])


@app.command()
def doctor(format_: FormatOption = Format.text) -> None:
    """Check that this machine can run a study."""
    from reticent.cli import about

    about.doctor(format_)


@app.command()
def plan(study: StudyFile, set_: SetOption = None, format_: FormatOption = Format.text) -> None:
    """Say what a study would promise, cost and show to whom; nothing is run, nothing is spent."""
    from reticent.cli import studies

    studies.plan(study, set_ or [], format_)


@app.command()
def run(
    study: StudyFile,
    set_: SetOption = None,
    format_: FormatOption = Format.text,
    baselines: Annotated[int, typer.Option(help="Seeds for baselines; needs data.public = true.", min=0)] = 0,
) -> None:
    """Run a study on this machine: plan, reserve, train, release, report."""
    from reticent.cli import studies

    studies.run(study, set_ or [], format_, baselines)


@app.command()
def resume(folder: RunPath, format_: FormatOption = Format.text) -> None:
    """Go on with a run that was stopped, from its last checkpoint."""
    from reticent.cli import studies

    studies.resume(folder, format_)


@app.command()
def report(
    folder: RunPath,
    for_: Annotated[
        str | None, typer.Option("--for", help="gdpr, hipaa or ccpa: facts mapped to its articles.")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    format_: FormatOption = Format.text,
) -> None:
    """Write the page to sign, and the same facts as JSON."""
    from reticent.cli import results

    results.report(folder, for_, open_, format_)


@app.command()
def verify(folder: RunPath, format_: FormatOption = Format.text) -> None:
    """Derive epsilon again from the ledger's events, and check every hash."""
    from reticent.cli import results

    results.verify(folder, format_)


@app.command()
def predict(
    bundle: Annotated[Path, typer.Argument(help="A finished run folder or an exported bundle.")],
    table: Annotated[Path, typer.Argument(help="CSV or Parquet with the contract's columns.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="CSV to write; standard output if not given.")
    ] = None,
    code: Annotated[Path | None, typer.Option(help="Folder of the model's module, if it is not installed.")] = None,
    encrypted: Annotated[
        bool, typer.Option("--encrypted", help="Encrypt the rows; a process of its own holds the model.")
    ] = False,
    precision: Annotated[float, typer.Option(help="With --encrypted: largest error of the model's outputs.")] = 1e-3,
    plan_: Annotated[
        bool, typer.Option("--plan", help="With --encrypted: say who would see what, and the cost; nothing is sent.")
    ] = False,
    report_: Annotated[
        Path | None, typer.Option("--report", help="With --encrypted: HTML page to write, and its facts as JSON.")
    ] = None,
) -> None:
    """Apply a model to new rows."""
    from reticent.cli import predicting, results

    if encrypted:
        predicting.predict_encrypted(bundle, table, output, code, precision=precision, plan=plan_, page=report_)
        return
    if plan_ or report_:
        raise UsageError(
            "only-encrypted", "--plan and --report belong to --encrypted", hint="add --encrypted, or leave them out"
        )
    results.predict(bundle, table, output, code)


@app.command()
def export(folder: RunPath, target: Annotated[Path, typer.Argument(help="New folder for the bundle.")]) -> None:
    """Write the model as a bundle: tensors, preparation, model card, hashes."""
    from reticent.cli import results

    results.export(folder, target)


app.command()(advise)
app.command()(describe)


@app.command("help")
def help_(code: Annotated[str | None, typer.Argument(help="An error code.")] = None) -> None:
    """Explain an error code; without one, list them all."""
    from reticent.cli import about

    about.explain_code(code)


LedgerOption = Annotated[
    str, typer.Option("--ledger", help="Where the ledger is: sqlite:///budget.db or postgresql://user@host/database.")
]
SignerOption = Annotated[str, typer.Option(help="Who answers for it, by name.", envvar="RETICENT_SIGNER")]
ReasonOption = Annotated[str, typer.Option(help="Why; kept in the ledger.")]


@ledger.command("grant")
def ledger_grant(
    populations: Annotated[list[str], typer.Argument(help="Whose budgets: the names of the populations.")],
    epsilon: Annotated[float, typer.Option(help="Epsilon to add.")],
    delta: Annotated[float, typer.Option(help="Delta to add.")],
    unit: Annotated[str, typer.Option(help="record, person or site.")],
    relation: Annotated[str, typer.Option(help="add_or_remove_one or replace_one.")],
    reason: ReasonOption,
    signer: SignerOption,
    filter_: Annotated[
        str | None,
        typer.Option("--filter", help="How plans are added up: sum or renyi; the first grant chooses (sum)."),
    ] = None,
    url: LedgerOption = "sqlite:///budget.db",
    format_: FormatOption = Format.text,
) -> None:
    """Allow privacy budget for one or more populations."""
    from reticent.cli import budgets

    budgets.grant(populations, epsilon, delta, unit, relation, reason, signer, filter_, url, format_)


@ledger.command("disjoint")
def ledger_disjoint(
    populations: Annotated[list[str], typer.Argument(help="Two or more populations; nobody is in two of them.")],
    reason: ReasonOption,
    signer: SignerOption,
    url: LedgerOption = "sqlite:///budget.db",
) -> None:
    """Vouch that nobody is in two of these populations: of their budgets the largest counts, not the sum."""
    from reticent.cli import budgets

    budgets.disjoint(populations, reason, signer, url)


@ledger.command("show")
def ledger_show(
    populations: Annotated[list[str] | None, typer.Argument(help="Populations; all if not given.")] = None,
    url: LedgerOption = "sqlite:///budget.db",
    format_: FormatOption = Format.text,
) -> None:
    """Show what was granted, reserved, spent and is left, and every entry behind it."""
    from reticent.cli import budgets

    budgets.show(populations or [], url, format_)


@ledger.command("export")
def ledger_export(
    target: Annotated[Path, typer.Argument(help="File to write, JSON lines.")],
    url: LedgerOption = "sqlite:///budget.db",
    format_: FormatOption = Format.text,
) -> None:
    """Write all entries to a file that is checked without the ledger."""
    from reticent.cli import budgets

    budgets.export(target, url, format_)


@ledger.command("restore")
def ledger_restore(
    exported: Annotated[Path, typer.Argument(help="What export wrote.")],
    url: LedgerOption = "sqlite:///budget.db",
    format_: FormatOption = Format.text,
) -> None:
    """Fill an empty ledger with an export: a back-up, or a move to PostgreSQL."""
    from reticent.cli import budgets

    budgets.restore(exported, url, format_)


@ledger.command("verify")
def ledger_verify(
    url: LedgerOption = "sqlite:///budget.db",
    exported: Annotated[Path | None, typer.Option("--export", help="Check this export instead of a ledger.")] = None,
    head: Annotated[
        Path | None,
        typer.Option(help="What verify --format json or export wrote earlier: the ledger must still contain it."),
    ] = None,
    format_: FormatOption = Format.text,
) -> None:
    """Check every hash and every sum; with --head, also that nothing was rolled back."""
    from reticent.cli import budgets

    budgets.verify(url, exported, head, format_)


def run_app() -> int:
    """Run one command and return its exit status."""
    try:
        app()
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 0
    except ReticentError as error:
        report_error(error, _wanted_format(sys.argv[1:]))
        return error.exit_status
    except Exception:
        traceback.print_exc()
        say(
            "reticent: this is an error in the study's own code (see the lines above) or a bug of ours: please report it"
        )
        return 70
    return 0


def _wanted_format(arguments: list[str]) -> Format:
    """Find `--format json` by hand: an error may come before the options are read."""
    joined = " ".join(arguments)
    return Format.json if "--format json" in joined or "--format=json" in joined else Format.text
