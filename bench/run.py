"""Runs the measurements and writes their tables to docs/results.

    python bench/run.py                      all of them, about 40 minutes on two idle cores
    python bench/run.py startup              one of them
    python bench/run.py secure-computation   beside CrypTen
    python bench/run.py round-overhead --repeats 1 --rounds 3    a quick look

Peers are installed under `.peers/`, each in an environment of its own with pinned versions. Other work on the machine
spoils absolute times; the tables say how busy it was.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import accounting
import machine
import noise
import startup
from mpc_speed import report as mpc_report
from round_overhead import report

HERE = Path(__file__).resolve().parent


def secure_sum() -> None:
    """Run `bench/secagg.py` at its published size and write what it prints."""
    load = machine.load()
    done = subprocess.run([sys.executable, HERE / "secagg.py"], stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout)
    seconds = found.pop("seconds")
    parts = [
        "# Bytes and seconds of a secure sum",
        machine.describe(load),
        "`expansion` is bytes sent by a client over two bytes for each value; `expansion_bonawitz` is the formula of "
        "Bonawitz et al. (CCS 2017). Seconds are for one client, or for the server's whole phase, on one core.",
        machine.table(["", "value"], [[name, f"{value:,}"] for name, value in found.items()]),
        machine.table(["phase", "seconds"], [[name, f"{value:.4f}"] for name, value in seconds.items()]),
    ]
    (machine.RESULTS / "secure-sum.md").write_text("\n\n".join(parts) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure, and write tables to docs/results.")
    benches = (
        "startup",
        "accounting",
        "secure-sum",
        "noise",
        "round-overhead",
        "secure-computation",
        "homomorphic-encryption",
    )
    parser.add_argument("bench", nargs="*", metavar="BENCH", help=f"any of {', '.join(benches)}; all if none is named")
    parser.add_argument("--repeats", type=int, default=5, help="processes for each variant of the comparisons")
    parser.add_argument("--rounds", type=int, default=8, help="rounds in each process, the first left out")
    given = parser.parse_args()
    if unknown := set(given.bench) - set(benches):
        parser.error(f"no bench {', '.join(sorted(unknown))}; there are {', '.join(benches)}")
    chosen = given.bench or benches
    if "startup" in chosen:
        startup.write(repeats=20)
    if "accounting" in chosen:
        accounting.write(repeats=given.repeats)
    if "secure-sum" in chosen:
        secure_sum()
    if "noise" in chosen:
        noise.write(repeats=given.repeats)
    if "round-overhead" in chosen:
        report.write(repeats=given.repeats, rounds=given.rounds)
    if "secure-computation" in chosen:
        mpc_report.write(repeats=given.repeats)
    if "homomorphic-encryption" in chosen:
        subprocess.run([sys.executable, HERE / "he.py"], check=True)


if __name__ == "__main__":
    main()
