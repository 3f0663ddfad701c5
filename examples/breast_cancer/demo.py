"""The demo: four hospitals learn one model under person-level differential privacy and secure aggregation.

Every step is a command that you can type yourself; each is printed before it runs.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from make_sites import SIZES, make_sites

HERE = Path(__file__).resolve().parent
WORK = HERE.parents[1] / "runs" / "demo"


def reticent(*arguments: str) -> None:
    """Print a command of the command line, then run it."""
    print(f"\n$ reticent {' '.join(arguments)}", flush=True)
    done = subprocess.run(
        [sys.executable, "-c", "from reticent.cli import main; main()", *arguments], cwd=WORK, check=False
    )
    if done.returncode:
        raise SystemExit(done.returncode)


def main() -> None:
    """Make the data, grant the budgets, run, verify."""
    WORK.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "study.toml", WORK)
    make_sites(WORK)
    print(f"Four hospitals with {', '.join(f'{size} ({site})' for site, size in SIZES.items())} records, in {WORK}")
    grant = ("--epsilon", "3", "--delta", "1e-5", "--unit", "person", "--relation", "add_or_remove_one")
    reticent("ledger", "grant", *SIZES, *grant, "--reason", "demonstration on published records", "--signer", "demo")
    reticent("run", "study.toml", "--baselines", "3")
    run = max(path for path in (WORK / "runs").iterdir() if path.is_dir())
    reticent("verify", str(run.relative_to(WORK)))
    print(f"\nThe page to sign: {run / 'report.html'}\n(reticent report {run.relative_to(WORK)} --open, from {WORK})")


if __name__ == "__main__":
    main()
