"""predict --encrypted: plan it, do it, report it."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from reticent.cli.output import say
from reticent.cli.results import base_of, write_predictions

__all__ = ["predict_encrypted"]

_WIDTH = 100


def predict_encrypted(
    bundle: Path,
    table: Path,
    output: Path | None,
    code: Path | None,
    *,
    precision: float,
    plan: bool,
    page: Path | None,
) -> None:
    """Predict rows that the process with the model cannot read; or, with `plan`, only say what that would be."""
    from reticent.report import facts_of_prediction, write_prediction_page
    from reticent.runs import Bundle
    from reticent.runs import predict_encrypted as run

    opened, base = Bundle.open(bundle), base_of(bundle, code)
    if plan:
        _print_plan(opened, table, base, precision)
        return
    frame, found = run(opened, table, base=base, precision=precision)
    write_predictions(frame, output)
    say(_travelled(found, len(frame)))
    if page is not None:
        written = write_prediction_page(facts_of_prediction(opened.plan, found, len(frame)), page)
        say(f"wrote {written['page']} and {written['statement']}")


def _print_plan(bundle: Any, table: Path, base: Path, precision: float) -> None:
    from reticent.data import load_table
    from reticent.report import plan_of_prediction
    from reticent.runs import program_of

    rows = len(load_table(table))
    program = program_of(str(bundle.path), str(base), precision, rows)
    for title, lines in plan_of_prediction(bundle.plan, program).items():
        print(title)
        for line in lines:
            print(textwrap.fill(line, _WIDTH, initial_indent="  ", subsequent_indent="    "))
        print()


def _travelled(found: Any, rows: int) -> str:
    from reticent.study import size

    return (
        f"{rows} rows were predicted without being shown: {size(found.bytes_up)} up, of which "
        f"{size(found.evaluation_key_bytes)} keys for the server, and {size(found.bytes_down)} down, in "
        f"{sum(found.seconds.values()):.2f} s; outputs are within {found.precision:g} of the exact ones.\n"
        "The model was in the other process; it saw how many rows there are, and not one number of them. Whoever reads "
        "the predictions learns about the model: many of them rebuild it."
    )
