"""The demo: hospitals learn one model under person-level differential privacy and secure aggregation.

First four hospitals on records that ship inside scikit-learn; then, where the folder of real data sets is, the four
heart-disease hospitals of FLamby. Every step is a command that you can type yourself; each is printed before it runs.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from reticent.data import data_folder
from reticent.errors import EnvironmentFault

HERE = Path(__file__).resolve().parent


def reticent(folder: Path, *arguments: str) -> None:
    """Print a command of the command line, then run it in `folder`."""
    print(f"\n$ reticent {' '.join(arguments)}", flush=True)
    command = [sys.executable, "-c", "from reticent.cli import main; main()", *arguments]
    done = subprocess.run(command, cwd=folder, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def maker(example: str) -> ModuleType:
    """Import the example's `make_sites.py`."""
    spec = importlib.util.spec_from_file_location(f"{example}_sites", HERE / example / "make_sites.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def walk(folder: Path, example: str, sites: list[str]) -> Path:
    """Grant the budgets, run the study with its baselines, verify the run; returns the run's folder."""
    shutil.copy(HERE / example / "study.toml", folder)
    budget = ("--epsilon", "3", "--delta", "1e-5", "--unit", "person", "--relation", "add_or_remove_one")
    reticent(
        folder, "ledger", "grant", *sites, *budget, "--reason", "demonstration on published records", "--signer", "demo"
    )
    reticent(folder, "run", "study.toml", "--baselines", "3")
    run = max(path for path in (folder / "runs").iterdir() if path.is_dir())
    reticent(folder, "verify", str(run.relative_to(folder)))
    return run


def main(work: Path) -> None:
    """Run the first example, and the second where its data are, in folders below `work`."""
    cancer = maker("breast_cancer")
    folder = work / "demo"
    cancer.make_sites(folder)
    print(
        f"Four hospitals with {', '.join(f'{size} ({site})' for site, size in cancer.SIZES.items())} records: {folder}"
    )
    runs = [walk(folder, "breast_cancer", list(cancer.SIZES))]
    try:
        source = data_folder()
    except EnvironmentFault as error:
        print(f"\nThe second example is left out: {error}")
        source = None
    if source is not None and (source / "heart_disease").is_dir():
        heart = maker("heart_disease")
        folder = work / "demo-heart"
        heart.make_sites(source / "heart_disease", folder)
        print(f"\nFour heart-disease hospitals, {', '.join(heart.HOSPITALS)}: {folder}")
        runs.append(walk(folder, "heart_disease", list(heart.HOSPITALS)))
    elif source is None:
        print("\nThe second example needs the folder of real data sets: set RETICENT_DATA to it.")
    print("\nThe pages to sign:")
    for run in runs:
        print(f"  {run / 'report.html'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else HERE.parent / "runs")
