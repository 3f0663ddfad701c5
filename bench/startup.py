"""How long `import reticent` and `reticent --help` take, by whole processes, in turn with a bare Python."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import machine

IMPORT_TARGET = 0.15
HELP_TARGET = 0.5
BARE, IMPORT, HELP = "bare Python", "`import reticent`", "`reticent --help`"
COMMANDS = {
    BARE: [sys.executable, "-c", "pass"],
    IMPORT: [sys.executable, "-c", "import reticent"],
    HELP: [str(Path(sys.executable).with_name("reticent")), "--help"],
}


def write(*, repeats: int) -> None:
    """Measure and write `docs/results/startup.md`."""
    load = machine.load()
    times = _measure(repeats)
    over = [one - bare for one, bare in zip(times[IMPORT], times[BARE], strict=True)]
    torch = subprocess.run(
        [sys.executable, "-c", "import reticent, sys; print('torch' in sys.modules)"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    rows = [[name, machine.spread(taken), "", ""] for name, taken in times.items()]
    rows.append(["`import reticent` over bare Python", machine.spread(over), *_verdict(over, IMPORT_TARGET)])
    rows[2][2:] = _verdict(times[HELP], HELP_TARGET)
    parts = [
        "# Start-up",
        machine.describe(load),
        f"reticent {version('reticent')}, typer {version('typer')}. Whole processes, in turn, {repeats} times after "
        "one that fills the caches: median, smallest and largest, in seconds.",
        machine.table(["", "seconds", "target", ""], rows),
        f"torch in `sys.modules` after `import reticent`: **{'yes' if torch == 'True' else 'no'}** (target: no).",
    ]
    machine.RESULTS.mkdir(parents=True, exist_ok=True)
    (machine.RESULTS / "startup.md").write_text("\n\n".join(parts) + "\n")


def _measure(repeats: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for repeat in range(repeats + 1):
        for name, command in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            if repeat:
                times[name].append(time.perf_counter() - start)
    return times


def _verdict(seconds: list[float], target: float) -> list[str]:
    return [f"{target:g}", "met" if statistics.median(seconds) <= target else "**missed**"]
