"""The measurement as `docs/results/secure-computation.md`."""

from __future__ import annotations

import statistics

import machine
from mpc_speed.measure import (
    OURS_2,
    OURS_3,
    OWNED_2,
    TFP_2,
    TFP_3,
    TTP_2,
    TTP_3,
    VARIANTS,
    Sample,
    Variant,
    isolated,
    lines_of,
    samples,
)
from mpc_speed.tasks import TASKS, WARM

Samples = dict[tuple[str, str], list[Sample]]

SETTINGS = """\
Operands are shared beforehand and results stay shared; what is timed is the computation, its correlated randomness
included, which both systems make when it is needed. Every party is a process of its own with one thread, all on this
machine; **reticent over mutual TLS 1.3, CrypTen over gloo in plain TCP**: it offers no encryption. Each variant runs in
processes of its own, one task after the other, variants in turn, all over again for every repeat; a time is the median
over the repetitions within a process of the slowest party's seconds, then the median (smallest - largest) over the
repeats. Ratios are taken within a repeat, then the median. CPU is that of all participants, dealer and trusted third
party (TTP) included, and depends less on what else the machine does.

Bytes are those of all participants, dealer and TTP included, {how}

Three differences to know. CrypTen's default lets party 0 make all triples, so that it can compute every input of the
other: the fair counterpart of a dealer is its TTP. CrypTen draws randomness from a Mersenne twister with 32 effective
bits of seed, reticent from AES. With two parties CrypTen divides each share by itself after a product, at no cost, and
errs by 2^32 or more with a probability that grows with the value; reticent's division is exact, which costs about
45 bytes for each element of a product."""


def write(*, repeats: int) -> None:
    """Measure and write the page."""
    load = machine.load()
    found = samples(repeats)
    versions = {name: version for many in found.values() for one in many for name, version in one.versions.items()}
    how = (
        "counted on the loopback of a network namespace in which nothing else runs: TCP/IP headers, acknowledgements, "
        "framing and encryption included."
        if isolated()
        else "not counted: this machine allows no network namespaces."
    )
    parts = [
        "# Secure computation beside CrypTen 0.4.1",
        machine.describe(load),
        f"Versions: {', '.join(f'{name} {versions[name]}' for name in sorted(versions))}.",
        SETTINGS.format(how=how),
        f"{repeats} repeats; {WARM} repetitions to warm up and then "
        + ", ".join(f"{task.repeats} ({task.title})" for task in TASKS.values())
        + ". 16 fraction bits in 64.",
    ]
    for task, made in TASKS.items():
        parts += [f"## {made.title}", _table(found, task)]
    parts += ["## What was wanted, and what is", _verdicts(found)]
    parts += ["## Where reticent's time goes", _causes_intro(), *(_causes(variant) for variant in (OURS_2, OURS_3))]
    (machine.RESULTS / "secure-computation.md").write_text("\n\n".join(parts) + "\n")


def _table(found: Samples, task: str) -> str:
    rows = []
    for variant in VARIANTS:
        taken = found[variant.name, task]
        megabytes = statistics.median(one.wire for one in taken) / 1e6
        ratios = [_ratio(found, task, variant, peer, "seconds") for peer in _peers(variant)]
        rows.append(
            [
                variant.name,
                machine.spread([one.seconds for one in taken], unit=1e-3, digits=1),
                *(f"{ratio:.2f}" for ratio in ratios),
                f"{statistics.median(one.cpu for one in taken) * 1e3:.0f}",
                f"{megabytes:.2f}",
                f"{max(one.rounds for one in taken):.0f}",
                f"{max(one.error for one in taken):.1e}",
            ]
        )
    return machine.table(
        ["", "ms", "/ CrypTen TTP", "/ CrypTen default", "CPU, ms", "MB", "rounds", "largest error"], rows
    )


def _peers(variant: Variant) -> tuple[Variant, Variant]:
    return (TTP_2, TFP_2) if variant.parties == 2 else (TTP_3, TFP_3)


def _ratio(found: Samples, task: str, variant: Variant, peer: Variant, what: str) -> float:
    pairs = zip(found[variant.name, task], found[peer.name, task], strict=True)
    return statistics.median(getattr(one, what) / getattr(other, what) for one, other in pairs)


def _verdicts(found: Samples) -> str:
    """Compare with what issue 4 asks for: not slower than CrypTen, bytes no more."""
    rows = []
    for task, made in TASKS.items():
        for variant in (OURS_2, OWNED_2, OURS_3):
            cells = [made.title, variant.name]
            for peer in _peers(variant):
                for what in ("seconds", "wire"):
                    ratio = _ratio(found, task, variant, peer, what) if found[peer.name, task][0].wire else 0.0
                    cells.append(f"{'met' if ratio <= 1 else 'missed'} ({ratio:.2f})")
            rows.append(cells)
    heads = ["", "", "time against TTP", "bytes against TTP", "time against default", "bytes against default"]
    return machine.table(heads, rows)


def _causes_intro() -> str:
    return (
        "Own time of functions under a profiler, as a share of each participant's time; of the dealer's, meeting "
        "the parties and waiting between repetitions included. Read shares, not seconds: a profiler slows Python down and "
        "C hardly."
    )


def _causes(variant: Variant) -> str:
    columns: dict[str, dict[str, float]] = {}
    for task in TASKS:
        lines = lines_of(variant, "--task", task, "--profile")
        for number, (line,) in enumerate(lines):
            who = "dealer" if number >= variant.parties else f"party {number}"
            if number in (0, len(lines) - 1):
                columns[f"{task}: {who}"] = line["where"]
    causes = list(dict.fromkeys(cause for column in columns.values() for cause in column))
    rows = [[cause, *(f"{column.get(cause, 0):.0%}" for column in columns.values())] for cause in causes]
    return machine.table([variant.name, *columns], rows)
