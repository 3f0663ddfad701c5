"""The verbs of Python users: `plan`, `run`, `resume`. The command line says nothing that cannot be said here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from reticent.engines import Laptop
from reticent.errors import UsageError
from reticent.runs import Binding, Observer, RunFolder, durable, find_factory, probe, sources_of
from reticent.study import Plan, Study, derive, dump_study, load_study, study_from

__all__ = ["BoundPlan", "Result", "plan", "resume", "run"]


@dataclass(frozen=True)
class BoundPlan:
    """A plan with the study that it was derived from, and the Python objects that a file could only name.

    Everything that is promised stands in `plan`; this object adds what is needed to run it on this machine.
    """

    plan: Plan
    study: Study
    base: Path
    factory: Callable[..., Any] | None = None
    loss: Callable[..., Any] | None = None

    def __getattr__(self, name: str) -> Any:
        """Offer the plan's own attributes: `guarantee`, `sites`, `who_sees_what()` and so on."""
        return getattr(self.plan, name)

    @property
    def binding(self) -> Binding:
        """The plan with its code."""
        return Binding(self.plan, self.base, factory=self.factory, loss=self.loss)


@dataclass(frozen=True)
class Result:
    """A finished run: its folder, and what was released into it."""

    folder: Path
    plan: Plan
    binding: Binding = field(repr=False)

    @cached_property
    def metrics(self) -> list[dict[str, Any]]:
        """The released figures, in order: round, accuracy, confusion counts, loss where it is released."""
        return [event for event in durable.read_lines(self.folder / "log.jsonl") if event["event"] == "metrics"]

    def model(self) -> Any:
        """Return the trained torch model."""
        from safetensors.torch import load_file

        model = self.binding.model()
        model.load_state_dict(load_file(self.folder / "model.safetensors"))
        return model.eval()


def plan(
    study: str | Path | None = None,
    *,
    overrides: Mapping[str, str] | None = None,
    model: Callable[..., Any] | None = None,
    loss: str | Callable[..., Any] | None = None,
    sites: Iterable[str] | Mapping[str, Any] | None = None,
    data: Any = None,
    learning: Any = None,
    privacy: Any = None,
    aggregation: Any = None,
    **sections: Any,
) -> BoundPlan:
    """Derive a plan from a study file, or from Python objects.

    Args:
      study: Path of a study file.
      overrides: Settings of the file to replace, as `{"learning.rounds": "10"}`.
      model: Function that returns a `torch.nn.Module`; takes `inputs` and `outputs` if it has such parameters.
      loss: Name in `torch.nn.functional`, `module:function`, or any callable; what suits the label if not given.
      sites: Site names with their declared sizes.
      data, learning, privacy, aggregation, sections: The sections of a study file as dicts or objects.

    Raises:
      UsageError: If a setting is wrong; the error names it.
      PolicyRefused: If the study asks for something that cannot be promised.
    """
    if study is not None:
        path = Path(study)
        wanted = load_study(path, overrides or {})
        return _derive(wanted, path.resolve().parent)
    if model is None or sites is None:
        raise UsageError(
            "nothing-to-plan",
            "neither a study file nor model and sites were given",
            hint='call reticent.plan("study.toml"), or reticent.plan(model=..., sites=..., learning=..., ...)',
        )
    name = loss if loss is None or isinstance(loss, str) else f"<{getattr(loss, '__name__', type(loss).__name__)}>"
    wanted = study_from(
        model=model,
        loss=name,
        sites=sites,
        data=data,
        learning=learning,
        privacy=privacy,
        aggregation=aggregation,
        **sections,
    )
    return _derive(wanted, Path.cwd(), factory=model, loss=loss if callable(loss) else None)


def _derive(
    study: Study, base: Path, *, factory: Callable[..., Any] | None = None, loss: Callable[..., Any] | None = None
) -> BoundPlan:
    from reticent.training import loss_by_name

    found = factory or find_factory(study.model.factory, base)
    facts = probe(study, found, loss or loss_by_name(study.model.loss), base=base)
    return BoundPlan(derive(study, facts), study, base, factory, loss)


def run(
    bound: BoundPlan,
    *,
    data: Mapping[str, Any] | None = None,
    engine: str = "local",
    directory: str | Path | None = None,
    observer: Observer | None = None,
    baseline_seeds: int = 0,
) -> Result:
    """Run a plan on this machine.

    Args:
      data: Rows for each site: a path, a pandas frame, `(X, y)`, `(X, y, persons)` or `Examples`; a study file may
        name them instead.
      engine: `local` (all sites in this process) or `processes` (one process for each site).
      directory: Where the run folder is made; the study's `run.directory` if not given.
      observer: Called with every event of the run.
      baseline_seeds: Repetitions of the baselines; only where the study declares its data public.

    Raises:
      PolicyRefused: Without a sufficient grant; the error holds the command that grants.
      ReticentError: See its tree.
    """
    if engine not in ("local", "processes"):
        raise UsageError("unknown-engine", f"engine is {engine!r}", hint='use "local" or "processes"')
    if engine == "processes" and (data or bound.factory or bound.loss):
        raise UsageError(
            "objects-stay-here",
            "Python objects cannot be handed to the processes of the sites",
            hint='name model, loss and data in a study file, or use engine="local"',
        )
    sources = sources_of(bound.study, bound.base, data or {})
    parent = Path(directory) if directory else bound.base / bound.study.run.directory
    with durable.exclusive(parent / f".{bound.plan.study}.lock", what=f"study {bound.plan.study!r}"):
        folder = RunFolder.create(
            parent,
            bound.plan,
            dump_study(bound.study),
            base=bound.base,
            settings={
                "engine": engine,
                "baseline_seeds": baseline_seeds,
                "objects": bool(data or bound.factory or bound.loss),
            },
        )
        Laptop(folder, bound.binding, sources, observer or (lambda _: None)).run()
        return Result(folder.path, bound.plan, bound.binding)


def resume(
    path: str | Path,
    *,
    bound: BoundPlan | None = None,
    data: Mapping[str, Any] | None = None,
    observer: Observer | None = None,
) -> Result:
    """Go on with a run that was stopped, from its last checkpoint, as a new attempt. A finished run is left as it is.

    Args:
      path: The run folder.
      bound, data: What `run` was given, where it was given Python objects; code and data are never stored.
    """
    folder = RunFolder.open(Path(path))
    settings = folder.record["settings"]
    if settings["objects"] and bound is None:
        raise UsageError(
            "objects-not-stored",
            f"the run in {path} was made from Python objects, which are not stored",
            hint="call reticent.resume(path, bound=plan, data=...) with the same plan and data",
        )
    binding = bound.binding if bound else Binding(folder.plan, folder.base)
    if binding.plan.hash != folder.plan.hash:
        raise UsageError(
            "plan-differs",
            f"the given plan is {binding.plan.hash[:12]}, the run's is {folder.plan.hash[:12]}",
            hint="resume with the plan that the run began with",
        )
    result = Result(folder.path, folder.plan, binding)
    if folder.is_finished:
        # A report may have been signed: what is finished is never written again.
        return result
    sources = sources_of(load_study(folder.path / "study.toml"), folder.base, data or {})
    with folder.lock():
        Laptop(folder, binding, sources, observer or (lambda _: None)).run()
    return result
