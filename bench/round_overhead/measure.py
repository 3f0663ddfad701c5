"""Runs every variant in a process of its own, one after the other and all over again, and takes rounds apart.

A round lasts from the end of the round before to its own end. Local training is the time in which at least one client
trains, as the clients measured it; overhead is the rest. So a framework that trains two clients at once is charged
only for the time in which none of them trains.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
from dataclasses import dataclass
from typing import Any

from round_overhead.environments import HERE, python_of


@dataclass(frozen=True)
class Variant:
    name: str
    script: str
    options: tuple[str, ...] = ()
    peer: str | None = None


PFL = "pfl"
FLOWER = "Flower, two actors on Ray"
VARIANTS = (
    Variant("plain loop, no framework", "plain_loop.py"),
    Variant("reticent, roles alone (`federated.simulate`)", "reticent_simulate.py"),
    Variant("reticent, `reticent.run`, plain sum", "reticent_run.py", ("--protocol", "plain")),
    Variant("reticent, `reticent.run`, secure aggregation", "reticent_run.py", ("--protocol", "secagg")),
    Variant(PFL, "peer_pfl.py", peer="pfl"),
    Variant(FLOWER, "peer_flower.py", peer="flower"),
)


LEARNT = 2.25
"""Largest mean loss at the end; a model that has learnt nothing has log(10) = 2.303."""


@dataclass(frozen=True)
class Sample:
    """Medians over the rounds of one process, in seconds; the first round is left out and told apart."""

    total: float
    training: float
    overhead: float
    loss: float
    trained: int
    versions: dict[str, str]


def sample(variant: Variant, *, model: str, clients: int, rounds: int) -> Sample:
    """Run `variant` once."""
    command = [python_of(variant.peer), HERE / variant.script, *variant.options]
    workload = ["--model", model, "--clients", str(clients), "--rounds", str(rounds)]
    # One thread for each training process, as Ray gives it to Flower's actors: with batches of ten a second is no gain.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *workload], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{variant.name} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return _take_apart(json.loads(done.stdout.splitlines()[-1]))


def _take_apart(result: dict[str, Any]) -> Sample:
    ends, intervals = result["rounds"], _union(result["training"])
    totals, trainings = [], []
    for start, stop in itertools.pairwise(ends):
        totals.append(stop - start)
        trainings.append(sum(max(0.0, min(stop, b) - max(start, a)) for a, b in intervals))
    overheads = [total - training for total, training in zip(totals, trainings, strict=True)]
    medians = (statistics.median(values) for values in (totals, trainings, overheads))
    return Sample(*medians, loss=result["loss"], trained=len(result["training"]), versions=result["versions"])


def _union(intervals: list[list[float]]) -> list[list[float]]:
    """Return the same times as intervals that do not overlap."""
    merged: list[list[float]] = []
    for start, stop in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], stop)
        else:
            merged.append([start, stop])
    return merged


def samples(*, model: str, clients: int, rounds: int, repeats: int) -> dict[str, list[Sample]]:
    """Run all variants in turn, `repeats` times: A B C A B C, so that a slow minute meets them all."""
    found: dict[str, list[Sample]] = {variant.name: [] for variant in VARIANTS}
    for repeat in range(repeats):
        for variant in VARIANTS:
            taken = sample(variant, model=model, clients=clients, rounds=rounds)
            found[variant.name].append(taken)
            print(
                f"{model}, {clients} clients, {repeat + 1}/{repeats}, {variant.name}: "
                f"{taken.total:.4f} s a round, {taken.overhead:.4f} s overhead",
                flush=True,
            )
    _check_work(found, model=model, expected=clients * rounds)
    return found


def _check_work(found: dict[str, list[Sample]], *, model: str, expected: int) -> None:
    """Stop if a variant left out clients or did not learn: then its times would be good for the wrong reason."""
    for name, many in found.items():
        trained, loss = {one.trained for one in many}, max(one.loss for one in many)
        if trained != {expected} or (model == "2nn" and loss > LEARNT):
            raise SystemExit(f"{name}: {trained} trainings instead of {expected}, loss {loss:.3f} at the end")
