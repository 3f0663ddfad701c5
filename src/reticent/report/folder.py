"""A run folder as the report reads it: the plan, what happened, and the files that carry a hash. Never a site's own.

Only what the coordinator may know is opened. `sites/` (keys, journals, exact figures) is never read here, so that no
private figure can reach a page.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reticent.errors import EnvironmentFault, UsageError
from reticent.ledger import Head
from reticent.study.plan import Plan

__all__ = [
    "BaselineFile",
    "BaselineRow",
    "Checkpoint",
    "MetricsLine",
    "RoundLine",
    "RunFile",
    "RunFolder",
    "StatisticRow",
    "StatisticsLine",
]


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class RunFile(_Line):
    """`run.json`: the run's name, when it started, and the versions that did it."""

    run: str
    started: str
    versions: dict[str, str] = {}
    engine: str = "local"
    public_data: bool = False


class RoundLine(_Line):
    """One completed task in `log.jsonl`; `absent` maps a site to the reason why it did not contribute.

    A round has the task `train` and, where figures are released after it, the task `evaluate`. Round 0 is the task
    `statistics`, where the plan asks for any.
    """

    task: str = "train"
    round: int = Field(ge=0)
    attempt: int = Field(default=0, ge=0)
    contributors: tuple[str, ...]
    absent: dict[str, str] = {}
    seconds: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    bytes_up: dict[str, int] = {}
    bytes_down: dict[str, int] = {}


class MetricsLine(_Line):
    """One released evaluation in `log.jsonl`; counts are noised where an epsilon is claimed."""

    round: int = Field(ge=0)
    confusion: tuple[tuple[float, ...], ...] = ()
    loss: float | None = None
    accuracy: float | None = None
    accuracy_deviation: float | None = None
    auc: float | None = None
    contributors: tuple[str, ...] = ()


class StatisticRow(_Line):
    """One number of the released statistics."""

    statistic: str
    label: str = ""
    value: float = Field(allow_inf_nan=False)
    noise: float = Field(allow_inf_nan=False)
    low: float = Field(allow_inf_nan=False)
    high: float = Field(allow_inf_nan=False)


class StatisticsLine(_Line):
    """The released statistics in `log.jsonl`; noised where an epsilon is claimed."""

    answers: tuple[StatisticRow, ...]
    contributors: tuple[str, ...]


class LeakageLine(_Line):
    """One measure of `leakage` in `log.jsonl`."""

    what: str
    value: float = Field(allow_inf_nan=False)
    words: str
    measured_on: str


class BaselineRow(_Line):
    """One line of the comparison: a name, the mean over seeds, its standard deviation, the number of seeds."""

    name: str
    accuracy: float
    spread: float | None = None
    seeds: int = 1


class BaselineFile(_Line):
    """`baselines.json`, written only where the data are public."""

    rows: tuple[BaselineRow, ...] = ()
    metric: str = "accuracy"


