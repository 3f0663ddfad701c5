"""The machine that a measurement was made on, in words that may be published."""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"
BUSY = 0.5
"""Load per core, from other work, above which absolute times are not to be trusted."""


def describe(load_before: float) -> str:
    """Return one paragraph: when, on what, and how busy the machine was before the first process was started."""
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    busy = load_before / cores > BUSY
    state = "**busy with other work: read the ratios, not the times**" if busy else "quiet"
    return (
        f"Measured {datetime.now(UTC):%Y-%m-%d} by `bench/run.py`: {_cpu()}, {cores} cores, {memory:.0f} GiB, "
        f"{platform.system()} {platform.release().split('-')[0]}, Python {platform.python_version()}, temporary files "
        f"on {_file_system()}; reticent at {_commit()}. Load average before the start {load_before:.2f}: the machine was "
        f"{state}."
    )


def load() -> float:
    """Return the load average of the last minute."""
    return os.getloadavg()[0]


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def spread(values: list[float], *, unit: float = 1.0, digits: int = 3) -> str:
    """Return the median and, in brackets, the smallest and the largest of `values`, divided by `unit`."""
    ordered = sorted(value / unit for value in values)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return f"{median:.{digits}f} ({ordered[0]:.{digits}f}-{ordered[-1]:.{digits}f})"


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str:
    found = subprocess.run(
        ["git", "-C", RESULTS, "describe", "--always", "--dirty=, with changes that are not committed"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return found.stdout.strip() or "an unknown commit"


def _file_system() -> str:
    found = subprocess.run(
        ["df", "--output=fstype", tempfile.gettempdir()], capture_output=True, text=True, check=False
    )
    return found.stdout.split()[-1] if found.returncode == 0 else "an unknown file system"
