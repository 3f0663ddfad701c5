"""A whole run on this machine: coordinator and sites, from the first request to the final model.

Whoever runs it owns every site's folder, so the reasons that a site keeps to itself can be shown here, though the
protocol never carries them.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from reticent.data import AlignedColumns, Prepared
from reticent.engines.computation import compute_here
from reticent.engines.local import InProcess
from reticent.engines.processes import Processes
from reticent.errors import ReticentError
from reticent.roles import Engine, Finished, Server
from reticent.runs import (
    Binding,
    Bundle,
    Event,
    Observer,
    RunFolder,
    Source,
    baselines,
    coordinate,
    durable,
    load_model,
    make_host,
    measure_leakage,
    refusals,
    save_model,
)

__all__ = ["Laptop"]

_SMALL_MODEL = 1_000_000


@dataclass
class Laptop:
    """One run: its folder, its code, the sites' rows, and who watches."""

    folder: RunFolder
    binding: Binding
    sources: Mapping[str, Source]
    observer: Observer
    _prepared: dict[str, Prepared | AlignedColumns] = field(default_factory=dict)

    def run(self) -> None:
        """Run to the end of the plan, from the last state on disk.

        Raises:
          ReticentError: Of the gravest refusal, in the sites' own words; a run that was refused before it began
            leaves no folder behind.
        """
        plan, folder = self.binding.plan, self.folder
        seen = {site: len(refusals.kept(self.folder.site(site))) for site in self.sources}
        self.observer(Event("started", detail={"folder": str(folder.path)}))
        with ExitStack() as stack:
            stack.enter_context(_few_threads(plan.model.vector_length))
            try:
                if plan.computation is not None:
                    rows = {site: self._rows(site) for site in self.sources}
                    compute_here(folder, self.binding, rows, self.observer)
                else:
                    self._coordinated(stack)
            except ReticentError as error:
                folder.log(Event("finished", detail={"status": "stopped", "reason": error.code}))
                raise self._explained(error, seen) from error
            self._baselines()
        folder.log(Event("finished", detail={"status": "finished", "reason": ""}))
        self.observer(Event("finished", detail={"folder": str(folder.path)}))

    def _coordinated(self, stack: ExitStack) -> None:
        """Let a coordinator ask the sites, round after round, and keep what it holds at the end."""
        plan, folder = self.binding.plan, self.folder
        masked = plan.aggregation.protocol == "secagg"
        server = self.binding.server(run=folder.run, roster=folder.roster if masked else None)
        engine = self._engine(stack)
        coordinate(folder, server, engine, observer=self.observer, checkpoint=self._checkpoint(server))
        self._write_model("model.safetensors", server, Finished("train", plan.training.rounds, 0, (), None))
        if plan.split is not None:
            self._measure_leakage()

    def _measure_leakage(self) -> None:
        """State in the log what known attacks find in the messages of this run."""
        plan = self.binding.plan
        model = load_model(Bundle(self.folder.path, plan), base=self.binding.base, binding=self.binding)
        for row in measure_leakage(self.binding, model):
            self.folder.log(Event("leakage", "after", round=plan.training.rounds, detail=row))

    def _engine(self, stack: ExitStack) -> Engine:
        if self.folder.record["settings"]["engine"] == "processes":
            return stack.enter_context(Processes(self.folder, tuple(self.sources)))
        return InProcess(
            {
                site: make_host(
                    self.folder, self.binding, site, source, observer=self.observer, prepared=self._rows(site)
                )
                for site, source in self.sources.items()
            }
        )

    def _rows(self, site: str) -> Callable[[], Prepared | AlignedColumns]:
        """Return what prepares the rows of `site`, once: the baselines use them again."""

        def prepare() -> Prepared | AlignedColumns:
            if site not in self._prepared:
                self._prepared[site] = self.binding.prepare(site, self.sources[site], self.observer)
            return self._prepared[site]

        return prepare

    def _checkpoint(self, server: Server) -> Callable[[Finished], None]:
        def write(done: Finished) -> None:
            if done.task == "train":
                self._write_model(f"checkpoints/round-{done.round:05d}.safetensors", server, done)

        return write

    def _write_model(self, name: str, server: Server, done: Finished) -> None:
        """Write the server's model, and its hash into the log, so that an exchanged file is told from the true one."""
        path = self.folder.path / name
        model = self.binding.released(server)
        digest = save_model(path, model, plan=self.binding.plan, round_number=done.round, attempt=done.attempt)
        place: dict[str, Any] = {"round": done.round, "attempt": done.attempt}
        self.folder.log(Event("checkpoint", "after", detail={"file": name, "sha256": digest}, **place))

    def _baselines(self) -> None:
        seeds = self.folder.record["settings"]["baseline_seeds"]
        if not seeds or not self.binding.plan.public_data:
            return
        rows = {site: self._rows(site)() for site in self.sources}
        self.observer(Event("baselines", "before"))
        found = baselines(self.binding, rows, seeds=seeds)
        durable.write(self.folder.path / "baselines.json", json.dumps(found, indent=1).encode())
        self.observer(Event("baselines", "after"))

    def _explained(self, error: ReticentError, seen: Mapping[str, int]) -> ReticentError:
        """Return the error in the sites' own words; remove the folder of a run that never began."""
        reasons = {}
        for site, count in seen.items():
            for line in refusals.kept(self.folder.site(site), skip=count)[-1:]:
                kind = refusals.kind_of(line["exit_status"])
                reasons[site] = kind(line["code"], line["message"], hint=line["hint"])
        if self.folder.holds_nothing:
            shutil.rmtree(self.folder.path, ignore_errors=True)
        return refusals.together(reasons) if reasons else error


@contextmanager
def _few_threads(values: int) -> Iterator[None]:
    """Train small models on one thread: on busy cores, two that wait for each other are several times slower."""
    import torch

    before = torch.get_num_threads()
    if values < _SMALL_MODEL and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