Value = TypeVar("Value", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A file of model values: its SHA-256 now, the one that the log recorded, and the plan that its metadata names."""

    file: str
    sha256: str
    recorded: str | None
    plan_hash: str | None


@dataclass(frozen=True, slots=True)
class RunFolder:
    """What the report reads of one run.

    Attributes:
      path: The folder.
      plan: The plan as it stands in the folder; `verify` says whether it is the plan that was run.
      plan_text: The text of `plan.json`, to the byte.
      run: `run.json`.
      lines: The lines of `log.jsonl`, in order.
      damaged_lines: How many lines of the log could not be read. One is what a sudden stop leaves behind.
    """

    path: Path
    plan: Plan
    plan_text: str
    run: RunFile
    lines: tuple[dict[str, Any], ...]
    damaged_lines: int
    baselines: BaselineFile | None

    @classmethod
    def open(cls, path: Path | str) -> RunFolder:
        """Read the folder `path`.

        Raises:
          EnvironmentFault: If a file is missing, cannot be read, or does not hold what the layout says.
        """
        folder = Path(path)
        plan_text = _text(folder / "plan.json")
        lines, damaged = _log(folder / "log.jsonl")
        baselines = folder / "baselines.json"
        return cls(
            path=folder,
            plan=_model(Plan, plan_text, folder / "plan.json"),
            plan_text=plan_text,
            run=_model(RunFile, _text(folder / "run.json"), folder / "run.json"),
            lines=lines,
            damaged_lines=damaged,
            baselines=_model(BaselineFile, _text(baselines), baselines) if baselines.exists() else None,
        )

    @property
    def plan_hash(self) -> str:
        """SHA-256 of the bytes of `plan.json`, in hexadecimal."""
        return hashlib.sha256(self.plan_text.strip().encode()).hexdigest()

    def tasks(self) -> tuple[RoundLine, ...]:
        """Return every completed task, those included that were done again: each was a release."""
        return _parse(RoundLine, self._events("round"), self.path)

    def rounds(self) -> tuple[RoundLine, ...]:
        """Return the completed rounds of training; of a round that was redone, the last attempt."""
        found = {line.round: line for line in self.tasks() if line.task == "train"}
        return tuple(found[number] for number in sorted(found))

    def metrics(self) -> tuple[MetricsLine, ...]:
        """Return the released evaluations, one for each round that has one."""
        found = {line.round: line for line in _parse(MetricsLine, self._events("metrics"), self.path)}
        return tuple(found[number] for number in sorted(found))

    def head(self, site: str) -> Head | None:
        """Return the head of the site's ledger after its last charge in this run; None if it was not kept."""
        path = self.path / "heads" / f"{site}.json"
        return Head.parse(_text(path)) if path.exists() else None

    def statistics(self) -> StatisticsLine | None:
        """Return the released statistics; those of the last attempt, None if there are none."""
        found = _parse(StatisticsLine, self._events("statistics"), self.path)
        return found[-1] if found else None

    def leakage(self) -> tuple[LeakageLine, ...]:
        """Return what known attacks found in the messages, as the run measured it last."""
        found = {line.what: line for line in _parse(LeakageLine, self._events("leakage"), self.path)}
        return tuple(found.values())

    def finished(self) -> tuple[str, str, str]:
        """Return status, reason and time of the end; status is `unfinished` where the log holds none."""
        ends = [line for line in self.lines if line.get("event") == "finished"]
        if not ends:
            return "unfinished", "the log holds no end: the run is still going on, or was interrupted", ""
        last = ends[-1]
        return str(last.get("status", "finished")), str(last.get("reason") or ""), str(last.get("time", ""))

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """Return every file of model values with its hash, rounds in order and the final model last."""
        files = sorted((self.path / "checkpoints").glob("*.safetensors"))
        final = self.path / "model.safetensors"
        recorded = self.recorded_hashes()
        return tuple(_checkpoint(self.path, file, recorded) for file in [*files, *([final] if final.exists() else [])])

    def _events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("event") == name and line.get("when") in {"after", None}]

    def recorded_hashes(self) -> dict[str, str]:
        """Return the SHA-256 of every model file that the log recorded, by file."""
        # A checkpoint is recorded by {"event": "checkpoint", "file": ..., "sha256": ...}; a redone round records anew.
        return {
            str(line["file"]): str(line["sha256"])
            for line in self.lines
            if line.get("event") == "checkpoint" and "file" in line and "sha256" in line
        }


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise _unreadable(path, error) from error
    return digest.hexdigest()


def _checkpoint(folder: Path, file: Path, recorded: dict[str, str]) -> Checkpoint:
    name = file.relative_to(folder).as_posix()
    return Checkpoint(
        file=name,
        sha256=sha256_of(file),
        recorded=recorded.get(name),
        plan_hash=_metadata(file).get("plan_hash"),
    )


def _metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a safetensors file: 8 bytes of length (little-endian), then JSON. No tensor is loaded."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > 1 << 24:  # a forged length must not make this process allocate gigabytes
                return {}
            found = json.loads(file.read(length)).get("__metadata__", {})
    except (OSError, ValueError, AttributeError):
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _parse(kind: type[Value], lines: list[dict[str, Any]], folder: Path) -> tuple[Value, ...]:
    try:
        return tuple(map(kind.model_validate, lines))
    except ValidationError as error:
        raise _damaged(folder / "log.jsonl", str(error.errors()[0]["msg"])) from error


def _log(path: Path) -> tuple[tuple[dict[str, Any], ...], int]:
    lines: list[dict[str, Any]] = []
    damaged = 0
    for text in _text(path).splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        if isinstance(line, dict):
            lines.append(line)
        elif text.strip():
            damaged += 1
    return tuple(lines), damaged


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error


def _model(kind: type[Value], text: str, path: Path) -> Value:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _damaged(path, f"{where or 'text'}: {first['msg']}") from error
    except UsageError as error:  # a value of the plan that its own class refuses
        raise _damaged(path, error.message) from error


def _unreadable(path: Path, error: Exception) -> EnvironmentFault:
    return EnvironmentFault(
        "run-folder-incomplete",
        f"{path} cannot be read ({type(error).__name__})",
        hint="give the folder that `reticent run` printed; it holds plan.json, run.json and log.jsonl",
    )


def _damaged(path: Path, why: str) -> EnvironmentFault:
    return EnvironmentFault(
        "run-folder-damaged",
        f"{path} does not hold what a run writes there: {why}",
        hint="restore the file from a copy; a report is never made from a repaired guess",
    )
